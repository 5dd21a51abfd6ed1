"""Self-training: a teacher labels pictures, and only what it is sure of, and colour bears out, is kept.

The teacher looks at each picture several times (mirrored, and at two sizes); the mean of its probabilities is
the label, and how far the looks differ says how much it is worth.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from cropseg_geo.errors import InputError
from cropseg_geo.machine import usable_cores
from cropseg_geo.model.predictor import Predictor
from training.data import (
    CERTAIN,
    UNKNOWN,
    Decoded,
    Pair,
    Pixels,
    decode,
    read_image,
    write_manifest,
)
from training.evaluation.pictures import picture_logits, vegetation_probability
from training.labels.agreement import compare_labels, green_label

Floats = npt.NDArray[np.float32]
Item = TypeVar("Item")
Finding = TypeVar("Finding")

GUESSES, MIXED = "guesses", "mixed"
"""Names of the datasets that a teacher makes: of unlabelled pictures, and of labelled ones."""

_SIZES = (1.0, 1.6)
_LARGE_PX = 900
"""Shorter side from which pictures are looked at in their own size only."""
_SURE = 0.9
_SHORT_SIDE_PX = 320
"""Smaller pictures are enlarged to this first: the teacher learned leaves, not specks."""


@dataclass(frozen=True)
class Picture:
    """An unlabelled picture and where it comes from."""

    image: Path
    group: str
    licence: str
    source: str


@dataclass(frozen=True)
class Screen:
    """What a label must reach to be kept; all on 0–1.

    ``sure``: share of the pixels of which the teacher is at least 90 % sure; ``steady``: 1 − mean difference
    of its looks; ``colour``: IoU with excess green, cut by Otsu. The first two are low on purpose: both fall
    with the length of the outlines, and would drop every dense stand of thin leaves. What is doubtful within
    a picture is unknown anyway; the agreement with colour finds pictures misunderstood as a whole.
    """

    sure: float = 0.5
    steady: float = 0.84
    colour: float = 0.65
    # A picture with less vegetation than this shows nothing that colour could bear out.
    cover: float = 0.01


@dataclass(frozen=True)
class Judgement:
    """How good a teacher's label is, and whether it is kept."""

    sure: float
    steady: float
    colour: float
    cover: float
    kept: bool


def find_pictures(data: Path) -> tuple[Picture, ...]:
    """The pictures of ``unlabelled/`` below the data root; a folder is a group, its licence file the licence.

    Raises
    ------
    InputError
        If there are none, or a folder has no licence file.
    """
    pictures = []
    for folder in sorted((data / "unlabelled").glob("*/")):
        licences = sorted(folder.glob("LICENSE*"))
        if not licences:
            raise InputError(f"{folder} has no licence file", remedy="add LICENSE.txt, or remove the folder")
        licence = licences[0].read_text(encoding="utf-8").strip().splitlines()[0]
        images = sorted(p for p in folder.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png"))
        pictures += [Picture(image, folder.name, licence, f"unlabelled/{folder.name}") for image in images]
    if not pictures:
        raise InputError(f"no unlabelled pictures in {data / 'unlabelled'}")
    return tuple(pictures)


def look(teacher: Predictor, image: Pixels, sizes: Sequence[float] = _SIZES) -> tuple[Floats, float]:
    """Mean probability of vegetation over several looks, (H, W) on 0–1, and how steady it is, at most 1."""
    height, width = image.shape[:2]
    enlarge = max(1.0, _SHORT_SIDE_PX / min(height, width))
    looks = []
    for size in sizes if min(height, width) < _LARGE_PX else sizes[:1]:
        shown = _resized(image, (round(height * size * enlarge), round(width * size * enlarge)))
        for mirrored in (False, True):
            logits = picture_logits(teacher, shown[:, ::-1] if mirrored else shown)
            seen = vegetation_probability(logits[None])[0]
            seen = seen[:, ::-1] if mirrored else seen
            back = Image.fromarray(np.ascontiguousarray(seen)).resize(
                (width, height), Image.Resampling.BILINEAR
            )
            looks.append(np.asarray(back))
    stack = np.stack(looks)
    return stack.mean(axis=0), 1.0 - float(np.mean(stack.max(axis=0) - stack.min(axis=0)))


def judge(image: Pixels, probability: Floats, steady: float, screen: Screen) -> Judgement:
    """Whether a label is sure, steady, and borne out by colour."""
    sure = float(np.mean(np.maximum(probability, 1.0 - probability) >= _SURE))
    mask = (probability >= 0.5).astype(np.uint8)
    cover = float(mask.mean())
    # Black is where a mosaic ends, not soil.
    valid = image.max(axis=2) > 0
    colour = compare_labels(np.where(valid, mask, np.uint8(UNKNOWN)), green_label(image, valid)).iou
    borne_out = colour >= screen.colour or cover < screen.cover
    kept = sure >= screen.sure and steady >= screen.steady and borne_out
    return Judgement(sure, steady, colour, cover, kept)


def teach_unlabelled(
    teacher: Predictor,
    pictures: Sequence[Picture],
    folder: Path,
    *,
    screen: Screen,
    on_picture: Callable[[], None] = lambda: None,
) -> list[Judgement]:
    """Label pictures and write those that pass as dataset ``guesses``; the manifest is written last.

    Pixels of which the teacher is not sure are unknown.
    """

    def study(picture: Picture) -> tuple[Judgement, Floats]:
        image = read_image(picture.image)
        probability, steady = look(teacher, image)
        return judge(image, probability, steady, screen), probability

    judgements, rows = [], []
    for picture, (judgement, probability) in _in_parallel(study, pictures):
        judgements.append(judgement)
        if judgement.kept:
            doubtful = np.maximum(probability, 1.0 - probability) < 0.75
            target = np.where(doubtful, np.uint8(UNKNOWN), _levels(probability))
            name = f"{picture.group}-{picture.image.stem}"
            facts = {"group": picture.group, "licence": picture.licence, "source": picture.source}
            rows.append(_write(folder, name, picture.image, target, {**facts, "mask_kind": "guess"}, GUESSES))
        on_picture()
    write_manifest(folder, rows)
    return judgements


def teach_labelled(
    teacher: Predictor,
    pairs: Sequence[Pair],
    folder: Path,
    *,
    weight: float = 0.5,
    on_picture: Callable[[], None] = lambda: None,
) -> None:
    """Mix the masks of pairs with the teacher's opinion and write them as dataset ``mixed-<dataset>``.

    A mask drawn by hand is wrong by a pixel or two all along its outline, each time another way; a network
    that learned from hundreds of them errs less there. ``weight`` is the teacher's, 0–1.
    """

    def study(pair: Pair) -> tuple[Decoded, Floats]:
        decoded = decode(pair)
        # At their own size alone: that is where the masks were drawn.
        return decoded, look(teacher, decoded.image, _SIZES[:1])[0]

    rows = []
    for pair, (decoded, probability) in _in_parallel(study, pairs):
        mixed = weight * probability + (1.0 - weight) * (decoded.mask == 1)
        target = np.where(decoded.mask == UNKNOWN, np.uint8(UNKNOWN), _levels(mixed.astype(np.float32)))
        facts = {"group": pair.group, "licence": pair.licence, "source": pair.source, "species": pair.species}
        name = f"{pair.dataset}-{pair.image.stem}"
        dataset = f"{MIXED}-{pair.dataset}"
        rows.append(_write(folder, name, pair.image, target, {**facts, "mask_kind": "probability"}, dataset))
        on_picture()
    write_manifest(folder, rows)


def _in_parallel(study: Callable[[Item], Finding], items: Sequence[Item]) -> Iterator[tuple[Item, Finding]]:
    """Items with their findings, in order; a predictor computes on one core, so every core gets an item."""
    cores = usable_cores()
    with ThreadPoolExecutor(cores) as pool:
        # A few at a time: findings that wait to be written take memory.
        for chunk in _batched(items, 4 * cores):
            yield from zip(chunk, pool.map(study, chunk), strict=True)


def _batched(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    """Runs of at most ``size`` items."""
    return (items[start : start + size] for start in range(0, len(items), size))


def _resized(image: Pixels, shape: tuple[int, int]) -> Pixels:
    if shape == image.shape[:2]:
        return image
    return np.asarray(Image.fromarray(image).resize(shape[::-1], Image.Resampling.BICUBIC))


def _levels(probability: Floats) -> Pixels:
    """0–1 → half percents."""
    return np.rint(np.clip(probability, 0.0, 1.0) * CERTAIN).astype(np.uint8)


def _write(
    folder: Path, name: str, image: Path, target: Pixels, facts: dict[str, str], dataset: str
) -> dict[str, str]:
    """The mask as a file, and its line of the manifest; the picture stays where it is."""
    buffer = io.BytesIO()
    Image.fromarray(target).save(buffer, "PNG")
    path = folder / "masks" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())
    digest = hashlib.sha256(image.read_bytes() + buffer.getvalue()).hexdigest()
    height, width = target.shape
    return {
        **facts,
        "split": "train",
        "dataset": dataset,
        "image": str(image.resolve()),
        "mask": f"masks/{name}.png",
        "width": str(width),
        "height": str(height),
        "sha256_16": digest[:16],
    }
