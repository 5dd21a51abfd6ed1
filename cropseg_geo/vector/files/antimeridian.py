"""Polygons over the antimeridian: no polygon of a GeoJSON file crosses it (RFC 7946, section 3.1.9)."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np
import shapely

from cropseg_geo.vector.arrays import Floats, Geometries


def cut_at_antimeridian(polygons: Geometries, *, decimals: int, may_jump: bool) -> Geometries:
    """Polygons (n,) in degrees of longitude and latitude → the same between −180° and 180°.

    Those that lie on both sides become MultiPolygons; the others stay what they are.

    Parameters
    ----------
    polygons
        Their longitudes may go on beyond ±180°.
    decimals
        Of the coordinates of what is cut or moved.
    may_jump
        Whether longitudes jump from 180° to −180° instead, as they come out of a projection. Else a polygon
        as wide as the Earth is one.
    """
    west, _, east, _ = shapely.bounds(polygons).T
    is_beyond = (west < -180.0) | (east > 180.0)
    is_wide = (east - west > 180.0) & may_jump
    if not (is_beyond | is_wide).any():
        return polygons
    cut = polygons.copy()
    for k in np.flatnonzero(is_wide):
        if _has_jump(cut[k]):
            cut[k] = shapely.transform(cut[k], _eastward)
            is_beyond[k] = True
    for k in np.flatnonzero(is_beyond):
        cut[k] = shapely.transform(_cut(cut[k]), lambda xy: np.round(xy, decimals))
    return cut


def between_180(longitude: Floats) -> Floats:
    """Longitudes (°) without whole turns; those from −180° to 180° as they are."""
    turns = np.where(np.abs(longitude) > 180.0, np.round(longitude / 360.0), 0.0)
    return np.asarray(longitude - 360.0 * turns)


def _has_jump(polygon: Any) -> bool:
    """Whether an edge is longer than half the way round: a polygon may well be that wide, an edge is not."""
    rings = shapely.get_rings(polygon)
    return any(np.abs(np.diff(shapely.get_coordinates(ring)[:, 0])).max() > 180.0 for ring in rings)


def _eastward(xy: Floats) -> Floats:
    return np.column_stack([xy[:, 0] + 360.0 * (xy[:, 0] < 0.0), xy[:, 1]])


def _cut(polygon: Any) -> Any:
    """Its parts on each turn round the Earth, all brought to the first."""
    west, _, east, _ = shapely.bounds(polygon)
    parts = []
    for turn in range(math.floor((west + 180.0) / 360.0), math.ceil((east + 180.0) / 360.0)):
        around = shapely.box(360.0 * turn - 180.0, -90.0, 360.0 * turn + 180.0, 90.0)
        part = shapely.intersection(polygon, around)
        parts.append(shapely.transform(part, partial(np.add, [-360.0 * turn, 0.0])))
    # What touches the antimeridian in a line or a point is no part.
    pieces = shapely.get_parts(shapely.get_parts(parts))
    pieces = pieces[shapely.area(pieces) > 0.0]
    return pieces[0] if len(pieces) == 1 else shapely.multipolygons(pieces)
