"""A colour index as the network's starting point: what it says where training says nothing.

A small network that is trained on few crops takes the look of their soils for what soil is, and calls clods,
algae or stones of another field vegetation. A colour index with a threshold of the picture's own knows
nothing of leaves, but carries over to fields that nobody has seen. So the index is put on the logits, and the
network learns what has to be added to it: dry leaves, shade, litter, algae. Its threshold was learned before
the network was, and stays as it is; see :mod:`cropseg_geo.model.networks.threshold`.

Source: excess green, D. M. Woebbecke et al. (1995), Transactions of the ASAE 38(1). Ours: the threshold, the
scale in units of the distance between the two groups, and the index's place on the logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.model.networks.threshold import LearnedThreshold

LEAST_CONTRAST = 0.1
"""Distance of the groups' means, as a share of the mean brightness, below which the picture counts as one
group: noise must not be stretched to vegetation and soil."""

REACH = 1.5
"""The index ends here, in distances between the groups."""

_DARK = 0.02
_EMPTY = 1e-5
"""Share of the picture that every group counts as the picture's mean: a group of no pixels has no other."""


class ColourPrior(nn.Module):
    """Adds the standardised excess green of the image to the logits of the classes but the first.

    Parameters
    ----------
    weight
        Logits for each distance between the means of the greener and the less green pixels.
    classes
        Channels of the logits, the background first.
    shift
        Added to the index, in distances between the means; above 0, paler green counts as vegetation.

    Attributes
    ----------
    threshold
        Where the index is 0. It is not trained with the network: what the network is to correct has to stay.
    temperature
        Divides the logits that come out: calibration has to reach the index, too.
    """

    temperature: Tensor
    share: Tensor

    def __init__(self, weight: float, classes: int, shift: float = 0.0) -> None:
        super().__init__()
        share = torch.full((1, classes, 1, 1), weight / 2.0)
        share[:, 0] = -weight / 2.0
        self.shift = shift
        self.threshold = LearnedThreshold().requires_grad_(requires_grad=False)
        self.register_buffer("share", share, persistent=False)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Images (N, 3, H, W) on −1–1 and logits (N, classes, H, W), H and W even → (N, classes, H, W)."""
        green = standardised_green(images, self.threshold) + self.shift
        return (logits.float() + self.share.float() * green) / self.temperature.float()


@torch.no_grad()
def standardised_green(images: Tensor, threshold: LearnedThreshold) -> Tensor:
    """Images (N, 3, H, W) on −1–1 → (N, 1, H, W): excess green, 0 at each image's threshold.

    1 is the distance between the means of the pixels above and below the threshold.
    """
    green, brightness = excess_green(images)
    seen = F.avg_pool2d(green, 2)
    cut = threshold((seen / brightness).flatten(1))[:, None, None, None] * brightness
    distance = _distance(seen, cut)
    index: Tensor = (green - cut) / torch.maximum(distance, LEAST_CONTRAST / 3.0 * brightness)
    return index.clamp(-REACH, REACH)


def excess_green(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) on −1–1 → 2G − R − B (N, 1, H, W), and the sum of each image's means (N, 1, 1, 1).

    The values are on −2–2, and their share of that sum does not depend on exposure.
    """
    colours = (images.float() + 1.0) / 2.0
    green = 3.0 * colours[:, 1:2] - colours.sum(dim=1, keepdim=True)
    return green, 3.0 * (colours.mean(dim=(1, 2, 3), keepdim=True) + _DARK)


def _distance(seen: Tensor, cut: Tensor) -> Tensor:
    """Distance between the means of what lies above and below a cut; (N, 1, H, W) and (N, 1, 1, 1) → the
    latter."""
    everything = seen.mean(dim=(2, 3), keepdim=True)
    above = (seen > cut).to(seen.dtype)
    share = above.mean(dim=(2, 3), keepdim=True)
    sum_above = (seen * above).mean(dim=(2, 3), keepdim=True)
    high = (sum_above + _EMPTY * everything) / (share + _EMPTY)
    low = (everything - sum_above + _EMPTY * everything) / (1.0 - share + _EMPTY)
    return high - low
