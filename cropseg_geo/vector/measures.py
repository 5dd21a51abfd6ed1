"""Measures of polygons on the ground: areas, perimeters, centres of mass."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector.arrays import Bools, Floats, Ints, Longs
from cropseg_geo.vector.corners import Corners
from cropseg_geo.vector.rings import Rings, centroids, measure


@dataclass(frozen=True)
class GroundField:
    """Pixel steps and areas on the ground at a few places of the raster, and between them.

    ``values`` (rows, columns, 3) are column step (m), row step (m) and pixel area (m²) at the lattice
    vertices ``rows`` × ``cols``; a single one holds for the whole raster. ``skew`` is the cosine of the
    angle between the two steps.
    """

    rows: Longs
    cols: Longs
    values: Floats
    skew: float = 0.0

    @staticmethod
    def over(ground: Ground, *, cells: int = 16) -> GroundField:
        """Exact where the ground is planar; elsewhere linear within 1/16 of the raster, which is better
        than 1e-6 for a raster of 100 km."""
        if ground.is_planar:
            planar = (*ground.pixel_steps_m(), ground.pixel_area_m2())
            values = np.array([[planar]])
            return GroundField(np.zeros(1, np.int64), np.zeros(1, np.int64), values, _skew(ground, planar))
        rows, cols = _nodes(ground.height, cells), _nodes(ground.width, cells)
        values = np.empty((len(rows), len(cols), 3))
        for i, row in enumerate(rows):
            for j, col in enumerate(cols):
                around = Window(int(row) - 1, int(col) - 1, 2, 2)
                values[i, j] = (*ground.pixel_steps_m(around), ground.pixel_area_m2(around))
        return GroundField(rows, cols, values, _skew(ground, values[len(rows) // 2, len(cols) // 2]))

    @property
    def is_uniform(self) -> bool:
        return self.values.size == 3

    @property
    def uniform(self) -> Floats:
        """Column step (m), row step (m) and pixel area (m²), the same everywhere."""
        return np.asarray(self.values[0, 0])

    def at(self, row: Floats, col: Floats) -> Floats:
        """Column step (m), row step (m) and pixel area (m²), (n, 3), at places (n,) in pixels."""
        if self.is_uniform:
            return np.broadcast_to(self.uniform, (len(row), 3))
        i, y = _cell(self.rows, row)
        j, x = _cell(self.cols, col)
        values = self.values
        upper = values[i, j] * (1 - x) + values[i, j + 1] * x
        lower = values[i + 1, j] * (1 - x) + values[i + 1, j + 1] * x
        return np.asarray(upper * (1 - y) + lower * y)


def _skew(ground: Ground, values: tuple[float, ...] | Floats) -> float:
    t = ground.transform
    if t.b == 0.0 == t.d:
        return 0.0
    # The sine follows from area ÷ (step · step); the transform tells on which side of 90° the angle is.
    sine = min(1.0, values[2] / (values[0] * values[1]))
    return math.copysign(math.sqrt(1.0 - sine * sine), t.a * t.b + t.d * t.e)


def _nodes(length: int, cells: int) -> Longs:
    return np.unique(np.rint(np.linspace(0, length, cells + 1)).astype(np.int64))


def _cell(nodes: Longs, place: Floats) -> tuple[Longs, Floats]:
    """The cell (n,) between ``nodes`` that holds each place, and how far in it lies (n, 1), 0–1."""
    cell = np.clip(np.searchsorted(nodes, place, side="right") - 1, 0, len(nodes) - 2)
    return cell, ((place - nodes[cell]) / (nodes[cell + 1] - nodes[cell]))[:, None]


@dataclass(frozen=True)
class Shapes:
    """What was measured of polygons; shapes (n,). Centres of mass are in pixels."""

    area_m2: Floats
    perimeter_m: Floats
    row: Floats
    col: Floats

    def take(self, which: Bools | Ints) -> Shapes:
        return Shapes(self.area_m2[which], self.perimeter_m[which], self.row[which], self.col[which])


def pixel_shapes(corners: Corners, n: int, field: GroundField) -> tuple[Longs, Shapes]:
    """Pixels and shapes of the ``n`` components of ``corners``; exact in a planar CRS."""
    measures = measure(corners, n)
    row, col = centroids(corners, n)
    across_m, down_m, pixel_m2 = field.uniform if field.is_uniform else field.at(row, col).T
    perimeter = measures.across * across_m + measures.down * down_m
    return measures.pixels, Shapes(measures.pixels * pixel_m2, perimeter, row, col)


def ring_shapes(rings: Rings, field: GroundField) -> Shapes:
    """Shapes of polygons with any outline."""
    if not len(rings.component):
        return Shapes(np.empty(0), np.empty(0), np.empty(0), np.empty(0))
    row, col, origin = _local(rings)
    moments = (np.add.reduceat(m, rings.polygon_ends[:-1]) for m in _green(row, col, rings.ring_ends))
    area, row_moment, col_moment = moments
    centre = origin + np.stack([row_moment, col_moment], axis=1) / area[:, None]
    across_m, down_m, pixel_m2 = field.at(*centre.T).T
    begin = rings.ring_ends[rings.polygon_ends]
    size = np.diff(begin)
    dx = np.diff(col, append=0.0) * np.repeat(across_m, size)
    dy = np.diff(row, append=0.0) * np.repeat(down_m, size)
    length = np.sqrt(np.maximum(dx * dx + dy * dy + 2.0 * field.skew * dx * dy, 0.0))
    length[rings.ring_ends[1:] - 1] = 0.0  # from the end of a ring to the next one
    return Shapes(area * pixel_m2, np.add.reduceat(length, begin[:-1]), centre[:, 0], centre[:, 1])


def ring_areas_m2(rings: Rings, field: GroundField) -> Floats:
    """Ground area (m²) of each ring, negative for holes."""
    if not len(rings.component):
        return np.empty(0)
    row, col, origin = _local(rings)
    area, _, _ = _green(row, col, rings.ring_ends)
    pixel_m2 = field.at(*origin.T)[:, 2]
    return np.asarray(area * np.repeat(pixel_m2, np.diff(rings.polygon_ends)))


def _local(rings: Rings) -> tuple[Floats, Floats, Floats]:
    """Rows and columns of all points from their polygon's first point (for the digits' sake), and those."""
    begin = rings.ring_ends[rings.polygon_ends]
    origin = rings.vertices[begin[:-1]].astype(np.float64)
    row, col = (rings.vertices - np.repeat(origin, np.diff(begin), axis=0)).T
    return row, col, origin


def _green(row: Floats, col: Floats, ring_ends: Longs) -> tuple[Floats, Floats, Floats]:
    """Area of each ring (px²) and its moments along rows and columns (px³), by Green's theorem."""
    next_row, next_col = np.roll(row, -1), np.roll(col, -1)
    cross = next_col * row - col * next_row
    cross[ring_ends[1:] - 1] = 0.0
    terms = (cross / 2, cross * (row + next_row) / 6, cross * (col + next_col) / 6)
    area, row_moment, col_moment = (np.add.reduceat(term, ring_ends[:-1]) for term in terms)
    return area, row_moment, col_moment
