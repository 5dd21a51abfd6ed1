"""From stored values to the 0–1 that a model card's mean and standard deviation speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.raster.info import RasterInfo

REFLECTANCE_MAX = 1.5
"""Largest sampled value that still passes for reflectance (specular spots exceed 1)."""

_WHOLE_REFLECTANCE = (100, 10_000, 32_768, 65_535)
"""Values by which producers say that all light is reflected: percent, most, MicaSense, all of 16 bits."""

_WHITES = (255, 1023, 4095, 16_383, 65_535)
"""White of photographs of 8, 10, 12, 14 and 16 bits."""

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
    info: RasterInfo,
    bands: Sequence[int],
    sample: npt.NDArray[np.float64],
    *,
    scale: tuple[float, float] | None = None,
    reflectance: bool = False,
) -> ValueScale:
    """The scale of a raster's values: given, stated by the file, implied by its type, or refused.

    Parameters
    ----------
    info
        The raster.
    bands
        The bands to read, from 1.
    sample
        Some valid values (bands, N), for the error's advice and for the reflectance check.
    scale
        The user's ``(low, high)``.
    reflectance
        The user's word that values are linear in light; else that goes by the file.

    Raises
    ------
    InputError
        For 16-bit and wider integers and for floats outside 0–1 without a stated scale, for several scales,
        and for values that mark nodata without being declared.
    """
    _require_no_mark(info, sample)
    if scale is not None:
        return ValueScale(*scale, encode_srgb=reflectance)
    if info.dtype == "uint8":
        return ValueScale(0, 255, encode_srgb=reflectance)
    kind = np.dtype(info.dtype).kind
    if kind == "u" and info.significant_bits:
        return ValueScale(0, 2**info.significant_bits - 1, encode_srgb=reflectance)
    stated = sorted({info.stated_scale(band) for band in bands})
    if len(stated) > 1:
        raise InputError(
            f"{info.path}: states different scales and offsets for bands {tuple(bands)}: "
            + ", ".join(f"{factor:g} and {offset:g}" for factor, offset in stated),
            remedy=_advice(sample),
        )
    factor, offset = stated[0]
    if (factor, offset) != (1.0, 0.0):
        return ValueScale(-offset / factor, (1 - offset) / factor, encode_srgb=True)
    low, high = _range(sample)
    if kind == "f" and low >= -0.1 and high <= REFLECTANCE_MAX:
        return ValueScale(0, 1, encode_srgb=True)
    raise InputError(
        f"{info.path}: {info.dtype} values ({low:g} … {high:g} in a sample) and no scale in the file",
        remedy=_advice(sample),
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
            remedy=f"declare it: rio edit-info --nodata {mark:.17g} FILE",
        )


def _range(sample: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Between which values nearly all of the sample lies."""
    with np.errstate(over="ignore", invalid="ignore"):  # float64 reaches farther than its own differences
        low, high = np.percentile(sample, [0.5, 99.5]) if sample.size else (0.0, 1.0)
    return float(low), float(high)


def _advice(sample: npt.NDArray[np.float64]) -> str:
    """What to say of values like these: as a photograph, and as reflectance where they can be that."""
    low, high = _range(sample)
    whites = [white for white in _WHITES if low >= 0 and high <= white < 1.25 * high]
    ends = f"0,{whites[0]}" if whites else f"{_nice(low, down=True)},{_nice(high, down=False)}"
    photograph = f"which values are black and white, for example --scale {ends}"
    wholes = [f"--scale 0,{whole}" for whole in _WHOLE_REFLECTANCE if high <= whole < 20 * high]
    if not wholes or low < -0.1 * high:
        return f"say {photograph}, and --reflectance if they are reflectance"
    return (
        f"say which is full reflectance, --reflectance {' or '.join(wholes)}; of a photograph, {photograph}"
    )


def _nice(value: float, *, down: bool) -> str:
    """A value rounded outwards to two significant digits, for advice."""
    if value == 0 or not 1e-30 < abs(value) < 1e30:
        return f"{value:g}"
    step = 10.0 ** (np.floor(np.log10(abs(value))) - 1)
    rounded = (np.floor if down else np.ceil)(value / step) * step
    return f"{rounded:g}"
