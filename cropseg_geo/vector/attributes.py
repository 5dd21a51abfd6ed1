"""What canopy polygons take from other data: the plot they belong to, and heights above ground.

Heights are read by windows, so memory does not follow the size of a polygon or of the raster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

WINDOW_PX = 2048
STEP_M = 0.001
"""Heights are counted in steps of this size for their percentiles."""
_PIECE_VERTICES = 2_000
"""Polygons with more are cut into pieces before they are laid over plots."""


class HeightSource(Protocol):
    """Heights above ground by windows of the mask's grid."""

    def read(self, window: Window) -> npt.NDArray[np.float32]:
        """Height (H, W) in metres, NaN where unknown."""


@dataclass(frozen=True)
class PolygonHeights:
    """Heights of n polygons, NaN where no pixel of one has a known height; shapes (n,)."""

    mean_m: Floats
    p95_m: Floats
    volume_m3: Floats


def heights_of(
    polygons: npt.NDArray[Any], source: HeightSource, ground: Ground, *, window_px: int = WINDOW_PX
) -> PolygonHeights:
    """Mean, 95th percentile and volume of heights over the pixels whose centres lie in each polygon.

    The percentile is the smallest height, to ``STEP_M``, that 95 % of the known pixels do not exceed.
    The volume is height × pixel area, summed over the pixels whose height is known.

    Parameters
    ----------
    polygons
        Shapely polygons (n,) in the CRS of ``ground`` that do not overlap.
    """
    n = len(polygons)
    if n == 0:
        return PolygonHeights(np.empty(0), np.empty(0), np.empty(0))
    edges = _edges(shapely.orient_polygons(polygons, exterior_cw=False), ground.transform)
    count, total, volume = np.zeros(n), np.zeros(n), np.zeros(n)
    bins: list[Longs] = []
    counts: list[Longs] = []
    for whole in _windows(edges, ground, window_px):
        # Reading costs most: read no more than the polygons fill.
        window, labels = _trimmed(whole, _labels(edges, whole))
        if not window:
            continue
        heights = source.read(window)
        is_known = (labels > 0) & np.isfinite(heights)
        if not is_known.any():
            continue
        label, height = labels[is_known] - 1, heights[is_known].astype(np.float64)
        sums = np.bincount(label, height, minlength=n)
        count += np.bincount(label, minlength=n)
        total += sums
        volume += sums * ground.pixel_area_m2(window)
        # One number for polygon and height step; equal ones are counted, so that memory stays small.
        step = np.clip(np.ceil(height / STEP_M - 1e-6), -_HALF, _HALF - 1).astype(np.int64)
        found, times = np.unique(label * (2 * _HALF) + step + _HALF, return_counts=True)
        bins.append(found)
        counts.append(times)
    unknown = count == 0
    mean = np.divide(total, count, out=np.full(n, np.nan), where=~unknown)
    volume[unknown] = np.nan
    return PolygonHeights(mean, _percentile95(n, bins, counts), volume)


_HALF = 1 << 24
"""Height steps on either side of zero that have a number: ± 16 km."""


def _percentile95(n: int, bins: list[Longs], counts: list[Longs]) -> Floats:
    result = np.full(n, np.nan)
    if not bins:
        return result
    key, at = np.unique(np.concatenate(bins), return_inverse=True)
    times = np.bincount(at, np.concatenate(counts))
    polygon, step = np.divmod(key, 2 * _HALF)
    running = np.cumsum(times)
    first = np.searchsorted(polygon, np.arange(n))
    last = np.searchsorted(polygon, np.arange(n), side="right") - 1
    known = last >= first
    before = running[first[known]] - times[first[known]]
    wanted = before + np.ceil(0.95 * (running[last[known]] - before) - 1e-9)
    result[known] = (step[np.searchsorted(running, wanted)] - _HALF) * STEP_M
    return result


@dataclass(frozen=True)
class _Edges:
    """Edges of n polygons in pixels, downwards or upwards; the rows whose centres they cross."""

    label: Longs
    top: Floats
    bottom: Floats
    col: Floats
    slope: Floats
    sign: Longs
    bounds: tuple[float, float, float, float]

    def between(self, first_row: int, last_row: int) -> _Edges:
        """Those that reach into rows ``[first_row, last_row)``."""
        near = (self.bottom > first_row) & (self.top < last_row)
        return _Edges(
            self.label[near],
            self.top[near],
            self.bottom[near],
            self.col[near],
            self.slope[near],
            self.sign[near],
            self.bounds,
        )


def _edges(polygons: npt.NDArray[Any], transform: Affine) -> _Edges:
    _, xy, (ring_ends, polygon_ends) = shapely.to_ragged_array(polygons)
    t = ~transform
    col = t.a * xy[:, 0] + t.b * xy[:, 1] + t.c
    row = t.d * xy[:, 0] + t.e * xy[:, 1] + t.f
    sizes = np.diff(ring_ends[polygon_ends])
    label = np.repeat(np.arange(1, len(polygons) + 1), sizes)
    bounds = (row.min(initial=0), col.min(initial=0), row.max(initial=0), col.max(initial=0))
    inner = np.ones(len(row), np.bool_)
    inner[np.asarray(ring_ends[1:], np.int64) - 1] = False  # no edge from a ring's last vertex
    begin = np.flatnonzero(inner)
    begin = begin[row[begin] != row[begin + 1]]
    r0, r1, c0, c1 = row[begin], row[begin + 1], col[begin], col[begin + 1]
    slope = (c1 - c0) / (r1 - r0)
    sign = np.where(r1 > r0, 1, -1)
    if t.determinant > 0:
        sign = -sign
    top = np.minimum(r0, r1)
    return _Edges(label[begin], top, np.maximum(r0, r1), np.where(r1 > r0, c0, c1), slope, sign, bounds)


def _windows(edges: _Edges, ground: Ground, side: int) -> list[Window]:
    row, col, row_stop, col_stop = (round(v) for v in edges.bounds)
    extent = Window(row - 1, col - 1, max(0, row_stop - row) + 2, max(0, col_stop - col) + 2)
    return list((extent & Window(0, 0, ground.height, ground.width)).split(side))


def _labels(edges: _Edges, window: Window) -> Longs:
    """1 + index of the polygon that holds each pixel's centre, 0 outside; (H, W).

    Along a row each polygon's number is added where it is entered and taken away where it is left; the
    running sum is the number of the polygon one is in. Holes, which turn the other way, cancel.
    """
    near = edges.between(window.row, window.row_stop)
    # Rows whose centre an edge crosses: top ≤ r + 0.5 < bottom.
    first = np.maximum(np.ceil(near.top - 0.5), window.row).astype(np.int64)
    stop = np.minimum(np.ceil(near.bottom - 0.5), window.row_stop).astype(np.int64)
    length = np.maximum(stop - first, 0)
    of = np.repeat(np.arange(len(length)), length)
    row = np.arange(length.sum()) - np.repeat(np.cumsum(length) - length, length) + first[of]
    crossing = near.col[of] + near.slope[of] * (row + 0.5 - near.top[of])
    col = np.clip(np.ceil(crossing - 0.5).astype(np.int64) - window.col, 0, window.width)
    steps = np.zeros((window.height, window.width + 1), np.int64)
    np.add.at(steps, (row - window.row, col), near.sign[of] * near.label[of])
    return np.cumsum(steps, axis=1)[:, :-1]


def _trimmed(window: Window, labels: Longs) -> tuple[Window, Longs]:
    """The smallest window with all labelled pixels, and its labels; of size 0 where there are none."""
    rows, cols = (np.flatnonzero((labels > 0).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Window(window.row, window.col, 0, 0), labels[:0]
    (top, bottom), (left, right) = rows[[0, -1]].tolist(), cols[[0, -1]].tolist()
    inner = Window(window.row + top, window.col + left, bottom - top + 1, right - left + 1)
    return inner, labels[top : bottom + 1, left : right + 1]


@dataclass(frozen=True)
class PlotIndex:
    """Finds the plot that each polygon shares the largest area with.

    ``outlines`` (p,) are shapely polygons in the mask's CRS, ``ids`` (p,) their names.
    """

    outlines: npt.NDArray[Any]
    ids: npt.NDArray[Any]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(self.outlines)

    def plot_ids(self, polygons: npt.NDArray[Any]) -> npt.NDArray[np.object_]:
        """Ids (n,), None for polygons that share no area with any plot; of equal shares the first plot's."""
        tree, found = self._tree, np.full(len(polygons), None, object)
        inside, plot = tree.query(polygons, predicate="covered_by")
        # Most polygons lie within one plot; only the others have to be cut.
        is_single = _is_single(inside)
        found[inside[is_single]] = self.ids[plot[is_single]]
        rest = np.setdiff1d(np.arange(len(polygons)), inside[is_single])
        pieces, owner = _in_pieces(polygons[rest])
        piece, plot = tree.query(pieces, predicate="intersects")
        area = shapely.area(shapely.intersection(pieces[piece], self.outlines[plot]))
        pair, at = np.unique(owner[piece] * len(self.outlines) + plot, return_inverse=True)
        shared = np.bincount(at, area, minlength=len(pair))
        polygon, plot = np.divmod(pair, max(1, len(self.outlines)))
        order = np.lexsort((plot, -shared, polygon))
        best = order[np.unique(polygon[order], return_index=True)[1]]
        best = best[shared[best] > 0]
        found[rest[polygon[best]]] = self.ids[plot[best]]
        return found


def _is_single(values: Longs) -> npt.NDArray[np.bool_]:
    """Where a value occurs once."""
    _, at, times = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray(times[at] == 1)


def _in_pieces(polygons: npt.NDArray[Any]) -> tuple[npt.NDArray[Any], Longs]:
    """The polygons, long outlines cut into quarters until they are short, and whose piece each is."""
    pieces, owner = np.asarray(polygons, dtype=object), np.arange(len(polygons))
    done: list[tuple[npt.NDArray[Any], Longs]] = []
    while len(pieces):
        is_long = shapely.get_num_coordinates(pieces) > _PIECE_VERTICES
        done.append((pieces[~is_long], owner[~is_long]))
        quarters = [(_quarters(p), k) for p, k in zip(pieces[is_long], owner[is_long], strict=True)]
        owner = np.array([k for parts, k in quarters for _ in parts], dtype=np.int64)
        pieces = np.array([part for parts, _ in quarters for part in parts], dtype=object)
    if not done:
        return pieces, owner
    return np.concatenate([p for p, _ in done]), np.concatenate([k for _, k in done])


def _quarters(polygon: Any) -> npt.NDArray[Any]:
    left, bottom, right, top = shapely.bounds(polygon)
    x, y = (left + right) / 2, (bottom + top) / 2
    boxes = shapely.box([left, x, left, x], [bottom, bottom, y, y], [x, right, x, right], [y, y, top, top])
    parts = shapely.get_parts(shapely.intersection(polygon, boxes))
    return np.asarray(parts[shapely.area(parts) > 0])
