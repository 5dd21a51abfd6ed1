"""Points in and around plots with weights, and the motions of all plots together that they are tried with."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from cropseg_geo.plots.making.control import Motion
from cropseg_geo.plots.making.cover import Cover
from cropseg_geo.plots.making.plane import Points

MAX_TURN_DEG = 3.0
MAX_SHIFT = 0.49
"""Largest shift along a plot's sides, as a part of them: less than half the way to the next plot."""

_CELLS_PER_PLOT, _MOST_POINTS = 10, 150_000


@dataclass(frozen=True)
class UsualPlot:
    """Sides (m) of the usual plot, short one first, their directions, the usual gap, the middle of all."""

    sides_m: tuple[float, float]
    axes: npt.NDArray[np.float64]  # (2, 2), one unit vector a row
    gap_m: float
    middle: tuple[float, float]
    radius_m: float

    @property
    def cell_m(self) -> float:
        """Side of the cells (m) in which canopy is looked up."""
        return min(self.sides_m) / _CELLS_PER_PLOT

    @property
    def limits(self) -> npt.NDArray[np.float64]:
        """Largest shift along each side (m) and turn (rad)."""
        return np.array([*(MAX_SHIFT * s for s in self.sides_m), math.radians(MAX_TURN_DEG)])

    @property
    def pitch_m(self) -> npt.NDArray[np.float64]:
        """About the way from a plot to the next, along each side (m)."""
        return np.array(self.sides_m) + self.gap_m

    def motion(self, at: npt.NDArray[np.float64]) -> Motion:
        """``at``: shift along the first and the second side (m), turn (rad)."""
        east, north = at[:2] @ self.axes
        return Motion(float(at[2]), self.middle, float(east), float(north))


@dataclass(frozen=True)
class Probe:
    """Points in and around the plots with the two sets of weights, each of which adds up to one."""

    points: Points = field(repr=False)
    inside: npt.NDArray[np.float32] = field(repr=False)
    outside: npt.NDArray[np.float32] = field(repr=False)

    def first(self, n: int) -> Probe:
        """The first ``n`` points, which are spread as evenly as all."""
        return Probe(self.points[:n], self.inside[:n], self.outside[:n])

    def score(self, cover: Cover, motion: Motion) -> float:
        """Weighted canopy inside minus outside, over what is known; −1 where that is too little."""
        crop, known = cover.at(motion(self.points))
        seen_in, seen_out = float(self.inside @ known), float(self.outside @ known)
        if min(seen_in, 2 * seen_out) < 0.25 * float(self.inside.sum()):
            return -1.0
        return float(self.inside @ crop) / seen_in - float(self.outside @ crop) / seen_out

    def sum(self, cover: Cover, motion: Motion) -> float:
        """Weighted canopy inside minus outside; what is unknown is bare."""
        crop, _ = cover.at(motion(self.points))
        return float((self.inside - self.outside) @ crop) / float(self.inside.sum())


def usual_plot(shapes: npt.NDArray[np.object_]) -> UsualPlot:
    """Medians of sides and gaps over all plots; ``shapes`` (n,), shapely, metres in a plane."""
    rings = np.array([shapely.get_coordinates(shapely.oriented_envelope(s))[:3] for s in shapes])
    edges = np.diff(rings, axis=1)  # (n, 2, 2): two edges of each plot
    lengths = np.linalg.norm(edges, axis=2)
    order = np.argsort(lengths, axis=1)
    short = float(np.median(lengths.min(axis=1)))
    long = float(np.median(lengths.max(axis=1)))
    across = edges[0, order[0, 0]] / lengths[0, order[0, 0]]
    axes = np.array([across, [-across[1], across[0]]])
    tree = shapely.STRtree(shapes)
    gaps = np.zeros(0)
    if len(shapes) > 1:
        _, gaps = tree.query_nearest(shapes, exclusive=True, return_distance=True, all_matches=False)
    gap = float(np.median(gaps)) if len(gaps) else short
    west, south, east, north = shapely.total_bounds(shapes)
    middle = ((west + east) / 2, (south + north) / 2)
    radius = math.hypot(east - west, north - south) / 2
    return UsualPlot((short, long), axes, min(gap, short), (float(middle[0]), float(middle[1])), radius)


def make_probe(shapes: npt.NDArray[np.object_], shape: UsualPlot) -> Probe:
    """Evenly spread points in and around ``shapes`` (n,), metres in a plane, as far out as an alley reaches.

    The points are the Kronecker sequence of the plastic number: any first part of it is spread evenly.
    """
    reach = max(shape.gap_m, 0.25 * shape.sides_m[0])
    west, south, east, north = shapely.total_bounds(shapes) + np.array([-reach, -reach, reach, reach])
    area = (east - west) * (north - south)
    wanted = shapely.area(shapes).sum() * (1 + 4 * reach / shape.sides_m[0])
    n = min(area / shape.cell_m**2 * 4, _MOST_POINTS * max(1.0, area / wanted))
    k = np.arange(1, int(n) + 1)
    plastic = 1.324717957244746
    unit = np.column_stack([k / plastic % 1.0, k / plastic**2 % 1.0])
    points = unit * [east - west, north - south] + [west, south]
    tree = shapely.STRtree(shapes)
    marks = shapely.points(points)
    at, _ = tree.query_nearest(marks, max_distance=reach, all_matches=False)
    points, marks = points[at], marks[at]
    edges = shapely.STRtree(shapely.boundary(shapes))
    (_, _), depth = edges.query_nearest(marks, return_distance=True, all_matches=False)
    is_in = np.zeros(len(points), np.bool_)
    is_in[tree.query(marks, predicate="within")[0]] = True
    inside = np.where(is_in, np.minimum(depth / (0.25 * shape.sides_m[0]), 1.0), 0.0)
    outside = np.where(is_in, 0.0, np.minimum(depth / max(shape.gap_m / 2, shape.cell_m), 1.0))
    return Probe(points, mean_of(inside), mean_of(outside))


def mean_of(weights: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """The weights (n,) scaled to a sum of one."""
    total = weights.sum(dtype=np.float64)
    shares: npt.NDArray[np.float32] = (weights / max(float(total), 1e-12)).astype(np.float32)
    return shares
