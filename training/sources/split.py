"""Which groups are held out: a fifth of the labelled pixels, with the vegetation's share of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from cropseg_geo.errors import InputError

HELD_OUT = 0.2
"""Share of the labelled pixels that is held out."""

_NAMES = ("val", "valid", "validation", "test")

_TRIES = 256


@dataclass(frozen=True)
class Labels:
    """Labelled pixels of a group, or of anything."""

    vegetation: int = 0
    background: int = 0
    unknown: int = 0

    def __add__(self, other: Labels) -> Labels:
        return Labels(
            self.vegetation + other.vegetation,
            self.background + other.background,
            self.unknown + other.unknown,
        )

    @property
    def known(self) -> int:
        return self.vegetation + self.background

    @property
    def cover(self) -> float:
        """Share of vegetation in what is known."""
        return self.vegetation / max(1, self.known)


def hold_out(groups: Mapping[str, Labels], rng: np.random.Generator) -> frozenset[str]:
    """Groups to hold out: those that are named so, if there are any (``val``, ``test/north``).

    Otherwise among random choices the one nearest to a fifth, and to the cover of the whole.

    Law: a group is held out as a whole or not at all, and groups with both classes remain for training.

    Raises
    ------
    InputError
        If there are fewer than two groups, or only one class is labelled.
    """
    total = sum(groups.values(), Labels())
    _require_both_classes(total)
    if len(groups) < 2:
        raise InputError(
            f"all labels are in one group ({next(iter(groups))!r}): nothing can be held out to measure with",
            remedy="label a second picture or area; a few per cent of the field are enough",
        )
    names = sorted(groups)
    named = frozenset(name for name in names if name.split("/")[0].lower() in _NAMES)
    left = sum((groups[name] for name in names if name not in named), Labels())
    if named and left.vegetation and left.background:
        return named
    choices = [_draw(names, groups, total, rng) for _ in range(_TRIES)]
    return min(choices, key=lambda choice: (_cost(choice, groups, total), sorted(choice)))


def _draw(
    names: list[str], groups: Mapping[str, Labels], total: Labels, rng: np.random.Generator
) -> frozenset[str]:
    chosen: list[str] = []
    known = 0
    for index in rng.permutation(len(names))[:-1]:
        chosen.append(names[index])
        known += groups[names[index]].known
        if known >= HELD_OUT * total.known:
            break
    return frozenset(chosen)


def _cost(choice: frozenset[str], groups: Mapping[str, Labels], total: Labels) -> float:
    held = sum((groups[name] for name in choice), Labels())
    left = Labels(total.vegetation - held.vegetation, total.background - held.background)
    # Without one of the classes nothing can be learned, and a score says little.
    unusable = 10.0 * (min(left.vegetation, left.background) == 0) + (
        min(held.vegetation, held.background) == 0
    )
    return abs(held.known / total.known - HELD_OUT) + abs(held.cover - total.cover) + unusable


def _require_both_classes(total: Labels) -> None:
    if total.vegetation == 0:
        raise InputError(
            f"not one of {total.known:,} labelled pixels is vegetation",
            remedy="check that masks are 0 for background and above 0 for plants, that no nodata value of "
            "theirs hides the plants, and that polygons lie on this orthomosaic",
        )
    if total.background == 0:
        raise InputError(
            "every labelled pixel is vegetation; a model learns plants from what is beside them",
            remedy="label background too: masks with 0 there (black, in masks of colours), or --area "
            "polygons around plants and soil; every canopy polygon counts as plants, whatever its attributes",
        )
