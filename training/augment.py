"""Augmentation: from samples to training crops. Every draw comes from the generator that is given.

Geometry first, then what the scene does (soil, objects, shadows, light), then what the camera does (blur,
noise, compression): the order in which a picture comes about. Images are (H, W, 3) float32 on 0–1, targets
(H, W) uint8: the probability of vegetation in half percents, 255 unknown.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from training import camera, scene
from training.data import CERTAIN, UNKNOWN, Pixels
from training.pool import Pool, Sample

Floats = npt.NDArray[np.float32]
_ENOUGH_LEAVES = 0.1
"""Share of leaves from which a cut can be stacked to a closed canopy."""

_LEAF_TRIES = 4

Effect = Callable[[Floats, Pixels, np.random.Generator], tuple[Floats, Pixels]]


@dataclass(frozen=True)
class Augmentation:
    """How far crops may differ from the pictures; each number is a probability unless it says otherwise."""

    # A few hundred pixels hold some plants and what is between them; smaller crops are more of them an hour.
    crop_px: int = 224
    # Pictures of 0.3–3 mm/px. See ``far`` for drone heights.
    scale: tuple[float, float] = (0.5, 2.0)
    # A tenth of the crops look from a drone's height (down to 0.1×, about 2 cm/px for the widest pictures);
    # mirrored copies fill what the picture does not cover.
    far: float = 0.1
    far_scale: tuple[float, float] = (0.1, 0.3)
    # Simulated fields are made at every distance already.
    ready: tuple[str, ...] = ("simulator",)
    ready_scale: tuple[float, float] = (0.7, 1.5)
    # Half of the crops at any angle; the rest at right angles, with their pixels as sharp as they were.
    rotate: float = 0.5
    # Plants of another picture on this soil: the cheapest way to new pairs of plant and background.
    paste: float = 0.25
    # Leaves stacked to a cover between a half and all: closed canopy, which the pictures lack.
    canopy: float = 0.1
    canopy_cover: tuple[float, float] = (0.5, 1.0)
    # One effect in three crops or less: with about twice as many, 250 steps gave 4 points of mIoU less on
    # peanut and 1 on soybean, and 6 more on a night field.
    soil: float = 0.25
    plant: float = 0.2
    objects: float = 0.1
    shadow: float = 0.3
    light: float = 0.8
    blur: float = 0.2
    sharpen: float = 0.1
    noise: float = 0.2
    jpeg: float = 0.3


@dataclass(frozen=True, eq=False)
class Crop:
    """A training crop in two views of one geometry.

    ``strong`` (crop, crop, 3) uint8 after every effect; ``weak`` the same before scene and camera changed it;
    ``target`` (crop, crop) uint8; ``guess``: where the target is a teacher's opinion alone.
    """

    strong: Pixels
    weak: Pixels
    target: Pixels
    guess: bool


def make_crop(pool: Pool, plan: Augmentation, rng: np.random.Generator) -> Crop:
    """One training crop; the same generator state gives the same crop."""
    sample = pool.draw(rng)
    image, target = cut(sample, plan, rng)
    # Plants of a sure mask on guessed ground would be a mask of both kinds.
    if not sample.guess and rng.random() < plan.paste:
        image, target = scene.paste_plants(image, target, cut(pool.draw(rng), plan, rng), rng)
    if not sample.guess and rng.random() < plan.canopy and sample.dataset not in plan.ready:
        image, target = _with_closed_canopy(image, target, pool, plan, rng)
    weak = to_bytes(image)
    effects: tuple[tuple[float, Effect], ...] = (
        (plan.soil, scene.shift_soil),
        (plan.plant, scene.shift_plants),
        (0.0 if sample.guess else plan.objects, scene.add_object),
        (plan.shadow, scene.cast_shadow),
        (plan.light, camera.change_light),
        (plan.blur, camera.blur),
        (plan.sharpen, camera.sharpen),
        (plan.noise, camera.add_noise),
        (plan.jpeg, camera.compress),
    )
    for probability, effect in effects:
        if rng.random() < probability:
            image, target = effect(image, target, rng)
    return Crop(to_bytes(image), weak, target, sample.guess)


def _with_closed_canopy(
    image: Floats, target: Pixels, pool: Pool, plan: Augmentation, rng: np.random.Generator
) -> tuple[Floats, Pixels]:
    """The crop under layers of its own leaves, or of another picture's where it has few."""
    leaves = image, target
    for _ in range(_LEAF_TRIES):
        if scene.is_plant(leaves[1]).mean() >= _ENOUGH_LEAVES:
            return scene.close_canopy(image, target, leaves, rng.uniform(*plan.canopy_cover), rng)
        leaves = cut(pool.draw(rng), plan, rng)
    return image, target


def cut(sample: Sample, plan: Augmentation, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """A square of the picture at a random place, scale, angle and mirroring, resampled to the crop's size."""
    scale = _draw_scale(plan, sample.dataset, rng)
    turned = rng.random() < plan.rotate
    # A square turned by any angle fits within one whose side is longer by √2.
    side_px = int(np.ceil(plan.crop_px * 1.4143)) if turned else plan.crop_px
    layers = _resampled(sample, side_px, scale, rng)
    if turned:
        angle = rng.uniform(0.0, 360.0)
        layers = tuple(layer.rotate(angle, Image.Resampling.BILINEAR) for layer in layers)
    margin = (side_px - plan.crop_px) // 2
    inner = slice(margin, margin + plan.crop_px)
    pixels, level, known = (np.asarray(layer)[inner, inner] for layer in layers)
    if not sample.soft:
        # Outlines stay where they are: half covered is where a leaf begins.
        level = np.where(level >= CERTAIN // 2, np.uint8(CERTAIN), np.uint8(0))
    target = np.where(known == 255, level, np.uint8(UNKNOWN))
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    pixels, target = np.rot90(pixels, turns), np.rot90(target, turns)
    if mirrored:
        pixels, target = pixels[:, ::-1], target[:, ::-1]
    return pixels.astype(np.float32) / np.float32(255.0), target


def to_bytes(image: Floats) -> Pixels:
    """Values on 0–1, clipped → 0–255."""
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _draw_scale(plan: Augmentation, dataset: str, rng: np.random.Generator) -> float:
    """Log-uniform: twice as large is as likely as half as large."""
    low, high = plan.far_scale if rng.random() < plan.far else plan.scale
    if dataset in plan.ready:
        low, high = plan.ready_scale
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _resampled(
    sample: Sample, side_px: int, scale: float, rng: np.random.Generator
) -> tuple[Image.Image, ...]:
    """Image, target and what is known of it (255, else less), of a random square at ``scale``.

    It is mirrored where it reaches past the picture. The target is resampled as grey values, averaged like
    the image, so that cutting it at one half keeps outlines where they are.
    """
    unknown = sample.target == UNKNOWN
    image = Image.fromarray(sample.image)
    level = Image.fromarray(np.where(unknown, np.uint8(0), sample.target))
    known = Image.fromarray(np.where(unknown, np.uint8(0), np.uint8(255)))
    window_px = max(2.0, side_px / scale)
    sharp = Image.Resampling.BILINEAR if scale < 1.0 else Image.Resampling.BICUBIC
    smooth = Image.Resampling.BILINEAR
    if window_px <= min(image.size):
        left, top = (rng.uniform(0.0, length - window_px) for length in image.size)
        box = (left, top, left + window_px, top + window_px)
        square = (side_px, side_px)
        return (
            image.resize(square, sharp, box=box),
            level.resize(square, smooth, box=box),
            known.resize(square, smooth, box=box),
        )
    # First small, then mirrored: the other way round a picture from afar would hold 16 of them.
    size = (max(2, round(image.width * scale)), max(2, round(image.height * scale)))
    cols, rows = (_mirrored_span(length, side_px, rng) for length in size)
    layers = (image.resize(size, sharp), level.resize(size, smooth), known.resize(size, smooth))
    return tuple(Image.fromarray(np.asarray(layer)[rows[:, None], cols]) for layer in layers)


def _mirrored_span(length: int, window: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Indices of a window on an axis that is continued by mirroring; inside it where it fits."""
    low, high = min(0, length - window), max(0, length - window)
    start = int(rng.integers(low, high + 1))
    folded = np.arange(start, start + window) % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
