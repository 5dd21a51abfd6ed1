"""Networks by name: a card's ``architecture`` and ``network`` arguments → a module. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from torch import nn

from cropseg_geo.errors import ModelError
from cropseg_geo.model.card_fields import Argument
from cropseg_geo.model.networks.canopy import CanopyNet
from cropseg_geo.model.networks.depthcropseg import DepthCropSeg

NETWORKS: Mapping[str, Callable[..., nn.Module]] = MappingProxyType(
    {"canopy": CanopyNet, "depthcropseg": DepthCropSeg}
)
"""Registered networks; each takes keyword arguments of a card and ``classes``."""


def build_network(architecture: str, *, classes: int, **arguments: Argument) -> nn.Module:
    """A network with random weights, in training mode, (N, 3, H, W) → logits (N, classes, H, W).

    Parameters
    ----------
    architecture
        A key of :data:`NETWORKS`.
    classes
        Number of output channels.
    arguments
        The builder's own arguments, as a card's ``network`` holds them.

    Raises
    ------
    ModelError
        For an unknown network, or arguments that its builder does not take.
    """
    if architecture not in NETWORKS:
        raise ModelError(
            f"unknown network {architecture!r}; this version has: {', '.join(sorted(NETWORKS))}",
            remedy="install the version of CropSeg-Geo that the model was made for",
        )
    try:
        return NETWORKS[architecture](classes=classes, **arguments)
    except (TypeError, RuntimeError) as err:
        raise ModelError(
            f"network {architecture!r} cannot be built from {arguments}: {err}",
            remedy="install the version of CropSeg-Geo that the model was made for",
        ) from err
