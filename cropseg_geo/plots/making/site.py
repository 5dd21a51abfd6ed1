"""The place of a trial as it was surveyed: four corners, or a line from A to B."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import numpy as np
import shapely
from pyproj import CRS

from cropseg_geo.errors import InputError
from cropseg_geo.paths import is_there, path_text
from cropseg_geo.plots.making.control import Fit, Motion, Placement, along_line, corners_in_order, fit_trial
from cropseg_geo.plots.making.plane import Plane, Points, parse_crs
from cropseg_geo.plots.making.trial import Trial
from cropseg_geo.vector_input import read_layer

Coordinates = tuple[tuple[float, float], ...]

SIDES = {"left": 1, "right": -1}


@dataclass(frozen=True)
class Site:
    """Control points and how the trial lies to them.

    Parameters
    ----------
    crs
        CRS of the coordinates, anything that pyproj reads.
    corners
        The four outer corners, x, y in ``crs``, in any order.
    ab
        Instead: A, the trial's bottom left corner, and B, any further point along its first row.
    side
        ``left`` or ``right``: where the further rows lie, seen from A to B.
    rotate_deg
        A further turn, counter-clockwise: about A, or about the middle of the corners.
    tolerance_m
        The error of the corners that is put up with (m).

    Raises
    ------
    InputError
        Both or neither of corners and line; wrong counts; coordinates that are no pairs of finite numbers; a
        turn or a tolerance that is none.
    """

    crs: str
    corners: Coordinates | None = None
    ab: Coordinates | None = None
    side: str = "left"
    rotate_deg: float = 0.0
    tolerance_m: float = 0.5

    def __post_init__(self) -> None:
        if (self.corners is None) == (self.ab is None):
            both = self.ab is not None
            raise InputError(
                f"{'both' if both else 'neither'} four corners {'and' if both else 'nor'} a line A–B are "
                "given; plots need one of them",
                remedy='pass --corners "x,y x,y x,y x,y" or --ab "x,y x,y"',
            )
        if not all(map(_is_place, self._given)):
            raise InputError(
                "the control points are not all pairs of finite numbers", remedy="give each of them as x,y"
            )
        if self.ab is not None and len(self.ab) != 2:
            raise InputError(
                f"{len(self.ab)} points for a line A–B; 2 are needed", remedy='pass --ab "x,y x,y"'
            )
        if self.corners is not None and len(self.corners) != 4:
            raise InputError(
                f"{len(self.corners)} corners are given; a trial has 4", remedy="give its four outer corners"
            )
        if self.side not in SIDES:
            raise InputError(f"the side {self.side!r} is not known", remedy="pass --side left or right")
        if self.side != "left" and self.ab is None:
            raise InputError(
                "four corners have no side: rows count up from their lower edge on the map",
                remedy="choose --start, or give the trial by --ab",
            )
        if not math.isfinite(self.rotate_deg):
            raise InputError(
                f"a turn by {self.rotate_deg:g}° is none", remedy="pass --rotate in degrees, or leave it out"
            )
        if not (math.isfinite(self.tolerance_m) and self.tolerance_m >= 0):
            raise InputError(
                f"a tolerance of {self.tolerance_m:g} m: 0 or more is needed",
                remedy="pass --tolerance in metres",
            )

    @property
    def points(self) -> Points:
        """The control points (N, 2)."""
        return np.array(self._given, dtype=np.float64)

    @property
    def _given(self) -> Coordinates:
        given = self.ab if self.corners is None else self.corners
        return () if given is None else given

    def plane(self) -> Plane:
        """The plane about the control points."""
        return Plane.around(self.points, parse_crs(self.crs))

    def targets(self, plane: Plane) -> Points:
        """The control points in metres; corners in order, see :func:`corners_in_order`."""
        points = plane.from_crs(self.points)
        return points if self.corners is None else corners_in_order(points)

    def place(self, trial: Trial, plane: Plane) -> tuple[Trial, Placement, Fit | None]:
        """The trial with all its sizes, where it lies, and how far from the given corners its own are."""
        points, turn = self.targets(plane), math.radians(self.rotate_deg)
        if self.corners is None:
            line = along_line(points[0], points[1], side=SIDES[self.side])
            return trial, Placement(line.east_m, line.north_m, line.angle_rad + turn, line.side), None
        trial, placement, fit = fit_trial(trial, points, tolerance_m=self.tolerance_m)
        middle = points.mean(axis=0)
        motion = Motion(turn, (float(middle[0]), float(middle[1])), 0.0, 0.0)
        east, north = motion(np.array([placement.east_m, placement.north_m]))
        return trial, Placement(float(east), float(north), placement.angle_rad + turn), fit


def _is_place(point: Iterable[float]) -> bool:
    """True for x, y in finite numbers."""
    try:
        x, y = point
        return math.isfinite(x) and math.isfinite(y)
    except (TypeError, ValueError, OverflowError):
        return False


def read_control(path: str | Path) -> tuple[Coordinates, CRS]:
    """Control points of a layer: its points, or the corners of its one polygon; and their CRS.

    Raises
    ------
    InputError
        The layer has no CRS, or neither points nor one polygon.
    """
    if not is_there(path_text(path).partition("|")[0]):
        raise InputError(f"the layer of control points {path} does not exist", remedy="check its path")
    frame = read_layer(path)
    if not isinstance(frame, gpd.GeoDataFrame) or frame.crs is None:
        raise InputError(
            f"{path} does not say its CRS, and none is guessed",
            remedy="assign the CRS of the survey to the layer",
        )
    shapes = shapely.force_2d(np.asarray(frame.geometry.dropna().values))
    kinds = set(shapely.get_type_id(shapes).tolist())
    if kinds and kinds <= {0, 4}:  # points, multipoints
        coordinates = shapely.get_coordinates(shapes)
    elif len(shapes) == 1 and kinds <= {3, 6} and len(parts := shapely.get_parts(shapes)) == 1:
        coordinates = shapely.get_coordinates(shapely.simplify(parts[0], 0.0).exterior)[:-1]
    else:
        raise InputError(
            f"{path} holds {len(shapes)} features that are neither points nor one polygon",
            remedy="give four points, or one polygon with four corners",
        )
    return tuple((float(x), float(y)) for x, y in coordinates), frame.crs
