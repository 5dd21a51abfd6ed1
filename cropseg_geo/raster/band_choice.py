"""Which of a raster's bands the model sees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cropseg_geo.errors import InputError
from cropseg_geo.raster.band_names import BEYOND_RED
from cropseg_geo.raster.info import NAMELESS


class BandFacts(Protocol):
    """What a raster says of its bands, see :class:`cropseg_geo.raster.info.RasterInfo`."""

    @property
    def path(self) -> str:
        """What to call it."""
        ...

    @property
    def count(self) -> int: ...

    @property
    def colours(self) -> tuple[str, ...]: ...

    @property
    def alpha_band(self) -> int | None: ...

    def band_name(self, index: int) -> str:
        """What it calls a band, counted from 1; ``""`` where it does not say."""
        ...


def bands_by_name(info: BandFacts, *, but: int | None = None) -> dict[str, int]:
    """1-based index of the first band of each name that the file gives; ``but`` is left out."""
    found: dict[str, int] = {}
    for band, name in enumerate(info.colours, start=1):
        if band != but:
            found.setdefault(name, band)
    return found


def choose_bands(
    info: BandFacts, wanted: Sequence[str], bands: Sequence[int] | None, alpha_band: int | None = None
) -> tuple[int, ...]:
    """1-based band indexes for the model's bands.

    By colour where the file names all of them, else the first bands, unless it calls one of these something
    else: another colour, or, beside bands beyond red, anything; an explicit choice wins. ``alpha_band`` is an
    alpha band that the file does not flag.

    Raises
    ------
    InputError
        If there are too few bands, a chosen one does not exist or is the alpha band, or the file's names tell
        that the model's bands are not among them.
    """
    if alpha_band is not None and not 1 <= alpha_band <= info.count:
        raise InputError(
            f"--alpha-band {alpha_band}: {info.path} has {info.count} bands",
            remedy="give one of its band numbers",
        )
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
    is_other = [info.colours[i - 1] not in (*NAMELESS, name) for i, name in zip(first, wanted, strict=True)]
    is_unclear = [info.colours[i - 1] in NAMELESS and info.band_name(i) for i in first]
    if any(is_other) or (any(is_unclear) and BEYOND_RED & set(info.colours)):
        names = ", ".join(info.band_name(i) or "unnamed" for i in data_bands)
        raise InputError(
            f"{info.path}: names its bands {names}; the model reads {needed}",
            remedy="use the RGB orthomosaic, or say which bands to read instead, for example --bands 3,2,1",
        )
    return first
