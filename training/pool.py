"""Pictures in memory, drawn by dataset, then by group, then one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cropseg_geo.errors import InputError
from training.data import Pair, Pixels, read_image, read_target
from training.doubt import doubt_outline


@dataclass(frozen=True, eq=False)
class Sample:
    """A picture to cut crops from.

    ``image`` (H, W, 3) uint8; ``target`` (H, W) uint8, probability of vegetation in half percents, 255
    unknown; ``soft``: the target holds doubts, not a mask; ``guess``: it is a teacher's opinion alone, which
    the average of the network in training may better.
    """

    image: Pixels
    target: Pixels
    dataset: str = ""
    soft: bool = False
    guess: bool = False


@dataclass(frozen=True)
class Pool:
    """Samples, by dataset and group.

    Every group of a dataset is equally likely, whatever its number of frames: frames of one video are near
    duplicates, and a date with many of them teaches no more than one with few.
    """

    groups: Mapping[str, tuple[tuple[Sample, ...], ...]]
    shares: Mapping[str, float]

    def draw(self, rng: np.random.Generator) -> Sample:
        """One sample; the same generator state gives the same sample."""
        names = sorted(self.groups)
        weights = np.array([self.shares[name] for name in names])
        dataset = self.groups[names[rng.choice(len(names), p=weights / weights.sum())]]
        group = dataset[rng.integers(len(dataset))]
        return group[rng.integers(len(group))]


def load_pool(
    pairs: Sequence[Pair], *, shares: Mapping[str, float], doubt_px: Mapping[str, int] | None = None
) -> Pool:
    """Decode the pairs of every dataset that has a share.

    Parameters
    ----------
    doubt_px
        Dataset → how far from their outlines (px) its masks are doubted; see :mod:`training.doubt`.

    Raises
    ------
    InputError
        If a dataset with a share has no pairs, or a file cannot be read.
    """
    groups: dict[str, tuple[tuple[Sample, ...], ...]] = {}
    for dataset in sorted(name for name, share in shares.items() if share > 0):
        members = [pair for pair in pairs if pair.dataset == dataset]
        if not members:
            raise InputError(f"the manifest has no training pairs of dataset {dataset!r}")
        names = sorted({pair.group for pair in members})
        groups[dataset] = tuple(
            tuple(_doubted(load_sample(pair), doubt_px or {}) for pair in members if pair.group == name)
            for name in names
        )
    return Pool(groups, shares)


def _doubted(sample: Sample, doubt_px: Mapping[str, int]) -> Sample:
    reach_px = doubt_px.get(sample.dataset, 0)
    if not reach_px:
        return sample
    return replace(sample, target=doubt_outline(sample.image, sample.target, reach_px=reach_px))


def load_sample(pair: Pair) -> Sample:
    """Read image and mask. Raises InputError if they differ in size."""
    image, target = read_image(pair.image), read_target(pair)
    if image.shape[:2] != target.shape:
        raise InputError(f"{pair.image} is {image.shape[:2]}, its mask {target.shape}")
    return Sample(image, target, pair.dataset, soft=pair.kind != "classes", guess=pair.kind == "guess")
