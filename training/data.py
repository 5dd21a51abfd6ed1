"""Labelled pairs: the manifest, and decoding what it lists.

A mask is 8 bit: 0 background, 1 crop, 2 weed, 255 unknown. The models here see vegetation (1 and 2) against
background; unknown pixels teach nothing and are not scored. Masks of other kinds hold the probability of
vegetation in half percents instead, 0 to 200, and again 255 for unknown: ``probability`` where a teacher's
opinion was mixed with a mask, ``guess`` where it is all there is.
"""

from __future__ import annotations

import csv
import hashlib
import io
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt
from PIL import Image

from cropseg_geo.errors import InputError
from cropseg_geo.paths import replace_file

MANIFEST = "manifest_pairs.csv"
COLUMNS = (
    "split",
    "dataset",
    "image",
    "mask",
    "width",
    "height",
    "species",
    "frac_crop",
    "frac_weed",
    "licence",
    "source",
    "group",
    "sha256_16",
    "mask_kind",
)
"""Columns of a manifest; ``mask_kind`` may be missing and means ``classes``."""
DATA_VARIABLE = "CROPSEG_DATA"

UNKNOWN = 255
CERTAIN = 200
"""Vegetation for sure, in a mask of probabilities."""

Kind = Literal["classes", "probability", "guess"]
KINDS: tuple[str, ...] = get_args(Kind)

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
    species: str = ""
    kind: Kind = "classes"


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


def write_manifest(
    folder: Path, rows: Iterable[Mapping[str, str]], *, columns: Sequence[str] = COLUMNS
) -> Path:
    """Write a manifest below ``folder``; what a row lacks stays empty. Raises OutputError."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    replace_file(folder / MANIFEST, text.getvalue().encode())
    return folder / MANIFEST


def by_dataset(pairs: Sequence[Pair]) -> dict[str, tuple[Pair, ...]]:
    """Pairs of each dataset, datasets in alphabetical order."""
    names = sorted({pair.dataset for pair in pairs})
    return {name: tuple(pair for pair in pairs if pair.dataset == name) for name in names}


def held_out(pairs: Sequence[Pair]) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs for training, and the last tenth of every group, in order of names, held out from it.

    The held-out pictures calibrate the probabilities and draw the curve of a run. They are neighbours of
    training pictures, so they say nothing of other fields: the test split does that.
    """
    groups = sorted({(pair.dataset, pair.group) for pair in pairs})
    kept: set[Path] = set()
    for key in groups:
        members = sorted(pair.image for pair in pairs if (pair.dataset, pair.group) == key)
        kept.update(members[: len(members) - len(members) // 10])
    return (
        tuple(pair for pair in pairs if pair.image in kept),
        tuple(pair for pair in pairs if pair.image not in kept),
    )


def manifest_digest(pairs: Sequence[Pair]) -> str:
    """SHA-256 over dataset, name and hash of the pairs: says on what a run was trained."""
    lines = sorted(f"{pair.dataset} {pair.image.name} {pair.sha256_16}" for pair in pairs)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def read_image(path: Path) -> Pixels:
    """RGB, (H, W, 3) uint8. Raises InputError."""
    return _decode(path, "RGB")


def read_vegetation(path: Path) -> Pixels:
    """1 where a mask of classes is above 0, 255 where it is unknown, else 0; (H, W). Raises InputError."""
    classes = _decode(path, "L")
    return np.where(classes == UNKNOWN, np.uint8(UNKNOWN), np.minimum(classes, 1)).astype(np.uint8)


def read_target(pair: Pair) -> Pixels:
    """What a network is to learn: the probability of vegetation in half percents, 255 where it is unknown.

    Returns
    -------
    Pixels
        (H, W) uint8; of a mask of classes 0, 200 and 255 alone.
    """
    if pair.kind != "classes":
        return _decode(pair.mask, "L")
    classes = read_vegetation(pair.mask)
    return np.where(classes == 1, np.uint8(CERTAIN), classes).astype(np.uint8)


@dataclass(frozen=True)
class Decoded:
    """A pair in memory: ``image`` (H, W, 3) uint8, ``mask`` (H, W) uint8 of 0, 1 and 255 (unknown)."""

    image: Pixels
    mask: Pixels


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
        species=row.get("species") or "",
        kind=_kind_of(row.get("mask_kind") or "classes"),
    )


def _kind_of(text: str) -> Kind:
    if text not in KINDS:
        raise InputError(f"unknown kind of mask {text!r} in a manifest", remedy=f"use one of {KINDS}")
    return cast(Kind, text)


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
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as err:
        raise InputError(f"cannot read {path}: {err}", remedy="fetch the training data again") from err
