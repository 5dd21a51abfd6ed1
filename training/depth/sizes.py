"""The published sizes of Depth Anything V2 and their licences."""

from __future__ import annotations

from dataclasses import dataclass

from cropseg_geo.errors import InputError, ModelError

PATCH_PX = 14
GRID = 37
"""Patches along a side of the 518 px pictures that the position embeddings were trained for."""


@dataclass(frozen=True)
class DepthSize:
    """The numbers that make one network.

    Parameters
    ----------
    name
        What users call it.
    dim, depth, heads
        Width, blocks and attention heads of the encoder, a ViT with 14 px patches.
    features
        Channels of the head's fusion stages; even.
    channels
        Channels of the four pyramid levels, whose steps are 3.5, 7, 14 and 28 px.
    taps
        The four blocks whose tokens the head reads, 0-based, ascending.
    licence
        Licence of the published weights (SPDX).

    Raises
    ------
    ModelError
        For taps that are not four ascending blocks of the encoder, or widths that cannot be split.

    Source: L. Yang et al., "Depth Anything V2" (2024), arXiv:2406.09414, and its published configurations.
    """

    name: str
    dim: int
    depth: int
    heads: int
    features: int
    channels: tuple[int, int, int, int]
    taps: tuple[int, int, int, int]
    licence: str

    def __post_init__(self) -> None:
        if sorted(set(self.taps)) != list(self.taps) or not 0 <= self.taps[0] <= self.taps[-1] < self.depth:
            raise ModelError(
                f"taps of depth size {self.name!r} are {self.taps}; expected four ascending blocks "
                f"of 0–{self.depth - 1}"
            )
        if self.dim % self.heads or self.features % 2:
            raise ModelError(
                f"depth size {self.name!r} has dim {self.dim}, {self.heads} heads, {self.features} features; "
                "expected a dim that the heads divide and an even number of features"
            )

    @property
    def noncommercial(self) -> bool:
        """Whether the licence forbids commercial use."""
        return "-NC-" in self.licence


SIZES = (
    DepthSize("small", 384, 12, 6, 64, (48, 96, 192, 384), (2, 5, 8, 11), "Apache-2.0"),
    DepthSize("base", 768, 12, 12, 128, (96, 192, 384, 768), (2, 5, 8, 11), "CC-BY-NC-4.0"),
    DepthSize("large", 1024, 24, 16, 256, (256, 512, 1024, 1024), (4, 11, 17, 23), "CC-BY-NC-4.0"),
)


def find_size(name: str) -> DepthSize:
    """The size of that name. Raises InputError."""
    for size in SIZES:
        if size.name == name:
            return size
    raise InputError(
        f"unknown depth size {name!r}", remedy=f"choose one of {', '.join(size.name for size in SIZES)}"
    )
