"""Measure plots on a finished mask."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import geopandas as gpd

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.layers import write_plot_table
from cropseg_geo.outputs.publishing import drafted
from cropseg_geo.outputs.refusals import refuse_inputs
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring.quantities import Extras
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions, parse_groups
from cropseg_geo.raster.bands import open_bands, parse_bands
from cropseg_geo.raster.heights import open_heights
from cropseg_geo.raster.mask import MaskFiles, mask_classes, open_mask
from cropseg_geo.raster.pyramid import NODATA
from cropseg_geo.vector.trace import trace

_BLOCK_PX = 2048


@dataclass(frozen=True)
class Companions:
    """Files that belong to one mask: its probability, the orthomosaic, surface and terrain models."""

    prob: str | Path | None = None
    ortho: str | Path | None = None
    dsm: str | Path | None = None
    dtm: str | Path | None = None


@dataclass(frozen=True)
class PlotSettings:
    """How plots are read and measured, on one mask or on many.

    ``plot_id`` and ``plots_crs`` as in :func:`measure_plots`; ``bands`` are band numbers by name, for all
    orthomosaics. The threshold of ``options`` counts for masks that do not say theirs.
    """

    options: StatsOptions = StatsOptions()  # noqa: RUF009 - frozen, so that one will do for all
    bands: Mapping[str, int] | None = None
    plot_id: str | None = None
    plots_crs: str | None = None


def measure_plots(
    mask: str | Path,
    plots: str | Path | gpd.GeoDataFrame,
    out: str | Path | None = None,
    *,
    prob: str | Path | None = None,
    raster: str | Path | None = None,
    bands: str | Mapping[str, int] | None = None,
    dsm: str | Path | None = None,
    dtm: str | Path | None = None,
    stats: str | Iterable[str] = "all",
    buffer_m: float = 0.0,
    min_valid: float = 0.9,
    row_angle_deg: float | None = None,
    row_spacing_m: float | None = None,
    cell_m: float = 1.0,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> gpd.GeoDataFrame:
    """Statistics of plots on a finished mask; docs/plot-statistics.md says what each column means.

    Parameters
    ----------
    mask, prob
        Class mask and probability raster as written by :func:`segment`.
    plots
        Plot polygons, any CRS.
    out
        A ``.csv`` or ``.gpkg`` file to write; None writes nothing.
    raster, bands
        The orthomosaic, for colour indices over canopy; its bands by name (``red=1,green=2,…``), if the
        file does not say.
    dsm, dtm
        Surface and terrain model, for canopy height and volume.
    stats
        ``"all"``, or any of ``coverage`` (always measured), ``objects``, ``rows``, ``uniformity``.
        ``coverage`` alone is the fastest by far.
    buffer_m, min_valid, row_angle_deg, row_spacing_m, cell_m
        See :class:`cropseg_geo.plots.options.StatsOptions`.
    plot_id
        Column that identifies a plot.
    plots_crs
        CRS of plots that do not state one.

    Raises
    ------
    CropsegError
        If mask or plots cannot be used or the file cannot be written.
    """
    if out is not None and Path(out).suffix.lower() not in (".csv", ".gpkg"):
        raise InputError(f"{out}: plot statistics are written as .csv or .gpkg", remedy="choose one of them")
    options = StatsOptions(
        parse_groups(stats),
        buffer_m=buffer_m,
        min_valid=min_valid,
        row_angle_deg=row_angle_deg,
        row_spacing_m=row_spacing_m,
        cell_m=cell_m,
    )
    settings = PlotSettings(options, named_bands(bands), plot_id, plots_crs)
    if out is None:
        return measure_survey(mask, plots, settings, Companions(prob, raster, dsm, dtm), listener)
    refuse_inputs([Path(out)], mask, plots, prob, raster, dsm, dtm)
    # Drafted first: a file that may not be written is refused before the work, not after.
    with drafted(Path(out), overwrite=overwrite, listener=listener) as draft:
        table = measure_survey(mask, plots, settings, Companions(prob, raster, dsm, dtm), listener)
        write_plot_table(draft, table, tags=_provenance(mask, plots, options))
    return table


def _provenance(
    mask: str | Path, plots: str | Path | gpd.GeoDataFrame, options: StatsOptions
) -> dict[str, str]:
    """What the plots were measured on, and how."""
    with open_mask(mask) as source:
        tags = {key: value for key, value in source.mask.tags().items() if key.startswith("CROPSEG_")}
    how = asdict(options) | {"groups": sorted(options.groups)}
    how.pop("threshold")  # that of the mask, which its own tags tell
    tags |= {"CROPSEG_MASK": Path(mask).name, "CROPSEG_PLOT_OPTIONS": json.dumps(how)}
    if not isinstance(plots, gpd.GeoDataFrame):
        tags["CROPSEG_PLOTS"] = Path(plots).name
    return tags


def named_bands(bands: str | Mapping[str, int] | None) -> Mapping[str, int] | None:
    """Band numbers by name, from text where it is text."""
    return parse_bands(bands) if isinstance(bands, str) else bands


def measure_survey(
    mask: str | Path,
    plots: str | Path | gpd.GeoDataFrame,
    settings: PlotSettings,
    companions: Companions,
    listener: Listener,
) -> gpd.GeoDataFrame:
    """Statistics of plots on one mask; writes nothing."""
    with open_mask(mask, companions.prob) as source:
        ground, classes = source.info.ground, _classes(source)
        layout = read_plots(
            plots,
            ground=ground,
            id_field=settings.plot_id,
            plots_crs=settings.plots_crs,
            listener=listener,
        )
        objects = None
        if "objects" in settings.options.groups:
            traced = trace(source, ground=ground, classes=classes, listener=listener)
            objects = (batch.geometry for batch in traced)
        with _extras(companions, settings.bands, ground) as extras:
            return plot_stats(
                layout,
                source,
                ground=ground,
                classes=classes,
                objects=objects,
                options=replace(settings.options, threshold=source.threshold or settings.options.threshold),
                extras=extras,
                listener=listener,
            )


@contextmanager
def _extras(companions: Companions, bands: Mapping[str, int] | None, ground: Ground) -> Iterator[Extras]:
    with ExitStack() as stack:
        ortho = heights = None
        if companions.ortho is not None:
            ortho = stack.enter_context(open_bands(companions.ortho, ground=ground, bands=bands))
        elif bands is not None:
            raise InputError("--bands are given, but no orthomosaic", remedy="add --raster FILE")
        if companions.dsm is not None:
            heights = stack.enter_context(open_heights(companions.dsm, companions.dtm, ground=ground))
        elif companions.dtm is not None:
            raise InputError(
                f"{companions.dtm}: a terrain model alone says nothing of the canopy",
                remedy="add the surface model, --dsm FILE",
            )
        yield Extras(ortho, heights)


def _classes(source: MaskFiles) -> tuple[str, ...]:
    """Class names by id. A mask that does not name its classes is read once for the highest that it holds."""
    classes = mask_classes(source)
    if source.mask.tags().get("CROPSEG_CLASSES"):
        return classes
    highest = 1
    for window in Window(0, 0, source.height, source.width).split(_BLOCK_PX):
        values = source.read_mask(window)
        highest = max(highest, int(values[values != NODATA].max(initial=0)))
    return classes[: highest + 1]
