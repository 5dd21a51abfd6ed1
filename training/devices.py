"""What a run computes on: one processor or GPU, or several that share each batch."""

from __future__ import annotations

from typing import cast

import torch
from lightning.fabric import Fabric
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from cropseg_geo.errors import InputError
from cropseg_geo.model.runtime import select_device
from training.recipe import Recipe


def require_device(device: str, devices: int = 1) -> None:
    """Raise InputError where a run cannot compute: a device that is unknown, not here, or too few of it."""
    kind = select_device(device).type
    if device not in ("auto", kind):
        raise InputError(
            f"--device {device}: a training takes a kind of device, not one of them",
            remedy=f"give --device {kind}; CUDA_VISIBLE_DEVICES chooses among GPUs",
        )
    if kind == "cuda" and devices > (there := torch.cuda.device_count()):
        raise InputError(
            f"{devices} GPUs are wanted, and this machine has {there}", remedy=f"give --devices {there}"
        )


def make_fabric(recipe: Recipe, device: str, devices: int) -> Fabric:
    """Lightning's Fabric for a recipe; raises InputError where there is no such device, or its batch cannot
    be shared out.
    """
    require_device(device, devices)
    if recipe.batch % devices:
        raise InputError(
            f"a batch of {recipe.batch} crops cannot be shared out to {devices} devices",
            remedy=f"give a number of devices that divides {recipe.batch}",
        )
    return Fabric(
        accelerator=device,
        devices=devices,
        # Processes that live for one run: started by running the whole command again ("ddp"), they would all
        # make the labels of the next stage, and write its model, at once.
        strategy="ddp_spawn" if devices > 1 else "auto",
        # Half the memory traffic on a GPU; the weights stay in full precision.
        precision="bf16-mixed" if uses_gpu(device) else "32-true",
    )


def uses_gpu(device: str) -> bool:
    """Whether a device, as :func:`fit` takes it, is a GPU of CUDA on this machine."""
    return device == "cuda" or (device == "auto" and torch.cuda.is_available())


def share_statistics(network: nn.Module) -> nn.Module:
    """Batch norms over all devices' parts of a batch, as ViT-Adapter was trained: one part is few crops.

    Names and values stay what they are. CUDA's only: on CPUs torch has none, and each part has its own.
    """
    return cast(nn.Module, convert_sync_batchnorm(network))  # type: ignore[no-untyped-call]
