"""One handle on timm's vision transformers: tokens in, blocks in any portion, tokens out.

The blocks are timm's own modules, so that its checkpoints load by name. Two families are known: those with a
table of absolute positions, which is resized for other image sizes (ViT, DeiT, DINOv2 …), and BEiT with its
tables of relative positions, which are fixed to the image size that the network was built for.
"""

from __future__ import annotations

import re
from typing import Any, cast

import timm
import torch
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.models.beit import Beit
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

from cropseg_geo.errors import InferenceError
from cropseg_geo.model.networks.deformable import Grid

PATCH_PX = 16


def build_vit(name: str, *, img_size: int, drop_path: float = 0.0) -> nn.Module:
    """A timm ViT with patches of 16 px and random weights, cut down to what :func:`run_blocks` uses.

    Parameters
    ----------
    name
        timm's name. Models of other patch sizes (DINOv2: 14) are built with 16.
    img_size
        Side of the image (px) that the tables of positions are made for.
    drop_path
        Rate of stochastic depth at the last block; it grows linearly from 0 at the first.

    Raises
    ------
    TypeError
        If timm's model is of no known family.
    """
    # pretrained=False: a network is built without touching the net; its weights come from a file.
    vit = timm.create_model(
        name,
        pretrained=False,
        img_size=img_size,
        patch_size=PATCH_PX,
        num_classes=0,
        drop_path_rate=drop_path,
    )
    return strip_vit(vit)


def strip_vit(vit: nn.Module) -> nn.Module:
    """Check the family, then take away what follows the blocks; in place.

    Raises
    ------
    TypeError
        For a model that is neither of timm's VisionTransformer nor Beit, or has shared relative positions.
    """
    if not isinstance(vit, VisionTransformer | Beit):
        raise TypeError(f"{type(vit).__name__} is no plain ViT; expected timm's VisionTransformer or Beit")
    if getattr(vit, "rel_pos_bias", None) is not None:
        raise TypeError("this BEiT shares one table of relative positions; expected one in each block")
    # A norm whose output is never read would get no gradient, and a checkpoint's head has no place here.
    for name in ("norm", "fc_norm", "head"):
        setattr(vit, name, nn.Identity())
    return cast(nn.Module, vit)


def embed(vit: nn.Module, images: Tensor) -> tuple[Tensor, Grid]:
    """Images (N, 3, H, W) → tokens (N, prefix + rows · cols, dim) with their positions, and the grid.

    Raises
    ------
    InferenceError
        For a size that is not a multiple of 16 px, or not the one that a BEiT was built for.
    """
    model = cast(Any, vit)  # Any: timm's attributes
    height, width = images.shape[-2:]
    native: Grid = model.patch_embed.grid_size
    grid = (height // PATCH_PX, width // PATCH_PX)
    fixed = isinstance(vit, Beit)
    if height % PATCH_PX or width % PATCH_PX or (fixed and grid != native):
        rows, cols = native
        expected = f"{rows * PATCH_PX}×{cols * PATCH_PX}" if fixed else f"multiples of {PATCH_PX}"
        raise InferenceError(
            f"the vision transformer got an image of {height}×{width} px; expected {expected}",
            remedy="cut the image into tiles of the size that the model's card names",
        )
    patches = model.patch_embed.proj(images).flatten(2).transpose(1, 2)
    tokens = model.patch_embed.norm(patches)
    prefix = _prefix(vit, count=images.shape[0])
    table = model.pos_embed
    if table is None:
        tokens = torch.cat([*prefix, tokens], dim=1)
    else:
        own = 0 if getattr(model, "no_embed_class", False) else model.num_prefix_tokens
        if grid != native:
            table = resample_abs_pos_embed(table, grid, native, num_prefix_tokens=own)
        # The table has places for the prefix, or it has not.
        if own:
            tokens = torch.cat([*prefix, tokens], dim=1) + table
        else:
            tokens = torch.cat([*prefix, tokens + table], dim=1)
    return getattr(model, "norm_pre", nn.Identity())(model.pos_drop(tokens)), grid


def run_blocks(vit: nn.Module, tokens: Tensor, *, first: int, stop: int) -> Tensor:
    """Tokens through blocks ``first`` to ``stop`` − 1, (N, T, dim) → (N, T, dim)."""
    for block in cast(Any, vit).blocks[first:stop]:
        tokens = block(tokens)
    return tokens


def layer_indices(network: nn.Module) -> dict[str, int]:
    """Each parameter's depth, for learning rates that decay by layer: rate · decay^(deepest − index).

    0 for the embeddings of a ViT (patches, positions, class token), i + 1 for its block i, depth + 1 for all
    that is new: adapter, decoder, classifier. In a network without a ViT everything has the same index.

    Source: H. Bao et al., "BEiT", arXiv:2106.08254, sec. 3; for DINOv2 adapters a decay of 0.70 is better
    than 0.95.
    """
    vits = [
        (name, part) for name, part in network.named_modules() if isinstance(part, VisionTransformer | Beit)
    ]
    if len(vits) > 1:
        raise TypeError(f"layer indices are defined for one ViT; found {', '.join(name for name, _ in vits)}")
    if not vits:
        return dict.fromkeys(dict(network.named_parameters()), 0)
    prefix = f"{vits[0][0]}." if vits[0][0] else ""
    deepest = len(cast(Any, vits[0][1]).blocks) + 1
    indices = {}
    for name, _ in network.named_parameters():
        inner = name.removeprefix(prefix)
        block = re.match(r"blocks\.(\d+)\.", inner)
        if not name.startswith(prefix):
            indices[name] = deepest
        else:
            indices[name] = int(block[1]) + 1 if block else 0
    return indices


def _prefix(vit: nn.Module, *, count: int) -> list[Tensor]:
    names = ("cls_token", "reg_token")
    parts = [getattr(vit, name, None) for name in names]
    return [part.expand(count, -1, -1) for part in parts if part is not None]
