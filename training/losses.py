"""The training loss: cross-entropy, and Dice over the batch; unknown pixels count in neither."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def segmentation_loss(
    logits: Tensor, target: Tensor, known: Tensor, *, dice_weight: float, label_smoothing: float
) -> Tensor:
    """Cross-entropy + ``dice_weight`` × (1 − Dice of the vegetation), over what is known.

    Parameters
    ----------
    logits
        (N, 2, H, W).
    target
        (N, H, W) probability of vegetation, on 0–1.
    known
        (N, H, W), 1 where the target is known, else 0.

    Returns
    -------
    Tensor
        A scalar; 0 for certain and right logits without smoothing, and where nothing is known.
    """
    # Of two classes, the softmax is the logistic function of the difference of their logits.
    margin = logits[:, 1] - logits[:, 0]
    smoothed = target * (1.0 - label_smoothing) + 0.5 * label_smoothing
    entropy = F.binary_cross_entropy_with_logits(margin, smoothed, reduction="none")
    mean = torch.sum(entropy * known) / known.sum().clamp(min=1.0)
    return mean + dice_weight * dice_loss(margin, target, known)


def dice_loss(margin: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """1 − 2 |P ∩ M| / (|P| + |M|) over the whole batch, P the probability of vegetation.

    Over the batch, not over each crop: a crop without a plant has no Dice.
    Source: F. Milletari et al., "V-Net" (2016), arXiv:1606.04797, without its squares.
    """
    probability = torch.sigmoid(margin) * known
    truth = target * known
    overlap = torch.sum(probability * truth)
    return 1.0 - (2.0 * overlap + 1.0) / (probability.sum() + truth.sum() + 1.0)
