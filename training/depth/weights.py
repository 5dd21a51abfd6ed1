"""The published weights: their names, their licences, and a network that holds them."""

from __future__ import annotations

import logging
import pickle  # nosec B403 # only for the name of its error
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from cropseg_geo.errors import InputError, ModelError
from training.depth.network import DepthNet
from training.depth.sizes import SIZES, DepthSize, find_size

_LOG = logging.getLogger(__name__)

# Our names → the published ones.
_RULES = tuple(
    (re.compile(pattern), published)
    for pattern, published in (
        (r"encoder\.", r"pretrained."),
        (r"head\.projects\.", r"depth_head.projects."),
        (r"head\.resizes\.", r"depth_head.resize_layers."),
        (r"head\.narrow\.(\d)\.", r"depth_head.scratch.layer\1_rn."),
        (r"head\.fuse\.(\d)\.mix\.", r"depth_head.scratch.refinenet\1.out_conv."),
        (r"head\.fuse\.(\d)\.skip\.", r"depth_head.scratch.refinenet\1.resConfUnit1."),
        (r"head\.fuse\.(\d)\.refine\.", r"depth_head.scratch.refinenet\1.resConfUnit2."),
        (r"head\.halve\.", r"depth_head.scratch.output_conv1."),
        (r"head\.predict\.", r"depth_head.scratch.output_conv2."),
    )
)
_MASK_TOKEN = "pretrained.mask_token"  # nosec B105 # the name of a tensor
"""Published with the rest, of use only in DINOv2's own training."""

_POSITIONS = "pretrained.pos_embed"
_TAKE_PUBLISHED = "give a file as published by Depth Anything V2, such as depth_anything_v2_vits.pth"


def load_depth(
    path: Path, size: str | DepthSize = "small", *, accept_noncommercial: bool = False
) -> DepthNet:
    """A network with published weights: fp32, on the CPU, in evaluation mode, without gradients.

    Parameters
    ----------
    path
        The published checkpoint, ``.pth`` or ``.safetensors``.
    size
        ``small``, ``base`` or ``large``; the file must hold that one.
    accept_noncommercial
        Base and Large are licensed for non-commercial use only (CC-BY-NC-4.0); they load only if the
        caller says that this was understood. Whatever is made with them may be bound by it too.

    Raises
    ------
    InputError
        For a size that does not exist, or a non-commercial one that was not accepted.
    ModelError
        If the file cannot be read, or lacks tensors, has others or of another shape.
    """
    chosen = find_size(size) if isinstance(size, str) else size
    check_licence(chosen, accept_noncommercial=accept_noncommercial)
    state = read_published(path)
    # On the meta device: nothing is drawn at random and held in memory only to be thrown away.
    with torch.device("meta"):
        network = DepthNet(chosen)
    network.load_state_dict(from_published(state, network, source=str(path)), assign=True)
    return network.eval().requires_grad_(requires_grad=False)


def check_licence(size: DepthSize, *, accept_noncommercial: bool) -> None:
    """Refuse non-commercial weights that were not accepted; note in the log those that were.

    Raises
    ------
    InputError
        Names the licence and the size that anyone may use.
    """
    if not size.noncommercial:
        return
    if not accept_noncommercial:
        raise InputError(
            f"the weights of Depth Anything V2 {size.name!r} are licensed {size.licence}: "
            "no commercial use, of them or of what is made with them",
            remedy="use size 'small' (Apache-2.0), or accept with --accept-noncommercial",
        )
    _LOG.warning("Depth Anything V2 %r: weights under %s, no commercial use", size.name, size.licence)


def read_published(path: Path) -> dict[str, Tensor]:
    """The tensors of a ``.pth`` or ``.safetensors`` file by name. Raises ModelError."""
    if path.suffix not in (".pth", ".pt", ".safetensors"):
        raise ModelError(f"{path} is no .pth or .safetensors file", remedy=_TAKE_PUBLISHED)
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        stored: object = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as err:
        # torch's own words advise to load it unsafely, which runs whatever code the file holds.
        raise ModelError(
            f"{path} is damaged, or holds something else than tensors", remedy=_TAKE_PUBLISHED
        ) from err
    except (OSError, RuntimeError, EOFError, ValueError, SafetensorError) as err:
        raise ModelError(f"cannot read the depth weights {path}: {err}", remedy=_TAKE_PUBLISHED) from err
    if not isinstance(stored, dict) or not all(isinstance(tensor, Tensor) for tensor in stored.values()):
        raise ModelError(
            f"{path} holds something else than tensors by name (a {type(stored).__name__})",
            remedy=_TAKE_PUBLISHED,
        )
    return stored


def from_published(
    state: Mapping[str, Tensor], network: DepthNet, *, source: str = "the checkpoint"
) -> dict[str, Tensor]:
    """Published names → the network's own, fp32.

    Parameters
    ----------
    state
        Tensors under published names (``pretrained.*``, ``depth_head.*``).
    network
        Says which tensors there must be, and their shapes; may be on the meta device.
    source
        What errors call the state.

    Raises
    ------
    ModelError
        For missing, unknown or wrongly shaped tensors: names the first few, found and expected.
    """
    expected = {published_name(name): (name, tensor.shape) for name, tensor in network.state_dict().items()}
    found = state.keys() - {_MASK_TOKEN}
    remedy = _remedy(state, network.size)
    if missing := expected.keys() - found:
        raise ModelError(
            f"{source} lacks {len(missing)} of {len(expected)} tensors of Depth Anything V2 "
            f"{network.size.name!r}: {_first_few(missing)}",
            remedy=remedy,
        )
    if unknown := found - expected.keys():
        raise ModelError(
            f"{source} has {len(unknown)} tensors that Depth Anything V2 {network.size.name!r} has not: "
            f"{_first_few(unknown)}",
            remedy=remedy,
        )
    wrong = [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(shape)}"
        for name, (_, shape) in expected.items()
        if state[name].shape != shape
    ]
    if wrong:
        raise ModelError(f"{source} has tensors of another shape: {_first_few(wrong)}", remedy=remedy)
    return {own: state[name].float() for name, (own, _) in expected.items()}


def published_name(name: str) -> str:
    """The published name of one of the network's tensors. Raises ModelError for a name that is none."""
    for pattern, published in _RULES:
        if match := pattern.match(name):
            return match.expand(published) + name[match.end() :]
    raise ModelError(f"{name!r} is no tensor of a depth network")


def _remedy(state: Mapping[str, Tensor], size: DepthSize) -> str:
    """The likeliest reason why a state does not fit, as advice."""
    if any(name.startswith(("backbone.", "neck.")) for name in state):
        return "the file was converted for another library (its names say so); " + _TAKE_PUBLISHED
    positions = state.get(_POSITIONS)
    if positions is not None:
        # The width of the encoder tells the sizes apart.
        for other in SIZES:
            if other.dim == positions.shape[-1] != size.dim:
                return f"the file looks like size {other.name!r}: ask for that, or give the file of this one"
    return _TAKE_PUBLISHED


def _first_few(names: Iterable[str], count: int = 3) -> str:
    ordered = sorted(names)
    more = f" and {len(ordered) - count} more" if len(ordered) > count else ""
    return ", ".join(ordered[:count]) + more
