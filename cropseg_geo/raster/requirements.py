"""What a raster file has to be so that it can be worked on: whole, placed on Earth, of plain pixels."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from rasterio.enums import Interleaving
from rasterio.errors import NotGeoreferencedWarning

from cropseg_geo.errors import InputError
from cropseg_geo.paths import is_there

MAX_BLOCK_BYTES = 1 << 30
"""Largest stored block, decoded. GDAL decodes blocks as a whole: larger ones would fill the memory."""


def require_sources(path: str, dataset: Any) -> None:
    """Refuse a virtual raster of which parts are missing: a run would stop where it comes to them.

    Raises
    ------
    InputError
        Names the first of the missing files.
    """
    if dataset.driver != "VRT":
        return
    sources = [name for name in dataset.files if name != path and _is_plain_path(name)]
    missing = [name for name in sources if not is_there(name)]
    if missing:
        raise InputError(
            f"{path}: of the {len(sources)} files that it is made of {len(missing)} cannot be found, "
            f"the first is {missing[0]}",
            remedy="put them where it looks for them, or make it again: gdalbuildvrt OUT.vrt FILES",
        )


def _is_plain_path(name: str) -> bool:
    """False for what a driver's prefix, a web address or a virtual file system stands before."""
    return not name.startswith(("/vsi", "<")) and ":" not in name[2:]


def require_georeference(path: str, dataset: Any) -> None:
    """Refuse a raster whose pixels have no place on Earth.

    Raises
    ------
    InputError
        Without a CRS or a geotransform, or with a geotransform that leads nowhere.
    """
    is_unplaced = dataset.crs is None or dataset.transform.is_identity
    if is_unplaced and (dataset.gcps[0] or dataset.rpcs):
        points = f"{len(dataset.gcps[0])} ground control points" if dataset.gcps[0] else ""
        option = "" if points else "-rpc -t_srs EPSG:32633 "
        raise InputError(
            f"{path}: is placed by {points or 'a camera model (RPC)'}, not by a geotransform; "
            "a rectified orthomosaic is expected",
            remedy=f"rectify it: gdalwarp {option}-r cubic -dstalpha FILE OUT",
        )
    if dataset.crs is None:
        raise InputError(
            f"{path}: has no coordinate reference system (CRS), so neither its GSD nor areas are known",
            remedy=f"assign the one it was made in, for example: {_assigning(path, dataset.driver)}",
        )
    transform = dataset.transform
    if transform.is_identity or transform.is_degenerate or not _is_placed(dataset):
        raise InputError(
            f"{path}: has a CRS but no geotransform (pixel size and origin)",
            remedy="keep the .tfw or .aux.xml file beside it, or export it again with georeferencing",
        )
    if not all(map(math.isfinite, transform)):
        raise InputError(
            f"{path}: its geotransform holds {tuple(transform)[:6]}, which is no place on Earth",
            remedy="export it again with georeferencing",
        )


def _assigning(path: str, driver: str) -> str:
    if driver == "GTiff":
        return "rio edit-info --crs EPSG:32633 FILE"
    # rio, too, would write this file, but delete the world file beside a JPEG.
    return f"save a text file {path}.aux.xml with <PAMDataset><SRS>EPSG:32633</SRS></PAMDataset>"


def _is_placed(dataset: Any) -> bool:
    """False where GDAL has made up a part of the geotransform: a pixel size without an origin."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", NotGeoreferencedWarning)
        try:
            dataset.read_transform()
        except NotGeoreferencedWarning:
            return False
    return True


def require_pixels(path: str, dataset: Any) -> None:
    """Refuse pixels that are no values of light or height, and blocks that no memory should be asked for.

    Raises
    ------
    InputError
        For complex pixels, bands of several types, and stored blocks of more than a gibibyte.
    """
    types = sorted(set(dataset.dtypes))
    if len(types) > 1 or np.dtype(types[0]).kind not in "uif":
        raise InputError(
            f"{path}: its bands hold {' and '.join(types)}; integers or decimals of one type are expected",
            remedy="convert it: gdal_translate -ot Byte (or UInt16, Float32) FILE OUT",
        )
    rows, cols = dataset.block_shapes[0]
    size = rows * cols * np.dtype(types[0]).itemsize
    size *= dataset.count if dataset.interleaving is Interleaving.pixel else 1
    if size > MAX_BLOCK_BYTES:
        raise InputError(
            f"{path}: is stored in blocks of {rows} × {cols} pixels, {size / 2**30:.1f} GiB each",
            remedy="store it in tiles: gdal_translate -co TILED=YES -co COMPRESS=DEFLATE FILE OUT",
        )
