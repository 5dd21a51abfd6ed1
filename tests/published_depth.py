"""A depth network's tensors as Depth Anything V2 publishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from training.depth.weights import published_name

if TYPE_CHECKING:
    from training.depth.network import DepthNet


def to_published(network: DepthNet) -> dict[str, torch.Tensor]:
    """The network's tensors under published names, with a mask token of zeros, as the originals have one."""
    state = {published_name(name): tensor for name, tensor in network.state_dict().items()}
    return {**state, "pretrained.mask_token": torch.zeros(1, network.size.dim)}
