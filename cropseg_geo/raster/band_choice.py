"""Which of a raster's bands the model sees."""

from __future__ import annotations

from collections.abc import Sequence

from cropseg_geo.errors import InputError
from cropseg_geo.raster.info import RasterInfo

_NAMELESS = ("undefined", "gray")
"""Colour interpretations of bands of which a file says nothing."""


def bands_by_name(info: RasterInfo, *, but: int | None = None) -> dict[str, int]:
    """1-based index of the first band of each name that the file gives; ``but`` is left out."""
    found: dict[str, int] = {}
    for band, name in enumerate(info.colours, start=1):
        if band != but:
            found.setdefault(name, band)
    return found


def choose_bands(
    info: RasterInfo, wanted: Sequence[str], bands: Sequence[int] | None, alpha_band: int | None = None
) -> tuple[int, ...]:
    """1-based band indexes for the model's bands.

    By colour where the file names all of them, else the first bands, unless it calls one of these something
    else; an explicit choice wins. ``alpha_band`` is an alpha band that the file does not flag.

    Raises
    ------
    InputError
        If there are too few bands, a chosen one does not exist or is the alpha band, or the file's names tell
        that the model's bands are not among them.
    """
    data_bands = [i for i in range(1, info.count + 1) if i not in (info.alpha_band, alpha_band)]
    needed = f"{len(wanted)} bands ({', '.join(wanted)})"
    if bands is not None:
        if len(bands) != len(wanted):
            raise InputError(
                f"--bands names {len(bands)} bands; the model reads {needed}",
                remedy=f"give {len(wanted)} band numbers between 1 and {info.count}, separated by commas",
            )
        wrong = [b for b in bands if b not in data_bands]
        if wrong:
            raise InputError(
                f"--bands names band {wrong[0]}; {info.path} has the data bands {data_bands}",
                remedy=f"choose from {data_bands}",
            )
        return tuple(bands)
    if len(data_bands) < len(wanted):
        hint = (
            " It has a palette: expand it with gdal_translate -expand rgb."
            if "palette" in info.colours
            else ""
        )
        raise InputError(
            f"{info.path}: has {len(data_bands)} data band(s); the model reads {needed}.{hint}",
            remedy="use the RGB orthomosaic, or a model trained for these bands",
        )
    named = bands_by_name(info, but=alpha_band)
    if set(wanted) <= set(named):
        return tuple(named[name] for name in wanted)
    first = tuple(data_bands[: len(wanted)])
    if any(info.colours[i - 1] not in (*_NAMELESS, name) for i, name in zip(first, wanted, strict=True)):
        names = ", ".join(info.colours[i - 1] for i in data_bands)
        raise InputError(
            f"{info.path}: names its bands {names}; the model reads {needed}",
            remedy="use the RGB orthomosaic, or say which bands to read instead, for example --bands 3,2,1",
        )
    return first
