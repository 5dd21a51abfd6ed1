"""Excess green of images, parted by a threshold: what the colour index is made of, and when to doubt it.

Source: D. M. Woebbecke et al. (1995), Transactions of the ASAE 38(1). Ours: the units, and the doubts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from cropseg_geo.model.networks.fade import upsample_nearest
from cropseg_geo.model.networks.threshold import histogram

LEAST_CONTRAST = 0.1
"""Distance of the groups' means, as a share of the mean brightness, below which the picture counts as one
group: noise must not be stretched to vegetation and soil."""

REACH = 1.5
"""The index ends here, in distances between the groups."""

_DARK = 0.02
_EMPTY = 1e-5
"""Share of the picture that every group counts as the picture's mean: a group of no pixels has no other."""

_NIGHT, _DAY = 0.2, 0.35
"""Mean brightness up to which an image shows no colours to rely on, and from which it does."""

_FADING = 0.02
"""Share of the brightness over which grey becomes green."""

_CLIPPED = 4.0 / 255.0
"""So close to the brightest value, a channel may have been brighter than the file can say."""

_CLEAN, _NOISY = 0.1, 0.3
"""Noise of the index, as a share of the distance between the groups, from which its surroundings count, and
from which they alone do."""

_PICTURED, _WHITE = 0.88, 0.95
"""How much pixels differ along diagonals ÷ along rows and columns: up to where this is a picture, and from
where it is noise. The simulator's scenes reach 0.87, cereals of few pixels first; noise of 2 % has 0.96."""

_AROUND = 3
"""Side of the square of 2 × 2 blocks that a noisy index is averaged over."""


@dataclass(frozen=True, eq=False)
class Parting:
    """A threshold, and the distance between the means of what lies above and below; (N, 1, 1, 1) both."""

    cut: Tensor
    distance: Tensor

    def index(self, green: Tensor) -> Tensor:
        """Excess green → 0 at the threshold, 1 a distance above."""
        return ((green - self.cut) / self.distance).clamp(-REACH, REACH)


@dataclass(frozen=True, eq=False)
class Grey:
    """Excess green up to which a pixel counts as grey, and over how much this fades; (N, 1, 1, 1) both."""

    bound: Tensor
    fade: Tensor

    def of(self, green: Tensor) -> Tensor:
        """Excess green → how grey, 0–1."""
        return ((self.bound - green) / self.fade + 0.5).clamp(0.0, 1.0)


@dataclass(frozen=True, eq=False)
class Greenness:
    """What the index knows of some images.

    Attributes
    ----------
    green
        Excess green (N, 1, H, W), see :func:`excess_green`.
    coarse
        The same, averaged over blocks of 2 × 2 pixels.
    brightness
        Sum of each image's means, (N, 1, 1, 1).
    relative
        ``coarse`` as a share of the brightness, (N, H W / 4).
    shares
        Histograms of that, (N, ``BINS``).
    """

    green: Tensor
    coarse: Tensor
    brightness: Tensor
    relative: Tensor
    shares: Tensor

    def parted_at(self, threshold: Tensor) -> Parting:
        """By thresholds (N,) that are shares of the brightness."""
        cut = threshold[:, None, None, None] * self.brightness
        least = LEAST_CONTRAST / 3.0 * self.brightness
        return Parting(cut, torch.maximum(_distance(self.coarse, cut), least))

    def lit(self) -> Tensor:
        """How far the images are bright enough to show colours, 0–1, (N,): leaves are grey at night."""
        mean = self.brightness.flatten() / 3.0 - _DARK
        return ((mean - _NIGHT) / (_DAY - _NIGHT)).clamp(0.0, 1.0)

    def grey_below(self, greenness: Tensor) -> Grey:
        """By bounds (N,) that are shares of the brightness."""
        return Grey(greenness[:, None, None, None] * self.brightness, _FADING * self.brightness)

    def calmed(self, parting: Parting) -> Greenness:
        """Noise averaged away: the more there is, the more of a pixel's surroundings count."""
        noise = noise_of(self.green) / parting.distance
        share = ((noise - _CLEAN) / (_NOISY - _CLEAN)).clamp(0.0, 1.0)
        averaged = F.avg_pool2d(self.coarse, _AROUND, 1, _AROUND // 2, count_include_pad=False)
        return replace(self, green=self.green + share * (upsample_nearest(averaged) - self.green))


def look_at(images: Tensor) -> Greenness:
    """Images (N, 3, H, W) on −1–1, H and W even."""
    green, brightness = excess_green(images)
    coarse = F.avg_pool2d(green, 2)
    relative = (coarse / brightness).flatten(1)
    return Greenness(green, coarse, brightness, relative, histogram(relative))


def excess_green(images: Tensor) -> tuple[Tensor, Tensor]:
    """Images (N, 3, H, W) on −1–1 → 2G − R − B (N, 1, H, W), and the sum of each image's means (N, 1, 1, 1).

    The values are on −2–2, and their share of that sum does not depend on exposure.
    """
    colours = (images.float() + 1.0) / 2.0
    green = 3.0 * colours[:, 1:2] - colours.sum(dim=1, keepdim=True)
    return green, 3.0 * (colours.mean(dim=(1, 2, 3), keepdim=True) + _DARK)


def in_range(images: Tensor, index: Tensor) -> Tensor:
    """How far clipped colours leave an index (N, 1, H, W) worth of trust, 0–1.

    Where red was cut off, the pixel may be less green than it seems, and where green was, greener: so red
    speaks against an index above 0, and green against one below.
    """
    channel = torch.where(index > 0.0, images[:, :1].float(), images[:, 1:2].float())
    return ((1.0 - channel) / (2.0 * _CLIPPED)).clamp(0.0, 1.0)


def noise_of(values: Tensor) -> Tensor:
    """Standard deviation of the noise in maps (N, 1, H, W), H and W even → (N, 1, 1, 1).

    Of the four pixels of a block the diagonals' difference holds noise alone, but for corners: edges and
    slopes cancel (D. L. Donoho and I. M. Johnstone 1994, Biometrika 81(3), who take the median). Leaves of
    few pixels are corners all over. But what is pictured differs from row to row and from column to column by
    more than along diagonals, and noise by as much: where it does not, nothing is called noise.
    """
    block = F.pixel_unshuffle(values, 2)
    first, second, third, fourth = (block[:, k : k + 1] for k in range(4))
    diagonals, rows, columns = (
        difference.abs().mean(dim=(1, 2, 3), keepdim=True)
        for difference in (
            first + fourth - second - third,
            first + second - third - fourth,
            first + third - second - fourth,
        )
    )
    evenness = 2.0 * diagonals / (rows + columns).clamp(min=1e-6)
    white = ((evenness - _PICTURED) / (_WHITE - _PICTURED)).clamp(0.0, 1.0)
    # The mean of |x| is √(2/π) σ, and the sum of four pixels' noise has twice the σ of one.
    noise: Tensor = math.sqrt(math.pi / 2.0) / 2.0 * white * diagonals
    return noise


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
