"""Names of bands, as files spell them."""

from __future__ import annotations

BAND_NAMES = ("red", "green", "blue", "rededge", "nir")

_SPELLINGS = {"r": "red", "g": "green", "b": "blue", "re": "rededge", "nearinfrared": "nir", "n": "nir"}


def plain_name(text: str) -> str:
    """A band's name as :data:`BAND_NAMES` spells it, where it is one of them.

    >>> plain_name("Red edge"), plain_name("NIR"), plain_name("Blue-444"), plain_name("gray")
    ('rededge', 'nir', 'blue', 'gray')
    """
    letters = "".join(c for c in text.casefold() if c.isalpha())
    return _SPELLINGS.get(letters, letters)
