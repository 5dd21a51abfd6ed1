"""Evaluation fields: trials of ``sample_tiles`` at other stages, colours and light, with exact truth.

They share no drawing code with the training scenes: leaves are polygons in drawing order there, points
sorted by height here. Each is rendered once at 5 mm; coarser pictures are means of that one, so that the
same field can be judged at several GSDs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from sample_tiles.field import Field, Plants, Plot
from sample_tiles.light import taller
from sample_tiles.noise import Floats, hash_unit, smooth_noise
from sample_tiles.plants import Sprite, render
from sample_tiles.render import _overlap
from sample_tiles.soil import soil, textures
from sample_tiles.varieties import STAGES, VARIETIES, WEEDS, Variety, leaves_of
from training.simulator.scenes import Scene

BASE_GSD_M = 0.005
_FINE = 2
"""Cells of the base rendering per pixel of ``sample_tiles``, each way."""

_SIDE = 1536
"""Pixels of ``sample_tiles`` (1 cm) along each side of a field."""

_CORNER = (1180, 1420)  # row and column in the whole trial, so that the window lies within the survey
_REACH = 130
_VARIANTS = 6
_KINDS = VARIETIES + WEEDS
_SHADOW = np.array([0.60, 0.555, 0.49], dtype=np.float32)
_JITTER = 900


@dataclass(frozen=True)
class FieldPlan:
    """One evaluation field: seed, varieties by the start of their names, stages by block, and its finish.

    ``spread`` is how much farther than in ``sample_tiles`` the leaves reach.
    """

    seed: int
    crops: tuple[str, ...]
    stages: tuple[float, ...]
    emergence: float
    spread: float
    finish: Callable[[Floats, Floats, Floats, int], Floats]


@dataclass(frozen=True)
class _Trial(Field):
    """A trial whose plots follow a plan."""

    crops: tuple[str, ...] = ()
    stages: tuple[float, ...] = ()
    emergence: float = 0.95

    def plot(self, block: int, column: int) -> Plot:
        sown = super().plot(block, column)
        chosen = [variety for variety in VARIETIES if variety.name.startswith(self.crops)]
        luck = hash_unit(self.seed, block, column, np.arange(2))
        return replace(
            sown,
            variety=chosen[int(luck[0] * len(chosen))],
            stage=self.stages[block % len(self.stages)] + float(luck[1] - 0.5) * 0.6,
            emergence=self.emergence,
        )


def _as_it_is(ground: Floats, leaves: Floats, cover: Floats, seed: int) -> Floats:
    return _over(ground, leaves, cover)


def _over(ground: Floats, leaves: Floats, cover: Floats) -> Floats:
    return np.asarray(ground * (1 - cover[..., None]) + leaves, dtype=np.float32)


def _in_drought(ground: Floats, leaves: Floats, cover: Floats, seed: int) -> Floats:
    """Leaves yellow in patches, pale dry soil, hard light."""
    size = Window(0, 0, *cover.shape)
    patch = 0.5 + 0.45 * smooth_noise(size, 420, seed, 1) + 0.3 * smooth_noise(size, 30, seed, 2)
    patch = np.clip(patch, 0, 1)[..., None]
    grey = leaves.mean(axis=2, keepdims=True)
    yellow = grey * np.array([1.32, 1.16, 0.62], dtype=np.float32)
    ground = 38 + ground * np.array([0.95, 0.88, 0.78], dtype=np.float32)
    return _over(ground, leaves + 0.85 * patch * (yellow - leaves), cover)


def _at_night(ground: Floats, leaves: Floats, cover: Floats, seed: int) -> Floats:
    """The light of one lamp beside the camera: dark toward the rim, a blue cast, little contrast far off."""
    image = _over(ground, leaves, cover)
    side = cover.shape[0]
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    lamp = 1 / (1 + 1.6 * ((axis + 0.15) ** 2 + ((axis - 0.2) ** 2)[:, None])) ** 1.5
    lit = image * (0.06 + 0.5 * lamp)[..., None] * np.array([0.86, 0.95, 1.18], dtype=np.float32)
    return np.asarray(lit + np.array([5.0, 6.0, 9.0]), dtype=np.float32)


FIELDS: Mapping[str, FieldPlan] = MappingProxyType(
    {
        "day": FieldPlan(9001, ("soy", "beet", "maize"), (1.9, 2.8, 1.2, 2.2), 0.93, 1.0, _as_it_is),
        "night": FieldPlan(9002, ("soy", "beet", "cabbage"), (2.4, 1.5, 3.0, 2.0), 0.93, 1.0, _at_night),
        "dense": FieldPlan(9003, ("soy",), (4.9, 4.4, 5.0, 4.6), 0.99, 1.3, _as_it_is),
        "seedlings": FieldPlan(9004, ("maize", "soy", "beet"), (0.0, 0.5, 0.2, 0.8), 0.9, 1.0, _as_it_is),
        "drought": FieldPlan(9005, ("soy", "beet", "maize"), (2.2, 1.4, 2.8, 1.8), 0.8, 1.0, _in_drought),
    }
)
"""Seeds are those of ``sample_tiles`` and belong to evaluation alone."""


def make_field(name: str, *, gsd_m: float = 0.01) -> Scene:
    """An evaluation field of 15.36 m × 15.36 m.

    Parameters
    ----------
    name
        One of ``FIELDS``.
    gsd_m
        A whole multiple of 0.005 that divides the field: 0.005, 0.01, 0.02, 0.04, …

    Returns
    -------
    Scene
        ``coverage`` and ``image`` are means over the cells of the 5 mm rendering, ``mask`` is
        ``coverage >= 0.5``.

    Raises
    ------
    InputError
        If there is no such field, or no such GSD.
    """
    if name not in FIELDS:
        raise InputError(f"no evaluation field {name!r}", remedy=f"choose one of {', '.join(FIELDS)}")
    factor = round(gsd_m / BASE_GSD_M)
    if factor < 1 or abs(factor * BASE_GSD_M - gsd_m) > 1e-9 or (_SIDE * _FINE) % factor:
        raise InputError(
            f"a field at {gsd_m} m/px", remedy=f"choose {BASE_GSD_M} m times 1, 2, 4, 8, or another divisor"
        )
    return averaged(_base(name), name, factor)


@dataclass(frozen=True, eq=False)
class Rendering:
    """A field at ``BASE_GSD_M``: image (n, n, 3) uint8, coverage and height in m (n, n) float32."""

    image: npt.NDArray[np.uint8]
    coverage: Floats
    height_m: Floats


def averaged(base: Rendering, name: str, factor: int) -> Scene:
    """The rendering with pixels ``factor`` times as wide."""
    coverage = _means(base.coverage, factor)
    mask = coverage >= 0.5
    height = np.where(mask, _means(base.height_m * base.coverage, factor) / np.maximum(coverage, 1e-6), 0)
    return Scene(
        image=np.clip(_means(base.image, factor) + 0.5, 0, 255).astype(np.uint8),
        mask=mask.astype(np.uint8),
        height_m=height.astype(np.float32),
        coverage=coverage,
        gsd_m=factor * BASE_GSD_M,
        kind=name,
        species="/".join(FIELDS[name].crops),
    )


def _means(cells: npt.NDArray[np.generic], factor: int) -> Floats:
    """Means over ``factor`` × ``factor`` cells."""
    n = len(cells) // factor
    blocks = cells.reshape(n, factor, n, factor, *cells.shape[2:])
    return np.asarray(blocks.mean(axis=(1, 3), dtype=np.float32))


@lru_cache(maxsize=1)
def _base(name: str) -> Rendering:
    return render_field(FIELDS[name], Window(*_CORNER, _SIDE, _SIDE))


def render_field(plan: FieldPlan, window: Window) -> Rendering:
    """Render a window, in pixels of 1 cm, of a plan's trial at ``BASE_GSD_M``."""
    trial = _Trial(seed=plan.seed, crops=plan.crops, stages=plan.stages, emergence=plan.emergence)
    paint, height_px, shadow = _canopy(trial, window, plan.spread)
    cover = paint[..., 3]
    blocked = np.clip((taller(height_px, reach=7) - height_px - 3.0) / 12.0, 0, 1)[..., None]
    ground = _fine_soil(trial, window) * (1 - np.clip(shadow, 0, 1)[..., None] * _SHADOW)
    leaves = paint[..., :3] * (1 - 0.75 * blocked * _SHADOW)
    image = plan.finish(ground, leaves, cover, plan.seed)
    height_m = height_px * np.float32(BASE_GSD_M)
    return Rendering(np.clip(image + 0.5, 0, 255).astype(np.uint8), cover, height_m)


def _fine_soil(trial: Field, window: Window) -> Floats:
    """The trial's soil with twice the pixels; what is finer than 1 cm comes from its texture of crumbs."""
    coarse = soil(trial, window).repeat(_FINE, axis=0).repeat(_FINE, axis=1)
    for axis in (0, 1):
        coarse = 0.25 * (np.roll(coarse, 1, axis) + np.roll(coarse, -1, axis)) + 0.5 * coarse
    crumbs = np.tile(textures(trial.seed).crumbs, (3, 3))[: len(coarse), : len(coarse)]
    return coarse * (0.4 + 0.6 * crumbs[..., None])


def _canopy(trial: Field, window: Window, spread: float) -> tuple[Floats, Floats, Floats]:
    """Paint (n, n, 4), height in cells and shadow (n, n) of all plants, in the trial's order."""
    size = (window.height * _FINE, window.width * _FINE)
    paint = np.zeros((*size, 4), dtype=np.float32)
    height, shadow = np.zeros(size, dtype=np.float32), np.zeros(size, dtype=np.float32)
    plants: Plants = trial.plants(window.grown(_REACH))
    offset = hash_unit(trial.seed, _JITTER, plants.row, plants.col)
    rows = ((plants.row - window.row) * _FINE + (offset * _FINE).astype(np.int64)).tolist()
    cols = ((plants.col - window.col) * _FINE + (offset * 7919 % _FINE).astype(np.int64)).tolist()
    for k, (row, col) in enumerate(zip(rows, cols, strict=True)):
        kind, stage, gain = _KINDS[int(plants.kind[k])], int(plants.stage[k]), plants.gain[k]
        shown = _sprite(trial.seed, kind, stage, int(plants.variant[k]) % _VARIANTS, spread)
        at = _overlap(row + shown.row, col + shown.col, shown.height_cm.shape, size)
        if at is not None:
            layer = paint[at[:2]]
            layer *= shown.keep[at[2:]]
            layer += shown.paint[at[2:]] * np.array([gain, gain, gain, 1.0], dtype=np.float32)
            np.maximum(height[at[:2]], shown.height_cm[at[2:]], out=height[at[:2]])
        at = _overlap(row + shown.shadow_row, col + shown.shadow_col, shown.shadow.shape, size)
        if at is not None:
            np.maximum(shadow[at[:2]], shown.shadow[at[2:]], out=shadow[at[:2]])
    return paint, height, shadow


@lru_cache(maxsize=512)
def _sprite(seed: int, variety: Variety, stage: int, variant: int, spread: float) -> Sprite:
    """A plant with twice the pixels: the same leaves, twice as large."""
    rng = np.random.default_rng([seed, *variety.name.encode(), min(stage, STAGES - 1), variant])
    wide = _FINE * spread
    leaves = [
        replace(
            leaf,
            base_cm=(wide * leaf.base_cm[0], wide * leaf.base_cm[1], _FINE * leaf.base_cm[2]),
            length_cm=_FINE * spread**0.5 * leaf.length_cm,
            width_cm=_FINE * spread**0.5 * leaf.width_cm,
        )
        for leaf in leaves_of(variety, stage, rng)
    ]
    return render(leaves)
