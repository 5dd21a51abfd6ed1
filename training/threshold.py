"""The colour index's threshold, learned before any network: crops → histograms → scores of every threshold.

It learns from exact masks alone, generated scenes and potted plants: masks that were drawn by hand are wider
than the leaves, and teach thresholds that are too low for everything else. So it has seen neither the soybean
nor the peanut pictures. See :mod:`cropseg_geo.model.networks.threshold`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks.greenness import excess_green
from cropseg_geo.model.networks.threshold import BINS, LearnedThreshold, bin_of, from_bin_on, histogram
from training.augment import Augmentation, make_crop
from training.data import CERTAIN, UNKNOWN, Pair, held_out, manifest_digest
from training.pool import Pool, load_pool

WEIGHTS = "threshold.safetensors"
_RUN = "run.json"

_RARE = 1e-3
"""Share of a crop that is added to both classes: a crop of one class alone has an IoU of the other, too."""


@dataclass(frozen=True)
class Plan:
    """How a threshold is learned; equal plans on equal pictures give equal weights."""

    sources: tuple[str, ...] = ("pairs", "simulator")
    shares: Mapping[str, float] = field(default_factory=lambda: {"agir": 0.2, "simulator": 0.8})
    # As large as the tiles that it will see: a smaller crop has other histograms.
    augmentation: Augmentation = field(
        default_factory=lambda: Augmentation(
            crop_px=512, far=0.2, far_scale=(0.1, 0.5), ready_scale=(0.5, 1.4)
        )
    )
    crops: int = 6000
    seed: int = 20261126
    steps: int = 3000
    batch: int = 128
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    # How much a threshold's accuracy counts beside its mIoU. Both, for the mIoU alone asks too much of crops
    # with a few pixels of one class.
    accuracy_share: float = 0.8


class Seen(NamedTuple):
    """Histograms, (N, ``BINS``) each, shares of a crop's pixels: of all as the index sees them, of its plants
    and of its ground."""

    shares: Tensor
    plants: Tensor
    ground: Tensor


class Histograms(Dataset[Seen]):
    """Crop number ``i`` is made from (seed, i) alone: any worker, the same histograms."""

    def __init__(self, pool: Pool, plan: Plan) -> None:
        self.pool = pool
        self.plan = plan

    def __len__(self) -> int:
        return self.plan.crops

    def __getitem__(self, index: int) -> Seen:
        rng = np.random.default_rng((self.plan.seed, index))
        crop = make_crop(self.pool, self.plan.augmentation, rng)
        image = torch.from_numpy(crop.strong.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        return look_at(image, torch.from_numpy(crop.target.copy()))


def look_at(image: Tensor, target: Tensor) -> Seen:
    """The histograms of an image (1, 3, H, W) on −1–1; target (H, W) uint8 in half percents, 255 unknown."""
    green, brightness = excess_green(image)
    shares = histogram((F.avg_pool2d(green, 2) / brightness).flatten(1))[0]
    number = bin_of(green / brightness).flatten().long()
    level = target.flatten()
    known = (level != UNKNOWN).float()
    plants = level.float().div(CERTAIN).clamp(max=1.0) * known
    of_plants, of_ground = (
        torch.bincount(number, weights=weight, minlength=BINS) / number.numel()
        for weight in (plants, known - plants)
    )
    return Seen(shares, of_plants.float(), of_ground.float())


def scores(seen: Seen, *, accuracy_share: float) -> Tensor:
    """How good each threshold is for each crop, 0–1, (N, ``BINS``): mIoU and share of right pixels, mixed."""
    right, wrong = from_bin_on(seen.plants), from_bin_on(seen.ground)
    plants, ground = right[:, :1], wrong[:, :1]
    of_plants = (right + _RARE) / (plants + wrong + _RARE)
    of_ground = (ground - wrong + _RARE) / (ground + plants - right + _RARE)
    accuracy = (right + ground - wrong) / (plants + ground).clamp(min=1e-6)
    return (1.0 - accuracy_share) * (of_plants + of_ground) / 2.0 + accuracy_share * accuracy


def learn(seen: Seen, plan: Plan) -> LearnedThreshold:
    """A threshold whose votes have the highest score on average."""
    with _one_thread():
        return _learn(seen, plan)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Threads wait for each other for longer than work of this size takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _learn(seen: Seen, plan: Plan) -> LearnedThreshold:
    torch.manual_seed(plan.seed)
    network = LearnedThreshold()
    targets = scores(seen, accuracy_share=plan.accuracy_share)
    optimizer = torch.optim.AdamW(network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, plan.steps)
    for _ in range(plan.steps):
        drawn = torch.randint(len(targets), (plan.batch,))
        expected = (network.votes(seen.shares[drawn]) * targets[drawn]).sum(dim=1)
        loss = 1.0 - expected.mean()
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return network.eval()


def fit_threshold(plan: Plan, pairs: Sequence[Pair], run: Path, *, workers: int) -> Path:
    """Learn a threshold in a run's folder, unless it was learned there from the same plan and pictures.

    Returns
    -------
    Path
        The weights; ``run.json`` beside them says from what.

    Raises
    ------
    InputError
        If a dataset with a share has no pairs, or the folder holds another threshold.
    """
    taken, _ = held_out(tuple(pair for pair in pairs if plan.shares.get(pair.dataset, 0) > 0))
    # As it is read back: tuples are lists there.
    made_of = json.loads(json.dumps({"plan": asdict(plan), "data": manifest_digest(taken)}))
    weights, about = run / WEIGHTS, run / _RUN
    if weights.is_file():
        found = json.loads(about.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in made_of} != made_of:
            raise InputError(
                f"{run} holds a threshold of another plan or of other data",
                remedy="move the folder away to learn it again",
            )
        return weights
    seen = _all_histograms(plan, load_pool(taken, shares=plan.shares), workers)
    network = learn(seen, plan)
    run.mkdir(parents=True, exist_ok=True)
    document = made_of | {"scores": _reached(network, seen, plan)}
    about.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    part = weights.with_suffix(".part")
    save_file(network.state_dict(), part)
    part.replace(weights)
    return weights


@torch.no_grad()
def _reached(network: LearnedThreshold, seen: Seen, plan: Plan) -> dict[str, float]:
    """Mean score of its votes, and of the best threshold of every crop, on what it learned from."""
    table = scores(seen, accuracy_share=plan.accuracy_share)
    votes = (network.votes(seen.shares) * table).sum(dim=1)
    return {"votes": round(votes.mean().item(), 4), "best": round(table.amax(dim=1).mean().item(), 4)}


def _all_histograms(plan: Plan, pool: Pool, workers: int) -> Seen:
    loader = DataLoader(Histograms(pool, plan), batch_size=50, num_workers=workers)
    return Seen(*(torch.cat(parts) for parts in zip(*loader, strict=True)))
