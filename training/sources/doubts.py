"""Whether the labels of a dataset can be right: beside what is green, and on a sheet to look at."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from cropseg_geo.paths import replace_file
from training.data import UNKNOWN, Decoded, Pixels, decode
from training.excess_green import exg_otsu
from training.labels.sheet import draw_pairs
from training.sources.dataset import Dataset
from training.sources.windows import thin

SHEET = "labels.jpg"

_LOOKED_AT = 24
_LEAST = 0.02
"""Share of each class in a picture: what is green in bare soil, or not green in a closed canopy, is noise."""

_FITS = 0.5
"""IoU with what is green from which other labels are believed, where that of these is at most half of it."""

_OTHERWISE: dict[str, Callable[[Pixels], Pixels]] = {
    "exchanged (plants as background)": lambda mask: np.where(mask == UNKNOWN, mask, 1 - np.minimum(mask, 1)),
    "turned by 180°": lambda mask: mask[::-1, ::-1],
    "mirrored left to right": lambda mask: mask[:, ::-1],
    "mirrored top to bottom": lambda mask: mask[::-1],
}


def look_at(dataset: Dataset, sheet: Path) -> str | None:
    """Draw some pictures with their labels; returns what is to be doubted about these, if anything is.

    Parameters
    ----------
    dataset
        The dataset; pictures from all over it are looked at.
    sheet
        The JPEG to write: pictures, each followed by itself with its vegetation outlined and tinted.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    pairs = thin((*dataset.pairs("train"), *dataset.pairs("test")), _LOOKED_AT)
    pictures = [decode(pair) for pair in pairs]
    replace_file(sheet, draw_pairs([(picture.image, picture.mask) for picture in pictures]))
    return doubt(pictures)


def doubt(pictures: Sequence[Decoded]) -> str | None:
    """What labels look like that contradict the excess green of their pictures; None if they do not."""
    shown = [picture for picture in pictures if _has_both(picture.mask)]
    if not shown:
        return None
    greens = [exg_otsu(picture.image, picture.mask != UNKNOWN) for picture in shown]
    masks = [picture.mask for picture in shown]
    own = _iou(greens, masks)
    fits = {how: _iou(greens, [change(mask) for mask in masks]) for how, change in _OTHERWISE.items()}
    best = max(fits, key=lambda how: fits[how])
    if fits[best] < _FITS or own > fits[best] / 2:
        return None
    return (
        f"the masks look {best}: with what is green (ExG + Otsu) they have an IoU of {own:.2f}, and "
        f"{fits[best]:.2f} if they are taken so"
    )


def _has_both(mask: Pixels) -> bool:
    known = mask[mask != UNKNOWN]
    return known.size > 0 and _LEAST <= float(np.mean(known > 0)) <= 1.0 - _LEAST


def _iou(greens: Sequence[Pixels], masks: Sequence[Pixels]) -> float:
    """IoU of vegetation over all pictures, unknown pixels left out."""
    both = either = 0
    for green, mask in zip(greens, masks, strict=True):
        known, plants = mask != UNKNOWN, mask == 1
        both += int(np.sum((green > 0) & plants & known))
        either += int(np.sum(((green > 0) | plants) & known))
    return both / max(1, either)
