"""Canopy polygons with their attributes: from rings and measures in pixels to the CRS and to metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector.corners import Bools, Components, Corners, Floats, Longs
from cropseg_geo.vector.rings import Measures, Rings, in_scan_order, measure, rings_of

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
    """Pixel steps and areas of a :class:`Ground`, interpolated between a few places of the raster.

    Exact where the ground is planar. Elsewhere a scale that changes along the raster is taken to be
    linear within a cell of 1/16 of the raster: better than 1e-6 for a raster of 100 km.
    """

    ground: Ground
    cells: int = 16

    @cached_property
    def _nodes(self) -> npt.NDArray[np.float64]:
        """(3, cells + 1, cells + 1): column step (m), row step (m), pixel area (m²)."""
        n = self.cells
        nodes = np.empty((3, n + 1, n + 1))
        for i in range(n + 1):
            for j in range(n + 1):
                at = Window(round(i * self.ground.height / n), round(j * self.ground.width / n), 0, 0)
                nodes[:, i, j] = (*self.ground.pixel_steps_m(at), self.ground.pixel_area_m2(at))
        return nodes

    def at(self, row: Floats, col: Floats) -> tuple[Floats, Floats, Floats]:
        """Column step (m), row step (m) and pixel area (m²) at places (n,) in pixels."""
        if self.ground.is_planar:
            steps = self.ground.pixel_steps_m()
            return tuple(np.full(len(row), v) for v in (*steps, self.ground.pixel_area_m2()))  # type: ignore[return-value]
        n, nodes = self.cells, self._nodes
        y, x = row * (n / self.ground.height), col * (n / self.ground.width)
        i, j = np.clip(y.astype(np.int64), 0, n - 1), np.clip(x.astype(np.int64), 0, n - 1)
        y, x = y - i, x - j
        upper = nodes[:, i, j] * (1 - x) + nodes[:, i, j + 1] * x
        lower = nodes[:, i + 1, j] * (1 - x) + nodes[:, i + 1, j + 1] * x
        across, down, area = upper * (1 - y) + lower * y
        return across, down, area


@dataclass(frozen=True)
class Attributes:
    """Attributes of components: measures in pixels and on the ground; shapes (n,)."""

    class_id: npt.NDArray[np.uint8]
    pixels: Longs
    area_m2: Floats
    perimeter_m: Floats
    mean_prob: Floats


def attributes_of(measures: Measures, components: Components, field: GroundField) -> Attributes:
    """Ground areas and perimeters, exact in a planar CRS, and mean probabilities."""
    across_m, down_m, pixel_m2 = field.at(measures.row, measures.col)
    n_known = measures.pixels - components.prob_missing
    mean = np.full(len(components), np.nan)
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

    field: GroundField
    classes: tuple[str, ...]
    min_area_m2: float

    def make(self, corners: Corners, components: Components) -> CanopyBatch:
        """``corners`` are all the corners of ``components``, in scan order."""
        attributes = attributes_of(measure(corners, len(components)), components, self.field)
        is_kept = attributes.area_m2 >= self.min_area_m2
        if not is_kept.all():
            corners = corners.take(is_kept[corners.component])
        rings = rings_of(corners)
        index = rings.component
        return CanopyBatch(
            geometry=polygons_of(rings, self.field.ground.transform),
            class_id=attributes.class_id[index].astype(np.int32),
            class_name=np.array(self.classes, dtype=object)[attributes.class_id[index]],
            pixels=attributes.pixels[index],
            area_m2=attributes.area_m2[index],
            perimeter_m=attributes.perimeter_m[index],
            mean_prob=attributes.mean_prob[index],
            crs=self.field.ground.crs,
        )

    def make_unordered(self, corners: Corners, components: Components) -> CanopyBatch:
        return self.make(in_scan_order(corners), components)
