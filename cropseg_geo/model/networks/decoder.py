"""A top-down pixel decoder: from 1/32 to 1/2 of the input's size, upsampled by FADE-Lite at every step."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

from cropseg_geo.model.networks.fade import FadeLite


class Projection(nn.Sequential):
    """1 × 1 convolution and batch norm: brings an encoder map to the decoder's width."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))


class Refinement(nn.Sequential):
    """Depthwise 3 × 3, then 1 × 1 to ``outputs`` channels; each with batch norm and ReLU."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, inputs, 3, padding=1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(inputs, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class PixelDecoder(nn.Module):
    """Joins an encoder's pyramid from the coarsest map down.

    At each step the coarser map is upsampled under the guidance of the finer one (the gate of FADE takes
    the place of the sum in a feature pyramid network), then refined and narrowed to the next step's width.

    Parameters
    ----------
    channels
        Channels of the encoder's maps, finest first; neighbours differ by a factor of two in size.
    widths
        Channels of the decoder at each of these sizes, finest first. FADE works at the finer map's width,
        so fine maps are kept narrow: their pixels are many.
    """

    def __init__(self, channels: Sequence[int], widths: Sequence[int]) -> None:
        super().__init__()
        finer_widths = [*widths[:-1], widths[-2]]
        self.laterals = nn.ModuleList(
            Projection(inputs, width) for inputs, width in zip(channels, finer_widths, strict=True)
        )
        self.upsamplers = nn.ModuleList(FadeLite(width) for width in widths[:-1])
        narrower = [widths[0], *(finer for finer, _ in pairwise(widths[:-1]))]
        self.refinements = nn.ModuleList(
            Refinement(width, output) for width, output in zip(widths[:-1], narrower, strict=True)
        )

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, H / 2^(i+1), W / 2^(i+1)), finest first → (N, widths[0], H / 2, W / 2)."""
        values: Tensor = self.laterals[-1](pyramid[-1])
        for level in reversed(range(len(pyramid) - 1)):
            guide = self.laterals[level](pyramid[level])
            values = self.refinements[level](self.upsamplers[level](guide, values))
        return values
