"""Pretrained vision transformers: from timm's hub or from a file into a network's encoder.

A checkpoint is brought to the encoder's shapes on the way: patch kernels from 14 to 16 px, tables of
positions to the encoder's image size. What is missing, left over or of another shape is an error that names
it: a network that silently starts from random weights trains well enough to go unnoticed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from pickle import PickleError  # nosec B403 # only the error's name
from typing import Any, cast

import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.layers.pos_embed import resample_abs_pos_embed
from timm.layers.pos_embed_rel import resize_rel_pos_bias_table
from torch import Tensor, nn
from torch.nn import functional as F

from cropseg_geo.errors import ModelError

HUB_PREFIX = "timm:"

_NESTED = ("model", "state_dict", "module")
"""Keys under which training programs keep the weights themselves."""

_HEAD = ("head.", "head_dist.", "norm.", "fc_norm.", "lm_head.", "mask_token")
"""What checkpoints hold beyond the blocks, and an encoder does not read."""

_PATCHES = "patch_embed.proj.weight"

State = dict[str, Tensor]


def load_backbone(vit: nn.Module, source: str | Path) -> None:
    """Give a timm ViT pretrained weights; in place, all of them or an error and none.

    Parameters
    ----------
    vit
        From :func:`cropseg_geo.model.networks.vit.build_vit`: a network's ``encoder.vit``.
    source
        ``timm:`` and a name on timm's hub (``timm:vit_small_patch14_dinov2.lvd142m``), or a checkpoint file
        (.safetensors, .pth, .pt, .bin) with timm's names, maybe nested or under a prefix.

    Raises
    ------
    ModelError
        If the source cannot be read, or its tensors are not those of the ViT.
    """
    hub = isinstance(source, str) and source.startswith(HUB_PREFIX)
    state = read_hub(str(source).removeprefix(HUB_PREFIX)) if hub else read_checkpoint(Path(source))
    state = adapt_state(select_vit(state, source=str(source)), vit)
    own = vit.state_dict()
    _refuse_difference(own, state, source=str(source))
    vit.load_state_dict(state)


def read_hub(name: str) -> State:
    """The weights of a timm name and tag, downloaded once into Hugging Face's cache. Raises ModelError."""
    try:
        # At the model's own size: what is resized, is resized here and in one way.
        model = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError, ValueError) as err:
        raise ModelError(
            f"timm cannot provide {name!r}: {err}",
            remedy="check the name and the connection, or download the file elsewhere and give its path",
        ) from err
    return cast(State, model.state_dict())


def read_checkpoint(path: Path) -> State:
    """The tensors of a checkpoint file, taken out of ``model``, ``state_dict`` or ``module``.

    Raises
    ------
    ModelError
        For a missing or damaged file, or one without tensors. Pickled code is never run.
    """
    try:
        if path.suffix == ".safetensors":
            document: Any = load_file(path)  # Any: whatever a training program has saved
        else:
            document = torch.load(path, map_location="cpu", weights_only=True)
    # torch and pickle have an error of their own for each kind of damage.
    except (
        OSError,
        RuntimeError,
        ValueError,
        EOFError,
        SafetensorError,
        PickleError,
    ) as err:
        raise ModelError(
            f"cannot read the checkpoint {path}: {err}",
            remedy="give a .safetensors file, or a .pth, .pt or .bin that holds nothing but tensors",
        ) from err
    while isinstance(document, Mapping) and (inner := next((k for k in _NESTED if k in document), None)):
        document = document[inner]
    if not isinstance(document, Mapping):
        document = {}
    state = {str(name): value for name, value in document.items() if isinstance(value, Tensor)}
    if not state:
        raise ModelError(
            f"the checkpoint {path} holds no tensors by name",
            remedy="give the file of a state dict, at the top or under " + ", ".join(_NESTED),
        )
    return state


def select_vit(state: Mapping[str, Tensor], *, source: str) -> State:
    """The ViT's part without its prefix (``module.``, ``backbone.``, ``pretrained.`` …) and without heads.

    Raises
    ------
    ModelError
        If there is no ViT, or more than one.
    """
    prefixes = [name.removesuffix(_PATCHES) for name in state if name.endswith(_PATCHES)]
    if len(prefixes) != 1:
        raise ModelError(
            f"{source} holds {len(prefixes)} vision transformers (…{_PATCHES}); expected one",
            remedy="give a checkpoint of a timm ViT; its first names are: " + ", ".join(list(state)[:3]),
        )
    prefix = prefixes[0]
    part = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
    # Indices are computed from the image size, never loaded.
    return {
        name: value
        for name, value in part.items()
        if not name.startswith(_HEAD) and not name.endswith("relative_position_index")
    }


def adapt_state(state: Mapping[str, Tensor], vit: nn.Module) -> State:
    """Tensors brought to the ViT's patch and image size; others are passed on as they are."""
    own = vit.state_dict()
    model = cast(Any, vit)  # Any: timm's attributes
    prefix = 0 if getattr(model, "no_embed_class", False) else model.num_prefix_tokens
    adapted = dict(state)
    for name, value in state.items():
        if name not in own or value.shape == own[name].shape:
            continue
        if name == _PATCHES and value.ndim == 4:
            size = own[name].shape[-2:]
            # Bilinear and unscaled, as for ViT-Adapters on DINOv2.
            adapted[name] = F.interpolate(value.float(), size=size, mode="bilinear", align_corners=False)
        elif name == "pos_embed" and _is_square(value, prefix):
            adapted[name] = resample_abs_pos_embed(
                value, new_size=list(model.patch_embed.grid_size), num_prefix_tokens=prefix
            )
        elif name.endswith("relative_position_bias_table"):
            window = vit.get_submodule(name.rpartition(".")[0]).window_size
            adapted[name] = resize_rel_pos_bias_table(
                value.float(), new_window_size=cast(Any, window), new_bias_shape=tuple(own[name].shape)
            )
    return adapted


def _is_square(table: Tensor, prefix: int) -> bool:
    """Whether a table of positions (1, prefix + n², dim) is one of a square image."""
    places = table.shape[1] - prefix if table.ndim == 3 else 0
    return places > 0 and math.isqrt(places) ** 2 == places


def _refuse_difference(own: Mapping[str, Tensor], state: Mapping[str, Tensor], *, source: str) -> None:
    shapes = [
        f"{name} is {_times(state[name])} instead of {_times(own[name])}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    complaints = {
        "missing": sorted(own.keys() - state.keys()),
        "unexpected": sorted(state.keys() - own.keys()),
        "of another shape": shapes,
    }
    if any(complaints.values()):
        found = "; ".join(f"{kind}: {_some(names)}" for kind, names in complaints.items() if names)
        raise ModelError(
            f"the checkpoint {source} is of another encoder: {found}",
            remedy="give a checkpoint of the timm model that the network's arguments name as encoder",
        )


def _times(value: Tensor) -> str:
    return "×".join(map(str, value.shape))


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:5])
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown
