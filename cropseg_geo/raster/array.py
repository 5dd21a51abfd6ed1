"""What a georeferenced xarray says of itself: its bands' names, its nodata value, the scale of its values.

The same questions as :mod:`cropseg_geo.raster.info` asks of a file, of the places where rioxarray, odc-geo
and xarray keep the answers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from cropseg_geo.errors import InputError
from cropseg_geo.raster.band_names import BAND_NAMES, BEYOND_RED, named_by_light, plain_name, wavelength_nm
from cropseg_geo.raster.scaling import ValueScale

_NODATA_KEYS = ("_FillValue", "missing_value", "fill_value", "nodata", "nodatavals")
"""Attributes that hold a nodata value; the first four in rioxarray's order."""


@dataclass(frozen=True)
class ArrayBands:
    """The bands of an array: what each is called (``""`` where nothing says), along its first dimension."""

    names: tuple[str, ...]

    path = "the array"

    @property
    def count(self) -> int:
        return len(self.names)

    @property
    def colours(self) -> tuple[str, ...]:
        """As :attr:`cropseg_geo.raster.info.RasterInfo.colours`: a name counts where it is a known one."""
        plain = named_by_light(
            [plain_name(name) for name in self.names], [wavelength_nm(name) for name in self.names]
        )
        known = {*BAND_NAMES, *BEYOND_RED, "alpha"}
        return tuple(name if name in known else "undefined" for name in plain)

    @property
    def alpha_band(self) -> int | None:
        """1-based index of the band that is called alpha."""
        return self.colours.index("alpha") + 1 if "alpha" in self.colours else None

    def band_name(self, band: int) -> str:
        """As :meth:`cropseg_geo.raster.info.RasterInfo.band_name`."""
        colour, said = self.colours[band - 1], self.names[band - 1]
        if colour != "undefined":
            return colour
        return repr(said) if plain_name(said) else ""


def read_bands(pixels: xr.DataArray) -> ArrayBands:
    """Names of the bands: the coordinate of the first dimension, else ``attrs["long_name"]``.

    rioxarray numbers the bands of a file from 1 in the coordinate and keeps all their descriptions in
    ``long_name``: bands that were selected since are found there by their numbers. Without numbers there
    have to be as many descriptions as bands.
    """
    axis, count = pixels.dims[0], pixels.shape[0]
    # Any, twice: whatever the coordinate and the attribute hold.
    labels: list[Any] = pixels.coords[axis].values.tolist() if axis in pixels.coords else []
    if labels and all(isinstance(label, str) for label in labels):
        return ArrayBands(tuple(labels))
    described: Any = pixels.attrs.get("long_name")
    described = described if isinstance(described, list | tuple) else (described,)
    if not labels and len(described) == count:
        labels = [*range(1, count + 1)]
    if not labels or not all(isinstance(label, int) and 1 <= label <= len(described) for label in labels):
        return ArrayBands(("",) * count)
    return ArrayBands(tuple(str(described[label - 1] or "") for label in labels))


def read_nodata(pixels: xr.DataArray) -> float | None:
    """The value that marks invalid pixels, from where rioxarray looks for it; None for none but NaN.

    Raises
    ------
    InputError
        If it is no number, or the bands have different ones.
    """
    found = {"rio.nodata": _accessors_nodata(pixels)}
    found |= {f"attrs[{key!r}]": pixels.attrs.get(key) for key in _NODATA_KEYS}
    if pixels.dtype.kind != "f":
        # Decimals were decoded: what was this value is NaN by now. rioxarray says so of integers, too.
        found["encoding['_FillValue']"] = pixels.encoding.get("_FillValue")
    for place, value in found.items():
        if value is not None:
            number = _number(place, value, remedy="write a number there, as .rio.write_nodata(0) does")
            if pixels.dtype.kind == "f" or not math.isnan(number):
                return None if math.isnan(number) else number
    return None


def _accessors_nodata(pixels: xr.DataArray) -> Any:  # Any: what rioxarray was told
    """The nodata value that rioxarray knows, where it is loaded: it may have been told without a trace."""
    try:
        return getattr(getattr(pixels, "rio", None), "nodata", None)
    except (TypeError, ValueError, OverflowError):
        # An attribute that does not fit the array's type, or is no number: read below.
        return None


def read_scale(
    pixels: xr.DataArray, scale: tuple[float, float] | None, reflectance: bool | None
) -> ValueScale:
    """The scale of an array's values: that of a file which holds them, as far as the array tells.

    Decimals that were read from a file, or decoded by the scale that it states, are reflectance there; of
    decimals that were computed nobody knows.

    Raises
    ------
    InputError
        Where it has to be said, or the values are no numbers.
    """
    if pixels.dtype.kind not in "uif":
        raise InputError(
            f"the array holds {pixels.dtype} values",
            remedy="give integers or decimals, for example .astype('u1')",
        )
    if reflectance not in (None, True, False):
        raise InputError(f"reflectance={reflectance!r} is no answer", remedy="give True, False or None")
    if scale is not None:
        return ValueScale(*scale, encode_srgb=bool(reflectance))
    if pixels.dtype == np.uint8:
        return ValueScale(0, 255, encode_srgb=bool(reflectance))
    is_stored = pixels.dtype.kind != "f" or _is_stored(pixels)
    if is_stored and (stated := _stated_scale("attrs", pixels.attrs)) != (1.0, 0.0):
        factor, offset = stated
        return ValueScale(-offset / factor, (1 - offset) / factor, encode_srgb=reflectance is not False)
    if pixels.dtype.kind == "f":
        if reflectance is None and not is_stored and not _is_decoded(pixels):
            raise InputError(
                "the array holds decimals, and nothing says how they stand for light",
                remedy="say reflectance=True, reflectance=False for a photograph's values in 0–1, or which "
                "values mean 0 and 1, for example scale=(0, 255)",
            )
        return ValueScale(0, 1, encode_srgb=reflectance is not False)
    raise InputError(
        f"the array holds {pixels.dtype} values and no scale was given",
        remedy="say which values mean 0 and 1, for example scale=(0, 4000)",
    )


def _is_stored(pixels: xr.DataArray) -> bool:
    """True for decimals as a file holds them: arithmetic keeps attributes, but no encoding."""
    stored = pixels.encoding.get("rasterio_dtype", pixels.encoding.get("dtype", ""))
    return str(stored).startswith("float")


def _is_decoded(pixels: xr.DataArray) -> bool:
    """True for decimals that a file's scale has made of what it holds."""
    return _stated_scale("encoding", pixels.encoding) != (1.0, 0.0)


def _stated_scale(place: str, facts: Any) -> tuple[float, float]:
    """Factor and offset in an array's attributes or encoding. Any: a mapping of whatever was put there."""
    remedy = "say which values mean 0 and 1, for example scale=(0, 4000)"
    factor, offset = (
        _number(f"{place}[{key!r}]", facts.get(key, usual), remedy=remedy)
        for key, usual in (("scale_factor", 1.0), ("add_offset", 0.0))
    )
    if not (math.isfinite(factor) and math.isfinite(offset) and factor):
        raise InputError(
            f"the array's {place} state the scale {factor:g} and offset {offset:g}", remedy=remedy
        )
    return factor, offset


def _number(place: str, value: Any, *, remedy: str) -> float:
    """One number, or several that are the same. Any: whatever stands there."""
    entries = np.asarray(value)
    if entries.dtype.kind not in "uif" or (entries := np.unique(entries)).size != 1:
        raise InputError(f"the array's {place} is {value!r}; one number is expected", remedy=remedy)
    return entries.item()  # type: ignore[no-any-return]  # Python's own, which takes on the array's type
