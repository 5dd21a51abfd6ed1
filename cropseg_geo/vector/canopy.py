"""Canopy polygons with their attributes: from rings and measures in pixels to the CRS and to metres."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector.corners import Components, Corners, Floats, Longs
from cropseg_geo.vector.rings import Rings, centroids, in_scan_order, measure, rings_of

Geometries = npt.NDArray[Any]  # shapely geometries have no dtype of their own


@dataclass(frozen=True)
class CanopyBatch:
    """Complete canopy polygons; shapes (n,), in the row-major order of each polygon's first pixel.

    ``geometry`` are valid shapely polygons in ``crs`` (WKT), shells counter-clockwise; ``pixels`` counts
    each one's pixels, ``area_m2`` and ``perimeter_m`` (holes included) are measured on the ground,
    ``mean_prob`` is the mean probability of its pixels, NaN where there is none.
    """

    geometry: Geometries
    class_id: npt.NDArray[np.int32]
    class_name: npt.NDArray[np.object_]
    pixels: Longs
    area_m2: Floats
    perimeter_m: Floats
    mean_prob: Floats
    crs: str

    def __len__(self) -> int:
        return len(self.geometry)

    def to_frame(self) -> gpd.GeoDataFrame:
        """The layer's columns: class_id, class_name, area_m2, perimeter_m, mean_prob and the geometry."""
        columns = {
            "class_id": self.class_id,
            "class_name": self.class_name.astype(str).astype(object),
            "area_m2": self.area_m2,
            "perimeter_m": self.perimeter_m,
            "mean_prob": self.mean_prob,
        }
        return gpd.GeoDataFrame(columns, geometry=self.geometry, crs=self.crs)


@dataclass(frozen=True)
class GroundField:
    """Pixel steps and areas on the ground at a few places of the raster, and between them.

    ``values`` (rows, columns, 3) are column step (m), row step (m) and pixel area (m²) at the lattice
    vertices ``rows`` × ``cols``; a single one holds for the whole raster.
    """

    rows: Longs
    cols: Longs
    values: Floats

    @staticmethod
    def over(ground: Ground, *, cells: int = 16) -> GroundField:
        """Exact where the ground is planar; elsewhere linear within 1/16 of the raster, which is better
        than 1e-6 for a raster of 100 km."""
        if ground.is_planar:
            planar = (*ground.pixel_steps_m(), ground.pixel_area_m2())
            return GroundField(np.zeros(1, np.int64), np.zeros(1, np.int64), np.array([[planar]]))
        rows, cols = _nodes(ground.height, cells), _nodes(ground.width, cells)
        values = np.empty((len(rows), len(cols), 3))
        for i, row in enumerate(rows):
            for j, col in enumerate(cols):
                around = Window(int(row) - 1, int(col) - 1, 2, 2)
                values[i, j] = (*ground.pixel_steps_m(around), ground.pixel_area_m2(around))
        return GroundField(rows, cols, values)

    @property
    def is_uniform(self) -> bool:
        return self.values.size == 3

    @property
    def uniform(self) -> Floats:
        """Column step (m), row step (m) and pixel area (m²), the same everywhere."""
        return np.asarray(self.values[0, 0])

    def at(self, row: Floats, col: Floats) -> Floats:
        """Column step (m), row step (m) and pixel area (m²), (n, 3), at places (n,) in pixels."""
        i, y = _cell(self.rows, row)
        j, x = _cell(self.cols, col)
        values = self.values
        upper = values[i, j] * (1 - x) + values[i, j + 1] * x
        lower = values[i + 1, j] * (1 - x) + values[i + 1, j + 1] * x
        return np.asarray(upper * (1 - y) + lower * y)


def _nodes(length: int, cells: int) -> Longs:
    return np.unique(np.rint(np.linspace(0, length, cells + 1)).astype(np.int64))


def _cell(nodes: Longs, place: Floats) -> tuple[Longs, Floats]:
    """The cell (n,) between ``nodes`` that holds each place, and how far in it lies (n, 1), 0–1."""
    cell = np.clip(np.searchsorted(nodes, place, side="right") - 1, 0, len(nodes) - 2)
    return cell, ((place - nodes[cell]) / (nodes[cell + 1] - nodes[cell]))[:, None]


@dataclass(frozen=True)
class Attributes:
    """Attributes of components: measures in pixels and on the ground; shapes (n,)."""

    class_id: npt.NDArray[np.uint8]
    pixels: Longs
    area_m2: Floats
    perimeter_m: Floats
    mean_prob: Floats


def attributes_of(corners: Corners, components: Components, field: GroundField) -> Attributes:
    """Ground areas and perimeters, exact in a planar CRS, and mean probabilities."""
    n = len(components)
    measures = measure(corners, n)
    across_m, down_m, pixel_m2 = field.uniform if field.is_uniform else field.at(*centroids(corners, n)).T
    n_known = measures.pixels - components.prob_missing
    mean = np.full(n, np.nan)
    np.divide(components.prob_sum, n_known, out=mean, where=n_known > 0)
    return Attributes(
        components.class_id,
        measures.pixels,
        measures.pixels * pixel_m2,
        measures.across * across_m + measures.down * down_m,
        mean,
    )


def polygons_of(rings: Rings, transform: Affine) -> Geometries:
    """Shapely polygons (n,) in CRS coordinates, shells counter-clockwise."""
    row, col = rings.vertices[:, 0].astype(np.float64), rings.vertices[:, 1].astype(np.float64)
    t = transform
    xy = np.stack([t.a * col + t.b * row + t.c, t.d * col + t.e * row + t.f], axis=1)
    if t.determinant > 0:  # rows run up: what was counter-clockwise on screen would be clockwise
        n = len(xy)
        size = np.diff(rings.ring_ends)
        begin, end = np.repeat(rings.ring_ends[:-1], size), np.repeat(rings.ring_ends[1:], size)
        xy = xy[begin + end - 1 - np.arange(n)]
    offsets = (rings.ring_ends, rings.polygon_ends)
    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.POLYGON, xy, offsets))


@dataclass(frozen=True)
class BatchMaker:
    """Makes batches of complete components, the small ones left out."""

    transform: Affine
    crs: str
    field: GroundField
    classes: tuple[str, ...]
    min_area_m2: float

    def make(self, corners: Corners, components: Components) -> CanopyBatch:
        """``corners`` are all the corners of ``components``, in scan order."""
        attributes = attributes_of(corners, components, self.field)
        is_kept = attributes.area_m2 >= self.min_area_m2
        if not is_kept.all():
            corners = corners.take(is_kept[corners.component])
        rings = rings_of(corners)
        index = rings.component
        return CanopyBatch(
            geometry=polygons_of(rings, self.transform),
            class_id=attributes.class_id[index].astype(np.int32),
            class_name=np.array(self.classes, dtype=object)[attributes.class_id[index]],
            pixels=attributes.pixels[index],
            area_m2=attributes.area_m2[index],
            perimeter_m=attributes.perimeter_m[index],
            mean_prob=attributes.mean_prob[index],
            crs=self.crs,
        )

    def make_unordered(self, corners: Corners, components: Components) -> CanopyBatch:
        return self.make(in_scan_order(corners), components)
