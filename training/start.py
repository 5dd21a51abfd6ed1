"""Where a network's training starts: from nothing, an encoder's weights, a finished model, or another run."""

from __future__ import annotations

import pickle  # nosec B403 # only for the name of its error
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.fusion import fuse_batch_norms
from cropseg_geo.model.weights import load_state, read_card
from cropseg_geo.model.zoo import find_model
from training.backbones import load_backbone
from training.recipe import CLASSES, Recipe

CHECKPOINT = "last.pt"

_RUN, _ENCODER, _MODEL, _HUB = "run:", "encoder:", "model:", "timm:"


def initial_network(recipe: Recipe, *, data: Path, runs: Path, threshold: Path | None = None) -> nn.Module:
    """The recipe's network with the weights that it starts from.

    Parameters
    ----------
    recipe
        Its ``initial_weights`` is empty (random weights), ``run:NAME`` (the averaged weights of another run's
        last checkpoint), ``encoder:NAME`` (only the encoder's of them), ``model:NAME_OR_PATH`` (a finished
        model), ``timm:NAME`` (a ViT of timm's hub, for an adapter), or an encoder's file below ``data``.
    data
        Data root.
    runs
        Folder of the runs' folders.
    threshold
        Weights of the colour index's threshold; None leaves that of the start weights, or the habitual one.

    Raises
    ------
    InputError
        If there are no such weights, or they are of another network.
    """
    torch.manual_seed(recipe.seed)
    network = build_network(recipe.architecture, classes=len(CLASSES), **recipe.network)
    start = recipe.initial_weights
    if start.startswith(_RUN):
        _fill(network, load_average(runs / start.removeprefix(_RUN) / CHECKPOINT), name=start)
    elif start.startswith(_ENCODER):
        _fill(
            network.get_submodule("encoder"),
            _encoder_of(runs / start.removeprefix(_ENCODER) / CHECKPOINT),
            name=start,
        )
    elif start.startswith(_MODEL):
        _fill(network, load_state(find_model(start.removeprefix(_MODEL))), name=start)
    elif start.startswith(_HUB):
        load_backbone(network.get_submodule("encoder.vit"), start)
    elif start:
        network.get_submodule("encoder").load_state_dict(_encoder_state(recipe, data / start))
    if threshold is not None:
        _fill(network.get_submodule("prior.threshold"), load_file(threshold), name=str(threshold))
    return network


def start_digest(recipe: Recipe) -> str | None:
    """Digest of the finished model's weights that a recipe starts from; None where it starts from none."""
    name = recipe.initial_weights.removeprefix(_MODEL)
    return None if name == recipe.initial_weights else read_card(find_model(name)).weights_digest


def load_average(checkpoint: Path) -> dict[str, Tensor]:
    """The averaged weights of a checkpoint. Raises InputError if there is none, or it is damaged."""
    return dict(_load(checkpoint, "average"))


def steps_of(checkpoint: Path) -> int:
    """How far a checkpoint's training is. Raises InputError if there is none, or it is damaged."""
    return int(_load(checkpoint, "step"))


def _load(checkpoint: Path, name: str) -> Any:  # Any: weights, or a number
    if not checkpoint.is_file():
        raise InputError(f"no checkpoint {checkpoint}", remedy="train it with 'python -m training fit'")
    try:
        return torch.load(checkpoint, map_location="cpu", weights_only=True)[name]
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as err:
        raise InputError(
            f"{checkpoint} is damaged, or no checkpoint of a training ({type(err).__name__})",
            remedy="delete this file, and train it with 'python -m training fit'",
        ) from err


def _fill(network: nn.Module, state: Mapping[str, Tensor], *, name: str) -> None:
    """All weights of a network from those of an equal one. Raises InputError if they differ in kind."""
    own = network.state_dict()
    # Counters of batches are not exported; nothing reads them.
    missing = [k for k in own if k not in state and not k.endswith("num_batches_tracked")]
    other = [k for k, tensor in state.items() if k not in own or own[k].shape != tensor.shape]
    if missing or other:
        raise InputError(
            f"{name} holds another network: {len(missing)} tensors are missing, {len(other)} do not fit, "
            f"the first is {(missing + other)[0]}",
            remedy="start from weights of the same architecture and network arguments",
        )
    network.load_state_dict({**own, **{k: tensor.float() for k, tensor in state.items()}})


def _encoder_of(checkpoint: Path) -> dict[str, Tensor]:
    prefix = "encoder."
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in load_average(checkpoint).items()
        if name.startswith(prefix)
    }


def _encoder_state(recipe: Recipe, path: Path) -> dict[str, Tensor]:
    """The encoder's state from a file of timm's keys; its batch norms folded where the recipe says so."""
    if not path.is_file():
        raise InputError(f"no initial weights {path}", remedy="give the folder that holds them with --data")
    # The file holds an encoder with its batch norms; load it as such, then fold them as the recipe says.
    arguments = {**recipe.network, "fold_norms": False}
    whole = build_network(recipe.architecture, classes=len(CLASSES), **arguments).get_submodule("encoder")
    stored = {name: tensor.float() for name, tensor in load_file(path).items()}
    missing, _ = whole.load_state_dict(stored, strict=False)
    if missing:
        raise InputError(f"{path} lacks {len(missing)} tensors of the encoder, the first is {missing[0]}")
    encoder = fuse_batch_norms(whole.eval()) if recipe.network.get("fold_norms") else whole
    return dict(encoder.state_dict())
