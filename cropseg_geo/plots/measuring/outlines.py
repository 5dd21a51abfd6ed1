"""Outlines as they are measured: within a buffer, and whether they overlap."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from cropseg_geo.errors import InputError
from cropseg_geo.plots.measuring.frame import LocalFrame
from cropseg_geo.plots.naming import named

_TOUCH = 1e-6
"""Share of the smaller plot from which on two plots overlap; less is rounding where they touch."""

_POLYGON_TYPES = (3, 6)  # shapely type ids of Polygon and MultiPolygon


def within_buffer(
    outlines_px: npt.NDArray[Any], ids: Sequence[object], frame: LocalFrame, buffer_m: float
) -> npt.NDArray[Any]:
    """Outlines in pixels without a strip of ``buffer_m`` metres inside their edge.

    Raises
    ------
    InputError
        If nothing is left of a plot; names the plots and the widest buffer that would do.
    """
    outlines_m = frame.to_metres(outlines_px)
    inner = shapely.buffer(outlines_m, -buffer_m, join_style="mitre")
    is_lost = ~(np.isin(shapely.get_type_id(inner), _POLYGON_TYPES) & (shapely.area(inner) > 0))
    if is_lost.any():
        lost = np.flatnonzero(is_lost)
        widest = min(float(shapely.maximum_inscribed_circle(g).length) for g in outlines_m[lost])
        raise InputError(
            f"a buffer of {buffer_m:g} m leaves nothing of {named([ids[int(i)] for i in lost])}",
            remedy=f"choose a --buffer below {widest:.3g} m, or leave these plots out",
        )
    return frame.to_pixels(inner)


def overlapping(outlines_px: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    """Which outlines (n,) share area with another."""
    # Drawn in towards their centres, neighbours that only touch fall out at once.
    centres = shapely.get_coordinates(shapely.centroid(outlines_px))
    repeats = shapely.get_num_coordinates(outlines_px)
    points = shapely.get_coordinates(outlines_px)
    moved = points + (np.repeat(centres, repeats, axis=0) - points) * (_TOUCH / 2)
    shrunk = shapely.set_coordinates(outlines_px.copy(), moved)
    one, other = shapely.STRtree(shrunk).query(shrunk, predicate="intersects")
    one, other = one[one < other], other[one < other]
    shared = shapely.area(shapely.intersection(outlines_px[one], outlines_px[other]))
    area = shapely.area(outlines_px)
    is_real = shared > _TOUCH * np.minimum(area[one], area[other])
    flags = np.zeros(len(outlines_px), np.bool_)
    flags[one[is_real]] = flags[other[is_real]] = True
    return flags
