"""Labelled pairs: the manifest, decoded images in memory, and draws by index.

A mask is 8 bit: 0 background, 1 crop, 2 weed. The models here see vegetation, mask > 0, against background.
"""

from __future__ import annotations

import csv
import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from cropseg_geo.errors import InputError

MANIFEST = "manifest_pairs.csv"
DATA_VARIABLE = "CROPSEG_DATA"

Pixels = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pair:
    """One image with its mask, as a line of the manifest tells it; paths are absolute.

    ``group`` joins what must not be torn apart by a split: frames of one flight, or one dataset where the
    manifest names no smaller group.
    """

    split: str
    dataset: str
    image: Path
    mask: Path
    group: str
    licence: str
    source: str
    sha256_16: str


def default_data_root() -> Path:
    """``$CROPSEG_DATA``, or ``shared/data`` beside the repository."""
    named = os.environ.get(DATA_VARIABLE)
    return Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"


def read_pairs(root: Path, *, split: str) -> tuple[Pair, ...]:
    """The manifest's pairs of one split, ``train`` or ``test``, in the manifest's order.

    Raises
    ------
    InputError
        If the manifest is not there, has no such pairs, or a group is in both splits.
    """
    path = root / MANIFEST
    if not path.is_file():
        raise InputError(
            f"no training data: {path} does not exist",
            remedy=f"give the folder that holds {MANIFEST} with --data, or set {DATA_VARIABLE}",
        )
    with path.open(newline="", encoding="utf-8") as file:
        pairs = [_pair_of(root, row) for row in csv.DictReader(file)]
    _refuse_shared_groups(pairs)
    chosen = tuple(pair for pair in pairs if pair.split == split)
    if not chosen:
        raise InputError(f"{path} lists no pairs of split {split!r}")
    return chosen


def by_dataset(pairs: Sequence[Pair]) -> dict[str, tuple[Pair, ...]]:
    """Pairs of each dataset, datasets in alphabetical order."""
    names = sorted({pair.dataset for pair in pairs})
    return {name: tuple(pair for pair in pairs if pair.dataset == name) for name in names}


def manifest_digest(pairs: Sequence[Pair]) -> str:
    """SHA-256 over dataset, name and hash of the pairs: says on what a run was trained."""
    lines = sorted(f"{pair.dataset} {pair.image.name} {pair.sha256_16}" for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_image(path: Path) -> Pixels:
    """RGB, (H, W, 3) uint8. Raises InputError."""
    return _decode(path, "RGB")


def read_vegetation(path: Path) -> Pixels:
    """1 where the mask is above 0, else 0; (H, W) uint8. Raises InputError."""
    return (_decode(path, "L") > 0).astype(np.uint8)


@dataclass(frozen=True)
class Decoded:
    """A pair in memory: ``image`` (H, W, 3) uint8, ``mask`` (H, W) uint8 of 0 and 1."""

    image: Pixels
    mask: Pixels


@dataclass(frozen=True)
class Pool:
    """Decoded pairs in memory, drawn by dataset and then by group.

    Every group of a dataset is equally likely, whatever its number of frames: frames of one video are near
    duplicates, and a date with many of them teaches no more than one with few.
    """

    groups: Mapping[str, tuple[tuple[Decoded, ...], ...]]
    shares: Mapping[str, float]

    def draw(self, rng: np.random.Generator) -> Decoded:
        """One pair; the same generator state gives the same pair."""
        names = sorted(self.groups)
        weights = np.array([self.shares[name] for name in names])
        dataset = self.groups[names[rng.choice(len(names), p=weights / weights.sum())]]
        group = dataset[rng.integers(len(dataset))]
        return group[rng.integers(len(group))]


def load_pool(pairs: Sequence[Pair], *, shares: Mapping[str, float]) -> Pool:
    """Decode the pairs of every dataset that has a share.

    Raises
    ------
    InputError
        If a dataset with a share has no pairs, or a file cannot be read.
    """
    groups: dict[str, tuple[tuple[Decoded, ...], ...]] = {}
    for dataset in sorted(shares):
        members = [pair for pair in pairs if pair.dataset == dataset]
        if not members:
            raise InputError(f"the manifest has no training pairs of dataset {dataset!r}")
        names = sorted({pair.group for pair in members})
        groups[dataset] = tuple(
            tuple(decode(pair) for pair in members if pair.group == name) for name in names
        )
    return Pool(groups, shares)


def decode(pair: Pair) -> Decoded:
    """Read image and mask. Raises InputError if they differ in size."""
    image, mask = read_image(pair.image), read_vegetation(pair.mask)
    if image.shape[:2] != mask.shape:
        raise InputError(f"{pair.image} is {image.shape[:2]}, its mask {mask.shape}")
    return Decoded(image, mask)


def _pair_of(root: Path, row: Mapping[str, str]) -> Pair:
    return Pair(
        split=row["split"],
        dataset=row["dataset"],
        image=root / row["image"],
        mask=root / row["mask"],
        group=row["group"] or f"{row['dataset']}/{row['split']}",
        licence=row["licence"],
        source=row["source"],
        sha256_16=row["sha256_16"],
    )


def _refuse_shared_groups(pairs: Sequence[Pair]) -> None:
    groups = {
        split: {(pair.dataset, pair.group) for pair in pairs if pair.split == split}
        for split in ("train", "test")
    }
    if shared := sorted(groups["train"] & groups["test"]):
        raise InputError(
            f"groups in both the training and the test split: {shared}",
            remedy="frames of one group are near duplicates; put each group in one split",
        )


def _decode(path: Path, mode: str) -> Pixels:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert(mode))
    except OSError as err:
        raise InputError(f"cannot read {path}: {err}", remedy="fetch the training data again") from err
