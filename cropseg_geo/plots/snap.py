"""Fits plots to the canopy of a mask: a small turn and shift of all of them together.

The overall strategy is to weigh points in and around the plots, positive inside and negative in the alleys,
each weight growing with the distance from the outline, and to look for the turn and shift under which the
weighted mean of the canopy is largest. Soft weights have their maximum where canopy lies in the middle of the
plots, also where it does not reach their edges; hard ones would be content anywhere. The search is coarse
over turns, axis by axis over shifts, then fine (Nelder and Mead, Computer Journal 7, 1965). It stays within
half a plot, so that plots cannot move by a whole place unseen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from scipy.optimize import minimize

from cropseg_geo.errors import InputError
from cropseg_geo.ground import Ground
from cropseg_geo.plots.control import Motion
from cropseg_geo.plots.cover import Cover, read_cover
from cropseg_geo.plots.plane import Plane, Points
from cropseg_geo.plots.zonal import MaskSource

MAX_TURN_DEG = 3.0
MAX_SHIFT = 0.49
"""Largest shift along a plot's sides, as a part of them: less than half the way to the next plot."""

MIN_CONTRAST = 0.05
"""Canopy in plots minus canopy in alleys below which there is nothing to fit to."""

_MIN_SLOPE = 0.01
"""What the score has to lose along an axis for the axis to be determined at all."""

_FURTHER = 1.05
"""How much better the canopy has to fit beyond the limits for the user to be told."""

_TIE = 1e-4
"""Score that the largest motion has to be better than none by."""

_CELLS_PER_PLOT = 10
_MOST_POINTS, _COARSE_POINTS = 150_000, 12_000
_MOST_TURNS = 201


@dataclass(frozen=True)
class Snap:
    """What snapping found: metres east and north, degrees counter-clockwise about the plots' middle.

    ``before`` and ``after``: share of canopy in the plots minus that in the alleys. ``note`` says why
    nothing, or not everything, was moved; empty otherwise.
    """

    motion: Motion
    before: float
    after: float
    note: str = ""

    @property
    def east_m(self) -> float:
        return self.motion.east_m

    @property
    def north_m(self) -> float:
        return self.motion.north_m

    @property
    def turn_deg(self) -> float:
        return math.degrees(self.motion.turn_rad)


@dataclass(frozen=True)
class _Shape:
    """Sides (m) of the usual plot, short one first, their directions, the usual gap, the middle of all."""

    sides_m: tuple[float, float]
    axes: npt.NDArray[np.float64]  # (2, 2), one unit vector a row
    gap_m: float
    middle: tuple[float, float]
    radius_m: float

    @property
    def cell_m(self) -> float:
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
class _Probe:
    """Points in and around the plots with the two sets of weights, each of which adds up to one."""

    points: Points = field(repr=False)
    inside: npt.NDArray[np.float32] = field(repr=False)
    outside: npt.NDArray[np.float32] = field(repr=False)

    def first(self, n: int) -> _Probe:
        return _Probe(self.points[:n], self.inside[:n], self.outside[:n])

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


def snap(shapes: npt.NDArray[np.object_], plane: Plane, source: MaskSource, ground: Ground) -> Snap:
    """The turn and shift that fit plots to the canopy.

    Parameters
    ----------
    shapes
        Outlines (n,), shapely, metres in ``plane``.
    source, ground
        The mask and its grid, in any CRS.

    Returns
    -------
    Snap
        A motion that does nothing, and why, where the mask gives no hold.

    Raises
    ------
    InputError
        The mask does not reach the plots.
    """
    shape = _shape(shapes)
    probe = _probe(shapes, shape)
    margin = (
        max(shape.limits[:2])
        + max(_scan_of_neighbours(shape, 1))
        + shape.radius_m * shape.limits[2]
        + 4 * shape.cell_m
    )
    west, south, east, north = shapely.total_bounds(shapes)
    bounds = (west - margin, south - margin, east + margin, north + margin)
    cover = read_cover(source, ground, plane, bounds, shape.cell_m)
    stay = shape.motion(np.zeros(3))
    if probe.score(cover, stay) <= -1.0:
        raise InputError(
            "the mask to snap to has valid pixels in less than a quarter of the plots",
            remedy="check that --snap names this field's mask, and --crs the CRS of the coordinates",
        )
    best = _fine(probe, cover, shape, _coarse(probe.first(_COARSE_POINTS), cover.by_cells(), shape))
    note, best = _judged(probe, cover, shape, best)
    hard = _Probe(probe.points, _mean_of(probe.inside > 0), _mean_of(probe.outside > 0))
    motion = shape.motion(best)
    return Snap(motion, hard.score(cover, stay), hard.score(cover, motion), note)


def _shape(shapes: npt.NDArray[np.object_]) -> _Shape:
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
    return _Shape((short, long), axes, min(gap, short), (float(middle[0]), float(middle[1])), radius)


def _probe(shapes: npt.NDArray[np.object_], shape: _Shape) -> _Probe:
    """Evenly spread points, as far out as an alley reaches.

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
    return _Probe(points, _mean_of(inside), _mean_of(outside))


def _mean_of(weights: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    total = weights.sum(dtype=np.float64)
    shares: npt.NDArray[np.float32] = (weights / max(float(total), 1e-12)).astype(np.float32)
    return shares


def _coarse(probe: _Probe, cover: Cover, shape: _Shape) -> list[npt.NDArray[np.float64]]:
    """The best few of all turns, for each the shifts found side by side: across, along, across again."""
    step = max(shape.gap_m / 2, shape.cell_m)
    limit = shape.limits
    turns = (
        np.linspace(-1, 1, min(_MOST_TURNS, 2 * math.ceil(limit[2] * shape.radius_m / step) + 1)) * limit[2]
    )
    scans = [np.linspace(-1, 1, 2 * math.ceil(limit[k] / step) + 1) * limit[k] for k in (0, 1)]
    found = []
    for turn in turns:
        at = np.array([0.0, 0.0, turn])
        for k in (0, 1, 0):
            tried = np.tile(at, (len(scans[k]), 1))
            tried[:, k] = scans[k]
            # Among equals the smallest motion: along an axis without hold all are.
            scores = [probe.score(cover, shape.motion(a)) - _TIE * abs(a[k] / limit[k]) for a in tried]
            at = tried[int(np.argmax(scores))]
        found.append((max(scores), tuple(at)))
    return [np.array(at) for _, at in sorted(found, reverse=True)[:3]]


def _fine(
    probe: _Probe, cover: Cover, shape: _Shape, starts: list[npt.NDArray[np.float64]]
) -> npt.NDArray[np.float64]:
    """The best of the starts, refined within the limits."""
    step = max(shape.gap_m / 2, shape.cell_m) / 2
    scale = np.array([step, step, step / shape.radius_m])
    limit = shape.limits / scale

    def loss(scaled: npt.NDArray[np.float64]) -> float:
        return -probe.score(cover, shape.motion(scaled * scale))

    best = min(starts, key=lambda at: loss(at / scale)) / scale
    simplex = np.vstack([best, best + np.diag(np.where(best < 0, 1.0, -1.0))])
    options = {
        "initial_simplex": np.clip(simplex, -limit, limit),
        "xatol": 0.02,
        "fatol": 1e-5,
        "maxfev": 250,
    }
    result = minimize(
        loss, best, method="Nelder-Mead", bounds=list(zip(-limit, limit, strict=True)), options=options
    )
    refined: npt.NDArray[np.float64] = result.x * scale
    return refined


def _scan_of_neighbours(shape: _Shape, k: int) -> npt.NDArray[np.float64]:
    """Shifts (m) along side ``k`` around the next place on either side."""
    near = np.arange(0.7, 1.31, 0.05) * shape.pitch_m[k]
    return np.concatenate([-near, near])


def _further(
    probe: _Probe, cover: Cover, shape: _Shape, best: npt.NDArray[np.float64]
) -> tuple[float, float] | None:
    """Metres east and north to a fit about one place off that is clearly better; None without one.

    Off by one place, the outer plots of a trial lie on what is outside it. What is unknown counts as bare
    here: else a poor row of plots that leaves the mask would be a gain.
    """
    score, found = _FURTHER * probe.sum(cover, shape.motion(best)), None
    for k in (0, 1):
        for shift in _scan_of_neighbours(shape, k):
            at = best + np.where(np.arange(3) == k, shift, 0.0)
            other = probe.sum(cover, shape.motion(at))
            if other > score:
                score, found = other, shape.motion(at)
    return None if found is None else (found.east_m, found.north_m)


def _judged(
    probe: _Probe, cover: Cover, shape: _Shape, best: npt.NDArray[np.float64]
) -> tuple[str, npt.NDArray[np.float64]]:
    """Why the fit does not count, or which part of it; and what is left of it."""
    stay = np.zeros(3)
    score = probe.score(cover, shape.motion(best))
    if score < MIN_CONTRAST:
        return (
            "the mask gives no hold: canopy in the plots and in the alleys differs by "
            f"{max(score, 0.0):.1%} at best; the plots stay where they are"
        ), stay
    names = ("across the plots", "along the plots", "in the turn")
    loose = []
    for k in range(3):
        away = [np.where(np.arange(3) == k, s * shape.limits[k], best) for s in (-1, 1)]
        if score - min(probe.score(cover, shape.motion(a)) for a in away) < _MIN_SLOPE:
            loose.append(k)
    best = np.where(np.isin(np.arange(3), loose), 0.0, best)
    if (np.abs(best) > 0.97 * shape.limits).any():
        return (
            f"the best fit lies at the limit of the search ({MAX_SHIFT:.0%} of a plot, {MAX_TURN_DEG:g}°): "
            "the plots are further off than snapping can tell, or of other sizes; they stay where they are"
        ), stay
    notes = (
        [f"the mask gives no hold {' and '.join(names[k] for k in loose)}: not moved there"] if loose else []
    )
    further = _further(probe.first(_COARSE_POINTS), cover.by_cells(), shape, best)
    if further is not None:
        notes.append(
            f"the canopy fits better still {further[0]:+.2f} m east and {further[1]:+.2f} m north of where "
            "the plots were, further than snapping may move them: if they are off by a whole place, correct "
            "the control points and snap again"
        )
    return "; ".join(notes), best
