"""Vector files: the canopy layer, the plots with their statistics, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cropseg_geo.events import Listener
from cropseg_geo.ground import Ground
from cropseg_geo.plots.columns import column_descriptions
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.raster.mask import Mask
from cropseg_geo.vector.attributes import PlotIndex, heights_of
from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.files.formats import TABLES, VectorWriter, create_vector_file
from cropseg_geo.vector.files.layers import (
    PLOT_ID,
    canopy_columns,
    canopy_layer,
    dtype_of,
    plots_layer,
    with_classes,
)
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector.trace import trace

if TYPE_CHECKING:  # statistics of plots are loaded where there are plots
    import geopandas as gpd

    from cropseg_geo.plots.layout import Plots
    from cropseg_geo.plots.measuring.indices import BandSource
    from cropseg_geo.raster.heights import Heights

_ALL_STATISTICS = StatsOptions()


@dataclass(frozen=True)
class CanopyOptions:
    """How canopy polygons are drawn and what they carry.

    Parameters
    ----------
    outlines
        How they are drawn.
    layout
        Plots; each polygon is given the ``plot_id`` of the one that it shares the largest area with.
    heights
        Open heights above ground on the mask's grid; fill ``height_mean_m``, ``height_p95_m`` and
        ``volume_m3``.
    colours
        ``#rrggbb`` by class id; None takes the mask's colour table.
    """

    outlines: Outlines = Outlines()  # noqa: RUF009  # frozen, so that one will do for all
    layout: Plots | None = None
    heights: Heights | None = None
    colours: Sequence[str] | None = None


@dataclass(frozen=True)
class CanopyTotals:
    """What a canopy layer amounts to."""

    n_polygons: int = 0
    area_m2: float = 0.0

    def plus(self, batch: CanopyBatch) -> CanopyTotals:
        """With a batch more."""
        return CanopyTotals(self.n_polygons + len(batch), self.area_m2 + float(batch.area_m2.sum()))


class CanopyLayer:
    """The ``canopy`` layer of a file that is being written, and what went into it."""

    def __init__(
        self, file: VectorWriter, ground: Ground, classes: Sequence[str], options: CanopyOptions
    ) -> None:
        self.totals = CanopyTotals()
        self._file, self._ground, self._classes, self._options = file, ground, tuple(classes), options
        self._seen: set[int] = set()
        layout = options.layout
        self._plots = (
            None if layout is None else PlotIndex(layout.geometry, np.array(layout.ids, dtype=object))
        )
        self._layer = canopy_layer(
            classes[:2],
            plot_dtype=None if layout is None else dtype_of(layout.frame[PLOT_ID]),
            with_heights=options.heights is not None,
        )
        file.create_layer(self._layer)

    def written(self, batches: Iterable[CanopyBatch]) -> Iterator[Any]:
        """Write batches as they pass; yields their geometries (arrays of shapely polygons)."""
        for batch in batches:
            columns = canopy_columns(batch)
            if self._plots is not None:
                columns[PLOT_ID] = self._plots.plot_ids(batch.geometry)
            if self._options.heights is not None:
                found = heights_of(batch.geometry, self._options.heights, self._ground)
                columns |= {
                    "height_mean_m": found.mean_m,
                    "height_p95_m": found.p95_m,
                    "volume_m3": found.volume_m3,
                }
            for first in range(0, len(batch), _ROWS):
                rows = slice(first, first + _ROWS)
                part = {name: values[rows] for name, values in columns.items()}
                self._file.append(self._layer.name, part, batch.geometry[rows])
            self.totals = self.totals.plus(batch)
            self._seen.update(np.unique(batch.class_id).tolist())
            yield batch.geometry
        self._restyle()

    def _restyle(self) -> None:
        """Style the classes that are there: a mask without names may hold any of 254."""
        named = range(1, len(self._classes)) if len(self._classes) <= _MANY else sorted(self._seen)
        layer = with_classes(self._layer, self._classes, list(named), self._options.colours)
        self._file.set_style(layer.name, layer.style)


_ROWS = 20_000
"""Rows that are handed to a writer at once: a block may hold a quarter of a million specks."""
_MANY = 32
"""Classes up to here all stand in the legend, whether the mask holds them or not."""


def write_layers(
    path: Path,
    mask: Mask,
    *,
    classes: Sequence[str],
    listener: Listener,
    options: CanopyOptions = CanopyOptions(),
    tags: Mapping[str, str] | None = None,
) -> CanopyTotals:
    """Trace a mask into the ``canopy`` layer of a new file; its suffix says of which format."""
    with _created(path, mask, tags) as file:
        return _draw(file, mask, classes, options, listener)[0]


def write_layers_and_plots(
    path: Path,
    mask: Mask,
    *,
    classes: Sequence[str],
    listener: Listener,
    options: CanopyOptions,
    plots_path: Path,
    stats: StatsOptions = _ALL_STATISTICS,
    bands: BandSource | None = None,
    tags: Mapping[str, str] | None = None,
) -> tuple[CanopyTotals, gpd.GeoDataFrame]:
    """As :func:`write_layers`; measures the plots as well and writes them as the layer ``plots``.

    ``plots_path`` is the same file, which must be a GeoPackage then, or another GeoPackage; ``stats`` says
    what is measured, ``bands`` are the orthomosaic's, for colour indices.

    Returns
    -------
    What the canopy layer amounts to, and the plots' statistics.
    """
    with _created(path, mask, tags) as file:
        totals, table = _draw(file, mask, classes, options, listener, stats, bands)
        if plots_path == path:
            _add_plots(file, table)
    if plots_path != path:
        write_plot_table(plots_path, table, tags=tags)
    return totals, table


def _created(path: Path, mask: Mask, tags: Mapping[str, str] | None) -> VectorWriter:
    ground = mask.ground
    return create_vector_file(path, crs=ground.crs, provenance=tags, precision_m=ground.gsd_m)


def _draw(
    file: VectorWriter,
    mask: Mask,
    classes: Sequence[str],
    options: CanopyOptions,
    listener: Listener,
    stats: StatsOptions | None = None,
    bands: BandSource | None = None,
) -> tuple[CanopyTotals, Any]:
    """What the canopy layer amounts to, and the plots' statistics where they are asked for."""
    ground = mask.ground
    canopy = CanopyLayer(file, ground, classes, _coloured(options, mask))
    batches = trace(mask, ground=ground, classes=classes, options=options.outlines, listener=listener)
    objects = canopy.written(batches)
    table = None
    if stats is not None and options.layout is not None:
        from cropseg_geo.plots.measuring.quantities import Extras
        from cropseg_geo.plots.measuring.stats import plot_stats

        # Counting the plots' objects needs every polygon once, and so does writing: one stream serves both.
        table = plot_stats(
            options.layout,
            mask,
            ground=ground,
            classes=classes,
            objects=objects,
            options=stats,
            extras=Extras(bands, options.heights),
            listener=listener,
        )
    for _ in objects:
        pass
    return canopy.totals, table


def _coloured(options: CanopyOptions, mask: Mask) -> CanopyOptions:
    """The options with the colours of the mask's colour table where they name none."""
    return options if options.colours is not None else replace(options, colours=mask.colours)


def _add_plots(file: VectorWriter, table: gpd.GeoDataFrame, date: str | None = None) -> None:
    from cropseg_geo.plots.measuring.digits import with_meaningful_digits

    table = with_meaningful_digits(table)
    layer = plots_layer(table, descriptions=column_descriptions(), date=date)
    file.create_layer(layer)
    file.append(layer.name, {c.name: table[c.name] for c in layer.columns}, table.geometry.values)


def write_plot_table(
    path: Path, table: gpd.GeoDataFrame, *, tags: Mapping[str, str] | None = None, date: str | None = None
) -> None:
    """Statistics of plots as ``.csv``, or with their outlines in a format of polygons, by suffix.

    ``date`` is the column that tells several dates of the same plots apart.
    """
    if path.suffix.lower() in TABLES:
        from cropseg_geo.plots.measuring.stats import write_csv

        write_csv(path, table)
        return
    with create_vector_file(path, crs=table.crs.to_wkt(), provenance=tags) as file:
        _add_plots(file, table, date)
