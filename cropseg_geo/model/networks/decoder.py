"""A top-down pixel decoder: from the coarsest of an encoder's maps to the finest, twice as large a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import ModelError
from cropseg_geo.model.networks.fade import Fade, FadeLite


class BilinearSum(nn.Module):
    """The step of a plain feature pyramid network: finer map + bilinearly upsampled coarser one.

    It has no parameters; ``channels`` is taken so that it can stand in for FADE, whose control it is.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, guide: Tensor, values: Tensor) -> Tensor:
        """(N, C, 2H, 2W) and (N, C, H, W) → (N, C, 2H, 2W)."""
        return guide + F.interpolate(values, scale_factor=2.0, mode="bilinear", align_corners=False)


UPSAMPLERS: Mapping[str, Callable[[int], nn.Module]] = MappingProxyType(
    {"bilinear": BilinearSum, "fade-lite": FadeLite, "fade": Fade}
)
"""Ways to join a finer map of C channels with a coarser one, by the name that a card holds."""


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

    At each step the coarser map is upsampled under the guidance of the finer one (with FADE, its gate takes
    the place of the sum in a feature pyramid network), then refined and narrowed to the next step's width.

    Parameters
    ----------
    channels
        Channels of the encoder's maps, finest first; neighbours differ by a factor of two in size.
    widths
        Channels of the decoder at each of these sizes, finest first. FADE works at the finer map's width,
        so fine maps are kept narrow: their pixels are many.
    upsampler
        A key of :data:`UPSAMPLERS`.

    Raises
    ------
    ModelError
        For an unknown upsampler.
    """

    def __init__(
        self, channels: Sequence[int], widths: Sequence[int], *, upsampler: str = "fade-lite"
    ) -> None:
        super().__init__()
        if upsampler not in UPSAMPLERS:
            raise ModelError(
                f"unknown upsampler {upsampler!r}; this version has: {', '.join(sorted(UPSAMPLERS))}",
                remedy="name one of these, or install the version that the model was made for",
            )
        finer_widths = [*widths[:-1], widths[-2]]
        self.laterals = nn.ModuleList(
            Projection(inputs, width) for inputs, width in zip(channels, finer_widths, strict=True)
        )
        self.upsamplers = nn.ModuleList(UPSAMPLERS[upsampler](width) for width in widths[:-1])
        narrower = [widths[0], *(finer for finer, _ in pairwise(widths[:-1]))]
        self.refinements = nn.ModuleList(
            Refinement(width, output) for width, output in zip(widths[:-1], narrower, strict=True)
        )

    def forward(self, pyramid: Sequence[Tensor]) -> Tensor:
        """Maps (N, C_i, H / 2^i, W / 2^i), finest first → (N, widths[0], H, W)."""
        values: Tensor = self.laterals[-1](pyramid[-1])
        for level in reversed(range(len(pyramid) - 1)):
            guide = self.laterals[level](pyramid[level])
            values = self.refinements[level](self.upsamplers[level](guide, values))
        return values
