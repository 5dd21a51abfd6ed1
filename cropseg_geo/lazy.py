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
from cropseg_geo.options import Options
from cropseg_geo.preflight import require_stride
from cropseg_geo.raster.array import ArrayBands, read_bands, read_nodata, read_scale
from cropseg_geo.raster.band_choice import choose_bands
from cropseg_geo.raster.scaling import REFLECTANCE_MAX, ValueScale, undeclared_mark


def lazy_probability(
    pixels: xr.DataArray, predictor: Predictor, options: Options, *, reflectance: bool | None = None
) -> xr.DataArray:
    """Blended probabilities of ``pixels``; see :func:`cropseg_geo.pipeline.predict`.

    Of the options count ``bands``, ``scale``, ``alpha_band``, ``tile_px``, ``overlap_px`` and ``batch_size``.
    """
    card = predictor.card
    box = _geobox(pixels)
    named = read_bands(pixels)
    bands = _bands(named, card.bands, options)
    ground = Ground(box.transform, CRS.from_user_input(box.crs).to_wkt(), box.height, box.width)
    if choose_gsd(ground.gsd_m, card.gsd_range_m, None, card.name) != ground.gsd_m:
        low, high = card.gsd_range_m
        raise InputError(
            f"the array has {ground.gsd_m:.3g} m/px; model {card.name!r} accepts {low:g}–{high:g} m/px",
            remedy="resample it first, for example with .odc.reproject(crs, resolution=…)",
        )
    scale = read_scale(pixels, options.scale, reflectance)
    nodata = read_nodata(pixels)
    values, valid = _arrays(pixels, bands, options.alpha_band or named.alpha_band, nodata)
    values = _checked(values, valid, nodata, unit=scale if options.scale is None else None)
    plan = make_plan(
        shape=(box.height, box.width),
        extent=Window(0, 0, box.height, box.width),
        tile_px=options.tile_px or card.tile_px,
        overlap_px=card.overlap_px if options.overlap_px is None else options.overlap_px,
        channels=card.channels,
        identity={},
        tiles_per_side=TILES_PER_BLOCK_SIDE,
    )
    require_stride(plan, card)
    array = blended_array(Inference(predictor, scale, plan, options.batch_size or 1), values, valid)
    dims = pixels.dims[1:]
    coords = {name: c for name, c in pixels.coords.items() if set(c.dims) <= set(dims)}
    attrs = {"long_name": "probability of crop", "model": f"{card.name} {card.version}"}
    if plan.channels == 1:
        return xr.DataArray(array[0], dims=dims, coords=coords, attrs=attrs, name="probability")
    coords["class"] = list(card.classes)
    return xr.DataArray(array, dims=("class", *dims), coords=coords, attrs=attrs, name="probability")


def _geobox(pixels: xr.DataArray) -> GeoBox:
    if not isinstance(pixels, xr.DataArray):
        raise InputError(
            f"pixels are of the type {type(pixels).__name__}; an xarray.DataArray is expected",
            remedy="open the raster with odc-geo or rioxarray, or give the file to segment",
        )
    spatial = ODCExtensionDa(pixels).spatial_dims
    if pixels.ndim != 3 or (spatial and spatial != pixels.dims[1:]):
        remedy = 'make it three, for example with .isel(time=0) or .expand_dims("band")'
        if pixels.ndim == 3 and spatial:
            order = [dim for dim in pixels.dims if dim not in spatial] + list(spatial)
            remedy = f"transpose it with .transpose({', '.join(map(repr, order))})"
        raise InputError(
            f"the array has dimensions {dict(zip(pixels.dims, pixels.shape, strict=True))}; "
            "(band, y, x) are expected, in this order",
            remedy=remedy,
        )
    box = ODCExtensionDa(pixels).geobox
    if not isinstance(box, GeoBox) or box.crs is None or not _lies_on(pixels, box):
        raise InputError(
            "the array has no CRS or its coordinates are not a regular grid",
            remedy="attach one, for example with odc.geo.xr.assign_crs(array, 'EPSG:32633')",
        )
    return box


def _bands(named: ArrayBands, wanted: tuple[str, ...], options: Options) -> tuple[int, ...]:
    """1-based indexes of the model's bands, as :func:`choose_bands`; other bands have to be known for what
    they are, for an array does not say which of its bands is alpha."""
    chosen = choose_bands(named, wanted, options.bands, options.alpha_band)
    are_named = set(wanted) <= set(named.colours)
    others = set(range(1, named.count + 1)) - {*chosen, options.alpha_band, named.alpha_band}
    if options.bands is None and not all(are_named and named.names[band - 1] for band in others):
        alpha = f"alpha_band={named.count}, if the last one is alpha, or with "
        raise InputError(
            f"the array has {named.count} bands; the model reads {len(wanted)} bands ({', '.join(wanted)})",
            remedy=f"say what they are, with {alpha if len(others) == 1 else ''}bands={chosen}",
        )
    return chosen


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


def _arrays(
    pixels: xr.DataArray, bands: tuple[int, ...], alpha_band: int | None, nodata: float | None
) -> tuple[da.Array, da.Array]:
    """Values (C, H, W) of the bands and validity (H, W), both dask arrays.

    Validity is a file's: by the alpha band, else by the nodata value in every band.
    """
    stored = da.asarray(pixels.data)
    values = stored[[band - 1 for band in bands]]
    if alpha_band is not None:
        valid = stored[alpha_band - 1] > 0
    elif nodata is not None:
        valid = (stored != nodata).any(axis=0)
    else:
        valid = da.ones(values.shape[1:], chunks=values.chunks[1:], dtype=bool)
    if values.dtype.kind == "f":
        valid &= da.isfinite(values).all(axis=0)
    return values, valid


def _checked(values: da.Array, valid: da.Array, nodata: float | None, *, unit: ValueScale | None) -> da.Array:
    """The values, refused when they are computed where they are no light.

    ``unit`` is the scale of decimals of which nobody said which values mean 0 and 1.
    """
    if values.dtype.kind == "u":
        return values
    # Where they are invalid, values may be anything.
    seen = da.where(valid, values, 0)
    unit = unit if values.dtype.kind == "f" else None
    checked: da.Array = seen.map_blocks(_require_light, nodata, unit, dtype=values.dtype)
    return checked


def _require_light(
    values: npt.NDArray[Any], nodata: float | None, unit: ValueScale | None
) -> npt.NDArray[Any]:
    """Refuse a nodata value that was not declared, and what are no shares of white: they would be clipped."""
    if (mark := undeclared_mark(values, nodata)) is not None:
        raise InputError(
            f"the array holds the value {mark:.17g}, which is no light and is not declared as nodata",
            remedy=f'declare it: array.attrs["_FillValue"] = {mark:.17g}',
        )
    if unit is not None and (high := values.max(initial=0)) > REFLECTANCE_MAX:
        linear = ", reflectance=True" if unit.encode_srgb else ""
        raise InputError(
            f"the array holds decimals up to {high:g} and no scale was given",
            remedy="say which values mean 0 and 1: scale=(0, 255), for example, or, where no more than a few "
            f"spots are brighter than white, scale=(0, 1){linear}",
        )
    return values
