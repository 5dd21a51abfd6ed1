"""A colour index as the network's starting point: what it says where training says nothing.

A small network that is trained on few crops takes the look of their soils for what soil is, and calls clods,
algae or stones of another field vegetation. A colour index with a threshold of the picture's own knows
nothing of leaves, but carries over to fields that nobody has seen. So the index is put on the logits, and the
network learns what has to be added to it: dry leaves, shade, litter, algae. Its threshold was learned before
the network was, and stays as it is; see :mod:`cropseg_geo.model.networks.threshold`.

In the finished model the index may weigh more than in training, for it draws the better outlines. Then it has
to be doubted where there is reason: the network has a say in its threshold, for soil in green light and a
closed canopy have the same histogram, but do not look alike; noise is averaged away; and what clipped colours
make of it weighs no more than in training. And the network has to be doubted where there is nothing green: it
has seen soils, and takes asphalt, concrete and gravel for leaves. Ours, no published method.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.model.networks.greenness import Greenness, Parting, in_range, look_at
from cropseg_geo.model.networks.threshold import LearnedThreshold, contradicted, histogram

_SAY = 100.0
"""What a threshold loses, in logits, where the network contradicts it everywhere: one for each pixel in a
hundred."""

_OPEN = 0.0003
"""Belief that every threshold has before the network is heard, whatever the histogram says of it."""

_MOST_ON_GREY = 2.0
"""Logits by which the network may speak for plants where there is nothing green."""

_BELOW = 0.06
"""Grey lies at least so far below the histogram's threshold: in magenta light leaves are not green either."""


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
    doubted
        Weight that the network learned under: with it the network judges the threshold, and to it the index
        falls back where colours are clipped. 0 doubts nothing, noise neither.
    grey
        Excess green, as a share of the brightness, up to which a pixel counts as grey, and the network's word
        for plants there counts for little: nothing with the threshold, and 2 logits in what comes out. Only
        where something is doubted; 0 believes the network everywhere.

    Attributes
    ----------
    threshold
        Where the index is 0. It is not trained with the network: what the network is to correct has to stay.
    temperature
        Divides the logits that come out: calibration has to reach the index, too.
    """

    temperature: Tensor
    side: Tensor

    def __init__(
        self, weight: float, classes: int, shift: float = 0.0, doubted: float = 0.0, grey: float = 0.0
    ) -> None:
        super().__init__()
        self.weight, self.shift, self.doubted, self.grey = weight, shift, doubted, grey
        side = torch.full((1, classes, 1, 1), 0.5)
        side[:, 0] = -0.5
        self.threshold = LearnedThreshold().requires_grad_(requires_grad=False)
        self.register_buffer("side", side, persistent=False)
        self.register_buffer("temperature", torch.ones(()))

    def forward(self, images: Tensor, logits: Tensor) -> Tensor:
        """Images (N, 3, H, W) on −1–1 and logits (N, classes, H, W), H and W even → (N, classes, H, W)."""
        logits = logits.float()
        index, grey = self.weighed_index(images, logits)
        moved = believed(logits, logits[:, :1], grey) + self.side.float() * index
        return moved / self.temperature.float()

    @torch.no_grad()
    def weighed_index(self, images: Tensor, logits: Tensor) -> tuple[Tensor, Tensor | None]:
        """The index by its weight, (N, 1, H, W), and how grey pixels are, 0–1, the same; None for nowhere."""
        seen = look_at(images)
        votes = self.threshold.votes(seen.shares)
        threshold = self.threshold.place(votes)
        parting = seen.parted_at(threshold)
        if not self.doubted:
            return self.weight * (parting.index(seen.green) + self.shift), None
        opinion, grey = self._opinion(seen, parting, logits), None
        if self.grey:
            grey = seen.grey_below(torch.minimum(self.grey * seen.lit(), threshold - _BELOW))
            opinion = opinion * (1.0 - grey.of(seen.coarse).flatten(1))
        plants = histogram(seen.relative, opinion)
        heard = (votes + _OPEN).log() - _SAY * contradicted(seen.shares, plants)
        parting = seen.parted_at(self.threshold.place(heard.softmax(dim=1)))
        index = parting.index(seen.calmed(parting).green) + self.shift
        trust = in_range(images, index)
        weighed = (self.doubted + (self.weight - self.doubted) * trust) * index
        # A clipped leaf is grey, too.
        return weighed, None if grey is None else trust * grey.of(seen.green)

    def _opinion(self, seen: Greenness, parting: Parting, logits: Tensor) -> Tensor:
        """What the network makes of the index as in training: probability of not being the first class in
        blocks of 2 × 2 pixels, (N, H W / 4)."""
        moved = F.avg_pool2d(logits, 2) + self.side.float() * self.doubted * parting.index(seen.coarse)
        return 1.0 - moved.softmax(dim=1)[:, 0].flatten(1)


def believed(logits: Tensor, first: Tensor, grey: Tensor | None) -> Tensor:
    """Logits whose word against the first class's (``first``) is cut off, as far as pixels are grey (0–1)."""
    if grey is None:
        return logits
    return logits - grey * (logits - first - _MOST_ON_GREY).clamp(min=0.0)
