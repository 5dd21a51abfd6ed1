"""Predictors: tiles in, logits out. What is carried between threads and processes is the recipe.

Importing this module imports no network library; the network is made ready when the first tile arrives, once
for each recipe in each process.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InferenceError, InputError
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.onnx_file import read_graph_digest
from cropseg_geo.model.portable import expected_card, packed, unpacked

Pixels = npt.NDArray[np.float32]

PRECISIONS = ("auto", "fp32", "bf16")

_LARGEST_WARM_UP_PX = 1024


@runtime_checkable
class Predictor(Protocol):
    """What the engine needs of a model."""

    @property
    def card(self) -> ModelCard:
        """The model's contract."""
        ...

    def predict(self, batch: Pixels) -> Pixels:
        """Values scaled to 0–1 (N, C, H, W) → logits (N, K, H, W), float32 both.

        Law: a tile's logits do not depend on the other tiles of the batch.
        """
        ...


class Runtime(Protocol):
    """A network made ready to compute; safe to share between threads."""

    def predict(self, batch: Pixels) -> Pixels:
        """As :meth:`Predictor.predict`, for a batch that fits the card. Raises InferenceError."""
        ...

    def describe(self) -> str:
        """Where and how it computes."""
        ...


@dataclass(frozen=True)
class TorchPredictor:
    """The recipe of a torch predictor: cheap to make, to compare and to pickle.

    Parameters
    ----------
    weights
        A safetensors file, see :func:`cropseg_geo.model.zoo.find_model`.
    device
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    precision
        ``auto`` (bf16 where a GPU computes in it, else fp32), ``fp32``, ``bf16``.
    digest
        SHA-256 that the file must have; ``""`` for any.

    Raises
    ------
    InputError
        For a precision that does not exist. A device that is not there is refused by :meth:`describe`
        and :meth:`predict`, the first that look.
    """

    weights: Path
    device: str = "auto"
    precision: str = "auto"
    digest: str = field(default="", compare=False, repr=False)

    backend = "torch"

    def __post_init__(self) -> None:
        require_precision(self.precision)

    def __reduce__(self) -> tuple[Callable[..., FilePredictor], tuple[Any, ...]]:  # Any: arguments of that
        file = packed(self.weights, self.digest)
        return unpacked, (TorchPredictor, file, self.device, self.precision)

    @cached_property
    def card(self) -> ModelCard:
        """The card in the weights' header; raises ModelError if there is none."""
        return expected_card(self.weights, self.digest)

    @property
    def identity(self) -> dict[str, str]:
        """What the logits depend on besides the card and the pixels, by name."""
        return {"backend": self.backend, "device": self.device, "precision": self.precision}

    def predict(self, batch: Pixels) -> Pixels:
        """Logits of a batch of tiles at full resolution.

        Parameters
        ----------
        batch
            Values scaled to 0–1, (N, C, H, W) float32; C = the card's bands, H and W multiples of its stride.

        Returns
        -------
        Pixels
            Logits (N, K, H, W) float32; softmax over K gives probabilities.

        Raises
        ------
        InferenceError
            For a batch of another shape or type, or if torch fails (out of memory, for example).
        ModelError
            If the weights are damaged.
        """
        require_fitting(batch, self.card)
        runtime = self._runtime()
        with _one_torch_thread():
            return runtime.predict(batch)

    @property
    def device_type(self) -> str:
        """``"cpu"``, ``"cuda"`` or ``"mps"``: asks torch. Raises InputError if it is not there."""
        from cropseg_geo.model.runtime import select_device

        return select_device(self.device).type

    def describe(self) -> str:
        """Where and how it computes, for the log: ``"cpu, fp32, torch"``. Loads the network."""
        return self._runtime().describe()

    def _runtime(self) -> Runtime:
        from cropseg_geo.model.runtime import load_runtime

        return shared_runtime(
            self, lambda: load_runtime(self.weights, device=self.device, precision=self.precision)
        )


@dataclass(frozen=True)
class OnnxPredictor:
    """The recipe of a predictor that computes an ONNX file on the CPU, without torch.

    Parameters
    ----------
    weights
        An ``.onnx`` file with a card.
    backend
        ``"openvino"`` or ``"onnxruntime"``.
    precision
        ``"fp32"``, or ``"bf16"`` with OpenVINO on a processor that multiplies in it.
    digest
        SHA-256 that the file must have; ``""`` for any.
    """

    weights: Path
    backend: str
    precision: str = "fp32"
    digest: str = field(default="", compare=False, repr=False)

    device = device_type = "cpu"

    def __reduce__(self) -> tuple[Callable[..., FilePredictor], tuple[Any, ...]]:  # Any: arguments of that
        file = packed(self.weights, self.digest)
        return unpacked, (OnnxPredictor, file, self.backend, self.precision)

    @cached_property
    def card(self) -> ModelCard:
        """The card in the file's metadata; raises ModelError if there is none."""
        return expected_card(self.weights, self.digest)

    @cached_property
    def identity(self) -> dict[str, str]:
        """What the logits depend on besides the card and the pixels, by name."""
        facts = {"backend": self.backend, "device": self.device, "precision": self.precision}
        return facts | {"graph": read_graph_digest(self.weights)}

    def predict(self, batch: Pixels) -> Pixels:
        """Logits of a batch of tiles; as :meth:`TorchPredictor.predict`, one thread for each call.

        Raises
        ------
        InferenceError
            For a batch of another shape or type, or if the backend fails.
        ModelError
            If the file is damaged.
        ResourceError
            If this machine does not have the backend, or does not compute in that precision.
        """
        require_fitting(batch, self.card)
        return self._runtime().predict(batch)

    def describe(self) -> str:
        """Where and how it computes, for the log: ``"cpu, bf16, OpenVINO 2026.4"``. Loads the network."""
        return self._runtime().describe()

    def _runtime(self) -> Runtime:
        from cropseg_geo.model.backends import load_onnx_runtime

        return shared_runtime(
            self, lambda: load_onnx_runtime(self.weights, backend=self.backend, precision=self.precision)
        )


FilePredictor = TorchPredictor | OnnxPredictor
"""A predictor that a model file makes."""


def warm_up(predictor: FilePredictor, tile_px: int, *, lanes: int = 1) -> None:
    """Make a network ready for tiles of that side, beside whatever goes on; what fails will fail again.

    Once for each network and side, for so many calls at a time: some runtimes make a network ready for each.
    Tiles above 1024 px are left alone: whether the memory holds them has not been looked at yet.
    """
    if not 0 < tile_px <= _LARGEST_WARM_UP_PX:
        return
    side = tile_px // predictor.card.stride_px * predictor.card.stride_px
    key = (predictor, predictor.card.weights_digest, side)
    with _LOCK:
        if key in _WARMED_UP:
            return
        _WARMED_UP.add(key)

    def work() -> None:
        with suppress(Exception):
            predictor.predict(np.zeros((1, len(predictor.card.bands), side, side), dtype=np.float32))

    for _ in range(lanes):
        # Not a daemon: a process that ends within a native library may crash.
        threading.Thread(target=work, name="cropseg-warm-up").start()


def require_precision(precision: str) -> None:
    """Raise InputError for a precision that does not exist."""
    if precision not in PRECISIONS:
        raise InputError(f"unknown precision {precision!r}", remedy=f"choose one of {', '.join(PRECISIONS)}")


def require_fitting(batch: Pixels, card: ModelCard) -> None:
    """Raise InferenceError for a batch of another shape or type than a model takes."""
    bands, stride = len(card.bands), card.stride_px
    fits = batch.ndim == 4 and batch.shape[1] == bands and batch.dtype == np.float32
    if not fits or 0 in batch.shape or batch.shape[2] % stride or batch.shape[3] % stride:
        raise InferenceError(
            f"model {card.name!r} got a {batch.dtype} batch of shape {batch.shape}; expected "
            f"float32 (N, {bands}, H, W) with H and W multiples of {stride}",
            remedy=f"use a tile size that is a multiple of {stride}",
        )


@contextmanager
def _one_torch_thread() -> Iterator[None]:
    """Within the block, a forward pass of this thread computes on one core; torch's setting comes back.

    Cores are shared out by predicting in several threads: on two cores that is 1.4 times as fast as two
    threads within one forward pass, and the logits are the same bits on any number of cores.
    """
    import torch

    with _LOCK:
        # Torch keeps a number for each thread; a new one gets what was set last, which is the 1 of others.
        before = _THREADS_BEFORE[0] if _THREADS_BEFORE else torch.get_num_threads()
        _THREADS_BEFORE.append(before)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            _THREADS_BEFORE.pop()
            torch.set_num_threads(before)


_THREADS_BEFORE: list[int] = []
"""Torch's setting before the first one came in, once for each thread that is within."""

_LOCK = threading.Lock()
_RUNTIMES: dict[tuple[FilePredictor, str], Runtime] = {}
_WARMED_UP: set[tuple[FilePredictor, str, int]] = set()


def shared_runtime(recipe: FilePredictor, load: Callable[[], Runtime]) -> Runtime:
    """The process's runtime for a recipe; threads share it, and only the first one builds it."""
    # The digest in the key: a file replaced under the same name is another model.
    key = (recipe, recipe.card.weights_digest)
    with _LOCK:
        if key not in _RUNTIMES:
            _RUNTIMES[key] = load()
        return _RUNTIMES[key]
