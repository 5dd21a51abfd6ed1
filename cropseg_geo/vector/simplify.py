"""Coverage-safe simplification: fewer points, and edges that polygons share stay shared.

The overall strategy is to simplify before anything is joined, in tiles of a fixed lattice. The pixels of
a tile, background included, are a partition of the rectangle between their outermost centres; GEOS
simplifies all its polygons at once without letting any two edges cross, and leaves the rectangle's sides
alone. The points that survive are marks like others, whole polygons are drawn through them once they are
complete. Polygons of neighbouring tiles share the points on the sides, so neither shared edges nor plants
that merely stand close can come to overlap, and memory does not follow the raster's size.

Points are removed in the order of the triangle that they span with their neighbours, while it is smaller
than the square of the tolerance. Triangles keep their ratio of areas under any affine map, so simplifying
in pixels with the tolerance scaled by the pixel's area on the ground is simplifying in metres.

What is small against the tolerance would lose half of its area: a square pixel becomes a triangle. So there
are passes with tolerances that double up to the one that is asked for, and each leaves out the parts, of the
background too, that are small against its own. Their outlines are sides of the partition then, which stay.

Source: M. Visvalingam and J. D. Whyatt, "Line generalisation by repeated elimination of points" (1993),
as GEOS' CoverageSimplifier does it.
"""

from __future__ import annotations

import math

import numpy as np
import shapely

from cropseg_geo.grid import Window
from cropseg_geo.vector.arrays import Bools
from cropseg_geo.vector.blocks import PaddedBlock
from cropseg_geo.vector.contour import Edges
from cropseg_geo.vector.corners import Corners, corners_of
from cropseg_geo.vector.marks import Places, drawn, places_at
from cropseg_geo.vector.rings import rings_of

TILE_PX = 1024
"""Side of the lattice on which outlines are simplified: fixed, so that the blocks do not matter."""

LEAST_AREA = 16.0
"""Area, in squares of a tolerance, of the smallest parts that are simplified with it. Measured on 419 plants:
those of 8 to 16 squares would lose a tenth of their area, of 4 to 8 a fifth, of 16 to 32 1 to 5 %."""
_LEAST_TOLERANCE_PX = math.sqrt(0.5)
"""No triangle between pixels' corners is smaller than its square."""


def simplified(block: PaddedBlock, edges: Edges, places: Places, tolerance_px: float) -> Places:
    """The places that are left of ``places`` (all in half pixels of the padded block)."""
    height, width = block.pixels.shape
    rim = _rim_places(edges)
    places = Places.concatenated([places, rim])
    rings = drawn(rings_of(_partition(block)), Places.concatenated([places, _tile_corners(height, width)]))
    offsets = (rings.ring_ends, rings.polygon_ends)
    polygons = shapely.from_ragged_array(shapely.GeometryType.POLYGON, rings.vertices, offsets)
    area_px = shapely.area(polygons)
    for tolerance in _doubling(tolerance_px):
        large = area_px >= LEAST_AREA * tolerance**2
        polygons[large] = shapely.coverage_simplify(polygons[large], tolerance, simplify_boundary=False)
    row2, col2 = places_at(shapely.get_coordinates(polygons))
    is_kept = np.zeros((2 * height + 1, 2 * width + 1), np.bool_)
    is_kept[row2, col2] = True
    return places.take(is_kept[places.row2, places.col2] | _is_on_side(places, height, width))


def _doubling(tolerance_px: float) -> list[float]:
    """Tolerances from about the least that has an effect up to the one that is given."""
    halvings = max(0, math.floor(math.log2(tolerance_px / _LEAST_TOLERANCE_PX)))
    return [tolerance_px / 2**k for k in range(halvings, -1, -1)]


def _partition(block: PaddedBlock) -> Corners:
    height, width = block.pixels.shape
    padded = np.zeros((height + 2, width + 2), np.int32)
    padded[1:-1, 1:-1] = block.pixels
    padded[1:-1, 1:-1] += 1  # the background is a part like others
    is_part = (padded > 0).astype(np.uint8)
    return corners_of(PaddedBlock(Window(0, 0, height, width), padded, None, classes=is_part)).corners


def _rim_places(edges: Edges) -> Places:
    """Where outlines that follow the pixels cross the sides of the tile."""
    height, width = edges.standing.shape[0], edges.lying.shape[1]
    found = []
    for row in (0, height - 1):
        col = np.flatnonzero(edges.standing_on_pixels[row])
        found.append(Places.at_rest(np.full(len(col), 2 * row + 1), 2 * col + 2))
    for column in (0, width - 1):
        at = np.flatnonzero(edges.lying_on_pixels[:, column])
        found.append(Places.at_rest(2 * at + 2, np.full(len(at), 2 * column + 1)))
    return Places.concatenated(found)


def _tile_corners(height: int, width: int) -> Places:
    """The centres of the tile's four corner pixels, as shifted edges of its own outer rim."""
    row2, col2 = np.array([0, 0, 2 * height, 2 * height]), np.array([1, 2 * width - 1] * 2)
    return Places(row2, col2, np.array([0.5, 0.5, -0.5, -0.5]))


def _is_on_side(places: Places, height: int, width: int) -> Bools:
    rows = (places.row2 == 1) | (places.row2 == 2 * height - 1)
    cols = (places.col2 == 1) | (places.col2 == 2 * width - 1)
    return np.asarray(rows | cols)
