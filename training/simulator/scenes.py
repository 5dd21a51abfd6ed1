"""One training scene: draw what is there, put it onto the ground, light it, and average cells to pixels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from training.simulator.covers import make_ground
from training.simulator.ground import Ground, add_objects, add_stones, make_soil, set_pots
from training.simulator.layout import Stage, turned_normals
from training.simulator.light import Surface, draw_light, shade, tone
from training.simulator.noise import Floats, noise
from training.simulator.planting import Making, add_weeds, draw_sowing, lay_litter, plant_crop
from training.simulator.plants import HABITS, Habit, draw_look, grow

Pixels = npt.NDArray[np.uint8]

CELLS = 2
"""Cells per pixel, each way: leaves are painted by their cells' centres, pixels are means of cells."""

GSD_M = (0.0003, 0.05)
_MARGIN_PX = 14  # around the picture, for shadows from outside
_MAX_PLANT_CELLS = 500_000  # one plant is not seen from so near that it takes more; bounds the time


@dataclass(frozen=True, eq=False)
class Scene:
    """A picture with its truth.

    ``image``: (H, W, 3) uint8. ``mask``: (H, W) uint8, 1 where leaves cover at least half of the pixel.
    ``height_m``: (H, W) float32, mean height of the leaves seen in it above the ground, 0 outside the mask.
    ``coverage``: (H, W) float32 on 0–1, the share of each pixel that leaves cover.
    """

    image: Pixels
    mask: Pixels
    height_m: Floats
    coverage: Floats
    gsd_m: float
    kind: str
    species: str = "none"


@dataclass(frozen=True)
class Kind:
    """What a kind of scene may hold; ``gsd_m`` is drawn log-uniformly, the other ranges uniformly."""

    share: float
    habits: tuple[str, ...]
    gsd_m: tuple[float, float] = GSD_M
    stage: tuple[float, float] = (0.0, 1.0)
    closeness: tuple[float, float] = (0.7, 1.6)  # more is denser
    broadcast: float = 0.15
    cover: float = 0.0  # units are added until this share is covered
    dry: float = 0.12
    weeds: float = 0.4
    pots: bool = False
    night: bool = False
    few: float = 0.0  # chance that plants stand in one spot alone, where there are covers


_ALL = tuple(name for name in HABITS if name not in ("weed", "creeper"))
_CLOSING = ("soy", "soy", "peanut", "potato", "beet", "cereal", "pea", "maize", "sunflower", "carrot")
KINDS = {
    "rows": Kind(0.2, _ALL, stage=(0.1, 0.9), few=0.12),
    "closed": Kind(0.22, _CLOSING, gsd_m=(0.001, 0.05), stage=(0.55, 1.0), closeness=(1.2, 2.2), cover=0.6,
                   weeds=0.1),
    "seedlings": Kind(0.15, (*_ALL, "cotyledon", "cereal", "weed"), gsd_m=(0.0003, 0.004), stage=(0.0, 0.3),
                      few=0.12),
    "cereal": Kind(0.14, ("cereal", "cereal", "grass"), stage=(0.0, 1.0), broadcast=0.1, few=0.08),
    "pots": Kind(0.08, (*_ALL, "cress", "cress"), gsd_m=(0.0003, 0.002), stage=(0.05, 0.6), pots=True,
                 weeds=0.0),
    "broadcast": Kind(0.09, (*_ALL, "weed", "creeper", "grass"), gsd_m=(0.0003, 0.03), broadcast=1.0,
                      few=0.12),
    "bare": Kind(0.06, ()),
    "night": Kind(0.06, _ALL, gsd_m=(0.0003, 0.01), stage=(0.0, 0.8), night=True),
}  # fmt: skip


class _Names(NamedTuple):
    kind: str
    species: str


def make_scene(
    rng: np.random.Generator, *, size_px: int = 384, kind: str | None = None, covers: bool = False
) -> Scene:
    """Draw a scene.

    Parameters
    ----------
    rng
        Everything is drawn from it: the same state gives the same scene.
    size_px
        Side of the picture.
    kind
        A name of ``KINDS``; drawn by their shares where None.
    covers
        Some of the ground is no soil: asphalt, gravel, film and the like.

    Raises
    ------
    InputError
        If there is no such kind.
    """
    names = list(KINDS)
    if kind is None:
        shares = np.array([KINDS[name].share for name in names])
        kind = names[int(rng.choice(len(names), p=shares / shares.sum()))]
    if kind not in KINDS:
        raise InputError(f"no scene kind {kind!r}", remedy=f"choose one of {', '.join(names)}")
    plan = KINDS[kind]
    gsd_m = float(np.exp(rng.uniform(*np.log(plan.gsd_m))))
    habit = HABITS[plan.habits[rng.integers(len(plan.habits))]] if plan.habits else None
    stage = float(rng.uniform(*plan.stage))
    if habit is not None:
        gsd_m = _fitting_gsd(habit, stage, gsd_m, size_px, plan, rng)
    side, cell_m = CELLS * (size_px + 2 * _MARGIN_PX), gsd_m / CELLS
    if covers and not plan.pots:
        ground, where = _ground_and_place(rng, side, cell_m, plan)
    else:
        ground, where = make_soil(rng, side, cell_m), np.ones((side, side), dtype=bool)
    pots = tuple(set_pots(ground, rng)) if plan.pots else ()
    _strew(ground, rng, stones=0.7 if habit is None else 0.05 if pots else 0.35)
    making = Making(ground, Stage.on(ground.height_m))
    if rng.random() < (0.7 if habit is None else 0.4):
        lay_litter(making, rng)
    if habit is not None:
        sowing = draw_sowing(
            rng, habit, side * cell_m, stage=stage, closeness=rng.uniform(*plan.closeness),
            broadcast=rng.random() < plan.broadcast, dry=plan.dry, cover=plan.cover, pots=pots,
        )  # fmt: skip
        plant_crop(making, sowing, rng, where=where)
        if rng.random() < plan.weeds:
            add_weeds(making, rng)
    return _finish(making, plan, gsd_m, _Names(kind, habit.name if habit else "none"), rng)


def _ground_and_place(
    rng: np.random.Generator, side: int, cell_m: float, plan: Kind
) -> tuple[Ground, npt.NDArray[np.bool_]]:
    """Soil, a cover, or both, and where the crop may stand, (side, side)."""
    ground, soil = make_ground(rng, side, cell_m)
    # Crops stand beside a path rather than on it; weeds come anywhere.
    where = soil | (plan.cover > 0) | (rng.random() < 0.25)
    if rng.random() < plan.few:
        where &= _spot(rng, side)
    return ground, where


def _spot(rng: np.random.Generator, side: int) -> npt.NDArray[np.bool_]:
    """A disc somewhere in the scene.  # (side, side)"""
    rows, cols = np.ogrid[:side, :side]
    row, col = rng.uniform(0.1, 0.9, 2) * side
    return np.asarray(np.hypot(rows - row, cols - col) < rng.uniform(0.1, 0.35) * side)


def _fitting_gsd(
    habit: Habit, stage: float, gsd_m: float, size_px: int, plan: Kind, rng: np.random.Generator
) -> float:
    """A GSD at which a leaf is no wider than the picture, and a lone plant no smaller than a few pixels."""
    sample = grow(habit, draw_look(rng), stage, rng)
    leaf_m = float(sample.length_m.max())
    gsd_m = max(gsd_m, 1.2 * leaf_m / size_px, CELLS * np.sqrt(sample.area_m2 / _MAX_PLANT_CELLS))
    if not plan.cover and habit.row_m[0] > 0.2:
        gsd_m = min(gsd_m, 2.5 * leaf_m)
    return float(np.clip(gsd_m, *GSD_M))


def _strew(ground: Ground, rng: np.random.Generator, *, stones: float) -> None:
    if rng.random() < stones:
        add_stones(ground, rng, int(np.exp(rng.uniform(np.log(3), np.log(500)))))
    if rng.random() < 0.5 * stones:
        add_objects(ground, rng, int(rng.integers(1, 4)))


def _surface(making: Making, rng: np.random.Generator) -> Surface:
    """Ground and sprites as one surface."""
    ground, stage = making.ground, making.stage
    slope_y, slope_x = np.gradient(ground.height_m, np.float32(ground.cell_m))
    steep = np.float32(1.0) / np.sqrt(1 + slope_x**2 + slope_y**2)
    normal_x, normal_y, albedo = -slope_x * steep, -slope_y * steep, ground.albedo
    gloss, plant = np.zeros_like(normal_x), np.zeros_like(normal_x)
    on = np.flatnonzero(stage.owner >= 0)
    if len(on):
        values, owner = making.table[stage.source.ravel()[on]], stage.owner.ravel()[on]
        gain = np.asarray(making.gains, dtype=np.float32)[owner]
        turn = np.asarray(making.turns)[owner]
        x, y = turned_normals(values[:, 0], values[:, 1], turn)
        normal_x.ravel()[on], normal_y.ravel()[on] = x, y
        grain = noise(rng, stage.side, rng.uniform(2.5, 9.0)).ravel()[on]
        gain *= np.exp(np.float32(rng.uniform(0.0, 0.1)) * grain)[:, None]
        albedo.reshape(-1, 3)[on] = np.clip(values[:, 2:5] * gain, 0, 0.95)
        gloss.ravel()[on], plant.ravel()[on] = values[:, 5], values[:, 6]
    return Surface(stage.top_m, normal_x, normal_y, albedo, gloss, plant, ground.cell_m)


def _finish(making: Making, plan: Kind, gsd_m: float, names: _Names, rng: np.random.Generator) -> Scene:
    surface = _surface(making, rng)
    light = draw_light(rng, night=plan.night)
    lit = _averaged(shade(surface, light, rng))
    image = tone(lit, light, target=float(np.clip(np.exp(rng.normal(np.log(0.215), 0.3)), 0.07, 0.42)))
    cover = _averaged(surface.plant)
    height = np.maximum(surface.top_m - making.ground.height_m.clip(0), 0.001) * surface.plant
    mask = cover >= 0.5
    height = np.where(mask, _averaged(height) / np.maximum(cover, 1e-6), 0).astype(np.float32)
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    return Scene(
        image=(image[inner, inner] * 255 + 0.5).astype(np.uint8),
        mask=mask[inner, inner].astype(np.uint8),
        height_m=height[inner, inner],
        coverage=cover[inner, inner],
        gsd_m=gsd_m,
        kind=names.kind,
        species=names.species,
    )


def _averaged(cells: Floats) -> Floats:
    """Means over CELLS × CELLS cells: (side, side[, k]) → pixels."""
    parts = [cells[row::CELLS, col::CELLS] for row in range(CELLS) for col in range(CELLS)]
    return np.asarray(sum(parts[1:], parts[0]) * np.float32(1.0 / len(parts)), dtype=np.float32)
