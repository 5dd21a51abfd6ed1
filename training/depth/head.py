"""The DPT head: four maps of one scale → a pyramid → fused from coarse to fine → one channel of depth.

Levels are called "1" (fine) to "4" (coarse), as the published weights call them.
Source: R. Ranftl et al., "Vision Transformers for Dense Prediction" (2021), arXiv:2103.13413, in the form
that Depth Anything V2 published.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from training.depth.sizes import PATCH_PX

LEVELS = ("1", "2", "3", "4")
_LAST_CHANNELS = 32


class DepthHead(nn.Module):
    """Four maps (N, dim, rows, cols) → depth (N, 14 rows, 14 cols).

    Parameters
    ----------
    dim
        Channels of the maps.
    features
        Channels while fusing.
    channels
        Channels of the pyramid's levels, fine to coarse.
    """

    def __init__(self, dim: int, *, features: int, channels: Sequence[int]) -> None:
        super().__init__()
        first, second, _, fourth = channels
        self.projects = nn.ModuleList([nn.Conv2d(dim, width, 1) for width in channels])
        self.resizes = nn.ModuleList(
            [
                nn.ConvTranspose2d(first, first, 4, stride=4),
                nn.ConvTranspose2d(second, second, 2, stride=2),
                nn.Identity(),
                nn.Conv2d(fourth, fourth, 3, stride=2, padding=1),
            ]
        )
        self.narrow = nn.ModuleDict(
            {
                level: nn.Conv2d(width, features, 3, padding=1, bias=False)
                for level, width in zip(LEVELS, channels, strict=True)
            }
        )
        self.fuse = nn.ModuleDict({level: Fusion(features) for level in LEVELS})
        self.halve = nn.Conv2d(features, features // 2, 3, padding=1)
        self.predict = nn.Sequential(
            nn.Conv2d(features // 2, _LAST_CHANNELS, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(_LAST_CHANNELS, 1, 1),
            nn.ReLU(),
        )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        rows, cols = maps[0].shape[-2:]
        pyramid = {
            level: self.narrow[level](resize(project(tokens)))
            for level, resize, project, tokens in zip(LEVELS, self.resizes, self.projects, maps, strict=True)
        }
        fused: Tensor | None = None
        for level in reversed(LEVELS):
            fused = self.fuse[level](fused, pyramid[level], size=_finer_size(pyramid, level))
        depth = _resize(self.halve(fused), (PATCH_PX * rows, PATCH_PX * cols))
        return self.predict(depth).squeeze(1)  # type: ignore[no-any-return]


class Fusion(nn.Module):
    """One stage: add the level's map to what comes from the coarser ones, refine, enlarge, mix channels."""

    def __init__(self, features: int) -> None:
        super().__init__()
        # The coarsest stage has nothing to add its map to and never uses ``skip``; the published
        # weights hold it all the same.
        self.skip = ResidualUnit(features)
        self.refine = ResidualUnit(features)
        self.mix = nn.Conv2d(features, features, 1)

    def forward(self, coarser: Tensor | None, level: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Map of ``size`` (rows, cols); without a coarser stage the level's map goes in as it is."""
        joined = level if coarser is None else coarser + self.skip(level)
        return self.mix(_resize(self.refine(joined), size))  # type: ignore[no-any-return]


class ResidualUnit(nn.Module):
    """x + conv(ReLU(conv(ReLU(x))))."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(F.relu(self.conv1(F.relu(x))))  # type: ignore[no-any-return]


def _finer_size(pyramid: dict[str, Tensor], level: str) -> tuple[int, int]:
    """Size of the next finer level; the finest is doubled."""
    index = LEVELS.index(level)
    rows, cols = pyramid[LEVELS[max(0, index - 1)]].shape[-2:]
    return (rows, cols) if index else (2 * rows, 2 * cols)


def _resize(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size, mode="bilinear", align_corners=True)
