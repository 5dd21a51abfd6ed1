"""Where a trial lies: from four corners, from an A–B line, or from pairs of control points.

Source of the rigid fit: W. Kabsch, Acta Cryst. A32 (1976) 922, in two dimensions, where the best turn is the
angle of one sum of products.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely

from cropseg_geo.errors import InputError
from cropseg_geo.plots.making.plane import Points
from cropseg_geo.plots.making.trial import MAX_TRIAL_SIDE_M, Trial

_FLATTEST = 1e-4
"""Area of four corners over their squared diameter below which they lie on a line (a strip of 1 : 10,000)."""


@dataclass(frozen=True)
class Placement:
    """A trial's own axes in the plane.

    ``east_m``, ``north_m`` is where u = v = 0; ``angle_rad`` turns east to u, counter-clockwise; ``side`` is
    +1 where v runs to the left of u, −1 where it runs to the right.
    """

    east_m: float
    north_m: float
    angle_rad: float
    side: int = 1

    def __call__(self, uv: Points) -> Points:
        """u, v (…, 2) → metres east, north (…, 2)."""
        cos, sin = math.cos(self.angle_rad), math.sin(self.angle_rad)
        u, v = uv[..., 0], uv[..., 1] * self.side
        return np.stack([self.east_m + u * cos - v * sin, self.north_m + u * sin + v * cos], axis=-1)


@dataclass(frozen=True)
class Fit:
    """How well control points were met: root mean square and largest distance (m)."""

    rms_m: float
    largest_m: float

    @classmethod
    def between(cls, found: Points, given: Points) -> Fit:
        """Distances between points (N, 2) and points (N, 2)."""
        distance = np.linalg.norm(found - given, axis=1)
        return cls(float(np.sqrt((distance**2).mean())), float(distance.max()))


@dataclass(frozen=True)
class Motion:
    """A turn by ``turn_rad`` (counter-clockwise) about ``about``, then a shift: in metres east, north."""

    turn_rad: float
    about: tuple[float, float]
    east_m: float
    north_m: float

    def __call__(self, points: Points) -> Points:
        """Metres east, north (…, 2), moved."""
        cos, sin = math.cos(self.turn_rad), math.sin(self.turn_rad)
        turn = np.array([[cos, sin], [-sin, cos]])
        moved: Points = (points - self.about) @ turn + self.about + [self.east_m, self.north_m]
        return moved


def corners_in_order(points: Points) -> Points:
    """Four corners in any order → bottom left, bottom right, top right, top left (4, 2) as seen on a map.

    The bottom edge is the one that runs nearest to due east.

    Raises
    ------
    InputError
        There are not four, they lie on a line, or one lies between the others.
    """
    if len(points) != 4:
        raise InputError(
            f"{len(points)} corners are given; a trial has 4",
            remedy="give the four outer corners of the trial",
        )
    hull = shapely.convex_hull(shapely.MultiPoint(points))
    diameter = max(float(np.linalg.norm(a - b)) for a in points for b in points)
    if shapely.area(hull) <= _FLATTEST * diameter**2:
        raise InputError(
            "the four corners lie on a line and span no area",
            remedy="check that no corner is given twice and that x and y are not exchanged",
        )
    ring = shapely.get_coordinates(shapely.orient_polygons(hull, exterior_cw=False))[:-1]
    if len(ring) != 4:
        raise InputError(
            "one of the four corners lies between the others: they are not the corners of a field",
            remedy="give the four outer corners of the trial",
        )
    edges = np.roll(ring, -1, axis=0) - ring
    eastward = np.abs(np.arctan2(edges[:, 1], edges[:, 0]))
    ordered: Points = np.roll(ring, -int(np.argmin(eastward)), axis=0)
    return ordered


def fit_trial(trial: Trial, corners: Points, *, tolerance_m: float) -> tuple[Trial, Placement, Fit]:
    """The trial in the rectangle that fits four corners best, in the sense of least squares.

    Sizes that the trial states are kept exactly; those it leaves open come from the corners. Of the
    rectangle's width W and length L along u and v, with a and b the means of the corners' opposite edges,
    the squared distances are least where (a·u)² + (b·v)² is largest; with W and L fixed, where u points
    along W a + L b (b turned back by a right angle).

    Parameters
    ----------
    corners
        Outer corners (4, 2) in metres: bottom left, bottom right, top right, top left.
    tolerance_m
        The stated sizes may need this much more than there is between the corners.

    Returns
    -------
    The trial with all sizes, where it lies, and how far its corners are from those given.

    Raises
    ------
    InputError
        The stated sizes do not fit.
    """
    a = (corners[1] + corners[2] - corners[0] - corners[3]) / 2
    b = (corners[2] + corners[3] - corners[0] - corners[1]) / 2
    b_back = np.array([b[1], -b[0]])
    _, axes = np.linalg.eigh(np.outer(a, a) + np.outer(b_back, b_back))
    u = axes[:, 1] if axes[:, 1] @ a > 0 else -axes[:, 1]
    sized = trial.sized(float(a @ u), float(b_back @ u))
    for _ in range(20):  # converges in two or three: sizes hang on the turn to second order
        width, length = sized.extent_m
        u = width * a + length * b_back
        u = u / np.linalg.norm(u)
        sized = trial.sized(float(a @ u), float(b_back @ u))
    width, length = sized.extent_m
    _require_room(sized, (float(a @ u), float(b_back @ u)), tolerance_m)
    angle = math.atan2(u[1], u[0])
    own = np.array([[0.0, 0.0], [width, 0.0], [width, length], [0.0, length]])
    origin = corners.mean(axis=0) - Placement(0.0, 0.0, angle)(own).mean(axis=0)
    placement = Placement(float(origin[0]), float(origin[1]), angle)
    return sized, placement, Fit.between(placement(own), corners)


def _require_room(trial: Trial, room_m: tuple[float, float], tolerance_m: float) -> None:
    counts = (f"{trial.columns} columns", f"{trial.rows} rows")
    for have, need, count, name in zip(room_m, trial.extent_m, counts, ("width", "length"), strict=True):
        short_m = round(need - have, 6)  # what projections add in the last digits is no lack of room
        if short_m > tolerance_m:
            raise InputError(
                f"{count} need {need:.3f} m with their alleys; between the corners there are {have:.3f} m, "
                f"{short_m:.3f} m too few",
                remedy=f"check the counts, --{name} and the alleys; leave --{name} out to take it from the "
                f"corners, or pass --tolerance {math.ceil(10 * short_m) / 10:g}",
            )


def along_line(a: Points, b: Points, *, side: int = 1) -> Placement:
    """The trial's bottom left corner at A, its rows along A–B; further rows left (side +1) or right (−1).

    Raises
    ------
    InputError
        A and B are the same point, or too far apart to be on one field.
    """
    far_m = float(np.linalg.norm(b - a))
    if far_m > MAX_TRIAL_SIDE_M:
        raise InputError(
            f"the points A and B are {far_m / 1000:,.0f} km apart", remedy="check their coordinates and --crs"
        )
    if far_m < 0.01:
        raise InputError(
            "the points A and B are less than 1 cm apart and give no direction",
            remedy="give B as a second point along the first row",
        )
    return Placement(float(a[0]), float(a[1]), math.atan2(b[1] - a[1], b[0] - a[0]), side)


def rigid_fit(source: Points, target: Points) -> tuple[Motion, Fit]:
    """The turn and shift (no stretch) that bring points (N, 2) onto points (N, 2) best, and what is left."""
    middle, goal = source.mean(axis=0), target.mean(axis=0)
    p, q = source - middle, target - goal
    turn = math.atan2(float((p[:, 0] * q[:, 1] - p[:, 1] * q[:, 0]).sum()), float((p * q).sum()))
    shift = goal - middle
    motion = Motion(turn, (float(middle[0]), float(middle[1])), float(shift[0]), float(shift[1]))
    return motion, Fit.between(motion(source), target)
