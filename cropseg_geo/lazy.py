"""xarray in, lazy xarray out."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
import xarray as xr
from odc.geo.geobox import GeoBox
from odc.geo.xr import ODCExtensionDa
from pyproj import CRS

from cropseg_geo.engine.graph import Inference
from cropseg_geo.engine.lazy import blended_array
from cropseg_geo.engine.plan import TILES_PER_BLOCK_SIDE, choose_gsd, make_plan
from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.model.predictor import Predictor
from cropseg_geo.raster.band_names import BAND_NAMES, plain_name
from cropseg_geo.raster.scaling import REFLECTANCE_MAX, ValueScale


def lazy_probability(
    pixels: xr.DataArray,
    predictor: Predictor,
    *,
    tile_px: int | None = None,
    overlap_px: int | None = None,
    scale: tuple[float, float] | None = None,
    batch_size: int = 1,
) -> xr.DataArray:
    """Blended probabilities of ``pixels``; see :func:`cropseg_geo.pipeline.predict`."""
    card = predictor.card
    box = _geobox(pixels, card.bands)
    ground = Ground(box.transform, CRS.from_user_input(box.crs).to_wkt(), box.height, box.width)
    if choose_gsd(ground.gsd_m, card.gsd_range_m, None, card.name) != ground.gsd_m:
        low, high = card.gsd_range_m
        raise InputError(
            f"the array has {ground.gsd_m:.3g} m/px; model {card.name!r} accepts {low:g}–{high:g} m/px",
            remedy="resample it first, for example with .odc.reproject(crs, resolution=…)",
        )
    values, valid = _arrays(pixels)
    if scale is None and values.dtype.kind == "f":
        # Where they are invalid, values may be anything.
        values = da.where(valid, values, 0).map_blocks(_require_unit, dtype=values.dtype)
    plan = make_plan(
        shape=(box.height, box.width),
        extent=Window(0, 0, box.height, box.width),
        tile_px=tile_px or card.tile_px,
        overlap_px=card.overlap_px if overlap_px is None else overlap_px,
        channels=card.channels,
        identity={},
        tiles_per_side=TILES_PER_BLOCK_SIDE,
    )
    inference = Inference(predictor, _scale(pixels, scale), plan, batch_size)
    array = blended_array(inference, values, valid)
    dims = pixels.dims[1:]
    coords = {name: c for name, c in pixels.coords.items() if set(c.dims) <= set(dims)}
    attrs = {"long_name": "probability of crop", "model": f"{card.name} {card.version}"}
    if plan.channels == 1:
        return xr.DataArray(array[0], dims=dims, coords=coords, attrs=attrs, name="probability")
    coords["class"] = list(card.classes)
    return xr.DataArray(array, dims=("class", *dims), coords=coords, attrs=attrs, name="probability")


def _geobox(pixels: xr.DataArray, bands: tuple[str, ...]) -> GeoBox:
    if not isinstance(pixels, xr.DataArray):
        raise InputError(
            f"pixels are of the type {type(pixels).__name__}; an xarray.DataArray is expected",
            remedy="open the raster with odc-geo or rioxarray, or give the file to segment",
        )
    spatial = ODCExtensionDa(pixels).spatial_dims
    if pixels.ndim != 3 or pixels.shape[0] != len(bands) or (spatial and spatial != pixels.dims[1:]):
        raise InputError(
            f"the array has dimensions {dict(zip(pixels.dims, pixels.shape, strict=True))}; "
            f"(band, y, x) with {len(bands)} bands in the model's order is expected",
            remedy='transpose it with .transpose("band", "y", "x") and select the bands',
        )
    _require_order(pixels, bands)
    box = ODCExtensionDa(pixels).geobox
    if not isinstance(box, GeoBox) or box.crs is None or not _lies_on(pixels, box):
        raise InputError(
            "the array has no CRS or its coordinates are not a regular grid",
            remedy="attach one, for example with odc.geo.xr.assign_crs(array, 'EPSG:32633')",
        )
    return box


def _require_order(pixels: xr.DataArray, bands: tuple[str, ...]) -> None:
    """Refuse bands whose coordinate names other colours than the model's, or in another order."""
    axis = pixels.dims[0]
    named = [str(name) for name in pixels.coords[axis].values] if axis in pixels.coords else []
    plain = [plain_name(name) for name in named]
    if any(name in BAND_NAMES and name != band for name, band in zip(plain, bands, strict=False)):
        raise InputError(
            f"the array's bands are {', '.join(named)}; the model reads {', '.join(bands)}",
            remedy=f"select them in this order, with .sel({axis}=[…])",
        )


def _lies_on(pixels: xr.DataArray, box: GeoBox) -> bool:
    """True where the coordinates are the box's own: without a regular step it comes from attributes alone."""
    if not box.axis_aligned:
        return True
    axes = zip(pixels.dims[1:], box.dimensions, (box.resolution.y, box.resolution.x), strict=True)
    return all(
        np.allclose(pixels[dim].to_numpy(), box.coordinates[name].values, rtol=0, atol=0.1 * abs(step))
        for dim, name, step in axes
        if dim in pixels.coords
    )


def _require_unit(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Refuse values that are no share of white, which would all be clipped to it."""
    high = values.max(initial=0, where=np.isfinite(values))
    if high > REFLECTANCE_MAX:
        raise InputError(
            f"the array holds decimals up to {high:g} and no scale was given",
            remedy="say which values mean 0 and 1, for example scale=(0, 255)",
        )
    return values


def _arrays(pixels: xr.DataArray) -> tuple[da.Array, da.Array]:
    """Values (C, H, W) and validity (H, W), both dask arrays."""
    if pixels.dtype.kind not in "uif":
        raise InputError(
            f"the array holds {pixels.dtype} values",
            remedy="give integers or decimals, for example .astype('u1')",
        )
    values = da.asarray(pixels.data)
    nodata = pixels.attrs.get("_FillValue", pixels.attrs.get("nodata", pixels.encoding.get("_FillValue")))
    valid = da.ones(values.shape[1:], chunks=values.chunks[1:], dtype=bool)
    if nodata is not None and not np.isnan(nodata):
        valid = (values != nodata).any(axis=0)
    if values.dtype.kind == "f":
        valid &= da.isfinite(values).all(axis=0)
    return values, valid


def _scale(pixels: xr.DataArray, scale: tuple[float, float] | None) -> ValueScale:
    if scale is not None:
        return ValueScale(*scale)
    if pixels.dtype == np.uint8:
        return ValueScale(0, 255)
    if pixels.dtype.kind == "f":
        return ValueScale(0, 1)
    raise InputError(
        f"the array holds {pixels.dtype} values and no scale was given",
        remedy="say which values mean 0 and 1, for example scale=(0, 4000)",
    )
