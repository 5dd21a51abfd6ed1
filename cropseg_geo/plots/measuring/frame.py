"""Plots in pixels and in local metres: where widths, rows and buffers are measured.

Three coordinates are in use. CRS: what the outlines come in. Pixels: x = column, y = −row, so that y runs
up; exactextract works in them. Local metres: east and north of the raster's first pixel, by one linear map
for the whole raster; its scales are those of the raster's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from cropseg_geo.ground import Ground

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LocalFrame:
    """The linear map from pixels (column, −row) to metres (east, north)."""

    matrix: tuple[tuple[float, float], tuple[float, float]]

    @classmethod
    def of(cls, ground: Ground) -> LocalFrame:
        """The frame of a raster: its axes in the CRS, scaled to metres on the ground."""
        t = ground.transform
        column_m, row_m = ground.pixel_steps_m()
        # Metres per CRS unit, east and north, from the ground lengths of the two pixel steps.
        squares = np.array([[t.a**2, t.d**2], [t.b**2, t.e**2]])
        solved, *_ = np.linalg.lstsq(squares, np.array([column_m**2, row_m**2]), rcond=1e-9)
        east, north = np.sqrt(np.maximum(solved, 1e-300))
        return cls(((east * t.a, -east * t.b), (north * t.d, -north * t.e)))

    @property
    def array(self) -> Matrix:
        return np.array(self.matrix)

    @property
    def pixel_m(self) -> float:
        """Side of a square of one pixel's area (m)."""
        return math.sqrt(abs(float(np.linalg.det(self.array))))

    def to_metres(self, geometry_px: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Geometries in pixels → local metres."""
        return np.asarray(shapely.transform(geometry_px, lambda xy: xy @ self.array.T))

    def to_pixels(self, geometry_m: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Geometries in local metres → pixels."""
        inverse = np.linalg.inv(self.array)
        return np.asarray(shapely.transform(geometry_m, lambda xy: xy @ inverse.T))


@dataclass(frozen=True)
class Axes:
    """Two directions across each other, ``along`` and ``across``, and a plot's extent along them.

    ``along`` and ``across`` are unit vectors in local metres; ``low`` and ``high`` the extent (u, v) in
    metres, u along and v across.
    """

    along: tuple[float, float]
    low: tuple[float, float]
    high: tuple[float, float]

    @property
    def across(self) -> tuple[float, float]:
        return (-self.along[1], self.along[0])

    @property
    def length_m(self) -> float:
        return self.high[0] - self.low[0]

    @property
    def width_m(self) -> float:
        return self.high[1] - self.low[1]

    def turned(self) -> Axes:
        """The same axes with along and across exchanged."""
        (u0, v0), (u1, v1) = self.low, self.high
        return Axes(self.across, (v0, -u1), (v1, -u0))


def axes_of(outline_m: Any, angle_deg: float | None = None) -> Axes:
    """Axes of one outline in local metres.

    Parameters
    ----------
    outline_m
        A shapely (multi)polygon.
    angle_deg
        Direction of ``along``, clockwise from north; None: the long side of the smallest rectangle around
        the outline.
    """
    points = shapely.get_coordinates(outline_m)
    if angle_deg is None:
        corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(outline_m))
        sides = np.diff(corners[:3], axis=0)
        side = sides[int(np.argmax(np.hypot(*sides.T)))]
        unit = side / math.hypot(*side)
    else:
        radians = math.radians(angle_deg)
        unit = np.array([math.sin(radians), math.cos(radians)])
    along = (float(unit[0]), float(unit[1]))
    uv = points @ np.array([[along[0], -along[1]], [along[1], along[0]]])
    low, high = uv.min(axis=0), uv.max(axis=0)
    return Axes(along, (float(low[0]), float(low[1])), (float(high[0]), float(high[1])))


def to_pixels(geometry: npt.NDArray[Any], ground: Ground) -> npt.NDArray[Any]:
    """Geometries in the CRS of ``ground`` → pixel coordinates, x = column, y = −row (so y runs up)."""
    t = ~ground.transform

    def move(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = xy[:, 0], xy[:, 1]
        return np.column_stack([t.a * x + t.b * y + t.c, -(t.d * x + t.e * y + t.f)])

    return np.asarray(shapely.transform(geometry, move))


def from_pixels(geometry_px: npt.NDArray[Any], ground: Ground) -> npt.NDArray[Any]:
    """The inverse of :func:`to_pixels`."""
    t = ground.transform

    def move(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        col, row = xy[:, 0], -xy[:, 1]
        return np.column_stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f])

    return np.asarray(shapely.transform(geometry_px, move))
