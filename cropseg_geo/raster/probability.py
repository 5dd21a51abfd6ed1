"""Probability rasters: steps of 1/254 as they are written here, or decimals as others write them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.cog import PROBABILITY_STEPS
from cropseg_geo.raster.info import decoding
from cropseg_geo.raster.mask_values import read_decoded, region_of
from cropseg_geo.raster.pyramid import NODATA
from cropseg_geo.raster.validity import valid_pixels

_ROUNDED = 1e-6
"""By how much a probability in single precision may miss 0 and 1."""


def read_probability(dataset: Any, window: Window) -> npt.NDArray[np.float32]:
    """Probability (H, W) of an open raster, NaN where nodata; of several bands the highest.

    Raises
    ------
    InputError
        For values that are none.
    ReadError
        If the file's bytes cannot be decoded.
    """
    region = region_of(window)
    values = read_decoded(dataset, None, window=region)
    if values.dtype == np.uint8 and all(_is_of_steps(scale) for scale in dataset.scales):
        return probability_of(values)
    scale, offset = np.array([dataset.scales, dataset.offsets])[:, :, None, None]
    stated = (values * scale + offset).astype(np.float32)
    with decoding(dataset.name, region):
        stated[:, ~valid_pixels(dataset, window=region)] = np.nan
    is_none = (stated < -_ROUNDED) | (stated > 1 + _ROUNDED)
    if is_none.any():
        band, row, col = np.argwhere(is_none)[0].tolist()
        raise InputError(
            f"{dataset.name}: holds {stated[band, row, col]:g} in row {window.row + row}, "
            f"column {window.col + col}; a probability is 0 to 1, or uint8 in steps of 1/{PROBABILITY_STEPS}",
            remedy="divide it by its highest value, or state the band's scale: gdal_edit.py -scale 0.01 FILE",
        )
    highest: npt.NDArray[np.float32] = np.fmax.reduce(stated, axis=0)
    return np.clip(highest, 0, 1)


def _is_of_steps(scale: float) -> bool:
    """True where bytes are steps of ours, or say nothing else; percent, for one, do."""
    return scale == 1.0 or math.isclose(scale, 1 / PROBABILITY_STEPS)


def probability_of(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Steps (bands, H, W) → probability (H, W), NaN where nodata."""
    highest = steps.max(axis=0) if len(steps) > 1 else steps[0]
    probability: npt.NDArray[np.float32] = highest / np.float32(PROBABILITY_STEPS)
    probability[highest == NODATA] = np.nan
    return probability
