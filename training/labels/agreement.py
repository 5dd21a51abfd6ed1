"""How far two labels of one picture agree: height's and colour's, which fail for different reasons."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.excess_green import excess_green, otsu_threshold
from training.labels.clean import UNKNOWN, VEGETATION, Label
from training.labels.colour import Pixels


@dataclass(frozen=True)
class Agreement:
    """Agreement of two labels over the pixels that both decide.

    ``iou``: of vegetation, 0–1. ``kappa``: Cohen's, chance taken out, at most 1. Both are 1 where neither
    finds vegetation.
    """

    iou: float
    kappa: float


def compare_labels(first: Label, second: Label) -> Agreement:
    """Agreement of two labels (H, W) of 0, 1 and 255.

    Source: J. Cohen, "A coefficient of agreement for nominal scales" (1960), Educ. Psychol. Meas. 20(1).
    """
    both = (first != UNKNOWN) & (second != UNKNOWN)
    n = int(both.sum())
    if n == 0:
        return Agreement(0.0, 0.0)
    a, b = (first == VEGETATION) & both, (second == VEGETATION) & both
    overlap, union = int((a & b).sum()), int((a | b).sum())
    same = 1.0 - (union - overlap) / n
    share_a, share_b = a.sum() / n, b.sum() / n
    chance = float(share_a * share_b + (1.0 - share_a) * (1.0 - share_b))
    kappa = (same - chance) / (1.0 - chance) if chance < 1.0 else 1.0
    return Agreement(overlap / union if union else 1.0, float(kappa))


def green_label(image: Pixels, valid: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Label:
    """Vegetation by excess green and Otsu over the valid pixels; 255 elsewhere.

    The cut is 0 at least: where nothing is greener than it is red and blue, Otsu would part soil from soil.
    """
    label = np.full(image.shape[:2], UNKNOWN, dtype=np.uint8)
    if not valid.any():
        return label
    index = excess_green(image)
    cut = max(otsu_threshold(index[valid]), 0.0)
    label[valid] = (index[valid] > cut).astype(np.uint8)
    return label
