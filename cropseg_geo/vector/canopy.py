"""Canopy polygons with their attributes: from rings and measures in pixels to the CRS and to metres."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine

from cropseg_geo.vector.arrays import Bools, Bytes, Floats, Geometries, Longs
from cropseg_geo.vector.corners import Components, Corners
from cropseg_geo.vector.filled import stretches_within
from cropseg_geo.vector.marks import drawn
from cropseg_geo.vector.measures import GroundField, Shapes, pixel_shapes, ring_areas_m2, ring_shapes
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector.pieces import Pieces
from cropseg_geo.vector.rings import Rings, measure, rings_of, total_inside
from cropseg_geo.vector.stretches import Stretches


@dataclass(frozen=True)
class CanopyBatch:
    """Complete canopy polygons; shapes (n,), in the row-major order of each polygon's first pixel.

    ``geometry`` are valid shapely polygons in ``crs`` (WKT), shells counter-clockwise; ``area_m2`` and
    ``perimeter_m`` (holes included) are theirs, measured on the ground, and so is the centre of mass
    ``centroid_x``, ``centroid_y`` (in ``crs``; it need not lie inside). ``pixels`` counts the mask's pixels
    of each one, filled holes included, ``mean_prob`` is the mean probability of those of its class, NaN
    where there is none.
    """

    geometry: Geometries
    class_id: npt.NDArray[np.int32]
    class_name: npt.NDArray[np.object_]
    pixels: Longs
    area_m2: Floats
    perimeter_m: Floats
    mean_prob: Floats
    centroid_x: Floats
    centroid_y: Floats
    crs: str

    def __len__(self) -> int:
        return len(self.geometry)


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
class Known:
    """What drawing does not change of components; shapes (n,)."""

    class_id: Bytes
    mean_prob: Floats


@dataclass(frozen=True)
class BatchMaker:
    """Makes batches of complete components, as the options draw them."""

    transform: Affine
    crs: str
    field: GroundField
    classes: tuple[str, ...]
    options: Outlines

    def make(self, pieces: Pieces, components: Components) -> CanopyBatch:
        """``pieces`` are all of ``components``, their corners in scan order."""
        corners, minimum_m2 = pieces.corners, self.options.min_area_m2
        own_px, shapes = pixel_shapes(corners, len(components), self.field)
        known = Known(components.class_id, components.mean_prob(own_px))
        if pieces.marks is None and self.options.fill_holes_m2 == 0.0:
            is_kept = shapes.area_m2 >= minimum_m2
            if not is_kept.all():
                corners = corners.take(is_kept[corners.component])
            rings = rings_of(corners)
            return self._batch(rings, shapes.take(rings.component), own_px[rings.component], known)
        rings = rings_of(corners)
        rings = rings.take(~self._is_filled(rings, corners))
        if pieces.marks is not None:
            rings = drawn(rings, pieces.marks.places)
        pixels = measure(corners.take(rings.corner), len(known.class_id)).pixels[rings.component]
        shapes = ring_shapes(rings, self.field)
        is_kept = shapes.area_m2 >= minimum_m2
        return self._batch(rings.take_polygons(is_kept), shapes.take(is_kept), pixels[is_kept], known)

    def filled_pixels(self, pieces: Pieces, components: Components) -> Stretches:
        """The pixels in the holes that the options fill, however outlines are drawn."""
        rings = rings_of(pieces.corners)
        return stretches_within(rings, self._is_filled(rings, pieces.corners), components.class_id)

    def mask_area_m2(self, batch: CanopyBatch) -> float:
        """Area on the ground of the pixels that the polygons of a batch stand for."""
        t, x, y = ~self.transform, batch.centroid_x, batch.centroid_y
        pixel_m2 = self.field.at(t.d * x + t.e * y + t.f, t.a * x + t.b * y + t.c)[:, 2]
        return float((batch.pixels * pixel_m2).sum())

    def _is_filled(self, rings: Rings, corners: Corners) -> Bools:
        """Which rings on pixel edges are holes of the background alone, up to the limit."""
        limit = self.options.fill_holes_m2
        if limit == 0.0 or corners.occupied is None:
            return np.zeros(len(rings.ring_ends) - 1, np.bool_)
        is_empty = total_inside(rings, corners, corners.occupied) == 0
        is_small = np.abs(ring_areas_m2(rings, self.field)) <= limit
        return np.asarray(~rings.is_shell & is_empty & is_small)

    def _batch(self, rings: Rings, shapes: Shapes, pixels: Longs, known: Known) -> CanopyBatch:
        """``shapes`` and ``pixels`` are of the polygons of ``rings``, ``known`` is of components."""
        index, t = rings.component, self.transform
        class_id = known.class_id[index]
        return CanopyBatch(
            geometry=polygons_of(rings, t),
            class_id=class_id.astype(np.int32),
            class_name=np.array(self.classes, dtype=object)[class_id],
            pixels=pixels,
            area_m2=shapes.area_m2,
            perimeter_m=shapes.perimeter_m,
            mean_prob=known.mean_prob[index],
            centroid_x=t.a * shapes.col + t.b * shapes.row + t.c,
            centroid_y=t.d * shapes.col + t.e * shapes.row + t.f,
            crs=self.crs,
        )
