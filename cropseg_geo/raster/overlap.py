"""Whether a raster lies where a mask does."""

from __future__ import annotations

import numpy as np
import shapely
from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError

from cropseg_geo.errors import InputError
from cropseg_geo.ground import Ground

_REMEDY = "give the raster of the mask's survey, or correct its CRS: rio edit-info --crs EPSG:32633 FILE"


def require_overlap(path: str, ground: Ground, mask: Ground) -> None:
    """Refuse the raster at ``path``, on ``ground``, where that has no place in common with the mask.

    Raises
    ------
    InputError
        If it lies elsewhere, or nothing leads from one CRS to the other.
    """
    source, target = CRS.from_wkt(mask.crs), CRS.from_wkt(ground.crs)
    try:
        there = Transformer.from_crs(source, target, always_xy=True)
        # The mask's, not the raster's: the corners of a world-wide one lie in no other CRS.
        outline = shapely.transform(mask.outline, lambda xy: np.column_stack(there.transform(*xy.T)))
    except ProjError as err:
        raise InputError(
            f"{path}: nothing leads from the mask's CRS {source.name!r} to {target.name!r} ({err})",
            remedy=_REMEDY,
        ) from err
    is_placed = np.isfinite(shapely.get_coordinates(outline)).all()
    if not (is_placed and shapely.intersects(outline, ground.outline)):
        raise InputError(f"{path}: lies beside the mask", remedy=_REMEDY)
