"""A network made ready to compute: on its device, channels-last, batch norms folded, in inference mode."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from cropseg_geo.errors import InferenceError, InputError, ModelError
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.fusion import activate_in_place, fuse_batch_norms, pad_symmetrically
from cropseg_geo.model.weights import load_state, read_card

Pixels = npt.NDArray[np.float32]

_MPS = threading.Lock()
"""Held by the thread that uses ``mps``: two at once end the process. Source: pytorch/pytorch#197805."""


@dataclass(frozen=True)
class Runtime:
    """A network on its device with its standardisation; safe to share between threads.

    ``mean`` and ``std`` are (1, C, 1, 1) on ``device``.
    """

    network: nn.Module
    mean: Tensor
    std: Tensor
    device: torch.device
    dtype: torch.dtype

    def predict(self, batch: Pixels) -> Pixels:
        """Scaled values (N, C, H, W) → logits (N, K, H, W), float32 both."""
        # On a CPU a batch is no faster than its tiles, and oneDNN may pick another kernel for another
        # batch size: one by one, a tile's logits are the same bits whatever its neighbours are.
        pieces = np.split(batch, len(batch)) if self.device.type == "cpu" else [batch]
        try:
            with _turn_on(self.device):
                return np.concatenate([self._forward(piece) for piece in pieces])
        except RuntimeError as err:
            shape = "×".join(map(str, batch.shape))
            raise InferenceError(
                f"the network failed on a batch of {shape} on {self.device}: {err}",
                remedy="choose a smaller --batch-size, or --device cpu",
            ) from err

    def describe(self) -> str:
        """``"cpu, fp32, torch 2.9"`` or ``"cuda:0 (NVIDIA A10), bf16, torch 2.9"``."""
        precision = "bf16" if self.dtype == torch.bfloat16 else "fp32"
        label = str(self.device)
        if self.device.type == "cuda":
            label = f"{self.device} ({torch.cuda.get_device_name(self.device)})"
        return f"{label}, {precision}, torch {'.'.join(torch.__version__.split('.')[:2])}"

    @torch.inference_mode()
    def _forward(self, batch: Pixels) -> Pixels:
        # A copy: torch refuses negative strides and warns of arrays that may not be written.
        values = torch.from_numpy(np.array(batch, order="C")).to(self.device)
        values = values.to(memory_format=torch.channels_last).sub(self.mean).div_(self.std)
        # Autocast, not a converted network: softmax and sums stay in fp32.
        with torch.autocast(self.device.type, self.dtype, enabled=self.dtype != torch.float32):
            logits = self.network(values)
        return cast(Pixels, logits.float().contiguous().cpu().numpy())


def load_runtime(weights: Path, *, device: str, precision: str) -> Runtime:
    """Build a card's network, load its verified weights and make it ready.

    Raises
    ------
    ModelError
        If the file is damaged or its tensors do not fit the card's network.
    InputError
        If the device is not there.
    """
    card = read_card(weights)
    where = select_device(device)
    network = prepare(load_network(weights).eval())
    with _turn_on(where):
        network = network.to(device=where, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = (_per_band(values, where) for values in (card.mean, card.std))
    dtype = torch.bfloat16 if select_precision(where, precision) == "bf16" else torch.float32
    return Runtime(network=network, mean=mean, std=std, device=where, dtype=dtype)


def prepare(network: nn.Module) -> nn.Module:
    """Rewrite a network in evaluation mode so that it computes the same faster; in place."""
    return activate_in_place(pad_symmetrically(fuse_batch_norms(network)))


def load_network(weights: Path) -> nn.Module:
    """The network of a weights file with its weights, fp32, on the CPU. Raises ModelError."""
    card = read_card(weights)
    network = build_network(card.architecture, classes=len(card.classes), **card.network_arguments)
    try:
        network.load_state_dict(load_state(weights))
    except RuntimeError as err:
        raise ModelError(
            f"the weights in {weights} do not fit the network that the card of {card.name!r} names: {err}",
            remedy="export the model again with this version of CropSeg-Geo",
        ) from err
    return network.requires_grad_(requires_grad=False)


def select_device(name: str) -> torch.device:
    """``auto`` or a torch device's name → a device that is there. Raises InputError."""
    if name == "auto":
        if torch.cuda.is_available():
            return torch.device("cuda", 0)
        return torch.device("mps" if torch.backends.mps.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as err:
        raise InputError(f"unknown device {name!r}", remedy="give auto, cpu, cuda, cuda:1 or mps") from err
    available: dict[str, Callable[[], bool]] = {
        "cpu": lambda: True,
        "cuda": lambda: (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available,
    }
    if device.type not in available or not available[device.type]():
        raise InputError(f"this machine has no device {name!r}", remedy="use --device auto or --device cpu")
    return device


def select_precision(device: torch.device, precision: str) -> str:
    """``auto`` → ``bf16`` on a GPU that multiplies in it, else ``fp32``: on CPUs torch's bf16 is slower."""
    if precision == "auto":
        return "bf16" if _computes_bf16(device) else "fp32"
    return precision


def _computes_bf16(device: torch.device) -> bool:
    # Compute capability 8.0 (Ampere) is the first with bf16 units.
    return device.type == "cuda" and torch.cuda.get_device_capability(device) >= (8, 0)


def _turn_on(device: torch.device) -> AbstractContextManager[object]:
    """Within the block, this thread may use the device; reading and blending go on beside it."""
    return _MPS if device.type == "mps" else nullcontext()


def _per_band(values: tuple[float, ...], device: torch.device) -> Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device).view(1, -1, 1, 1)
