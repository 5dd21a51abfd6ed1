"""Colour indices of canopy pixels.

Sources: ExG on chromatic coordinates, Woebbecke et al. 1995, Trans. ASAE 38(1); GLI, Louhaichi et al. 2001,
Geocarto Int. 16(1); NGRDI, Tucker 1979, Remote Sens. Environ. 8(2); NDVI, Rouse et al. 1974, NASA SP-351;
NDRE, Barnes et al. 2000, 5th Int. Conf. Precision Agriculture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Window

BAND_NAMES = ("red", "green", "blue", "rededge", "nir")

Values = npt.NDArray[np.float32]


class BandSource(Protocol):
    """Bands of an orthomosaic on the mask's grid, read by windows."""

    @property
    def names(self) -> tuple[str, ...]:
        """The bands in the order of reading; any of :data:`BAND_NAMES`."""

    def read_bands(self, window: Window) -> Values:
        """Values ``(bands, h, w)``, linear in light up to a common factor, NaN where invalid."""


def _quotient(part: Values, whole: Values) -> Values:
    """``part ÷ whole``; NaN where the whole is not positive (black or unknown pixels)."""
    quotient = np.full(part.shape, np.nan, np.float32)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def _exg(red: Values, green: Values, blue: Values) -> Values:
    return _quotient(2 * green - red - blue, red + green + blue)


def _gli(red: Values, green: Values, blue: Values) -> Values:
    return _quotient(2 * green - red - blue, 2 * green + red + blue)


def _normalised(one: Values, other: Values) -> Values:
    return _quotient(one - other, one + other)


INDICES: Mapping[str, tuple[tuple[str, ...], Callable[..., Values]]] = {
    "exg": (("red", "green", "blue"), _exg),
    "gli": (("red", "green", "blue"), _gli),
    "ngrdi": (("green", "red"), _normalised),
    "ndvi": (("nir", "red"), _normalised),
    "ndre": (("nir", "rededge"), _normalised),
}
"""Name → the bands that it needs, and the function of them."""


def possible_indices(names: tuple[str, ...]) -> tuple[str, ...]:
    """The indices that these bands allow."""
    return tuple(index for index, (needed, _) in INDICES.items() if set(needed) <= set(names))


def index_values(index: str, bands: Values, names: tuple[str, ...]) -> Values:
    """One index of pixels ``(h, w)`` from bands ``(bands, h, w)`` named ``names``."""
    needed, function = INDICES[index]
    return function(*(bands[names.index(name)] for name in needed))
