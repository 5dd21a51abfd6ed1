"""The network of Depth Anything V2: DINOv2's encoder, tapped at four blocks, and a DPT head."""

from __future__ import annotations

from typing import cast

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import InputError
from training.depth.head import DepthHead
from training.depth.sizes import GRID, PATCH_PX, DepthSize

_OFFSET = 0.1
"""What DINOv2 adds to the number of patches before it divides: see :func:`resize_positions`."""


class DepthNet(nn.Module):
    """Standardised pictures → relative inverse depth, higher = closer.

    Parameters
    ----------
    size
        Which network.

    Source: arXiv:2406.09414 (the model), arXiv:2304.07193 (DINOv2), arXiv:2103.13413 (DPT).
    """

    def __init__(self, size: DepthSize) -> None:
        super().__init__()
        self.size = size
        self.encoder = VisionTransformer(
            img_size=GRID * PATCH_PX,
            patch_size=PATCH_PX,
            embed_dim=size.dim,
            depth=size.depth,
            num_heads=size.heads,
            # The published weights replace it; it only has to be there.
            init_values=1.0,
            num_classes=0,
            # Only switches off the check of the picture's size: positions are resized here, not by timm.
            dynamic_img_size=True,
        )
        self.head = DepthHead(size.dim, features=size.features, channels=size.channels)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), sides multiples of 14 px → (N, H, W), not negative.

        Raises
        ------
        InputError
            If a side is no multiple of 14 px.
        """
        height, width = images.shape[-2:]
        if height % PATCH_PX or width % PATCH_PX:
            raise InputError(
                f"a picture of {height}×{width} px; expected sides that are multiples of {PATCH_PX} px",
                remedy="resize it with training.depth.pictures.prepare",
            )
        return cast(Tensor, self.head(self.taps(images)))

    def taps(self, images: Tensor) -> list[Tensor]:
        """Normalised patch tokens after each tapped block, as four maps (N, dim, H/14, W/14)."""
        vit = self.encoder
        patches = vit.patch_embed(images)  # (N, rows, cols, dim)
        rows, cols = patches.shape[1:3]
        # timm's class can also be built without the two.
        class_token, positions = cast(Tensor, vit.cls_token), cast(Tensor, vit.pos_embed)
        tokens = torch.cat([class_token.expand(len(images), -1, -1), patches.flatten(1, 2)], dim=1)
        tokens = tokens + resize_positions(positions, rows, cols)
        maps = []
        for index, block in enumerate(vit.blocks):
            tokens = block(tokens)
            if index in self.size.taps:
                # The final norm on every tap, and the class token dropped.
                maps.append(vit.norm(tokens)[:, 1:].transpose(1, 2).unflatten(2, (rows, cols)))
        return maps


def resize_positions(embedding: Tensor, rows: int, cols: int) -> Tensor:
    """Position embeddings (1, 1 + 37², dim) for another grid: (1, 1 + rows · cols, dim).

    As DINOv2 was trained and published: bicubic without antialiasing, sampled at the scale (n + 0.1) / 37
    and not n / 37. The 0.1 was meant against rounding; it shifts every sample by a little, and weights that
    learnt with it want it. (timm resizes to the exact size, with antialiasing: another network.)
    At 37 × 37 the embedding is taken as it is.
    Source: DINOv2's published code, ``interpolate_offset=0.1``, ``interpolate_antialias=False``.
    """
    if (rows, cols) == (GRID, GRID):
        return embedding
    class_token, patches = embedding[:, :1], embedding[:, 1:]
    resized = F.interpolate(
        patches.reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2),
        scale_factor=((rows + _OFFSET) / GRID, (cols + _OFFSET) / GRID),
        mode="bicubic",
        align_corners=False,
        # The factor itself is the sampling step, not the one recomputed from the rounded size.
        recompute_scale_factor=False,
    )
    return torch.cat([class_token, resized.flatten(2).transpose(1, 2)], dim=1)
