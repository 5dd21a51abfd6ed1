"""AdamW with a rate for each part of a network, and that rate at each step."""

from __future__ import annotations

import math

from torch import nn
from torch.optim import AdamW, Optimizer

from cropseg_geo.model.networks.vit import layer_indices
from training.recipe import Recipe

_POSITIONS = ("pos_embed", "cls_token", "reg_token", "relative_position_bias_table")


def make_optimizer(network: nn.Module, recipe: Recipe) -> Optimizer:
    """AdamW with a rate for each part: what is new learns fastest, the first layers of an encoder slowest."""
    encoder = {id(parameter) for parameter in network.get_submodule("encoder").parameters()}
    depth = layer_indices(network)
    deepest = max(depth.values())
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        scale = recipe.layer_decay ** (deepest - depth[name])
        if id(parameter) in encoder:
            scale *= recipe.encoder_rate
        # Biases, norms and positions are not decayed: shrinking them shifts activations, no more.
        decayed = parameter.ndim > 1 and not name.endswith(_POSITIONS)
        groups.setdefault((scale, decayed), []).append(parameter)
    return AdamW(
        [
            {
                "params": parameters,
                "weight_decay": recipe.weight_decay if decayed else 0.0,
                "scale": scale,
            }
            for (scale, decayed), parameters in groups.items()
        ],
        lr=recipe.learning_rate,
    )


def set_rate(optimizer: Optimizer, recipe: Recipe, step: int) -> None:
    """Linear warm-up, then half a cosine down to a hundredth."""
    warmup = min(1.0, (step + 1) / max(1, recipe.warmup_steps))
    cosine = 0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * step / recipe.steps))
    for group in optimizer.param_groups:
        group["lr"] = recipe.learning_rate * group["scale"] * warmup * cosine
