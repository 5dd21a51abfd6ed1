"""What takes the pattern of a plot's pixels and not only their sum: gaps, evenness, percentiles of height.

The plots are read one after the other, in the order in which they lie on the raster, a large one piece by
piece. A pixel belongs to a plot where its centre lies in it: patterns need no parts of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import rasterize

from cropseg_geo.grid import Window
from cropseg_geo.plots.measuring.frame import Axes, LocalFrame, axes_of
from cropseg_geo.plots.measuring.heights import HeightCount, HeightSource
from cropseg_geo.plots.measuring.rows import CLEAR, NO_GAPS, Gaps, RowGrid, Rows, find_rows, measure_gaps
from cropseg_geo.plots.measuring.uniformity import CellGrid
from cropseg_geo.plots.measuring.zonal import MAX_PX, NODATA
from cropseg_geo.plots.options import StatsOptions

_ORDER_PX = 512
"""Plots are visited by bands of this many rows, which GDAL's cache holds."""

_NEARLY_SQUARE = 1.1
_PERCENT = 95.0

_MIN_SEEN = 0.25
"""Share of plots with clear rows from which on their median spacing is used for the others."""


@dataclass(frozen=True)
class Pattern:
    """Patterns of one plot; NaN where not measured."""

    gaps: Gaps = NO_GAPS
    uniformity_cv: float = math.nan
    height_p95_m: float = math.nan


@dataclass(frozen=True)
class Scan:
    """Everything that a scan needs, for all plots.

    ``outlines_px`` (n,) in pixels with y = −row; ``read_mask`` reads the checked mask of ``size``
    (rows, columns); ``heights`` lie on the same grid.
    """

    outlines_px: npt.NDArray[Any]
    size: tuple[int, int]
    frame: LocalFrame
    read_mask: Callable[[Window], npt.NDArray[np.uint8]]
    options: StatsOptions
    heights: HeightSource | None = None
    max_px: int = MAX_PX


@dataclass(frozen=True)
class _Counters:
    """What one plot's pixels are counted into."""

    rows: tuple[RowGrid, ...]
    cells: CellGrid | None
    heights: HeightCount | None


def scan_plots(scan: Scan, on_progress: Callable[[float], None]) -> list[Pattern]:
    """The pattern of every plot, in the plots' order.

    Plots whose rows cannot be told (bare ones, and those whose canopy has closed) are measured with the
    median spacing of the others, if a quarter of the plots show theirs.
    """
    n = len(scan.outlines_px)
    patterns, seen = [Pattern()] * n, {}
    for done, i in enumerate(_visiting_order(scan.outlines_px)):
        counters = _count(scan, int(i))
        patterns[i], rows = _pattern(counters, scan.options.row_spacing_m)
        if rows is not None:
            seen[int(i)] = rows.spacing_m
        on_progress((done + 1) / n)
    if "rows" in scan.options.groups and n and len(seen) >= _MIN_SEEN * n:
        common = float(np.median(list(seen.values())))
        for i in sorted(set(range(n)) - set(seen)):
            with_rows, _ = _pattern(_count(scan, i), common)
            patterns[i] = Pattern(with_rows.gaps, patterns[i].uniformity_cv, patterns[i].height_p95_m)
    return patterns


def _visiting_order(outlines_px: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    left, _, _, top = shapely.bounds(outlines_px).T
    return np.lexsort((left, np.floor(-top / _ORDER_PX)))


def _pattern(counters: _Counters, spacing_m: float | None) -> tuple[Pattern, Rows | None]:
    """A plot's pattern, and its rows where they are known or clear."""
    candidates = [(find_rows(grid, spacing_m), grid) for grid in counters.rows]
    found = [(rows, grid) for rows, grid in candidates if rows is not None]
    gaps, kept = NO_GAPS, None
    if found:
        rows, grid = max(found, key=lambda pair: pair[0].strength)
        if spacing_m is not None or rows.strength >= CLEAR:
            gaps, kept = measure_gaps(grid, rows), rows
    cells, heights = counters.cells, counters.heights
    return (
        Pattern(
            gaps,
            cells.variation() if cells is not None else math.nan,
            heights.percentile(_PERCENT) if heights is not None else math.nan,
        ),
        kept,
    )


def _count(scan: Scan, i: int) -> _Counters:
    """Read one plot and count its pixels."""
    outline = scan.outlines_px[i]
    outline_m = scan.frame.to_metres(np.array([outline]))[0]
    counters = _counters(scan, outline_m)
    matrix = scan.frame.array
    box_axes = axes_of(outline_m)
    for window, mask in _pieces(scan, outline):
        inside = _inside(outline, window) & (mask != NODATA)
        row, col = np.nonzero(inside)
        if not len(row):
            continue
        is_canopy = mask[row, col] != 0
        centres = (matrix @ np.stack([col + (window.col + 0.5), -(row + (window.row + 0.5))])).T  # (n, 2)
        for grid in counters.rows:
            grid.add(*_along_across(centres, grid.axes), is_canopy, matrix)
        if counters.cells is not None:
            counters.cells.add(*_along_across(centres, box_axes), is_canopy)
        if counters.heights is not None and scan.heights is not None:
            heights = scan.heights.read(window)
            counters.heights.add(heights[row[is_canopy], col[is_canopy]])
    return counters


def _counters(scan: Scan, outline_m: Any) -> _Counters:
    options, pixel_m = scan.options, scan.frame.pixel_m
    axes = axes_of(outline_m)
    grids: Sequence[Axes] = ()
    if "rows" in options.groups:
        if options.row_angle_deg is not None:
            grids = (axes_of(outline_m, options.row_angle_deg),)
        else:
            is_square = axes.length_m < _NEARLY_SQUARE * axes.width_m
            grids = (axes, axes.turned()) if is_square else (axes,)
    wants_cells = "uniformity" in options.groups
    return _Counters(
        tuple(RowGrid.empty(a, pixel_m) for a in grids),
        CellGrid.empty(axes, pixel_m, options.cell_m) if wants_cells else None,
        HeightCount() if scan.heights is not None else None,
    )


def _along_across(
    centres: npt.NDArray[np.float64], axes: Axes
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    return centres @ np.array(axes.along), centres @ np.array(axes.across)


def _pieces(scan: Scan, outline: Any) -> Iterator[tuple[Window, npt.NDArray[np.uint8]]]:
    """Windows that cover a plot's part of the raster, and the mask of each."""
    left, bottom, right, top = shapely.bounds(outline)
    row, col = math.floor(-top), math.floor(left)
    around = Window(max(row, 0), max(col, 0), 1, 1)
    height = min(math.ceil(-bottom), scan.size[0]) - around.row
    width = min(math.ceil(right), scan.size[1]) - around.col
    if height <= 0 or width <= 0:
        return
    window = Window(around.row, around.col, height, width)
    side = math.isqrt(scan.max_px)
    for piece in [window] if window.size <= scan.max_px else window.split(side):
        yield piece, scan.read_mask(piece)


def _inside(outline: Any, window: Window) -> npt.NDArray[np.bool_]:
    """Pixels of a window whose centres lie in an outline ``(h, w)``."""
    placed = Affine(1, 0, window.col, 0, -1, -window.row)
    inside = rasterize([(outline, 1)], out_shape=window.shape, transform=placed, dtype="uint8")
    return np.asarray(inside, np.bool_)
