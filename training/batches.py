"""Crops in batches: any worker, any restart, any number of devices, the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from lightning.fabric import Fabric
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from training.augment import make_crop
from training.pool import Pool
from training.recipe import Recipe


class Batch(NamedTuple):
    """Crops: two views (N, 3, H, W) uint8, targets (N, H, W) uint8, and which are guesses (N,) bool."""

    strong: Tensor
    weak: Tensor
    target: Tensor
    guess: Tensor


class Crops(Dataset[Batch]):
    """Crop number ``i`` is made from (seed, i) alone: any worker, any restart, the same crop."""

    def __init__(self, pool: Pool, recipe: Recipe) -> None:
        self.pool = pool
        self.recipe = recipe

    def __len__(self) -> int:
        return self.recipe.steps * self.recipe.batch

    def __getitem__(self, index: int) -> Batch:
        rng = np.random.default_rng((self.recipe.seed, index))
        crop = make_crop(self.pool, self.recipe.augmentation, rng)
        strong, weak = (torch.from_numpy(view.copy()).permute(2, 0, 1) for view in (crop.strong, crop.weak))
        return Batch(strong, weak, torch.from_numpy(crop.target.copy()), torch.tensor(crop.guess))


def batches_from(first: int, recipe: Recipe, pool: Pool, *, workers: int, fabric: Fabric) -> Iterator[Batch]:
    """Batches from step ``first`` on: step k holds crops k · batch to (k + 1) · batch − 1.

    Of n devices, device r takes every nth of them, from the rth on.
    """
    loader = DataLoader(
        Crops(pool, recipe),
        batch_size=recipe.batch // fabric.world_size,
        sampler=range(
            first * recipe.batch + fabric.global_rank, recipe.steps * recipe.batch, fabric.world_size
        ),
        num_workers=workers,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
