"""Small stand-ins that obey the package's protocols: sources in memory and models that are a formula."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from scipy import special

from cropseg_geo.grid import Window
from cropseg_geo.model.card import ModelCard

COUNTS: Counter[str] = Counter()
_lock = threading.Lock()


def fake_card(**changes) -> ModelCard:
    facts = {
        "name": "fake",
        "version": "1",
        "summary": "a formula",
        "architecture": "none",
        "network": (),
        "bands": ("red",),
        "mean": (0.0,),
        "std": (1.0,),
        "classes": ("background", "crop"),
        "colours": ("#000000", "#30a030"),
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


def logits_of(probability: np.ndarray) -> np.ndarray:
    """(N, H, W) probabilities of the second class → logits (N, 2, H, W)."""
    margin = special.logit(np.clip(probability, 1e-7, 1 - 1e-7)).astype(np.float32)
    return np.stack([np.zeros_like(margin), margin], axis=1)


@dataclass(frozen=True)
class EchoPredictor:
    """Returns its first band as the probability."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        return logits_of(batch[:, 0])


@dataclass(frozen=True)
class ConstantPredictor:
    """One probability everywhere."""

    value: float
    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        return logits_of(np.full(batch[:, 0].shape, self.value))


@dataclass(frozen=True)
class TileDependentPredictor:
    """Depends on all of the tile and on the place in it, so that tiles disagree where they overlap."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        height, width = batch.shape[-2:]
        place = np.linspace(0, 1, height)[:, None] * np.linspace(1, 0, width)[None]
        mean = batch[:, 0].mean(axis=(1, 2))[:, None, None]
        return logits_of(0.25 * place + 0.25 * mean + 0.5 * batch[:, 0])


@dataclass(frozen=True)
class CountingPredictor:
    """Counts how often it sees each tile (known by its content)."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        with _lock:
            for tile in batch:
                COUNTS[tile.tobytes()] += 1
        return logits_of(batch[:, 0])


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
