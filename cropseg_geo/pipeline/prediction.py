"""Probabilities of an array, lazily."""

from __future__ import annotations

from pathlib import Path

import xarray as xr

from cropseg_geo.lazy import lazy_probability
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.zoo import DEFAULT_MODEL


def predict(
    pixels: xr.DataArray,
    model: str | Path = DEFAULT_MODEL,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    tile_px: int | None = None,
    overlap_px: int | None = None,
    scale: tuple[float, float] | None = None,
    batch_size: int = 1,
) -> xr.DataArray:
    """Probability of crop for a georeferenced array, lazily.

    Parameters
    ----------
    pixels
        (band, y, x), numpy- or dask-backed, with a CRS (as odc-geo or rioxarray attach it); bands in the
        model's order. NaN, or ``attrs["_FillValue"]`` / ``.rio.nodata`` in every band, is invalid.
    model
        Name of a model of the zoo, or a weights file.
    backend, device, precision
        What computes the model, see :func:`cropseg_geo.model.backends.choose_predictor`.
    scale
        Stored values that mean 0 and 1; needed for integers wider than 8 bit, and for decimals that are not
        in 0–1. Decimals are taken as a photograph's (:func:`segment` takes a file's as reflectance).

    Returns
    -------
    xarray.DataArray
        float32, dask-backed, NaN where invalid: (y, x) for two classes, else (class, y, x). Nothing is
        computed before ``.compute()``; each tile is inferred once.

    Raises
    ------
    InputError
        For wrong dimensions, a missing CRS, or a GSD that the model does not accept.
    ModelError, ResourceError
        For an unknown model, or a backend that is not installed.
    """
    return lazy_probability(
        pixels,
        choose_predictor(model, backend=backend, device=device, precision=precision),
        tile_px=tile_px,
        overlap_px=overlap_px,
        scale=scale,
        batch_size=batch_size,
    )
