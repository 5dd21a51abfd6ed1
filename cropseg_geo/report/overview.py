"""The field at a glance: mask and orthomosaic decimated onto one grid, read from overviews.

The mask's grid rules: the overview spans its extent in whole steps of the same affine, so that a rotated
raster stays upright in its own pixels and plots go through one inverse transform. Memory is bounded by the
overview, not by the raster: GDAL decimates while it reads.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from affine import Affine
from rasterio import warp
from rasterio.crs import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError
from cropseg_geo.ground import Ground
from cropseg_geo.raster.band_choice import bands_by_name
from cropseg_geo.raster.info import RasterInfo, decoding, inspect_raster, opened
from cropseg_geo.raster.mask import MaskFiles
from cropseg_geo.raster.overlap import require_overlap
from cropseg_geo.raster.validity import valid_pixels

LONGEST_PX = 3000
"""Longest side of the overview: a phone can hold it, and a 16,000 px raster still shows single plants."""

_STRETCH_PERCENT = (2.0, 98.0)
"""Values outside these percentiles are clipped where a raster is not 8 bit."""

_POINTS_A_SIDE = 21
"""Points of each side of the overview that are brought into the raster's CRS, where it may be a curve."""


@dataclass(frozen=True, eq=False)
class Overview:
    """Mask and photograph on one coarse grid.

    Parameters
    ----------
    ground
        The coarse grid.
    classes
        Class ids (H, W) uint8, 255 = nodata: the most frequent class under each pixel.
    photo
        (H, W, 4) uint8 RGBA, or None without an orthomosaic.
    """

    ground: Ground
    classes: npt.NDArray[np.uint8]
    photo: npt.NDArray[np.uint8] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.ground.shape

    @cached_property
    def north_degrees(self) -> float:
        """Direction of grid north on the page: degrees clockwise from up."""
        inverse = ~self.ground.transform
        col, row = inverse.b, inverse.e  # the pixel step of one unit to the north
        return float(np.degrees(np.arctan2(col, -row)))


def read_overview(
    mask: MaskFiles,
    raster: str | Path | None = None,
    *,
    bands: tuple[int, ...] | None = None,
    longest_px: int = LONGEST_PX,
) -> Overview:
    """Mask, and with ``raster`` the photograph, on the mask's extent with sides of at most ``longest_px``.

    Parameters
    ----------
    raster
        The orthomosaic, on any grid in any CRS.
    bands
        1-based bands of red, green and blue; None finds them.

    Raises
    ------
    InputError
        If the raster does not meet the mask or lacks the bands.
    ReadError
        For damaged pixels.
    """
    info = mask.info
    step = max(1.0, max(info.height, info.width) / longest_px)
    height, width = max(1, round(info.height / step)), max(1, round(info.width / step))
    transform = info.transform @ Affine.scale(info.width / width, info.height / height)
    ground = Ground(transform, info.crs, height, width)
    classes = mask.read_reduced(height, width)
    photo = None if raster is None else _read_photo(inspect_raster(raster), ground, bands)
    return Overview(ground, classes, photo)


def _read_photo(info: RasterInfo, ground: Ground, bands: tuple[int, ...] | None) -> npt.NDArray[np.uint8]:
    chosen = _display_bands(info, bands)
    require_overlap(info.path, info.ground, ground)
    with decoding(info.path):
        values, valid = _read_aligned(info, ground, chosen) or _read_warped(info, ground, chosen)
    if not valid.any():
        raise InputError(
            f"{info.path}: has no valid pixel where the mask lies",
            remedy="give the orthomosaic that the mask was made from",
        )
    photo = np.empty((*ground.shape, 4), np.uint8)
    for channel in range(3):
        band = values[min(channel, len(values) - 1)]
        photo[..., channel] = band if info.dtype == "uint8" else _stretched(band, valid)
    photo[..., 3] = np.where(valid, 255, 0)
    return photo


def _display_bands(info: RasterInfo, bands: tuple[int, ...] | None) -> tuple[int, ...]:
    """Red, green and blue by their flags, else the first three data bands; fewer than three show as grey."""
    data = [band for band in range(1, info.count + 1) if band != info.alpha_band]
    if bands is not None:
        if len(bands) not in (1, 3) or not set(bands) <= set(data):
            raise InputError(
                f"--bands {','.join(map(str, bands))}: {info.path} has the data bands {data}",
                remedy="name three of them (red, green, blue), or one to show it in grey",
            )
        return bands
    named = bands_by_name(info)
    if {"red", "green", "blue"} <= set(named):
        return named["red"], named["green"], named["blue"]
    return tuple(data[:3] if len(data) >= 3 else data[:1])


Pixels = tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]  # values (C, H, W), validity (H, W)


def _read_aligned(info: RasterInfo, ground: Ground, bands: tuple[int, ...]) -> Pixels | None:
    """A plain decimated read where the raster's axes are the overview's and it spans it; else None."""
    to_raster = ~info.transform @ ground.transform
    left, top = to_raster @ (0.0, 0.0)
    right, bottom = to_raster @ (float(ground.width), float(ground.height))
    turned = abs(to_raster.b * ground.height) > 0.5 or abs(to_raster.d * ground.width) > 0.5
    inside = min(left, top) > -0.5 and right < info.width + 0.5 and bottom < info.height + 0.5
    if turned or not inside or to_raster.a <= 0 or to_raster.e <= 0:
        return None
    left, top = max(left, 0.0), max(top, 0.0)
    region = RasterioWindow(left, top, min(right, info.width) - left, min(bottom, info.height) - top)
    with opened(info.path) as dataset:
        if dataset.crs != CRS.from_wkt(ground.crs):
            return None
        shape = ground.shape
        options = {"window": region, "out_shape": (len(bands), *shape), "resampling": Resampling.average}
        values = dataset.read(bands, **options)
        return values, _finite(values) & _valid(dataset, region, shape)


def _valid(dataset: Any, region: RasterioWindow, shape: tuple[int, int]) -> npt.NDArray[np.bool_]:
    """Validity (H, W) of a part of the raster: of the pixels underneath the one in the middle decides.

    Any other resampling leaves nodata values out before they are looked for: one valid pixel would do.
    """
    return valid_pixels(dataset, window=region, out_shape=shape, resampling=Resampling.nearest)


def _read_warped(info: RasterInfo, ground: Ground, bands: tuple[int, ...]) -> Pixels:
    """Any grid, any CRS: GDAL warps onto the overview, from the raster's overviews where it has some."""
    shape = ground.shape
    grid = {"crs": ground.crs, "transform": ground.transform, "height": shape[0], "width": shape[1]}
    with (
        opened(info.path) as dataset,
        WarpedVRT(dataset, **grid, resampling=Resampling.average) as warped,
    ):
        values = warped.read(bands)
        return values, _finite(values) & _warped_validity(dataset, ground)


def _warped_validity(dataset: Any, ground: Ground) -> npt.NDArray[np.bool_]:
    """Validity (H, W) on the overview of a raster on another grid.

    By itself: GDAL's warper has its own rules, which do not put a mask band before a nodata value.
    """
    target = np.zeros(ground.shape, np.uint8)
    if region := _under(dataset, ground):
        # About as many pixels as the overview has.
        step = max(1.0, math.sqrt(region.width * region.height / target.size))
        shape = max(1, round(region.height / step)), max(1, round(region.width / step))
        coarser = Affine.scale(region.width / shape[1], region.height / shape[0])
        warp.reproject(
            _valid(dataset, region, shape).astype(np.uint8),
            target,
            src_transform=dataset.window_transform(region) @ coarser,
            src_crs=dataset.crs,
            dst_transform=ground.transform,
            dst_crs=ground.crs,
            resampling=Resampling.nearest,
        )
    return target > 0


def _under(dataset: Any, ground: Ground) -> RasterioWindow | None:
    """The part of a raster that lies under the overview, whole pixels and two more around; None beside it."""
    along, end = np.linspace(0, 1, _POINTS_A_SIDE), np.ones(_POINTS_A_SIDE)
    sides = np.array([[*along, *along, *(0 * end), *end], [*(0 * end), *end, *along, *along]])  # (2, points)
    there = ground.transform @ (sides * [[ground.width], [ground.height]])
    place = np.array(~dataset.transform @ np.array(warp.transform(ground.crs, dataset.crs, *there)))
    limits = [[dataset.width], [dataset.height]]
    left, top = np.floor(np.clip(place - 2, 0, limits)).min(axis=1)
    right, bottom = np.ceil(np.clip(place + 2, 0, limits)).max(axis=1)
    inside = left < right and top < bottom
    return RasterioWindow(left, top, right - left, bottom - top) if inside else None


def _finite(values: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(values).all(axis=0))


def _stretched(band: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Values of any type → 8 bit, the percentiles of the valid ones to 0 and 255."""
    low, high = np.percentile(band[valid], _STRETCH_PERCENT)
    span = max(float(high - low), 1e-12)
    unit = np.clip((np.where(valid, band, low).astype(np.float32) - low) / span, 0.0, 1.0)
    return np.asarray(np.round(255 * unit), np.uint8)
