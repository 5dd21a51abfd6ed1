"""Probabilities of an array, lazily."""

from __future__ import annotations

from os import PathLike, fspath

import xarray as xr

from cropseg_geo.errors import InputError
from cropseg_geo.lazy import lazy_probability
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.predictor import Predictor
from cropseg_geo.model.zoo import DEFAULT_MODEL
from cropseg_geo.options import Options


def predict(
    pixels: xr.DataArray,
    model: str | PathLike[str] | Predictor = DEFAULT_MODEL,
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    tile_px: int | None = None,
    overlap_px: int | None = None,
    bands: tuple[int, ...] | None = None,
    alpha_band: int | None = None,
    scale: tuple[float, float] | None = None,
    reflectance: bool | None = None,
    batch_size: int = 1,
) -> xr.DataArray:
    """Probability of crop for a georeferenced array, lazily; that of :func:`segment` for the same values.

    Parameters
    ----------
    pixels
        (band, y, x), numpy- or dask-backed, with a CRS (as odc-geo or rioxarray attach it). Bands are found
        by their names, in the coordinate or else in ``attrs["long_name"]``; without names they are in the
        model's order. Valid is where the alpha band is above 0; without one, where any band is other than
        the nodata value, which is ``.rio.nodata`` or the attribute ``_FillValue``, ``missing_value``,
        ``fill_value``, ``nodata`` or ``nodatavals``, the first of these. NaN is invalid in any case.
    model
        Name of a model of the zoo, a weights file, or an object with the ``card`` and the ``predict`` of
        :class:`cropseg_geo.model.predictor.Predictor`.
    backend, device, precision
        What computes a named model or a file, see :func:`cropseg_geo.model.backends.choose_predictor`.
    tile_px, overlap_px
        Tile side, a multiple of the network's stride, and overlap, at most half of it; None takes the card's.
    bands
        1-based numbers of the bands to read, in the model's order; None finds them.
    alpha_band
        1-based number of a band that means validity; None takes the one that is called alpha.
    scale
        Stored values that mean 0 and 1; None takes 0–255 for 8 bits, 0–1 for decimals, and for wider integers
        ``attrs["scale_factor"]`` and ``["add_offset"]``, without which it has to be given.
    reflectance
        True for reflectance, which gets the sRGB curve, False for values as photographs have them. None takes
        8 bits and what ``scale`` says as a photograph's, and as reflectance integers with a stated scale and
        decimals as a file holds them or its scale decodes them (as ``.encoding`` tells); for decimals that
        were computed it has to be given.
    batch_size
        Tiles the model sees at once.

    Returns
    -------
    xarray.DataArray
        float32, dask-backed, NaN where invalid: (y, x) for two classes, else (class, y, x). Nothing is
        computed before ``.compute()``; each tile is inferred once.

    Raises
    ------
    InputError
        For wrong dimensions or bands, a missing CRS or scale, a GSD that the model does not accept, tiles
        that do not fit together. When it is computed: for a usual nodata value below zero that is not
        declared, and for decimals above 1.5 without a scale.
    ModelError, ResourceError
        For an unknown model, or a backend that is not installed.
    """
    options = Options(
        bands=bands,
        scale=scale,
        alpha_band=alpha_band,
        tile_px=tile_px,
        overlap_px=overlap_px,
        batch_size=batch_size,
    )
    predictor = _predictor(model, backend=backend, device=device, precision=precision)
    return lazy_probability(pixels, predictor, options, reflectance=reflectance)


def _predictor(model: str | PathLike[str] | Predictor, **computing: str) -> Predictor:
    if isinstance(model, str | PathLike):
        return choose_predictor(fspath(model), **computing)
    if not isinstance(model, Predictor):
        raise InputError(
            f"the model is of the type {type(model).__name__}; a name, a file or an object with card and "
            "predict is expected",
            remedy="export the network as ONNX, and make a model file of it with cropseg_geo.save_model",
        )
    if set(computing.values()) != {"auto"}:
        raise InputError(
            "backend, device and precision are for models that are named or files",
            remedy="leave them out: the object says itself how it computes",
        )
    return model
