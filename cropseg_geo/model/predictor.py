"""Predictors: tiles in, logits out. What is carried between threads and processes is the recipe.

Importing this module imports no torch; the network is built when the first tile arrives, once for each
recipe in each process.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InferenceError, InputError
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.weights import read_card

if TYPE_CHECKING:
    from cropseg_geo.model.runtime import Runtime

Pixels = npt.NDArray[np.float32]

PRECISIONS = ("auto", "fp32", "bf16")


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


@dataclass(frozen=True)
class TorchPredictor:
    """The recipe of a torch predictor: cheap to make, to compare and to pickle.

    Parameters
    ----------
    weights
        A weights file, see :func:`cropseg_geo.model.zoo.find_model`.
    device
        ``auto`` (a GPU where there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    precision
        ``auto`` (bf16 where the processor or the GPU computes in it, else fp32), ``fp32``, ``bf16``.

    Raises
    ------
    InputError
        For a precision that does not exist. A device that is not there is refused by :meth:`describe`
        and :meth:`predict`, the first that look.
    """

    weights: Path
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise InputError(
                f"unknown precision {self.precision!r}", remedy=f"choose one of {', '.join(PRECISIONS)}"
            )

    def __reduce__(self) -> tuple[type[TorchPredictor], tuple[Path, str, str]]:
        return (TorchPredictor, (self.weights, self.device, self.precision))

    @cached_property
    def card(self) -> ModelCard:
        """The card in the weights' header; raises ModelError if there is none."""
        return read_card(self.weights)

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
        self._check(batch)
        runtime = _runtime(self)
        with _one_thread():
            return runtime.predict(batch)

    def describe(self) -> str:
        """Where and how it computes, for the log: ``"cpu, fp32"``. Loads the network."""
        return _runtime(self).describe()

    def _check(self, batch: Pixels) -> None:
        bands, stride = len(self.card.bands), self.card.stride_px
        fits = batch.ndim == 4 and batch.shape[1] == bands and batch.dtype == np.float32
        if not fits or 0 in batch.shape or batch.shape[2] % stride or batch.shape[3] % stride:
            raise InferenceError(
                f"model {self.card.name!r} got a {batch.dtype} batch of shape {batch.shape}; expected "
                f"float32 (N, {bands}, H, W) with H and W multiples of {stride}",
                remedy=f"use a tile size that is a multiple of {stride}",
            )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Within the block, a forward pass of this thread computes on one core; torch's setting comes back.

    Cores are shared out by predicting in several threads: on two cores that is 1.4 times as fast as two
    threads within one forward pass, and the logits are the same bits on any number of cores.
    """
    import torch

    with _LOCK:
        if not _THREADS_BEFORE:
            _THREADS_BEFORE.append(torch.get_num_threads())
        _USERS.append(1)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        with _LOCK:
            _USERS.pop()
            if not _USERS:
                torch.set_num_threads(_THREADS_BEFORE.pop())


_USERS: list[int] = []
_THREADS_BEFORE: list[int] = []
_LOCK = threading.Lock()
_RUNTIMES: dict[tuple[TorchPredictor, str], Runtime] = {}


def _runtime(recipe: TorchPredictor) -> Runtime:
    """The process's runtime for a recipe; threads share it, and only the first one builds it."""
    from cropseg_geo.model.runtime import load_runtime

    # The digest in the key: a file replaced under the same name is another model.
    key = (recipe, recipe.card.weights_digest)
    with _LOCK:
        if key not in _RUNTIMES:
            _RUNTIMES[key] = load_runtime(recipe.weights, device=recipe.device, precision=recipe.precision)
        return _RUNTIMES[key]
