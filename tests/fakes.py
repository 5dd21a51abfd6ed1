"""Small stand-ins that obey the package's protocols: sources in memory and models that are a formula."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from scipy import special

from cropseg_geo.grid import Window
from cropseg_geo.model.card import ModelCard

COUNTS: Counter[str] = Counter()
_lock = threading.Lock()


def fake_card(*, n_classes: int = 2, **changes) -> ModelCard:
    facts = {
        "name": "fake",
        "version": "1",
        "summary": "a formula",
        "architecture": "none",
        "network": (),
        "bands": ("red",),
        "mean": (0.0,),
        "std": (1.0,),
        "classes": ("background", "crop", "weed", "tree")[:n_classes],
        "colours": ("#000000", "#30a030", "#a03030", "#3030a0")[:n_classes],
        "gsd_m": 0.01,
        "gsd_range_m": (0.002, 0.03),
        "tile_px": 32,
        "overlap_px": 8,
        "stride_px": 1,
        "threshold": 0.5,
        "weights_digest": "0" * 64,
        "licence": "CC0-1.0",
        "training_data": ("none: a formula",),
        "scores": (),
    }
    return ModelCard(**{**facts, **changes})


def logits_of(probability: np.ndarray, n_classes: int = 2) -> np.ndarray:
    """(N, H, W) probabilities of the second class → logits (N, K, H, W); the other K − 1 share the rest.

    Their shares are unequal, the background's the largest, so that no two channels can pass for each other.
    """
    margin = special.logit(np.clip(probability, 1e-7, 1 - 1e-7)).astype(np.float32)
    parts = np.log(np.arange(n_classes - 1, 0, -1) / sum(range(n_classes)), dtype=np.float32)
    others = [np.full_like(margin, part) for part in parts]
    return np.stack([others[0], margin, *others[1:]], axis=1)


def channels_of(card: ModelCard) -> int:
    """Probability channels of a pixel: two classes need one, more have one each."""
    return 1 if len(card.classes) == 2 else len(card.classes)


@dataclass(frozen=True)
class EchoPredictor:
    """Returns its first band as the probability."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        return logits_of(batch[:, 0], len(self.card.classes))


@dataclass(frozen=True)
class ConstantPredictor:
    """One probability everywhere."""

    value: float
    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        return logits_of(np.full(batch[:, 0].shape, self.value), len(self.card.classes))


@dataclass(frozen=True)
class TileDependentPredictor:
    """Depends on all of the tile and on the place in it, so that tiles disagree where they overlap."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        height, width = batch.shape[-2:]
        place = np.linspace(0, 1, height)[:, None] * np.linspace(1, 0, width)[None]
        mean = batch[:, 0].mean(axis=(1, 2))[:, None, None]
        return logits_of(0.25 * place + 0.25 * mean + 0.5 * batch[:, 0], len(self.card.classes))


@dataclass(frozen=True)
class SlowPredictor:
    """As :class:`TileDependentPredictor`, slowly; writes the process and a name of the tile into a log.

    The environment's ``FAKE_SECONDS`` makes a process slower; a tile that is all ``poison`` kills it.
    """

    log: str
    seconds: float = 0.02
    poison: float | None = None
    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        if self.poison is not None and (np.rint(batch * 255) == self.poison).all():
            os._exit(9)
        time.sleep(float(os.environ.get("FAKE_SECONDS", self.seconds)) * len(batch))
        with Path(self.log).open("a") as log:
            for tile in batch:
                log.write(f"{os.getpid()} {hashlib.sha256(tile.tobytes()).hexdigest()[:16]}\n")
        return TileDependentPredictor().predict(batch)


@dataclass(frozen=True)
class NanPredictor:
    """Has diverged."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        return np.full((len(batch), 2, *batch.shape[-2:]), np.nan, dtype=np.float32)


@dataclass(frozen=True)
class PlaceDependentPredictor:
    """Has another card in another process, as weights that differ from machine to machine."""

    @property
    def card(self) -> ModelCard:
        return fake_card(weights_digest=f"{os.getpid():064d}")

    def predict(self, batch):
        return logits_of(batch[:, 0])


@dataclass(frozen=True)
class CountingPredictor:
    """Counts how often it sees each tile (known by its content)."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        with _lock:
            for tile in batch:
                COUNTS[tile.tobytes()] += 1
        return logits_of(batch[:, 0], len(self.card.classes))


@dataclass(frozen=True)
class ArraySource:
    """A raster in memory: values (C, H, W) and validity (H, W)."""

    values: np.ndarray
    valid: np.ndarray

    @property
    def height(self) -> int:
        return self.values.shape[1]

    @property
    def width(self) -> int:
        return self.values.shape[2]

    def read(self, window: Window):
        return self.values[:, *window.slices].copy(), self.valid[window.slices].copy()
