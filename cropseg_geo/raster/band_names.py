"""Names of bands, as files spell them."""

from __future__ import annotations

import re
from collections.abc import Sequence

BAND_NAMES = ("red", "green", "blue", "rededge", "nir")

INFRARED = "infrared"
"""A band of light beyond red, as far as its name tells, that is none of :data:`BAND_NAMES` for sure."""

BEYOND_RED = frozenset({"rededge", "nir", INFRARED})

_SPELLINGS = {
    "r": "red", "g": "green", "b": "blue", "re": "rededge",
    "n": "nir", "nearir": "nir", "nearinfrared": "nir",
}  # fmt: skip

_UNIT = "nm|nanomet(?:er|re)s?|um|μm|micromet(?:er|re)s?|microns?"

_FILLER = re.compile(
    rf"{_UNIT}|band|channel|layer|colou?r|surface|reflectance|refl|wavelength|cent(?:er|re|ral)|of|at"
)
"""Words beside the name of a colour."""

_NUMBERED = re.compile(r"(?<![^\W_])(?:band|channel|layer|[a-z])[\W_]*\d{1,2}a?(?![^\W_]|\.\d)")
"""B1, B02, B8A and Band 3 only count bands; three digits are a wavelength."""

_WAVELENGTH = re.compile(rf"(\d+(?:\.\d+)?)\s*({_UNIT})(?![^\W_])")

_LIGHT_NM = {
    "blue": (430, 475, 500),
    "green": (500, 560, 590),
    "red": (620, 665, 690),
    "rededge": (695, 717, 750),
    "nir": (750, 840, 1100),
}
"""The light that is called so: from, usual and to (nm). The usual is what multispectral cameras and
Sentinel-2 see."""


def plain_name(text: str) -> str:
    """A band's name as :data:`BAND_NAMES` spells it, where it is one of them, without numbers, units and
    words as "band"; ``""`` where nothing else is there.

    >>> plain_name("Red edge"), plain_name("NIR"), plain_name("Blue-444"), plain_name("gray")
    ('rededge', 'nir', 'blue', 'gray')
    >>> plain_name("B"), plain_name("B1"), plain_name("G550"), plain_name("B04 Red")
    ('blue', '', 'green', 'red')
    >>> plain_name("Near IR (0.842 Micrometers)"), plain_name("LWIR")
    ('nir', 'infrared')
    """
    words = re.findall(r"[^\W\d_]+", _NUMBERED.sub(" ", text.casefold()))
    name = "".join(word for word in words if not _FILLER.fullmatch(word))
    name = _SPELLINGS.get(name, name)
    if name not in BAND_NAMES and re.search(r"nir|infra|edge|^(?:[smlt]w?)?ir$", name):
        return INFRARED
    return name


def wavelength_nm(text: str) -> float | None:
    """The wavelength (nm) that a text states with its unit, or None.

    >>> wavelength_nm("Red (668 nm)"), wavelength_nm("0.5 Micrometers"), wavelength_nm("Band 3")
    (668.0, 500.0, None)
    """
    found = _WAVELENGTH.search(text.casefold())
    if found is None:
        return None
    return float(found[1]) * (1 if found[2].startswith("n") else 1000)


def named_by_light(names: Sequence[str], light_nm: Sequence[float | None]) -> list[str]:
    """The names, those that name no colour replaced by the colour of their light.

    Of several bands of a colour that has no band by name, it is the one whose light is nearest to the usual.

    >>> named_by_light(["green", "", "", "", "coastal"], [560, 650, 668, 842, 444])
    ['green', '', 'red', 'nir', 'blue']
    """
    named = list(names)
    for colour, (low, usual, high) in _LIGHT_NM.items():
        seen = {
            k: abs(nm - usual)
            for k, nm in enumerate(light_nm)
            if nm is not None and low <= nm < high and named[k] not in BAND_NAMES
        }
        if seen and colour not in named:
            named[min(seen, key=lambda k: seen[k])] = colour
    return named
