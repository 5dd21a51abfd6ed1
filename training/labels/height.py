"""Canopy height on the orthomosaic's grid: surface minus terrain, whatever grids the two come on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from odc.geo.geobox import GeoBox
from rasterio.enums import Resampling
from rasterio.errors import RasterioError
from rasterio.warp import reproject, transform
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.grid import Window
from cropseg_geo.raster.heights import HIGHEST_M, LOWEST_M, metres_per_unit
from cropseg_geo.raster.info import RasterInfo, inspect_raster, opened

Heights = npt.NDArray[np.float32]

COARSEST_GSD_M = 0.20
"""Above 20 cm a height pixel is wider than most crops' rows are apart, and says nothing of a plant."""

_SOURCE_MARGIN_PX = 3  # what bilinear interpolation reaches, and rounding

_EDGE_POINTS = 17


@dataclass(frozen=True)
class HeightArray:
    """Heights in memory with their place.

    Parameters
    ----------
    values
        (H, W) float32 in metres, NaN where unknown.
    geobox
        The grid that they lie on.
    """

    values: Heights
    geobox: GeoBox


def inspect_heights(path: str | Path) -> RasterInfo:
    """Facts of a surface or terrain model.

    Raises
    ------
    InputError
        If it cannot be opened or has no CRS, more than one data band, colours for values, an unknown unit of
        height, or pixels above 20 cm.
    """
    info = inspect_raster(path)
    if info.count - (info.alpha_band is not None) != 1 or info.dtype == "uint8":
        raise InputError(
            f"{path}: has {info.count} band(s) of {info.dtype}; a height model is one band of elevations",
            remedy="give the DSM (digital surface model) export of the photogrammetry, not a picture of it",
        )
    if info.ground.gsd_m > COARSEST_GSD_M:
        raise InputError(
            f"{path}: {info.ground.gsd_m * 100:.3g} cm/px; plants are seen in heights of at most "
            f"{COARSEST_GSD_M * 100:g} cm/px",
            remedy="export the DSM at its full resolution",
        )
    with opened(info.path) as dataset:
        metres_per_unit(info.path, dataset)
    return info


def canopy_height(dsm: Heights, dtm: Heights) -> Heights:
    """Height of the canopy above ground, DSM − DTM on one grid; NaN where either is unknown.

    Negative heights stay: they are the noise that the threshold is measured against.
    """
    if dsm.shape != dtm.shape:
        raise InputError(f"the DSM is {dsm.shape}, the DTM {dtm.shape}; both must lie on one grid")
    return np.asarray(dsm - dtm, dtype=np.float32)


def read_onto(info: RasterInfo, geobox: GeoBox) -> Heights:
    """Heights (H, W) float32 in metres, resampled to ``geobox``: bilinear, averaged where it is coarser.

    NaN where the file has no value: outside it, at its nodata, and at heights that no field has.

    Raises
    ------
    ReadError
        If the file's bytes cannot be decoded.
    """
    window = window_under(info, geobox)
    if not window:
        return np.full(geobox.shape, np.nan, dtype=np.float32)
    return resample_onto(read_window(info, window), geobox)


def resample_onto(heights: HeightArray, geobox: GeoBox) -> Heights:
    """Heights in memory on another grid: bilinear, NaN where unknown."""
    out = np.full(geobox.shape, np.nan, dtype=np.float32)
    reproject(
        heights.values,
        out,
        src_transform=heights.geobox.transform,
        src_crs=str(heights.geobox.crs),
        dst_transform=geobox.transform,
        dst_crs=str(geobox.crs),
        src_nodata=np.nan,
        dst_nodata=np.nan,
        resampling=Resampling.bilinear,
    )
    return out


def window_under(info: RasterInfo, geobox: GeoBox) -> Window:
    """The file's pixels that a grid lies on, with a small margin; of size 0 where they do not meet."""
    # Points along the edges, not only the corners: edges bend on the way to another CRS.
    part, nought = np.linspace(0.0, 1.0, _EDGE_POINTS), np.zeros(_EDGE_POINTS)
    edges = np.concatenate([(part, nought), (part, nought + 1), (nought, part), (nought + 1, part)], axis=1)
    outline = geobox.transform @ (edges[0] * geobox.width, edges[1] * geobox.height)
    x, y = (np.asarray(axis) for axis in transform(str(geobox.crs), info.crs, *outline))
    # A CRS that cannot hold the place gives infinite coordinates: no overlap.
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return Window(0, 0, 0, 0)
    cols, rows = ~info.transform @ (x, y)
    top, left = (int(np.floor(axis.min())) - _SOURCE_MARGIN_PX for axis in (rows, cols))
    bottom, right = (int(np.ceil(axis.max())) + _SOURCE_MARGIN_PX for axis in (rows, cols))
    inside = Window(0, 0, info.height, info.width)
    return Window(top, left, bottom - top, right - left) & inside


def read_window(info: RasterInfo, window: Window, *, shrink: int = 1) -> HeightArray:
    """Heights of a window of the file, in metres; ``shrink`` > 1 averages that many pixels into one.

    Raises
    ------
    ReadError
        If the file's bytes cannot be decoded.
    """
    shape = (-(-window.height // shrink), -(-window.width // shrink))
    region = RasterioWindow(window.col, window.row, window.width, window.height)
    try:
        with opened(info.path) as dataset:
            metres = metres_per_unit(info.path, dataset)
            options = {"window": region, "out_shape": shape, "resampling": Resampling.average}
            stored = dataset.read(1, masked=True, **options)
    except RasterioError as err:
        raise ReadError(f"{info.path}: {window} cannot be read ({err.__cause__ or err})") from err
    values = np.ma.filled(stored.astype(np.float64), np.nan) * metres
    with np.errstate(invalid="ignore"):
        values[(values < LOWEST_M) | (values > HIGHEST_M)] = np.nan
    place = info.transform @ info.transform.translation(window.col, window.row)
    place = place @ info.transform.scale(window.width / shape[1], window.height / shape[0])
    return HeightArray(values.astype(np.float32), GeoBox(shape, place, info.crs))


def require_overlap(ortho: RasterInfo, heights: RasterInfo) -> None:
    """Raise InputError where two rasters do not meet on the ground."""
    if not window_under(heights, ortho.geobox):
        raise InputError(
            f"{heights.path} does not overlap {ortho.path}",
            remedy="give the height model of the same flight; compare corners and CRS of both with gdalinfo",
        )
