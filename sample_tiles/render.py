"""Any window of the field, on its own: ground, shadows, plants, camera. Neighbouring windows fit exactly."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from cropseg_geo.grid import Window
from sample_tiles.field import Field
from sample_tiles.light import taller
from sample_tiles.marks import draw_marks
from sample_tiles.noise import Floats, hash_unit, lattice, noise_at, upsample
from sample_tiles.plants import Sprite, sprite
from sample_tiles.soil import soil
from sample_tiles.varieties import VARIETIES, WEEDS

_REACH = 130  # no sprite, shadow included, is longer than this
_MARGIN = 72  # longest shadow (63 px) + the camera's blur + the ground's occlusion
_OCCLUSION_PX = 9
_SHADOW_TINT = np.array([0.60, 0.555, 0.49], dtype=np.float32)  # what a full shadow takes; the sky is blue
_KINDS = VARIETIES + WEEDS
_IMAGES, _EXPOSURE = 200, 201


@dataclass(frozen=True, eq=False)
class Canopy:
    """What grows in a window.

    ``paint``: (h, w, 4) float32, RGB multiplied by coverage, and coverage. ``height_cm``, ``shadow``: (h, w).
    """

    paint: Floats
    height_cm: Floats
    shadow: Floats

    @cached_property
    def vegetation(self) -> NDArray[np.bool_]:
        """The truth: leaves cover at least half of the pixel."""
        return np.asarray(self.paint[..., 3] >= 0.5)


def _overlap(row: int, col: int, shape: tuple[int, ...], size: tuple[int, int]) -> tuple[slice, ...] | None:
    """Slices of the window and of a sprite placed at (row, col) in it, or None where they do not meet."""
    top, left = max(0, row), max(0, col)
    bottom, right = min(size[0], row + shape[0]), min(size[1], col + shape[1])
    if top >= bottom or left >= right:
        return None
    return (
        slice(top, bottom),
        slice(left, right),
        slice(top - row, bottom - row),
        slice(left - col, right - col),
    )


def canopy(field: Field, window: Window) -> Canopy:
    """Draw every plant that reaches into ``window``, in the field's order."""
    size = window.shape
    paint = np.zeros((*size, 4), dtype=np.float32)
    height, shadow = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
    plants = field.plants(window.grown(_REACH))
    for row, col, kind, stage, variant, gain in zip(
        (plants.row - window.row).tolist(),
        (plants.col - window.col).tolist(),
        plants.kind.tolist(),
        plants.stage.tolist(),
        plants.variant.tolist(),
        plants.gain.tolist(),
        strict=True,
    ):
        shown: Sprite = sprite(field.seed, _KINDS[kind], stage, variant)
        at = _overlap(row + shown.row, col + shown.col, shown.height_cm.shape, size)
        if at is not None:
            target, source = at[:2], at[2:]
            layer = paint[target]
            layer *= shown.keep[source]
            layer += shown.paint[source] * np.array([gain, gain, gain, 1.0], dtype=np.float32)
            np.maximum(height[target], shown.height_cm[source], out=height[target])
        at = _overlap(row + shown.shadow_row, col + shown.shadow_col, shown.shadow.shape, size)
        if at is not None:
            np.maximum(shadow[at[:2]], shown.shadow[at[2:]], out=shadow[at[:2]])
    return Canopy(paint, height, shadow)


def _blurred(image: Floats) -> Floats:
    """The camera's and the mosaic's softness: 1-2-1 weights with a strong centre."""
    for axis in (0, 1):
        side = 0.12 * (np.roll(image, 1, axis) + np.roll(image, -1, axis))
        image = 0.76 * image + side
    return image


def _surrounded(cover: Floats) -> Floats:
    """Mean coverage of the neighbourhood, which takes light from the sky, 0–1.

    Running sums depend on where they start unless they are exact: so the coverage is first rounded to
    1/256, whose sums are exact in double precision.
    """
    mean = np.rint(cover * 256)
    for axis in (0, 1):
        mean = uniform_filter1d(mean, 2 * _OCCLUSION_PX + 1, axis=axis)
    return np.asarray(np.clip(mean / 256, 0, 1), dtype=np.float32)


def _exposure(field: Field, window: Window) -> Floats:
    """Gain per channel: patches of the mosaic come from different images.  # (h, w, 3) float32"""
    seed, spacing, step = field.seed, 780, 6
    rows, cols = lattice(window, step)
    y, x = np.meshgrid(rows * float(step), cols * float(step), indexing="ij")
    y, x = (
        at + 55 * noise_at(x, y, 150, seed, _EXPOSURE, k) + 14 * noise_at(x, y, 30, seed, _EXPOSURE, k)
        for k, at in enumerate((y, x))
    )
    best, gain = np.full(y.shape, np.inf), np.ones((*y.shape, 3))
    for i in range(int(y.min() // spacing) - 1, int(y.max() // spacing) + 2):
        for j in range(int(x.min() // spacing) - 1, int(x.max() // spacing) + 2):
            luck = hash_unit(seed, _IMAGES, i, j, np.arange(6))
            distance = (y - (i + luck[0]) * spacing) ** 2 + (x - (j + luck[1]) * spacing) ** 2
            nearer = distance < best
            best[nearer] = distance[nearer]
            gain[nearer] = 1 + 0.075 * (luck[2] - 0.5) + 0.03 * (luck[3:6] - 0.5)
    gain *= 1 - 0.09 * np.clip(best / spacing**2, 0, 1)[..., None]
    return np.stack([upsample(gain[..., k].astype(np.float32), window, step) for k in range(3)], axis=-1)


@dataclass(frozen=True, eq=False)
class View:
    """A window as delivered, both uint8.

    ``rgba``: (4, h, w). ``truth``: (h, w), 0 soil, 1 vegetation, 255 outside the survey.
    """

    rgba: NDArray[np.uint8]
    truth: NDArray[np.uint8]


def view(field: Field, window: Window) -> View:
    """Orthomosaic and truth of ``window``; the same pixels whatever the window."""
    surveyed = field.surveyed(window) if field.touches_survey(window) else np.zeros(window.shape, dtype=bool)
    if not surveyed.any():
        return View(np.zeros((4, *window.shape), np.uint8), np.full(window.shape, 255, np.uint8))
    wide = window.grown(_MARGIN)
    grown = canopy(field, wide)
    near = Window(_MARGIN - 1, _MARGIN - 1, window.height + 2, window.width + 2).slices
    blocked = np.clip((taller(grown.height_cm) - grown.height_cm - 2.0) / 8.0, 0, 1)
    cover = grown.paint[..., 3]
    hidden = _surrounded(cover)

    ground = soil(field, window.grown(1))
    draw_marks(field, window.grown(1), ground)
    ground *= 1 - np.clip(grown.shadow[near], 0, 1)[..., None] * _SHADOW_TINT
    ground *= (1 - 0.30 * hidden[near])[..., None]
    leaves = grown.paint[near][..., :3] * (1 - 0.75 * blocked[near][..., None] * _SHADOW_TINT)
    image = ground * (1 - cover[near])[..., None] + leaves
    image = _blurred(image)[1:-1, 1:-1] * _exposure(field, window)

    rgb = np.clip(image + 0.5, 1, 255).astype(np.uint8)
    rgba = np.concatenate([rgb, np.full((*window.shape, 1), 255, np.uint8)], axis=-1)
    rgba[~surveyed] = 0
    inner = Window(_MARGIN, _MARGIN, window.height, window.width).slices
    truth = np.where(surveyed, grown.vegetation[inner].astype(np.uint8), np.uint8(255))
    return View(np.ascontiguousarray(np.moveaxis(rgba, -1, 0)), truth)
