"""ViT-Adapter: a plain vision transformer made to give a pyramid of maps, 1/4 to 1/32 of the image.

A small convolutional branch keeps what patches of 16 pixels lose; it and the transformer tell each other what
they see, four times on the way up, by deformable attention.

Source: Z. Chen et al., "Vision Transformer Adapter for Dense Predictions", arXiv:2205.08534. Written from the
equations. For an image of H × W, n = (H / 32)(W / 32): 4n ViT tokens x, 21n adapter tokens c on three grids.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any, cast

import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import InferenceError
from cropseg_geo.model.networks.deformable import DeformableAttention, Grid, centres
from cropseg_geo.model.networks.vit import embed, run_blocks

INTERACTIONS = 4
_STRIDE_PX = 32


class VitAdapter(nn.Module):
    """Spatial prior → four interactions around the ViT's blocks → four maps of the ViT's width.

    Parameters
    ----------
    vit
        A timm ViT from :func:`cropseg_geo.model.networks.vit.build_vit`; a quarter of its blocks belongs to
        each interaction.
    heads
        Heads of the deformable attention.
    value_ratio
        Channels of its values in units of the ViT's.
    drop_path
        Rate of stochastic depth in the extractors' feed-forward parts; the ViT has its own.
    """

    def __init__(
        self, vit: nn.Module, *, heads: int, value_ratio: float = 1.0, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        dim, depth = cast(Any, vit).embed_dim, len(cast(Any, vit).blocks)  # Any: timm's attributes
        if depth % INTERACTIONS:
            raise TypeError(f"a ViT of {depth} blocks cannot be cut into {INTERACTIONS} equal parts")
        self.dim: int = dim
        self.blocks_each = depth // INTERACTIONS
        self.vit = vit
        self.prior = SpatialPrior(dim)
        self.level_embedding = nn.Parameter(torch.empty(3, dim))
        self.injectors = nn.ModuleList(
            Injector(dim, heads=heads, value_ratio=value_ratio) for _ in range(INTERACTIONS)
        )
        # The last interaction has two extractors more.
        self.extractors = nn.ModuleList(
            Extractor(dim, heads=heads, value_ratio=value_ratio, drop_path=drop_path)
            for _ in range(INTERACTIONS + 2)
        )
        self.finest = nn.ConvTranspose2d(dim, dim, 2, stride=2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(dim) for _ in range(4))
        nn.init.normal_(self.level_embedding)
        _initialise_convolution(self.finest)

    @property
    def channels(self) -> list[int]:
        """Channels of the four maps."""
        return [self.dim] * 4

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, 3, H, W) → maps (N, dim, H / s, W / s) for s = 4, 8, 16, 32.

        Raises
        ------
        InferenceError
            For sides that are not multiples of 32 px, or not those that the ViT was built for.
        """
        height, width = images.shape[-2:]
        if height % _STRIDE_PX or width % _STRIDE_PX:
            raise InferenceError(
                f"the ViT-Adapter got an image of {height}×{width} px; expected multiples of {_STRIDE_PX}",
                remedy="cut the image into tiles whose sides are multiples of 32 px",
            )
        c1, coarse = self.prior(images)
        tokens, grid = embed(self.vit, images)
        rows, cols = grid
        grids = [(2 * rows, 2 * cols), grid, (rows // 2, cols // 2)]
        c = torch.cat([part + level for part, level in zip(coarse, self.level_embedding, strict=True)], dim=1)
        c, seen = self._interact(tokens, c, grid, grids)
        return self._pyramid(c1, _as_maps(c, grids), seen)

    def _interact(
        self, tokens: Tensor, c: Tensor, grid: Grid, grids: list[Grid]
    ) -> tuple[Tensor, list[Tensor]]:
        """Adapter tokens after the last extractor, and the ViT's map after each interaction."""
        at_x, at_c = centres([grid], like=c), centres(grids, like=c)
        prefix = tokens.shape[1] - grid[0] * grid[1]
        seen = []
        for index, injector in enumerate(self.injectors):
            x = injector(tokens[:, prefix:], at_x, c, grids)
            tokens = torch.cat([tokens[:, :prefix], x], dim=1)
            first = index * self.blocks_each
            tokens = run_blocks(self.vit, tokens, first=first, stop=first + self.blocks_each)
            x = tokens[:, prefix:]
            last = index == INTERACTIONS - 1
            for extractor in self.extractors[index : None if last else index + 1]:
                c = extractor(c, at_c, x, grid, grids)
            seen.extend(_as_maps(x, [grid]))
        return c, seen

    def _pyramid(self, c1: Tensor, coarse: list[Tensor], seen: list[Tensor]) -> list[Tensor]:
        maps = [c1 + self.finest(coarse[0]), *coarse]
        scales = (4.0, 2.0, 1.0, 0.5)
        return [
            norm(own + _resize(x, scale))
            for norm, own, x, scale in zip(self.norms, maps, seen, scales, strict=True)
        ]


class SpatialPrior(nn.Module):
    """Convolutions that see single pixels: a map at 1/4, tokens at 1/8, 1/16 and 1/32, all ``dim`` wide."""

    def __init__(self, dim: int, *, width: int = 64) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            *_convolution(3, width, stride=2),
            *_convolution(width, width),
            *_convolution(width, width),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        widths = [width, 2 * width, 4 * width, 4 * width]
        self.stages = nn.ModuleList(
            nn.Sequential(*_convolution(inputs, outputs, stride=2)) for inputs, outputs in pairwise(widths)
        )
        self.projections = nn.ModuleList(nn.Conv2d(inputs, dim, 1) for inputs in widths)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                _initialise_convolution(module)

    def forward(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        """(N, 3, H, W) → (N, dim, H/4, W/4) and three of (N, tokens, dim)."""
        maps = [self.stem(images)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        finest, *coarse = (project(level) for project, level in zip(self.projections, maps, strict=True))
        return finest, [level.flatten(2).transpose(1, 2) for level in coarse]


class Injector(nn.Module):
    """x ← x + γ · MSDA(q = LN(x), v = LN(c)); γ starts at 0, so that the pretrained ViT starts unchanged."""

    def __init__(self, dim: int, *, heads: int, value_ratio: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=1e-6)
        self.value_norm = nn.LayerNorm(dim, eps=1e-6)
        self.attention = DeformableAttention(dim, heads=heads, levels=3, value_ratio=value_ratio)
        self.scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor, at_x: Tensor, c: Tensor, grids: list[Grid]) -> Tensor:
        """(N, 4n, dim) and (N, 21n, dim) → (N, 4n, dim)."""
        seen: Tensor = self.attention(self.query_norm(x), at_x, self.value_norm(c), grids)
        return x + self.scale * seen


class Extractor(nn.Module):
    """c ← c + MSDA(q = LN(c), v = LN(x)), then c ← c + ConvFFN(LN(c))."""

    def __init__(self, dim: int, *, heads: int, value_ratio: float, drop_path: float) -> None:
        super().__init__()
        self.query_norm = nn.LayerNorm(dim, eps=1e-6)
        self.value_norm = nn.LayerNorm(dim, eps=1e-6)
        self.attention = DeformableAttention(dim, heads=heads, levels=1, value_ratio=value_ratio)
        self.feed_norm = nn.LayerNorm(dim, eps=1e-6)
        self.feed = ConvFeedForward(dim)
        self.drop_path: nn.Module = DropPath(drop_path)

    def forward(self, c: Tensor, at_c: Tensor, x: Tensor, grid: Grid, grids: list[Grid]) -> Tensor:
        """(N, 21n, dim) and (N, 4n, dim) → (N, 21n, dim)."""
        c = c + self.attention(self.query_norm(c), at_c, self.value_norm(x), [grid])
        return c + cast(Tensor, self.drop_path(self.feed(self.feed_norm(c), grids)))


class ConvFeedForward(nn.Module):
    """Linear to dim / 4, one depthwise 3 × 3 shared by the three grids, GELU, linear."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        hidden = dim // 4
        self.narrow = nn.Linear(dim, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden)
        self.widen = nn.Linear(hidden, dim)
        for linear in (self.narrow, self.widen):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)
        _initialise_convolution(self.depthwise)

    def forward(self, c: Tensor, grids: list[Grid]) -> Tensor:
        """(N, 21n, dim) → (N, 21n, dim)."""
        maps = _as_maps(self.narrow(c), grids)
        tokens = torch.cat([self.depthwise(level).flatten(2).transpose(1, 2) for level in maps], dim=1)
        return cast(Tensor, self.widen(F.gelu(tokens)))


def _as_maps(tokens: Tensor, grids: list[Grid]) -> list[Tensor]:
    """Tokens (N, S, C) of several grids → maps (N, C, rows, cols)."""
    parts = torch.split(tokens, [rows * cols for rows, cols in grids], dim=1)
    return [
        part.transpose(1, 2).reshape(*part.shape[::2], *grid) for part, grid in zip(parts, grids, strict=True)
    ]


def _resize(values: Tensor, scale: float) -> Tensor:
    if scale == 1.0:
        return values
    return F.interpolate(values, scale_factor=scale, mode="bilinear", align_corners=False)


def _convolution(inputs: int, outputs: int, *, stride: int = 1) -> list[nn.Module]:
    return [
        nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    ]


def _initialise_convolution(module: nn.Conv2d | nn.ConvTranspose2d) -> None:
    # He's initialisation by the fan out, as in the residual networks that such stems come from. One output
    # channel of a depthwise convolution sees one input: torch's own would count them all, and start it at a
    # tenth of its size.
    fan_out = math.prod(module.kernel_size) * module.out_channels // module.groups
    nn.init.normal_(module.weight, std=math.sqrt(2.0 / fan_out))
    if module.bias is not None:
        nn.init.zeros_(module.bias)
