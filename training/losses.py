"""The training loss: cross-entropy, and Dice over the batch."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def segmentation_loss(logits: Tensor, masks: Tensor, *, dice_weight: float, label_smoothing: float) -> Tensor:
    """Cross-entropy + ``dice_weight`` × (1 − Dice of the vegetation).

    Parameters
    ----------
    logits
        (N, 2, H, W).
    masks
        (N, H, W) int64 of 0 and 1.

    Returns
    -------
    Tensor
        A scalar; 0 for certain and right logits without smoothing.
    """
    entropy = F.cross_entropy(logits, masks, label_smoothing=label_smoothing)
    return entropy + dice_weight * dice_loss(logits, masks)


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 − 2 |P ∩ M| / (|P| + |M|) over the whole batch, P the probability of vegetation.

    Over the batch, not over each crop: a crop without a plant has no Dice.
    Source: F. Milletari et al., "V-Net" (2016), arXiv:1606.04797, without its squares.
    """
    probability = logits.softmax(dim=1)[:, 1]
    truth = masks.to(probability.dtype)
    overlap = torch.sum(probability * truth)
    return 1.0 - (2.0 * overlap + 1.0) / (probability.sum() + truth.sum() + 1.0)
