"""What 255 means in the masks of a dataset: vegetation, or unknown; refused where nobody can tell."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cropseg_geo.errors import InputError, listed
from training.sources.masks import WHITE, MaskValues, plain_parts
from training.sources.pictures import Bool

_MOST_CLASSES = 31
"""Numbers of classes are small; of values above this, which 255 stands beside, the shape is looked at."""

_SOLID = 0.1
"""Least share of the pixels amid others of their value. Classes are areas: 0.76 to 0.93 of the pixels in the
product's own masks; of edges that resizing or JPEG blurred, 0.00 in the same masks."""

_BETWEEN = ((1, WHITE), (_MOST_CLASSES + 1, WHITE - _MOST_CLASSES))
"""From and below which the shape is looked at: all between 0 and 255, and those far from both. A coarse JPEG
stores flat white as 254 and flat black as 1, which pass for solid classes; its edges do not."""


@dataclass(frozen=True, eq=False)
class _Seen:
    """What a mask of numbers holds.

    ``values`` (257,): which of 0 to 256; ``is_wide``: any above 255; ``solid`` (2, 2): for each of
    ``_BETWEEN`` its pixels, and those of them amid others of their value.
    """

    path: Path
    values: Bool
    is_wide: bool
    solid: npt.NDArray[np.int64]

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
        return self.has_white and is_high and bool((self.solid[:, 1] < _SOLID * self.solid[:, 0]).any())


def white_means_unknown(
    masks: Iterable[tuple[Path, tuple[int, int]]],
    listener: Callable[[str], None] = lambda note: None,
    *,
    by_colour: Collection[Path] = (),
) -> bool:
    """True unless all masks, of paths and shapes, hold nothing but 0 and 255, or count plants beyond it.

    Reads all of them. The listener is told what 255 was taken for, where there is any. ``by_colour``: the
    masks whose palette's colours count.

    Raises
    ------
    InputError
        If a mask cannot be read or holds no class numbers; if none holds 0; if 255 has soft edges, stands
        beside numbers above it and is none of them, or is vegetation in some masks and 1 in others.
    """
    # No shortcut at the first other value: every file is read before any work starts.
    seen = [_look(path, shape, by_colour=path in by_colour) for path, shape in masks]
    _refuse_without_background(seen)
    white = [one for one in seen if one.has_white]
    if not white:
        return True
    _refuse_soft([one for one in white if one.is_soft], len(seen))
    if wide := [one for one in seen if one.is_wide]:
        _require_number(white, wide, seen)
        listener(f"255 is taken as vegetation: it is one of consecutive numbers, as in {wide[0].path}")
        return False
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
    listener(
        f"255 is taken as unknown in {len(white)} masks, for there are also {listed(numbers.tolist(), 4)}"
    )
    return True


def _look(path: Path, shape: tuple[int, int], *, by_colour: bool) -> _Seen:
    values, is_wide, counts = np.zeros(WHITE + 2, dtype=bool), False, np.zeros((2, 2), dtype=np.int64)
    for part in plain_parts(path, shape, by_colour=by_colour):
        known = part.values[~part.void]
        is_wide |= bool((known > WHITE).any())
        values |= np.bincount(known[known <= WHITE + 1].astype(np.int64), minlength=len(values)) > 0
        if not ((known > 0) & (known < WHITE)).any():
            continue
        solid = _solid(part)
        for row, (low, high) in enumerate(_BETWEEN):
            between = (part.values >= low) & (part.values < high) & ~part.void
            counts[row] += between.sum(), (between & solid).sum()
    return _Seen(path, values, is_wide, counts)


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
            f"no mask holds 0, only {listed(found, 4)}: every labelled pixel is vegetation",
            remedy="save the background as 0 in all masks, whatever its number is now",
        )


def _refuse_soft(soft: Sequence[_Seen], n_masks: int) -> None:
    if soft:
        path, numbers = soft[0].path, np.flatnonzero(soft[0].values[1:WHITE]) + 1
        raise InputError(
            f"{len(soft)} of {n_masks} masks have soft edges or stray pixels between 0 and 255, the first is "
            f"{path} ({listed(numbers.tolist(), 4)})",
            remedy="save masks without smoothing (nearest neighbour, no anti-aliasing), or cut them at half "
            "of white: magick SOFT.png -threshold 50% MASK.png",
        )


def _require_number(white: Sequence[_Seen], wide: Sequence[_Seen], seen: Sequence[_Seen]) -> None:
    """Refuse 255 beside numbers above it, unless it is a number of plants like those around it."""
    around = np.any([one.values for one in seen], axis=0)[[WHITE - 2, WHITE - 1, WHITE + 1]]
    apart = [one for one in white if not one.values[[WHITE - 1, WHITE + 1]].any()]
    if around.all() and not apart:
        return
    path, other = (apart or white)[0].path, wide[0].path
    raise InputError(
        f"{path} holds 255 and numbers above: is 255 a class or unknown?"
        if path == other
        else f"{path} holds 255, {other} numbers above: is 255 a class or unknown?",
        remedy="save masks with numbers up to 254, and 255 where nothing is known",
    )
