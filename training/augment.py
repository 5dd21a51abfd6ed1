"""Augmentation: from decoded pairs to training crops. Every draw comes from the generator that is given.

Geometry first, then what the scene does (soil, objects, shadows, light), then what the camera does (blur,
noise, compression): the order in which a picture comes about. Images are (H, W, 3) float32 on 0–1,
masks (H, W) uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from training import camera, scene
from training.data import Decoded, Pixels, Pool

Floats = npt.NDArray[np.float32]
_ENOUGH_LEAVES = 0.1
"""Share of leaves from which a cut can be stacked to a closed canopy."""

_LEAF_TRIES = 4

Effect = Callable[[Floats, Pixels, np.random.Generator], tuple[Floats, Pixels]]


@dataclass(frozen=True)
class Augmentation:
    """How far crops may differ from the pictures; each number is a probability unless it says otherwise."""

    crop_px: int = 256
    # Pictures of 0.3–3 mm/px; 0.3–3 is what the method asks for. See ``far`` for drone heights.
    scale: tuple[float, float] = (0.3, 3.0)
    # A fifth of the crops look from a drone's height (down to 0.1×, about 2 cm/px for the widest pictures);
    # mirrored copies fill what the picture does not cover.
    far: float = 0.2
    far_scale: tuple[float, float] = (0.1, 0.3)
    # Half of the crops at any angle; the rest at right angles, with their pixels as sharp as they were.
    rotate: float = 0.5
    # Plants of another picture on this soil: the cheapest way to new pairs of plant and background.
    paste: float = 0.25
    # Leaves stacked to a cover between a half and all: closed canopy, which the pictures lack.
    canopy: float = 0.25
    canopy_cover: tuple[float, float] = (0.5, 1.0)
    soil: float = 0.4
    plant: float = 0.3
    objects: float = 0.15
    shadow: float = 0.4
    light: float = 0.9
    blur: float = 0.35
    noise: float = 0.3
    jpeg: float = 0.4


def make_crop(pool: Pool, plan: Augmentation, rng: np.random.Generator) -> tuple[Pixels, Pixels]:
    """One training crop.

    Returns
    -------
    tuple
        Image (crop, crop, 3) uint8 and mask (crop, crop) uint8 of 0 and 1.
    """
    image, mask = cut(pool.draw(rng), plan, rng)
    if rng.random() < plan.paste:
        image, mask = scene.paste_plants(image, mask, cut(pool.draw(rng), plan, rng), rng)
    if rng.random() < plan.canopy:
        image, mask = _with_closed_canopy(image, mask, pool, plan, rng)
    effects: tuple[tuple[float, Effect], ...] = (
        (plan.soil, scene.shift_soil),
        (plan.plant, scene.shift_plants),
        (plan.objects, scene.add_object),
        (plan.shadow, scene.cast_shadow),
        (plan.light, camera.change_light),
        (plan.blur, camera.blur),
        (plan.noise, camera.add_noise),
        (plan.jpeg, camera.compress),
    )
    for probability, effect in effects:
        if rng.random() < probability:
            image, mask = effect(image, mask, rng)
    return to_bytes(image), mask


def _with_closed_canopy(
    image: Floats, mask: Pixels, pool: Pool, plan: Augmentation, rng: np.random.Generator
) -> tuple[Floats, Pixels]:
    """The crop under layers of its own leaves, or of another picture's where it has few."""
    leaves = image, mask
    for _ in range(_LEAF_TRIES):
        if leaves[1].mean() >= _ENOUGH_LEAVES:
            return scene.close_canopy(image, mask, leaves, rng.uniform(*plan.canopy_cover), rng)
        leaves = cut(pool.draw(rng), plan, rng)
    return image, mask


def cut(pair: Decoded, plan: Augmentation, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """A square of the picture at a random place, scale, angle and mirroring, resampled to the crop's size."""
    scale = _draw_scale(plan, rng)
    turned = rng.random() < plan.rotate
    # A square turned by any angle fits within one whose side is longer by √2.
    side_px = int(np.ceil(plan.crop_px * 1.4143)) if turned else plan.crop_px
    image, grey = _resampled(pair, side_px, scale, rng)
    if turned:
        angle = rng.uniform(0.0, 360.0)
        image = image.rotate(angle, Image.Resampling.BILINEAR)
        grey = grey.rotate(angle, Image.Resampling.BILINEAR)
    margin = (side_px - plan.crop_px) // 2
    inner = slice(margin, margin + plan.crop_px)
    pixels, mask = np.asarray(image)[inner, inner], np.asarray(grey)[inner, inner] >= 128
    turns, mirrored = int(rng.integers(4)), rng.random() < 0.5
    pixels, mask = np.rot90(pixels, turns), np.rot90(mask, turns)
    if mirrored:
        pixels, mask = pixels[:, ::-1], mask[:, ::-1]
    return pixels.astype(np.float32) / np.float32(255.0), mask.astype(np.uint8)


def to_bytes(image: Floats) -> Pixels:
    """Values on 0–1, clipped → 0–255."""
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _draw_scale(plan: Augmentation, rng: np.random.Generator) -> float:
    """Log-uniform: twice as large is as likely as half as large."""
    low, high = plan.far_scale if rng.random() < plan.far else plan.scale
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _resampled(
    pair: Decoded, side_px: int, scale: float, rng: np.random.Generator
) -> tuple[Image.Image, Image.Image]:
    """Image and mask of a random square, at ``scale``; mirrored where it reaches past the picture.

    The mask is resampled as grey values, averaged like the image, so that cutting it at one half keeps
    outlines where they are.
    """
    image, grey = Image.fromarray(pair.image), Image.fromarray(pair.mask * np.uint8(255))
    window_px = max(2.0, side_px / scale)
    sharp = Image.Resampling.BILINEAR if scale < 1.0 else Image.Resampling.BICUBIC
    if window_px <= min(image.size):
        left, top = (rng.uniform(0.0, length - window_px) for length in image.size)
        box = (left, top, left + window_px, top + window_px)
        size, rows, cols = (side_px, side_px), None, None
    else:
        # First small, then mirrored: the other way round a picture from afar would hold 16 of them.
        box = None
        size = (max(2, round(image.width * scale)), max(2, round(image.height * scale)))
        cols, rows = (_mirrored_span(length, side_px, rng) for length in size)
    image = image.resize(size, sharp, box=box)
    grey = grey.resize(size, Image.Resampling.BILINEAR, box=box)
    if rows is None or cols is None:
        return image, grey
    index = (rows[:, None], cols)
    return Image.fromarray(np.asarray(image)[index]), Image.fromarray(np.asarray(grey)[index])


def _mirrored_span(length: int, window: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """Indices of a window on an axis that is continued by mirroring; inside it where it fits."""
    low, high = min(0, length - window), max(0, length - window)
    start = int(rng.integers(low, high + 1))
    folded = np.arange(start, start + window) % (2 * length)
    return np.where(folded < length, folded, 2 * length - 1 - folded)
