"""Areas that polygons share, summed over pairs of their edges instead of cutting one out of the other.

Along a column x, a polygon is a sum of signs: +1 for each edge that is its upper side there, −1 for each
lower side, every edge standing for what lies below it. The product of two polygons is then the sum over pairs
of edges of sign × sign × what lies below both, so that the shared area is

    Σ sign(e) sign(f) ∫ min(y_e(x), y_f(x)) dx    over the x that e and f have in common.

It holds for any polygons, with holes and parts, and for rings that touch themselves; vertical edges add
nothing. Only edges with common columns are paired.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

_AT_ONCE = 1 << 19
"""Pairs of edges that are looked at together: bounds the memory."""

_MARGIN = 1e-3
"""Columns that edges are looked for beyond each other's ends: the keys they are found by are rounded."""


@dataclass(frozen=True)
class _Edges:
    """Edges that are not vertical, of many polygons: polygon by polygon, from left to right; shapes (n,).

    ``sign`` is +1 for upper sides (those towards larger y) and −1 for lower ones; ``reach`` is the largest
    ``right`` of the polygon's edges so far. Those of polygon k are ``ends[k]:ends[k + 1]``.
    """

    left: Floats
    right: Floats
    y_left: Floats
    slope: Floats
    sign: Floats
    reach: Floats
    ends: Places

    @staticmethod
    def of(polygons: npt.NDArray[Any]) -> _Edges:
        parts, owner = shapely.get_parts(polygons, return_index=True)
        rings, part = shapely.get_rings(parts, return_index=True)
        points, ring = shapely.get_coordinates(rings, return_index=True)
        first_y = points[np.searchsorted(ring, np.arange(len(rings))), 1]
        is_edge = ring[1:] == ring[:-1]
        start, end, ring = points[:-1][is_edge], points[1:][is_edge], ring[1:][is_edge]
        step = end - start
        # The area below a ring tells its direction; from its first point on, for the digits' sake.
        below = step[:, 0] * ((start[:, 1] + end[:, 1]) / 2 - first_y[ring])
        direction = np.sign(np.bincount(ring, below, minlength=len(rings)))
        is_hole = np.append(False, part[1:] == part[:-1])[: len(rings)]
        sign = np.sign(step[:, 0]) * (direction * np.where(is_hole, -1.0, 1.0))[ring]
        left = np.minimum(start[:, 0], end[:, 0])
        owner = owner[part[ring]]
        order = np.lexsort((left, owner))
        order = order[step[order, 0] != 0.0]
        start, end, step, owner = start[order], end[order], step[order], owner[order]
        ends = np.searchsorted(owner, np.arange(len(polygons) + 1))
        right = np.maximum(start[:, 0], end[:, 0])
        return _Edges(
            left[order],
            right,
            np.where(step[:, 0] > 0, start[:, 1], end[:, 1]),
            step[:, 1] / step[:, 0],
            sign[order],
            _running_maximum(right, owner),
            ends,
        )

    def near(self, polygon: Places, left: Floats, right: Floats) -> tuple[Places, Places]:
        """The first and past the last (n,) of each polygon's edges that may have columns in [left, right]."""
        owner = np.repeat(np.arange(len(self.ends) - 1), np.diff(self.ends))
        start = min(self.left.min(initial=np.inf), left.min(initial=np.inf)) - 1.0
        span = max(self.right.max(initial=-np.inf), right.max(initial=-np.inf)) - start + 1.0
        first = np.searchsorted(owner * span + self.reach - start, polygon * span + left - _MARGIN - start)
        last = np.searchsorted(owner * span + self.left - start, polygon * span + right + _MARGIN - start)
        return np.maximum(first, self.ends[polygon]), np.minimum(last, self.ends[polygon + 1])


def shared_areas(
    polygons: npt.NDArray[Any], outlines: npt.NDArray[Any], which: Places, outline: Places
) -> Floats:
    """Areas (n,) of ``polygons[which[i]]`` ∩ ``outlines[outline[i]]``, in the square of their unit."""
    if not len(which):
        return np.empty(0)
    theirs, ours = _Edges.of(polygons), _Edges.of(outlines)
    base = shapely.bounds(outlines)[:, 1][outline]
    first, count = ours.ends[outline], np.diff(ours.ends)[outline]
    pair = np.repeat(np.arange(len(which)), count)
    edge = _stretches(first, count)
    begin, stop = theirs.near(which[pair], ours.left[edge], ours.right[edge])
    count = np.maximum(stop - begin, 0)
    area = np.zeros(len(which))
    for some in _in_portions(count):
        other = _stretches(begin[some], count[some])
        mine, of = np.repeat(edge[some], count[some]), np.repeat(pair[some], count[some])
        area += np.bincount(of, _below_both(ours, mine, theirs, other, base[of]), minlength=len(which))
    return area


def _below_both(ours: _Edges, one: Places, theirs: _Edges, other: Places, base: Floats) -> Floats:
    """Signed areas (n,) between ``base`` and the lower one of two edges, over the columns of both."""
    left = np.maximum(ours.left[one], theirs.left[other])
    width = np.maximum(np.minimum(ours.right[one], theirs.right[other]) - left, 0.0)
    y = theirs.y_left[other] + theirs.slope[other] * (left - theirs.left[other]) - base
    rise = theirs.slope[other] * width
    above = ours.y_left[one] + ours.slope[one] * (left - ours.left[one]) - base - y
    above_end = above + ours.slope[one] * width - rise
    # What of "ours" is lower is missing: the part below 0 of a line from ``above`` to ``above_end``.
    lower, higher = np.minimum(above, above_end), np.maximum(above, above_end)
    crosses = (lower < 0.0) & (higher > 0.0)
    missing = np.minimum(lower, 0.0) + np.minimum(higher, 0.0)
    np.divide(lower * lower, lower - higher, out=missing, where=crosses)
    return np.asarray(ours.sign[one] * theirs.sign[other] * width * (y + (rise + missing) / 2))


def _running_maximum(values: Floats, owner: Places) -> Floats:
    """The largest value so far among those of the same owner; owners are in ascending order."""
    if not len(values):
        return values
    start = float(values.min())
    span = float(values.max()) - start + 1.0
    return np.asarray(np.maximum.accumulate(values - start + owner * span) - owner * span + start)


def _stretches(first: Places, count: Places) -> Places:
    """``first[i]``, ``first[i] + 1``, … ``count[i]`` numbers for each i."""
    return np.asarray(np.arange(count.sum()) + np.repeat(first - (np.cumsum(count) - count), count))


def _in_portions(count: Places) -> Iterator[slice]:
    """Slices of about :data:`_AT_ONCE` in all."""
    ends = np.cumsum(count)
    total = int(ends[-1]) if len(ends) else 0
    at = np.searchsorted(ends, np.arange(0, total, _AT_ONCE), side="right")
    for begin, stop in pairwise(np.unique(np.append(at, len(count)))):
        yield slice(begin, stop)
