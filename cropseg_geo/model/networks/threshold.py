"""A threshold that was learned from histograms: where a picture's greenness parts plants from ground.

Otsu's threshold and iterated means look for two groups of equal right. A picture of plants alone, of bare
soil, or of seedlings on stones and straw has no such groups. What a good threshold looks like in a histogram
of greenness can be learned, and it carries over: a histogram shows neither leaves nor soils, so pictures of
one crop teach thresholds for another. Ours, no published method; a convolution over the histogram gives every
candidate a score.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BINS = 96
LOWEST, HIGHEST = -0.3, 0.9
"""Of excess green as a share of three times the picture's mean brightness: soils lie about 0, leaves at 0.1
to 0.6."""

_COARSE = 8
_FINE = BINS // _COARSE
_STEP = (HIGHEST - LOWEST) / BINS

_KERNEL = 9
"""Bins that a score looks at in each of two layers: together ± 0.1."""

_RARE = 1e-3
"""Share of the pixels that counts as none."""

_HABIT, _FAITH = 0.1, 0.1
"""What is believed before anything was learned: the threshold that parts plants and soil in most pictures,
and its spread."""

_CHANNELS, _WIDTH = 6, 24
"""Of what :func:`_describe` says about a candidate, and between the two convolutions."""


class LearnedThreshold(nn.Module):
    """Scores the lower edge of every bin of a histogram as a threshold."""

    candidates: Tensor
    habit: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv1d(_CHANNELS, _WIDTH, _KERNEL, padding=_KERNEL // 2)
        self.judge = nn.Conv1d(_WIDTH, _WIDTH, _KERNEL, padding=_KERNEL // 2)
        self.score = nn.Conv1d(_WIDTH, 1, 1)
        nn.init.zeros_(self.score.weight)
        candidates = LOWEST + _STEP * torch.arange(BINS)
        self.register_buffer("candidates", candidates, persistent=False)
        self.register_buffer("habit", -(((candidates - _HABIT) / _FAITH) ** 2) / 2.0, persistent=False)

    def forward(self, greenness: Tensor) -> Tensor:
        """Greenness of some pixels (N, P) → threshold of each picture (N,), in its units."""
        return self.place(self.votes(histogram(greenness)))

    def votes(self, shares: Tensor) -> Tensor:
        """Histograms (N, ``BINS``) that sum up to 1 → how much each candidate is believed (N, ``BINS``)."""
        seen = F.silu(self.look(_describe(shares, self.candidates)))
        scores: Tensor = self.score(F.silu(self.judge(seen)))[:, 0]
        return (scores + self.habit).softmax(dim=1)

    def place(self, votes: Tensor) -> Tensor:
        """How much each candidate is believed (N, ``BINS``) → threshold of each picture (N,): the mean."""
        threshold: Tensor = (votes * self.candidates).sum(dim=1)
        return threshold


def histogram(greenness: Tensor, counted: Tensor | None = None) -> Tensor:
    """Greenness (N, P) → shares of the pixels (N, ``BINS``); what lies outside counts to the last bin there.

    ``counted`` (N, P): how much of each pixel counts; None counts them whole.

    A bin's number is written with two digits, and a matrix product counts the pairs of them: the work of
    twenty comparisons for each pixel instead of ninety-six.
    """
    number = bin_of(greenness).unsqueeze(1)
    coarse = (number / _FINE).floor()
    fine = number - _FINE * coarse
    first, second = (
        (digit == torch.arange(size, device=digit.device, dtype=digit.dtype)[:, None]).to(greenness.dtype)
        for digit, size in ((coarse, _COARSE), (fine, _FINE))
    )
    if counted is not None:
        first = first * counted.unsqueeze(1)
    return (first @ second.transpose(1, 2)).flatten(1) / greenness.shape[1]


def bin_of(greenness: Tensor) -> Tensor:
    """The number of each value's bin, whole but not an integer type."""
    return ((greenness - LOWEST) / _STEP).floor().clamp(0, BINS - 1)


def from_bin_on(shares: Tensor) -> Tensor:
    """Sums of each bin and those above it, (N, ``BINS``) both: what a threshold at its edge lets pass."""
    return shares.flip(1).cumsum(dim=1).flip(1)


def contradicted(shares: Tensor, plants: Tensor) -> Tensor:
    """Histograms of the pixels and of the plants among them → share of the pixels on the wrong side of each
    candidate, (N, ``BINS``) all three."""
    above = from_bin_on(plants)
    return above[:, :1] - above + from_bin_on(shares - plants)


def _describe(shares: Tensor, candidates: Tensor) -> Tensor:
    """Histograms (N, BINS) → for each candidate what it would part (N, channels, BINS), about −5 to 5."""
    middles = candidates + _STEP / 2.0
    above = from_bin_on(shares)
    below = (1.0 - above).clamp(min=0.0)
    sum_above = from_bin_on(shares * middles)
    whole = sum_above[:, :1]
    few = _RARE / 10.0
    high = (sum_above + few * whole) / (above + few)
    low = (whole - sum_above + few * whole) / (below + few)
    parted = (above * below).sqrt() * (high - low)
    return torch.stack(
        [
            ((above + _RARE) / (below + _RARE)).log() / 3.0,
            10.0 * (high - candidates),
            10.0 * (candidates - low),
            (shares + _RARE).log() + 4.0,
            (5.0 * candidates).expand_as(shares),
            3.0 * parted / parted.amax(dim=1, keepdim=True).clamp(min=_RARE),
        ],
        dim=1,
    )
