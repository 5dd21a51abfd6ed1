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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from scipy.optimize import minimize

from cropseg_geo.errors import InputError
from cropseg_geo.ground import Ground
from cropseg_geo.plots.making.control import Motion
from cropseg_geo.plots.making.cover import Cover, read_cover
from cropseg_geo.plots.making.plane import Plane
from cropseg_geo.plots.making.probe import (
    MAX_SHIFT,
    MAX_TURN_DEG,
    Probe,
    UsualPlot,
    make_probe,
    mean_of,
    usual_plot,
)
from cropseg_geo.plots.measuring.zonal import MaskSource

MIN_CONTRAST = 0.05
"""Canopy in plots minus canopy in alleys below which there is nothing to fit to."""

_MIN_SLOPE = 0.01
"""What the score has to lose along an axis for the axis to be determined at all."""

_FURTHER = 1.05
"""How much better the canopy has to fit beyond the limits for the user to be told."""

_TIE = 1e-4
"""Score that the largest motion has to be better than none by."""

_COARSE_POINTS, _MOST_TURNS = 12_000, 201


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
    shape = usual_plot(shapes)
    probe = make_probe(shapes, shape)
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
    hard = Probe(probe.points, mean_of(probe.inside > 0), mean_of(probe.outside > 0))
    motion = shape.motion(best)
    return Snap(motion, hard.score(cover, stay), hard.score(cover, motion), note)


def _coarse(probe: Probe, cover: Cover, shape: UsualPlot) -> list[npt.NDArray[np.float64]]:
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
    probe: Probe, cover: Cover, shape: UsualPlot, starts: list[npt.NDArray[np.float64]]
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


def _scan_of_neighbours(shape: UsualPlot, k: int) -> npt.NDArray[np.float64]:
    """Shifts (m) along side ``k`` around the next place on either side."""
    near = np.arange(0.7, 1.31, 0.05) * shape.pitch_m[k]
    return np.concatenate([-near, near])


def _further(
    probe: Probe, cover: Cover, shape: UsualPlot, best: npt.NDArray[np.float64]
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
    probe: Probe, cover: Cover, shape: UsualPlot, best: npt.NDArray[np.float64]
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
