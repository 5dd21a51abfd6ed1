"""Statistics of plots: canopy by exact fractions of pixels, objects, gaps along rows, colour and height.

The overall strategy is to measure in pixels and to convert by areas: outlines are moved to pixel
coordinates through the inverse transform, so that a rotated raster is an ordinary grid; exactextract
weighs each pixel by the part of it that lies in the plot; and the plot's area on the ground tells what
a pixel of it is worth. Nodata is in neither numerator nor denominator. What takes the pattern of the pixels
and not only their sum (gaps, evenness, percentiles) is read plot by plot, see ``scan``.

Law: over plots that tile an extent, the canopy areas add up to the canopy area of the extent.
Source: exactextract (github.com/isciences/exactextract).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, WarnedOfOutlines, ignore
from cropseg_geo.ground import Ground
from cropseg_geo.plots.columns import STATISTICS
from cropseg_geo.plots.layout import Plots
from cropseg_geo.plots.measuring.digits import with_meaningful_digits
from cropseg_geo.plots.measuring.frame import LocalFrame, from_pixels, to_pixels
from cropseg_geo.plots.measuring.indices import INDICES
from cropseg_geo.plots.measuring.objects import measure_objects
from cropseg_geo.plots.measuring.outlines import overlapping, within_buffer
from cropseg_geo.plots.measuring.quantities import (
    HEIGHT,
    PROB,
    UNCERTAIN,
    Extras,
    class_name,
    class_quantities,
    extra_quantities,
    probability_quantities,
)
from cropseg_geo.plots.measuring.scan import Scan, scan_plots
from cropseg_geo.plots.measuring.zonal import MAX_PX, Cached, MaskSource, Total, checked_mask, ratio, total
from cropseg_geo.plots.naming import named
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.plots.tables import making_way, with_geometry_named

STAGE = "plots"

_ALL, _NOTHING_MORE = StatsOptions(), Extras()

_EARLIER = {"coverage", "canopy_area_m2", "plot_area_m2", "valid_fraction", "low_validity"}
"""Columns that every table of ours has, and hardly another."""

Columns = dict[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class _Measured:
    """What is measured of each of n plots: outlines and areas in pixels (n,), areas on the ground (n,)."""

    outlines_px: npt.NDArray[Any]
    px: npt.NDArray[np.float64]
    m2: npt.NDArray[np.float64]

    def on_ground(self, px: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Parts of the plots, pixels → m²."""
        return np.asarray(px / self.px * self.m2)


def plot_stats(
    plots: Plots,
    source: MaskSource,
    *,
    ground: Ground,
    classes: Sequence[str],
    objects: Iterable[npt.NDArray[Any]] | None = None,
    options: StatsOptions = _ALL,
    extras: Extras = _NOTHING_MORE,
    max_px: int = MAX_PX,
    listener: Listener = ignore,
) -> gpd.GeoDataFrame:
    """One row of statistics for each plot.

    Parameters
    ----------
    plots
        Plots in the CRS of ``ground``.
    source
        Mask and probability.
    ground
        Where the source's pixels are.
    classes
        Names by class id, background first; every class but the background counts as canopy.
    objects
        Canopy polygons in the CRS of ``ground``, as arrays of shapely geometries; streamed. Measured if
        ``options`` ask for ``objects``; read to their end in any case.
    options
        What to measure, and how.
    extras
        The orthomosaic for colour indices, heights for canopy height and volume.
    max_px
        Pixels that are held at once; changes no statistic.
    listener
        Told of the stage ``"plots"`` in plots, and of plots that overlap each other.

    Returns
    -------
    ``plot_id``, the user's columns (``<name>_input`` where a statistic has their name; statistics that this
    function wrote before are replaced), those statistics of
    :data:`cropseg_geo.plots.columns.COLUMNS` that were asked for, and the outlines as they were given.
    With more than one canopy class, ``coverage_<class>`` for each.

    Raises
    ------
    InputError
        If the mask is not on ``ground``, holds a class without a name, or the buffer leaves nothing of a
        plot.
    """
    _require_same_size(source, ground)
    frame = LocalFrame.of(ground)
    measured = _measured(plots, ground, frame, options, listener)
    read_mask = Cached(checked_mask(source, len(classes)))
    quantities = [
        *class_quantities(read_mask, len(classes)),
        *probability_quantities(source, read_mask, options.threshold),
        *extra_quantities(extras, read_mask),
    ]
    size = (source.height, source.width)
    scan = Scan(measured.outlines_px, size, frame, read_mask, options, extras.heights, max_px)
    # Before anything else: while polygons come from a mask that is still being written, they come early.
    of_objects = {} if objects is None else _object_columns(objects, ground, measured, options)
    with _stage(listener, len(plots), parts=2 if _wants_scan(scan) else 1) as progress:
        totals = total(measured.outlines_px, size, quantities, on_progress=progress(0), max_px=max_px)
        columns = _coverage_columns(totals, classes, measured, options) | _extra_columns(totals, measured)
        columns |= of_objects
        if _wants_scan(scan):
            columns |= _pattern_columns(scan, progress(1))
    return _beside_own_columns(plots, columns)


def _require_same_size(source: MaskSource, ground: Ground) -> None:
    if (source.height, source.width) != (ground.height, ground.width):
        raise InputError(
            f"the mask has {source.height} × {source.width} px, "
            f"but its ground {ground.height} × {ground.width}",
            remedy="build the ground from the mask's own size and transform",
        )


def _measured(
    plots: Plots, ground: Ground, frame: LocalFrame, options: StatsOptions, listener: Listener
) -> _Measured:
    """The plots within their buffer; tells of plots that overlap."""
    outlines, outlines_px = plots.geometry, to_pixels(plots.geometry, ground)
    if options.buffer_m:
        outlines_px = within_buffer(outlines_px, plots.ids, frame, options.buffer_m)
        outlines = from_pixels(outlines_px, ground)
    flags = overlapping(outlines_px)
    if flags.any():
        which = named([plots.ids[int(i)] for i in np.flatnonzero(flags)])
        listener(
            WarnedOfOutlines(
                f"{flags.sum()} plots overlap another, and pixels that they share count in each: {which}"
            )
        )
    return _Measured(outlines_px, shapely.area(outlines_px), ground.area_m2(outlines))


@contextmanager
def _stage(
    listener: Listener, n_plots: int, *, parts: int
) -> Iterator[Callable[[int], Callable[[float], None]]]:
    """The stage of ``parts`` equal parts; yields what gives each part its callback for its progress."""
    listener(StageStarted(STAGE, n_plots, "plot"))
    told = 0

    def tell(fraction: float) -> None:
        nonlocal told
        done = int(fraction * n_plots)
        if done > told:
            listener(StageAdvanced(STAGE, done - told))
            told = done

    yield lambda part: lambda fraction: tell((part + fraction) / parts)
    tell(1.0)
    listener(StageFinished(STAGE))


def _wants_scan(scan: Scan) -> bool:
    return scan.heights is not None or bool(scan.options.groups & {"rows", "uniformity"})


def _coverage_columns(
    totals: Mapping[str, Total], classes: Sequence[str], measured: _Measured, options: StatsOptions
) -> Columns:
    by_class = [totals[class_name(k)] for k in range(1, len(classes))]
    valid = by_class[0].weight
    canopy = np.sum([t.sum for t in by_class], axis=0)
    columns: Columns = {"coverage": ratio(canopy, valid)}
    if len(by_class) > 1:
        names = classes[1:]
        columns |= {f"coverage_{name}": t.mean for name, t in zip(names, by_class, strict=True)}
    valid_fraction = np.minimum(valid / measured.px, 1.0)
    unknown = np.full(len(valid), np.nan)
    return {
        **columns,
        "canopy_area_m2": measured.on_ground(canopy),
        "plot_area_m2": measured.m2,
        "valid_fraction": valid_fraction,
        # Sums of parts of pixels are true to about 1e-7: a plot that is all valid is not flagged at 1.0.
        "low_validity": valid_fraction < options.min_valid - 1e-6,
        "mean_prob": totals[PROB].mean if PROB in totals else unknown,
        "uncertain_fraction": totals[UNCERTAIN].mean if UNCERTAIN in totals else unknown,
    }


def _extra_columns(totals: Mapping[str, Total], measured: _Measured) -> Columns:
    columns: Columns = {index: totals[index].mean for index in INDICES if index in totals}
    if HEIGHT in totals:
        columns["height_mean_m"] = totals[HEIGHT].mean
        columns["volume_m3"] = measured.on_ground(totals[HEIGHT].sum)
    return columns


def _object_columns(
    objects: Iterable[npt.NDArray[Any]], ground: Ground, measured: _Measured, options: StatsOptions
) -> Columns:
    if "objects" not in options.groups:
        for _ in objects:
            pass
        return {}
    found = measure_objects(measured.outlines_px, objects, ground)
    has_objects = np.where(found.count > 0, 1.0, np.nan)
    return {
        "n_objects": found.count,
        "mean_object_m2": ratio(measured.on_ground(found.area_px), found.count.astype(np.float64)),
        "max_object_m2": measured.on_ground(found.largest_px) * has_objects,
    }


def _pattern_columns(scan: Scan, on_progress: Callable[[float], None]) -> Columns:
    patterns = scan_plots(scan, on_progress)
    columns: dict[str, list[float]] = {}
    if "rows" in scan.options.groups:
        columns["gap_fraction"] = [p.gaps.fraction for p in patterns]
        columns["max_gap_m"] = [p.gaps.longest_m for p in patterns]
        columns["row_spacing_m"] = [p.gaps.spacing_m for p in patterns]
    if "uniformity" in scan.options.groups:
        columns["uniformity_cv"] = [p.uniformity_cv for p in patterns]
    if scan.heights is not None:
        columns["height_p95_m"] = [p.height_p95_m for p in patterns]
    return {name: np.array(values) for name, values in columns.items()}


def _beside_own_columns(plots: Plots, columns: Columns) -> gpd.GeoDataFrame:
    """``plot_id``, the user's columns, the statistics, the geometry; names differ in more than case."""
    frame = plots.frame
    by_class = [name for name in columns if name not in STATISTICS]
    order = ["coverage", *by_class, *(name for name in STATISTICS[1:] if name in columns)]
    ours = {*columns, *STATISTICS}
    own = frame.drop(columns=[frame.geometry.name])
    if set(own.columns) >= _EARLIER:
        # Plots that were measured before and are measured again: their old statistics are not the user's.
        own = own.drop(columns=[c for c in own.columns if c in ours])
    own = making_way(own, ours)
    statistics = pd.DataFrame({name: columns[name] for name in order}, index=own.index)
    table = pd.concat([own, statistics], axis=1)
    measured = gpd.GeoDataFrame(table, geometry=list(plots.geometry), crs=frame.crs)
    return with_geometry_named(measured, frame.geometry.name)


def write_csv(path: str | Path, frame: pd.DataFrame) -> None:
    """Writes statistics without their geometry, with the digits that mean something, see ``digits``.

    Raises
    ------
    OutputError
        The folder is missing or cannot be written.
    """
    is_spatial = isinstance(frame, gpd.GeoDataFrame)
    table = pd.DataFrame(frame.drop(columns=[frame.geometry.name]) if is_spatial else frame)
    table = with_meaningful_digits(table)
    try:
        table.to_csv(path, index=False, lineterminator="\n", encoding="utf-8")
    except OSError as err:
        raise OutputError(
            f"{path} could not be written: {err}", remedy="check the folder's permissions and free space"
        ) from err
