"""From stored values to the 0–1 that a model card's mean and standard deviation speak of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.raster.info import RasterInfo

REFLECTANCE_MAX = 1.5
"""Largest sampled value that still passes for reflectance (specular spots exceed 1)."""

_NODATA_MARKS = (-9999.0, -10000.0, -32767.0, -32768.0, -99999.0, float(np.finfo(np.float32).min))
"""Usual nodata values below zero, where no light is."""


@dataclass(frozen=True)
class ValueScale:
    """Linear map of ``low`` … ``high`` to 0 … 1, clipped; then the sRGB transfer curve where asked.

    Reflectance is linear in light; photographs, on which models are trained, are sRGB-encoded.
    Source of the curve: IEC 61966-2-1.
    """

    low: float
    high: float
    encode_srgb: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.high > self.low):
            raise InputError(
                f"value range {self.low:g} … {self.high:g}: the upper end must lie above the lower one",
                remedy="give --scale LOW,HIGH with LOW < HIGH, for example --scale 0,4000",
            )

    def apply(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """Scale values of any shape to float32 in 0–1; NaN stays NaN."""
        # Numbers of four bytes and more have digits, and a reach, that float32 lacks.
        short = values.dtype.itemsize <= 2 or values.dtype == np.float32
        kind = np.dtype(np.float32 if short else np.float64)
        low, span = kind.type(self.low), kind.type(self.high - self.low)
        with np.errstate(over="ignore"):  # what reaches infinity is white, or black
            unit: npt.NDArray[Any] = (values.astype(kind) - low) / span
        unit = np.clip(unit, 0.0, 1.0, out=unit)
        if self.encode_srgb:
            unit = np.where(unit <= 0.0031308, 12.92 * unit, 1.055 * unit ** (1 / 2.4) - 0.055)
        scaled: npt.NDArray[np.float32] = unit.astype(np.float32, copy=False)
        return scaled

    def __str__(self) -> str:
        return f"{self.low:g}–{self.high:g}" + (" (reflectance, sRGB-encoded)" if self.encode_srgb else "")


def choose_scale(
    info: RasterInfo, scale: tuple[float, float] | None, sample: npt.NDArray[np.float64]
) -> ValueScale:
    """The scale of a raster's values: given, stated by the file, implied by its type, or refused.

    Parameters
    ----------
    info
        The raster.
    scale
        The user's ``(low, high)``.
    sample
        Some valid values, for the error's advice and for the reflectance check.

    Raises
    ------
    InputError
        For 16-bit and wider integers and for floats outside 0–1 without a stated scale, and for values that
        mark nodata without being declared.
    """
    _require_no_mark(info, sample)
    if scale is not None:
        return ValueScale(*scale)
    if info.dtype == "uint8":
        return ValueScale(0, 255)
    kind = np.dtype(info.dtype).kind
    if kind == "u" and info.significant_bits:
        return ValueScale(0, 2**info.significant_bits - 1)
    factor, offset = _stated_scale(info)
    if (factor, offset) != (1.0, 0.0):
        return ValueScale(-offset / factor, (1 - offset) / factor, encode_srgb=True)
    with np.errstate(over="ignore", invalid="ignore"):  # float64 reaches farther than its own differences
        low, high = np.percentile(sample, [0.5, 99.5]) if sample.size else (0.0, 1.0)
    if kind == "f" and low >= -0.1 and high <= REFLECTANCE_MAX:
        return ValueScale(0, 1, encode_srgb=True)
    black, white = _nice(low, down=True), _nice(high, down=False)
    raise InputError(
        f"{info.path}: {info.dtype} values ({low:g} … {high:g} in a sample) and no scale in the file",
        remedy=f"say which values are black and white, for example --scale {black},{white}",
    )


def undeclared_mark(values: npt.NDArray[Any], nodata: float | None) -> float | None:
    """The lowest of some valid values where it is a usual nodata value that was not declared; else None."""
    lowest = float(values.min(initial=0))
    # What is declared may still stand in single bands of pixels that are valid in others.
    return lowest if lowest in _NODATA_MARKS and lowest != nodata else None


def _require_no_mark(info: RasterInfo, sample: npt.NDArray[np.float64]) -> None:
    if (mark := undeclared_mark(sample, info.nodata)) is not None:
        raise InputError(
            f"{info.path}: holds the value {mark:.17g}, which is no light and is not declared as nodata",
            remedy=f"declare it: gdal_edit.py -a_nodata {mark:.17g} FILE",
        )


def _stated_scale(info: RasterInfo) -> tuple[float, float]:
    """Factor and offset that the file states for its data bands."""
    stated = {
        (info.scales[i], info.offsets[i]) for i in range(info.count) if i + 1 != info.alpha_band
    }  # fmt: skip
    factor, offset = min(stated)
    if len(stated) > 1 or not (math.isfinite(factor) and math.isfinite(offset) and factor != 0):
        raise InputError(
            f"{info.path}: states the scales {info.scales} and offsets {info.offsets} for its bands; "
            "one scale, not 0, for all of them is expected",
            remedy="say which values are black and white, for example --scale 0,4000",
        )
    return factor, offset


def _nice(value: float, *, down: bool) -> str:
    """A value rounded outwards to two significant digits, for advice."""
    if value == 0 or not 1e-30 < abs(value) < 1e30:
        return f"{value:g}"
    step = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
    rounded = (np.floor if down else np.ceil)(value / step) * step
    return f"{rounded:g}"
