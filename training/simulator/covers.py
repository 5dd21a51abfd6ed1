"""Ground that is no soil: asphalt, concrete, gravel, fabric, film, wood chips, snow, water, tarpaulins."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from training.simulator.ground import Ground, across_and_along, make_soil, patches
from training.simulator.noise import Floats, noise
from training.simulator.plants import linear

Flags = npt.NDArray[np.bool_]

_WHOLE, _PART = 0.15, 0.15
"""Chances that a scene lies on such a cover alone, or that it meets soil in the scene."""

_STONE_TONES = np.array(
    [
        (128, 128, 128), (96, 94, 92), (168, 164, 158), (206, 202, 194), (150, 132, 110), (124, 104, 92),
        (70, 70, 74),
    ]
)  # fmt: skip
_CHIP_TONES = np.array([(176, 140, 100), (120, 88, 60), (92, 70, 54), (200, 176, 140), (138, 124, 110)])


def make_ground(rng: np.random.Generator, side: int, cell_m: float) -> tuple[Ground, Flags]:
    """Soil, a cover, or both in one scene, and where there is soil, (side, side).

    All of the ground counts as soil where nothing else is left for plants to stand on.
    """
    soil = make_soil(rng, side, cell_m)
    drawn = rng.random()
    if drawn >= _WHOLE + _PART:
        return soil, np.ones((side, side), dtype=bool)
    cover = make_cover(rng, side, cell_m)
    if drawn < _WHOLE:
        return cover, np.ones((side, side), dtype=bool)
    share = _edge(soil, rng) if rng.random() < 0.6 else patches(soil, rng, rng.uniform(0.15, 0.8))
    covered = share >= 0.5
    soil.height_m[:] = np.where(covered, cover.height_m, soil.height_m)
    soil.albedo += share[..., None] * (cover.albedo - soil.albedo)
    return soil, ~covered


def make_cover(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """A cover of any kind over all of the scene."""
    kinds = list(_COVERS)
    shares = np.array(list(_COVERS.values()))
    cover = kinds[int(rng.choice(len(kinds), p=shares / shares.sum()))](rng, side, cell_m)
    if rng.random() < 0.4:
        # Dirt, shade of old water, wear.
        stain = patches(cover, rng, rng.uniform(0.1, 0.7)) * np.float32(rng.uniform(0.05, 0.4))
        cover.albedo *= 1 - stain[..., None]
    return cover


def _sheet(rng: np.random.Generator, side: int, cell_m: float, tone: Floats, *, uneven: float) -> Ground:
    """A flat cover of one colour, linear (3,), that is brighter here than there by about ``uneven``."""
    light = np.float32(0.5 * uneven) * noise(rng, side, rng.uniform(0.15, 0.8) * side)
    light += np.float32(0.5 * uneven) * noise(rng, side, rng.uniform(8.0, 60.0))
    albedo = np.clip(tone * np.exp(light)[..., None], 0.005, 0.95).astype(np.float32)
    return Ground(np.zeros((side, side), dtype=np.float32), albedo, cell_m)


def _grey(rng: np.random.Generator, low: float, high: float, tint: float) -> Floats:
    """A nearly neutral colour, linear, of a brightness between the two.  # (3,)"""
    value = np.exp(rng.uniform(np.log(low), np.log(high)))
    return np.asarray(value * np.exp(rng.normal(0, tint, 3)), dtype=np.float32)


def _asphalt(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Dark binder with the grain of its stones, smooth or coarse, and sometimes a painted line."""
    ground = _sheet(rng, side, cell_m, _grey(rng, 0.03, 0.3, 0.03), uneven=rng.uniform(0.02, 0.15))
    grain = noise(rng, side, np.clip(rng.uniform(0.002, 0.012) / cell_m, 2.5, 30.0))
    ground.albedo *= np.exp(np.float32(rng.uniform(0.02, 0.4)) * grain)[..., None]
    ground.height_m += np.float32(rng.uniform(0.0, 0.001)) * grain
    if rng.random() < 0.2:
        across, _ = across_and_along(ground, rng)
        ground.albedo[np.abs(across) < rng.uniform(0.03, 0.08)] = np.float32(rng.uniform(0.4, 0.8))
    return ground


def _concrete(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Pale and smooth, or slabs with joints."""
    ground = _sheet(rng, side, cell_m, _grey(rng, 0.12, 0.75, 0.04), uneven=rng.uniform(0.01, 0.12))
    ground.albedo *= np.exp(np.float32(rng.uniform(0.0, 0.06)) * noise(rng, side, 2.5))[..., None]
    if rng.random() < 0.5:
        slab_m, joint_m = rng.uniform(0.1, 0.6), max(rng.uniform(0.002, 0.012), 1.5 * cell_m)
        across, along = across_and_along(ground, rng)
        off = np.minimum(np.abs((across % slab_m) - slab_m / 2), np.abs((along % slab_m) - slab_m / 2))
        joint = off < joint_m / 2
        ground.albedo[joint] *= np.float32(rng.uniform(0.2, 0.8))
        ground.height_m[joint] -= np.float32(0.004)
    return ground


def _gravel(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Stones side by side, of one tint or of many."""
    size_m = np.exp(rng.uniform(np.log(0.003), np.log(0.06)))
    kinds = _linear_tones(_STONE_TONES[rng.integers(len(_STONE_TONES), size=rng.integers(1, 4))])
    return _pieces(
        rng, side, cell_m, kinds, size_m=size_m, stretch=1.0, contrast=rng.uniform(0.05, 0.4),
        tint=rng.uniform(0.0, 0.1) if rng.random() < 0.8 else 0.18,
    )  # fmt: skip


def _chips(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Wood chips or bark."""
    kinds = _linear_tones(_CHIP_TONES[rng.integers(len(_CHIP_TONES), size=rng.integers(1, 3))])
    return _pieces(
        rng, side, cell_m, kinds, size_m=rng.uniform(0.005, 0.03), stretch=rng.uniform(1.5, 4.0),
        contrast=rng.uniform(0.15, 0.4), tint=rng.uniform(0.02, 0.08),
    )  # fmt: skip


def _pieces(
    rng: np.random.Generator,
    side: int,
    cell_m: float,
    kinds: Floats,
    *,
    size_m: float,
    stretch: float,
    contrast: float,
    tint: float,
) -> Ground:
    """Pieces that touch each other, each of a colour of its own, with dark gaps.  # kinds (n, 3), linear"""
    size_px = size_m / cell_m
    if size_px < 2.5:
        # Smaller than what is seen: their mean, and what is left of their differences.
        tone = np.asarray(kinds.mean(axis=0) * 0.8, dtype=np.float32)
        ground = _sheet(rng, side, cell_m, tone, uneven=rng.uniform(0.02, 0.15))
        left = np.float32(contrast * size_px / 2.5)
        ground.albedo *= np.exp(left * noise(rng, side, 2.5))[..., None]
        return ground
    number, dome = _mosaic(rng, side, size_px, stretch)
    count = int(number.max()) + 1
    colour = kinds[rng.integers(len(kinds), size=count)] * np.exp(
        rng.normal(0, contrast, (count, 1)) + rng.normal(0, tint, (count, 3))
    )
    gap = np.clip((dome - 0.12) * 8, 0, 1)[..., None]
    dirt = np.asarray(kinds.mean(axis=0) * rng.uniform(0.15, 0.9), dtype=np.float32)
    albedo = dirt + gap * (colour.astype(np.float32)[number] - dirt)
    albedo *= np.exp(np.float32(rng.uniform(0.02, 0.12)) * noise(rng, side, 2.5))[..., None]
    height = np.sqrt(dome) * np.float32(size_m * rng.uniform(0.1, 0.45))
    return Ground(height, np.clip(albedo, 0.005, 0.95).astype(np.float32), cell_m)


def _mosaic(
    rng: np.random.Generator, side: int, size_px: float, stretch: float
) -> tuple[npt.NDArray[np.int32], Floats]:
    """Cells around scattered centres: each pixel's number, and 0 at their rims to 1.  # (side, side) each"""
    angle = rng.uniform(0, np.pi)
    axis = np.arange(side, dtype=np.float32) / np.float32(size_px)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    bend = 0.3 * noise(rng, side, max(11.0, 3 * size_px))
    across = axis * cos + (axis * sin)[:, None] + bend
    along = ((axis * cos)[:, None] - axis * sin + bend) / np.float32(stretch)
    across, along = across - across.min() + 1, along - along.min() + 1
    row, col = across.astype(np.int32), along.astype(np.int32)
    high, wide = int(row.max()) + 2, int(col.max()) + 2
    centres = rng.uniform(0.05, 0.95, (2, high, wide)).astype(np.float32)
    larger = rng.uniform(0.0, 0.35, (high, wide)).astype(np.float32)
    nearest = np.full((side, side), np.inf, dtype=np.float32)
    second, number = nearest.copy(), np.zeros((side, side), dtype=np.int32)
    for step_row in (-1, 0, 1):
        for step_col in (-1, 0, 1):
            at = row + step_row, col + step_col
            whole = at[0].astype(np.float32), at[1].astype(np.float32)
            off = np.hypot(whole[0] + centres[0][at] - across, whole[1] + centres[1][at] - along) - larger[at]
            closer = off < nearest
            second = np.where(closer, nearest, np.minimum(second, off))
            nearest = np.where(closer, off, nearest)
            number = np.where(closer, at[0] * wide + at[1], number)
    return number, np.clip((second - nearest) * np.float32(1.6), 0, 1)


def _fabric(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Woven ground cover, with its coloured threads."""
    ground = _sheet(rng, side, cell_m, _grey(rng, 0.015, 0.12, 0.06), uneven=rng.uniform(0.02, 0.2))
    across, along = across_and_along(ground, rng)
    pitch_m = rng.uniform(0.0015, 0.004)
    if pitch_m > 3 * cell_m:
        turn = np.float32(2 * np.pi / pitch_m)
        weave = np.sin(across * turn) * np.sin(along * turn)
        ground.albedo *= (1 + np.float32(rng.uniform(0.1, 0.5)) * weave)[..., None]
    if rng.random() < 0.6:
        thread = (across % rng.uniform(0.1, 0.35)) < max(rng.uniform(0.001, 0.004), cell_m)
        ground.albedo[thread] = np.float32(np.asarray(linear(tuple(rng.uniform(0.1, 0.9, 3)))))
    ground.height_m += np.float32(rng.uniform(0.0, 0.01)) * noise(rng, side, max(20.0, 0.2 / cell_m))
    return ground


def _film(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Plastic film: black, white or silver, with wrinkles."""
    low, high = ((0.01, 0.05), (0.6, 0.93), (0.25, 0.6))[rng.integers(3)]
    ground = _sheet(rng, side, cell_m, _grey(rng, low, high, 0.03), uneven=rng.uniform(0.02, 0.25))
    fold = noise(
        rng, side, np.clip(rng.uniform(0.01, 0.08) / cell_m, 4.0, side / 4), stretch=rng.uniform(2, 8)
    )
    ridge = np.exp(-np.abs(fold) * np.float32(rng.uniform(2.0, 6.0)))
    ground.height_m += ridge * np.float32(rng.uniform(0.0, 0.008))
    # What shines there is the sky.
    sheen = np.clip(ridge - 0.6, 0, 1)[..., None] * np.float32(rng.uniform(0.0, 1.2))
    ground.albedo += sheen * (np.float32(0.8) - ground.albedo)
    return ground


def _snow(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    tone = np.float32(rng.uniform(0.75, 0.93)) * np.array([0.96, 0.98, 1.0], dtype=np.float32)
    ground = _sheet(rng, side, cell_m, tone, uneven=0.03)
    for size_m in (0.01, 0.06, 0.3):
        if 3 < size_m / cell_m < side:
            ground.height_m += np.float32(size_m * rng.uniform(0.02, 0.12)) * noise(
                rng, side, size_m / cell_m
            )
    return ground


def _water(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Still or rippled, clear over its bed or turbid; the sky shines in it."""
    tone = _grey(rng, 0.012, 0.15, 0.15)
    ground = _sheet(rng, side, cell_m, tone, uneven=rng.uniform(0.05, 0.5))
    wave = noise(
        rng, side, np.clip(rng.uniform(0.01, 0.15) / cell_m, 4.0, side / 3), stretch=rng.uniform(1, 3)
    )
    sky = np.clip(wave * rng.uniform(0.0, 0.4) + rng.uniform(-0.6, 0.6), 0, 1)[..., None]
    ground.albedo += np.float32(rng.uniform(0.0, 0.6)) * sky * (np.array([0.5, 0.56, 0.62]) - ground.albedo)
    ground.height_m += np.float32(rng.uniform(0.0, 0.002)) * wave
    return ground


def _tarpaulin(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """A sheet of any colour."""
    tone = np.asarray(linear(tuple(rng.uniform(0.05, 0.95, 3))), dtype=np.float32)
    ground = _sheet(rng, side, cell_m, tone, uneven=rng.uniform(0.02, 0.2))
    ground.height_m += np.float32(rng.uniform(0, 0.02)) * noise(
        rng, side, np.clip(0.15 / cell_m, 11.0, side / 2)
    )
    return ground


def _edge(ground: Ground, rng: np.random.Generator) -> Floats:
    """1 on a strip or beyond a line, 0 elsewhere, with a rim that is not quite straight."""
    across, _ = across_and_along(ground, rng)
    across = across + np.float32(ground.cell_m * rng.uniform(0.0, 6.0)) * noise(rng, ground.side, 40.0)
    side_m = ground.side * ground.cell_m
    if rng.random() < 0.4:
        across = np.abs(across) - np.float32(rng.uniform(0.06, 0.3) * side_m)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    return np.asarray(np.clip(0.5 + sign * across / (2 * ground.cell_m), 0, 1), dtype=np.float32)


def _linear_tones(tones: npt.NDArray[np.integer]) -> Floats:
    """Display colours 0–255, (n, 3) → linear light."""
    return np.asarray(linear(tuple(np.moveaxis(tones / 255.0, -1, 0))), dtype=np.float32).T


_COVERS: dict[Callable[[np.random.Generator, int, float], Ground], float] = {
    _asphalt: 0.18,
    _concrete: 0.14,
    _gravel: 0.26,
    _chips: 0.06,
    _fabric: 0.1,
    _film: 0.1,
    _snow: 0.04,
    _water: 0.08,
    _tarpaulin: 0.04,
}
"""Kinds of covers and their shares."""
