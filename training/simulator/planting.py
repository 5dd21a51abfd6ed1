"""What is put onto the ground: the crop in rows, plots, pots or broadcast, weeds among it, and litter."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from training.simulator.ground import Ground
from training.simulator.layout import Stage, clump, litter, row_feet
from training.simulator.leaves import Floats, Leaves, Sprite, paint
from training.simulator.noise import noise
from training.simulator.plants import HABITS, Habit, Look, draw_look, grow

_MAX_UNITS = 1000
"""Above this, stretches of row are put instead of single plants; bounds the time."""

_MAX_CELLS = 700_000
"""Cells of leaves that all sprites of a crop together may take; bounds the time."""

_VIGOUR_SIDE = 32

Places = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(eq=False)
class Making:
    """A scene while it is drawn: ground, layers, sprites, turn and colour of every unit."""

    ground: Ground
    stage: Stage
    sprites: list[Sprite] = field(default_factory=list)
    firsts: list[int] = field(default_factory=list)
    turns: list[int] = field(default_factory=list)
    gains: list[npt.NDArray[np.float64]] = field(default_factory=list)

    def keep(self, sprite: Sprite) -> int:
        """Number under which a sprite can be put."""
        last = len(self.sprites) - 1
        self.firsts.append(self.firsts[last] + len(self.sprites[last].table) if self.sprites else 0)
        self.sprites.append(sprite)
        return len(self.sprites) - 1

    def put(
        self, number: int, foot: tuple[float, float], *, turn: int, gain: npt.NDArray[np.float64]
    ) -> None:
        """Put a sprite on the ground; ``foot`` in cells, ``gain`` per channel."""
        row, col = int(np.floor(foot[0])), int(np.floor(foot[1]))
        last = self.stage.side - 1
        ground_m = float(self.ground.height_m[min(max(row, 0), last), min(max(col, 0), last)])
        self.stage.put(
            self.sprites[number], self.firsts[number], (row, col),
            owner=len(self.turns), turn=turn, ground_m=max(ground_m, 0.0),
        )  # fmt: skip
        self.turns.append(turn)
        self.gains.append(gain)

    @property
    def table(self) -> Floats:
        return np.concatenate([sprite.table for sprite in self.sprites])


@dataclass(frozen=True)
class Sowing:
    """How the crop stands. ``group`` plants make one unit; ``cover`` is filled up to."""

    habit: Habit
    stage: float
    dry: float
    row_m: float
    step_m: float
    angle: float
    broadcast: bool
    group: int
    cover: float = 0.0
    pots: tuple[tuple[float, float], ...] = ()


def draw_sowing(
    rng: np.random.Generator,
    habit: Habit,
    frame_m: float,
    *,
    stage: float,
    closeness: float,
    broadcast: bool,
    dry: float,
    cover: float,
    pots: tuple[tuple[float, float], ...] = (),
) -> Sowing:
    """Spacings that suit the habit and leave something to see in a frame of ``frame_m``."""
    row_m = rng.uniform(*habit.row_m) / closeness**0.5
    step_m = rng.uniform(*habit.spacing_m) / closeness**0.5
    # Half of the rows run along the picture, as cameras are usually held.
    along = rng.choice([0.0, np.pi / 2]) + rng.normal(0, 0.1)
    angle = float(along if rng.random() < 0.5 else rng.uniform(0, np.pi))
    if frame_m < 1.5 * row_m and not cover and not pots:
        row_m = max(0.02, frame_m * rng.uniform(0.35, 0.9))
        step_m = min(step_m, 0.4 * frame_m)
    group = max(1, int(np.ceil(frame_m**2 * 1.6 / (row_m * step_m) / _MAX_UNITS)))
    return Sowing(habit, stage, dry, row_m, step_m, angle, broadcast, group, cover, pots)


def plant_crop(making: Making, sowing: Sowing, rng: np.random.Generator, *, where: Flags) -> None:
    """Put the crop where it may stand; vigour changes from place to place, and plots may differ in hue.

    ``where``: (side, side).
    """
    side, cell_m = making.stage.side, making.ground.cell_m
    looks = [draw_look(rng, dry=sowing.dry)]
    if rng.random() < 0.3:
        looks.append(draw_look(rng, dry=max(0.3, sowing.dry)))
    sprites = [_crop_sprites(making, sowing, look, len(looks), rng) for look in looks]
    feet = _feet(side, cell_m, sowing, rng)
    look_of = (
        rng.integers(len(looks), size=len(feet)) if rng.random() < 0.3 else np.zeros(len(feet), dtype=int)
    )
    kept = (rng.random(len(feet)) >= max(0.0, rng.uniform(-0.1, 0.25))) & _allowed(feet, where)
    if side * cell_m > 3.0 and not sowing.pots and rng.random() < 0.5:
        inside, plot = _plots(feet, side, cell_m, sowing, rng)
        kept &= inside
        look_of = (plot * 7919) % 11 % len(looks)
    vigour = _vigour(feet, side, rng)
    if not sowing.cover:
        kept &= vigour > rng.uniform(-3.5, -1.2)
    for k in rng.permutation(np.flatnonzero(kept)):
        _put_crop(making, sprites[look_of[k]], (feet[k, 0], feet[k, 1]), vigour[k], sowing, rng)
    for _ in range(4):
        if not sowing.cover or (making.stage.owner >= 0).mean() > rng.uniform(sowing.cover, 1.0):
            break
        more = rng.uniform(0, side, (max(2, len(feet) // 3), 2))
        for foot in more[_allowed(more, where)].tolist():
            _put_crop(making, sprites[0], (foot[0], foot[1]), rng.normal(), sowing, rng)


def _put_crop(
    making: Making,
    sprites: list[int],
    foot: tuple[float, float],
    vigour: float,
    sowing: Sowing,
    rng: np.random.Generator,
) -> None:
    # Sprites are in the order of their size: where the crop is vigorous, the larger ones.
    place = np.clip(0.5 + 0.25 * vigour + rng.normal(0, 0.2), 0, 0.999)
    gain = np.exp(rng.normal(0, 0.06) + 0.05 * vigour + rng.normal(0, 0.02, 3))
    turn = int(rng.integers(8)) if sowing.group == 1 else 2 * int(rng.integers(2))
    making.put(sprites[int(place * len(sprites))], foot, turn=turn, gain=gain)


def _allowed(feet: Places, where: Flags) -> Flags:
    """Whether each foot is where the crop may stand; outside the scene the nearest place counts."""
    place = np.clip(feet, 0, len(where) - 1).astype(np.intp)
    return where[place[:, 0], place[:, 1]]


def _vigour(feet: Places, side: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Smooth over the scene, deviation about 1, at every foot."""
    field = noise(rng, _VIGOUR_SIDE, rng.uniform(2.5, 20.0))
    place = np.clip(feet / side * _VIGOUR_SIDE, 0, _VIGOUR_SIDE - 1).astype(np.intp)
    return field[place[:, 0], place[:, 1]].astype(np.float64)


def _feet(side: int, cell_m: float, sowing: Sowing, rng: np.random.Generator) -> Places:
    """Where the units stand, in cells.  # (n, 2): row, column"""
    if sowing.pots:
        feet = np.asarray(sowing.pots)
        return feet[rng.random(len(feet)) < 0.9]
    if sowing.broadcast:
        area_m2 = (1.2 * side * cell_m) ** 2
        count = max(1, int(area_m2 / (sowing.row_m * sowing.step_m * sowing.group)))
        return rng.uniform(-0.1 * side, 1.1 * side, (min(count, 2 * _MAX_UNITS), 2))
    return row_feet(
        rng, side, row_px=sowing.row_m / cell_m, step_px=sowing.group * sowing.step_m / cell_m,
        angle=sowing.angle, jitter=rng.uniform(0.1, 1.0),
    )  # fmt: skip


def _plots(
    feet: Places, side: int, cell_m: float, sowing: Sowing, rng: np.random.Generator
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.intp]]:
    """Whether each unit is inside a plot of a trial, and that plot's number."""
    cos, sin = np.cos(sowing.angle), np.sin(sowing.angle)
    y, x = ((feet - side / 2) * cell_m).T
    across, along = x * cos + y * sin, y * cos - x * sin
    size = np.array([sowing.row_m * rng.integers(1, 9), rng.uniform(1.5, 9.0)])
    alley = np.array([rng.uniform(0.1, 0.9), rng.uniform(0.4, 2.0)])
    inside, number = np.ones(len(feet), dtype=bool), np.zeros(len(feet), dtype=np.intp)
    for position, length, gap in zip((across, along), size, alley, strict=True):
        start = position + rng.uniform(0, length + gap)
        index = np.floor(start / (length + gap))
        inside &= start - index * (length + gap) < length
        number = number * 31 + index.astype(np.intp)
    return inside, np.abs(number)


def _crop_sprites(
    making: Making, sowing: Sowing, look: Look, looks: int, rng: np.random.Generator
) -> list[int]:
    """Sprites from weak to vigorous: single plants, or stretches of row where these are too many."""
    side, cell_m = making.stage.side, making.ground.cell_m
    stages = np.sort(np.clip(sowing.stage + rng.normal(0, 0.09, 10), 0, 1))
    plants = [grow(sowing.habit, look, float(stage), rng) for stage in stages]
    cells = np.mean([p.area_m2 for p in plants]) / cell_m**2 * sowing.group
    count = int(np.clip(_MAX_CELLS / looks / (cells + 1), 2, 8))
    sprites = []
    for k in range(count):
        unit: Leaves = plants[k * len(plants) // count]
        if sowing.group > 1:
            first = k * (len(plants) - 3) // count
            unit = clump(plants[first : first + 4], _stretch(sowing, rng), rng)
        sprites.append(making.keep(paint(unit, cell_m, half_cells=side, rng=rng)))
    return sprites


def _stretch(sowing: Sowing, rng: np.random.Generator) -> Places:
    """Feet of the plants of one unit, in m about its own.  # (group, 2): x, y"""
    if sowing.broadcast:
        reach = np.sqrt(sowing.group * sowing.row_m * sowing.step_m)
        return rng.uniform(-reach / 2, reach / 2, (sowing.group, 2))
    along = (
        np.arange(sowing.group) - (sowing.group - 1) / 2 + rng.uniform(-0.5, 0.5, sowing.group)
    ) * sowing.step_m
    across = rng.normal(0, 0.01, sowing.group)
    cos, sin = np.cos(sowing.angle), np.sin(sowing.angle)
    return np.stack([across * cos - along * sin, across * sin + along * cos], axis=1)


def add_weeds(making: Making, rng: np.random.Generator) -> None:
    """Some plants of another kind, anywhere."""
    habit = HABITS[("weed", "creeper", "grass", "cotyledon", "cress")[rng.integers(5)]]
    look, cell_m, side = draw_look(rng, dry=0.05), making.ground.cell_m, making.stage.side
    plants = [grow(habit, look, rng.uniform(0, 0.6), rng) for _ in range(3)]
    cells = max(p.area_m2 for p in plants) / cell_m**2
    if not 2 < cells < _MAX_CELLS / 4:
        return
    numbers = [making.keep(paint(p, cell_m, half_cells=side, rng=rng)) for p in plants]
    count = int(np.clip(np.exp(rng.uniform(0, np.log(60))), 1, 0.1 * side**2 / cells + 1))
    for foot in rng.uniform(0, side, (count, 2)):
        gain = np.exp(rng.normal(0, 0.08) + rng.normal(0, 0.02, 3))
        making.put(numbers[rng.integers(3)], (foot[0], foot[1]), turn=int(rng.integers(8)), gain=gain)


def lay_litter(making: Making, rng: np.random.Generator) -> None:
    """Straw and dry leaves, from a few to a mulch that hides the soil."""
    side, cell_m = making.stage.side, making.ground.cell_m
    spread_m = min(0.5, 0.6 * side * cell_m)
    density = np.exp(rng.uniform(np.log(15), np.log(9000)))  # per m²
    count = int(np.clip(density * spread_m**2, 3, 400))
    numbers = [
        making.keep(paint(litter(rng, count, spread_m, cell_m), cell_m, half_cells=side, rng=rng))
        for _ in range(3)
    ]
    units = int(np.clip(density * (side * cell_m) ** 2 / count, 1, 0.7 * _MAX_UNITS))
    for foot in rng.uniform(0, side, (units, 2)):
        gain = np.exp(rng.normal(0, 0.15) + rng.normal(0, 0.03, 3))
        making.put(numbers[rng.integers(3)], (foot[0], foot[1]), turn=int(rng.integers(8)), gain=gain)
