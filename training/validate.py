"""How far a run is: the mIoU of its averaged weights on pictures that are held out from it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from training.data import UNKNOWN, Pair, by_dataset
from training.pool import load_sample
from training.recipe import Recipe

_PICTURES = 6
"""Of each dataset: a look at the curve, not a measurement."""
_SIDE_PX = 512


@torch.no_grad()
def validate(network: nn.Module, pairs: Sequence[Pair], recipe: Recipe, *, device: torch.device) -> float:
    """Mean over datasets of the mIoU (0–1) on the middles of a few evenly spaced pictures."""
    mean, std = (torch.tensor(v, device=device).view(1, 3, 1, 1) for v in (recipe.mean, recipe.std))
    # A vision transformer of fixed positions sees tiles of its own size alone.
    fixed = recipe.network.get("img_size")
    fixed_px = None if fixed is None else int(fixed)
    scores = []
    for members in by_dataset(pairs).values():
        confusion = np.zeros((2, 2), dtype=np.int64)
        for pair in members[:: max(1, len(members) // _PICTURES)][:_PICTURES]:
            sample = load_sample(pair)
            image, target = _middle(sample.image, fixed_px), _middle(sample.target, fixed_px, fill=UNKNOWN)
            values = torch.from_numpy(image.transpose(2, 0, 1)[None].copy()).to(device).float() / 255.0
            logits = network((values - mean) / std)[0]
            found = (logits[1] > logits[0]).cpu().numpy()
            known = target != UNKNOWN
            np.add.at(confusion, ((target[known] > 100).astype(int), found[known].astype(int)), 1)
        right = np.diag(confusion)
        scores.append(float(np.mean(right / np.maximum(confusion.sum(0) + confusion.sum(1) - right, 1))))
    return round(float(np.mean(scores)), 4)


def _middle(layer: np.ndarray, fixed_px: int | None, *, fill: int = 0) -> np.ndarray:
    """The middle of a picture: ``fixed_px`` a side, filled up where the picture is smaller.

    Without a fixed size at most ``_SIDE_PX`` and a multiple of 32.
    """
    sides = [fixed_px or min(_SIDE_PX, length - length % 32) for length in layer.shape[:2]]
    lacking = [max(0, side - length) for side, length in zip(sides, layer.shape[:2], strict=True)]
    rims = [(0, lack) for lack in lacking] + [(0, 0)] * (layer.ndim - 2)
    layer = np.pad(layer, rims, constant_values=fill)
    top, left = ((length - side) // 2 for length, side in zip(layer.shape[:2], sides, strict=True))
    return layer[top : top + sides[0], left : left + sides[1]]
