"""What 255 means in the masks of a dataset: vegetation, or unknown; refused where nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy import ndimage

from cropseg_geo.errors import InputError
from training.sources.masks import WHITE, MaskValues, plain_parts
from training.sources.pictures import Bool

_MOST_CLASSES = 31
"""Numbers of classes are small; of values above this, which 255 stands beside, the shape is looked at."""

_SOLID = 0.1
"""Least share of the pixels amid others of their value. Classes are areas: 0.76 to 0.93 of the pixels in the
product's own masks; of edges that resizing or JPEG blurred, 0.00 in the same masks."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a mask of numbers holds.

    ``values`` (256,): which of 0 to 255; ``is_wide``: higher ones, too; ``between_px``: pixels of 1 to 254;
    ``solid_px``: those of them amid others of their value.
    """

    path: Path
    values: Bool
    is_wide: bool
    between_px: int
    solid_px: int

    @property
    def has_white(self) -> bool:
        return bool(self.values[WHITE])

    @property
    def has_classes(self) -> bool:
        return bool(self.values[1:WHITE].any())

    @property
    def is_soft(self) -> bool:
        """Whether its white has blurred edges, or single pixels of other values."""
        is_high = bool(self.values[_MOST_CLASSES + 1 : WHITE].any())
        return self.has_white and is_high and self.solid_px < _SOLID * self.between_px


def white_means_unknown(
    masks: Iterable[tuple[Path, tuple[int, int]]],
    listener: Callable[[str], None] = lambda note: None,
    *,
    by_colour: Collection[Path] = (),
) -> bool:
    """True unless all masks, of paths and shapes, hold nothing but 0 and 255. Reads all of them.

    The listener is told what 255 was taken for, where there is any. ``by_colour``: the masks whose palette's
    colours count.

    Raises
    ------
    InputError
        If a mask cannot be read or holds no class numbers; if none holds 0; if 255 has soft edges, stands
        beside numbers above it, or is vegetation in some masks and 1 in others.
    """
    # No shortcut at the first other value: every file is read before any work starts.
    seen = [_look(path, shape, by_colour=path in by_colour) for path, shape in masks]
    _refuse_without_background(seen)
    white = [one for one in seen if one.has_white]
    if not white:
        return True
    _refuse_soft([one for one in white if one.is_soft], len(seen))
    _refuse_wide(white[0], [one for one in seen if one.is_wide])
    classes = [one for one in seen if one.has_classes]
    if not classes:
        listener(f"255 is taken as vegetation: {len(white)} masks hold it, and none another number but 0")
        return False
    if not any(one.has_white for one in classes):
        raise InputError(
            f"{white[0].path} holds nothing but 0 and 255, {classes[0].path} other numbers and no 255: is "
            f"255 vegetation or unknown?",
            remedy="save vegetation with one number in all masks; where 255 means unknown, take out pictures "
            "of which nothing else is labelled",
        )
    numbers = np.flatnonzero(np.any([one.values for one in seen], axis=0)[1:WHITE]) + 1
    listener(f"255 is taken as unknown in {len(white)} masks, for there are also {_listed(numbers.tolist())}")
    return True


def _look(path: Path, shape: tuple[int, int], *, by_colour: bool) -> _Seen:
    values, is_wide, between_px, solid_px = np.zeros(256, dtype=bool), False, 0, 0
    for part in plain_parts(path, shape, by_colour=by_colour):
        known = part.values[~part.void]
        is_wide |= bool((known > WHITE).any())
        values |= np.bincount(known[known <= WHITE].astype(np.uint8), minlength=256) > 0
        between = (part.values > 0) & (part.values < WHITE) & ~part.void
        if between.any():
            between_px += int(between.sum())
            solid_px += int((between & _solid(part)).sum())
    return _Seen(path, values, is_wide, between_px, solid_px)


def _solid(part: MaskValues) -> Bool:
    """Where the eight neighbours have a pixel's value."""
    low, high = (find(part.values, size=3) for find in (ndimage.minimum_filter, ndimage.maximum_filter))
    return np.asarray(low == high)


def _refuse_without_background(seen: Sequence[_Seen]) -> None:
    """Name the numbers of masks that lack 0; masks of colours hold none."""
    numbers = np.any([one.values for one in seen], axis=0)
    if all(one.values.any() for one in seen) and not numbers[0]:
        found = np.flatnonzero(numbers[:WHITE]).tolist() or [WHITE]
        raise InputError(
            f"no mask holds 0, only {_listed(found)}: every labelled pixel is vegetation",
            remedy="save the background as 0 in all masks, whatever its number is now",
        )


def _refuse_soft(soft: Sequence[_Seen], n_masks: int) -> None:
    if soft:
        path, numbers = soft[0].path, np.flatnonzero(soft[0].values[1:WHITE]) + 1
        raise InputError(
            f"{len(soft)} of {n_masks} masks have soft edges or stray pixels between 0 and 255, the first is "
            f"{path} ({_listed(numbers.tolist())})",
            remedy="save masks without smoothing (nearest neighbour, no anti-aliasing), or cut them at half "
            "of white: magick SOFT.png -threshold 50% MASK.png",
        )


def _refuse_wide(white: _Seen, wide: Sequence[_Seen]) -> None:
    if wide:
        raise InputError(
            f"{white.path} holds 255, {wide[0].path} numbers above: is 255 a class or unknown?",
            remedy="save masks with numbers up to 254, and 255 where nothing is known",
        )


def _listed(numbers: Sequence[int]) -> str:
    shown = ", ".join(str(number) for number in numbers[:4])
    return shown if len(numbers) <= 4 else f"{shown} and {len(numbers) - 4} more numbers"
