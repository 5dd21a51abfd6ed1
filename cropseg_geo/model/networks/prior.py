"""A colour index as the network's starting point: what it says where training says nothing.

A small network that is trained on few crops takes the look of their soils for what soil is, and calls clods,
algae or stones of another field vegetation. A colour index with a threshold of the picture's own knows
nothing of leaves, but carries over to fields that nobody has seen. So the index is put on the logits, and the
network learns what has to be added to it: dry leaves, shade, litter, algae. No weights of its own.

Source: excess green, D. M. Woebbecke et al. (1995), Transactions of the ASAE 38(1); the threshold by iterated
means, T. W. Ridler and S. Calvard (1978), IEEE Transactions on Systems, Man and Cybernetics 8(8). Ours: how
far that threshold is believed (a tile of plants alone has one between sunlit leaves and shaded ones), the
scale in units of the distance between both groups, and its place on the logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ROUNDS = 8
"""Of the threshold's iteration; the last ones move it by less than a grey level."""

LEAST_CONTRAST = 0.1
"""Distance of the groups' means, as a share of the mean brightness, below which the picture counts as one
group: noise must not be stretched to vegetation and soil."""

HABIT = 0.1
"""Excess green as a share of brightness that parts plants and soil in most pictures: what the threshold is
drawn towards."""

BELIEF = 0.7
"""Power of the picture's own threshold, as a multiple of ``HABIT``: 0 ignores it, 1 believes it."""

SANE = (0.02, 0.3)
"""Shares of brightness between which a threshold can lie."""

RARE = 1.3
"""How much more contrast a second threshold must have to replace the first, which is found from the picture's
mean. The second is found from half the way to its greenest pixel: where plants are rare, the first may part
soil from soil."""

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
        self.register_buffer("share", share, persistent=False)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Images (N, 3, H, W) on −1–1 and logits (N, classes, H, W), H and W even → (N, classes, H, W)."""
        green = standardised_green(images) + self.shift
        return (logits.float() + self.share.float() * green) / self.temperature.float()


@torch.no_grad()
def standardised_green(images: Tensor) -> Tensor:
    """Images (N, 3, H, W) on −1–1 → (N, 1, H, W): excess green, 0 at each image's threshold.

    1 is the distance between the means of the pixels above and below the threshold.
    """
    colours = (images.float() + 1.0) / 2.0
    green = 3.0 * colours[:, 1:2] - colours.sum(dim=1, keepdim=True)
    seen = F.avg_pool2d(green, 2)
    everything = seen.mean(dim=(2, 3), keepdim=True)
    highest = seen.amax(dim=(2, 3), keepdim=True)
    threshold, distance, contrast = _parted(seen, everything, everything)
    rare_threshold, rare_distance, rare_contrast = _parted(seen, everything, (everything + highest) / 2.0)
    is_rare = rare_contrast > RARE * contrast
    threshold = torch.where(is_rare, rare_threshold, threshold)
    distance = torch.where(is_rare, rare_distance, distance)
    brightness = colours.mean(dim=(1, 2, 3), keepdim=True) + _DARK
    own = (threshold / (3.0 * brightness)).clamp(*SANE) / HABIT
    cut = 3.0 * brightness * HABIT * own**BELIEF
    return ((green - cut) / torch.maximum(distance, LEAST_CONTRAST * brightness)).clamp(-REACH, REACH)


def _parted(seen: Tensor, everything: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Iterated means from a first threshold on: the last one, the distance of both means, their contrast.

    ``seen`` (N, 1, H, W), the others (N, 1, 1, 1), ``everything`` its mean. The contrast is the variance
    between the groups, which Otsu's threshold makes largest.
    """
    share = distance = threshold
    for _ in range(ROUNDS):
        above = (seen > threshold).to(seen.dtype)
        share = above.mean(dim=(2, 3), keepdim=True)
        sum_above = (seen * above).mean(dim=(2, 3), keepdim=True)
        high = (sum_above + _EMPTY * everything) / (share + _EMPTY)
        low = (everything - sum_above + _EMPTY * everything) / (1.0 - share + _EMPTY)
        threshold, distance = (high + low) / 2.0, high - low
    return threshold, distance, share * (1.0 - share) * distance**2
