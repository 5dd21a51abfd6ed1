"""Names of bands, as files spell them."""

from __future__ import annotations

BAND_NAMES = ("red", "green", "blue", "rededge", "nir")

_SPELLINGS = {"r": "red", "g": "green", "b": "blue", "re": "rededge", "nearinfrared": "nir", "n": "nir"}

_WAVELENGTH_DIGITS = 3
"""Digits of a wavelength in nm, which follows the name of a colour; fewer are the number of a band."""


def plain_name(text: str) -> str:
    """A band's name as :data:`BAND_NAMES` spells it, where it is one of them; B1 and B02 only count bands.

    >>> plain_name("Red edge"), plain_name("NIR"), plain_name("Blue-444"), plain_name("gray")
    ('rededge', 'nir', 'blue', 'gray')
    >>> plain_name("B"), plain_name("B1"), plain_name("G550")
    ('blue', 'b1', 'green')
    """
    letters = "".join(c for c in text.casefold() if c.isalpha())
    digits = "".join(c for c in text if c.isdecimal())
    if len(letters) == 1 and 0 < len(digits) < _WAVELENGTH_DIGITS:
        return letters + digits
    return _SPELLINGS.get(letters, letters)
