"""Where units stand and how they are put together: rows, stretches of rows, broadcast, litter."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from training.simulator.leaves import OUTLINES, Floats, Leaves, Sprite, joined, make_leaves
from training.simulator.plants import linear


@dataclass(eq=False)
class Stage:
    """Layers of sprites by height: the highest surface of every cell and where its table entry is.

    Not frozen: units are put onto it one after the other.
    """

    side: int
    top_m: Floats
    source: npt.NDArray[np.int32]
    owner: npt.NDArray[np.int32]

    @staticmethod
    def on(ground_m: Floats) -> Stage:
        none = np.full(ground_m.shape, -1, dtype=np.int32)
        return Stage(len(ground_m), ground_m.copy(), none, none.copy())

    def put(
        self, sprite: Sprite, first: int, foot: tuple[int, int], *, owner: int, turn: int, ground_m: float
    ) -> None:
        """Put one sprite; ``turn`` 0–7 counts quarter turns, from 4 on after mirroring the columns."""
        row, col, top, index = _turned(sprite, turn)
        row, col = row + foot[0], col + foot[1]
        rows = slice(max(0, row), min(self.side, row + top.shape[0]))
        cols = slice(max(0, col), min(self.side, col + top.shape[1]))
        if rows.start >= rows.stop or cols.start >= cols.stop:
            return
        own = (slice(rows.start - row, rows.stop - row), slice(cols.start - col, cols.stop - col))
        top, index = top[own] + np.float32(ground_m), index[own]
        higher = top > self.top_m[rows, cols]
        np.copyto(self.top_m[rows, cols], top, where=higher)
        np.copyto(self.source[rows, cols], index + np.int32(first), where=higher)
        np.copyto(self.owner[rows, cols], np.int32(owner), where=higher)


def _turned(sprite: Sprite, turn: int) -> tuple[int, int, Floats, npt.NDArray[np.int32]]:
    top = sprite.top_m
    index = np.arange(top.size, dtype=np.int32).reshape(top.shape)
    row, col = sprite.row, sprite.col
    if turn >= 4:
        top, index, col = top[:, ::-1], index[:, ::-1], -(col + top.shape[1])
    for _ in range(turn % 4):  # a quarter turn to the left: (row, col) → (−col, row)
        row, col = -(col + top.shape[1]), row
        top, index = np.rot90(top), np.rot90(index)
    return row, col, top, index


def turned_normals(x: Floats, y: Floats, turn: npt.NDArray[np.integer]) -> tuple[Floats, Floats]:
    """Normals of cells, turned like the sprites that they come from."""
    x = np.where(turn >= 4, -x, x)
    quarter = turn % 4
    # With y down, a quarter turn to the left takes (x, y) to (y, −x).
    return (
        np.select([quarter == 1, quarter == 2, quarter == 3], [y, -x, -y], x).astype(np.float32),
        np.select([quarter == 1, quarter == 2, quarter == 3], [-x, -y, x], y).astype(np.float32),
    )


def row_feet(
    rng: np.random.Generator, side: int, *, row_px: float, step_px: float, angle: float, jitter: float
) -> npt.NDArray[np.float64]:
    """Feet along rows that cover the square.  # (n, 2): row, column in cells"""
    reach = side * 0.75
    across = np.arange(-reach, reach, row_px) + rng.uniform(0, row_px)
    along = np.arange(-reach, reach, step_px)
    u, v = (a.ravel() for a in np.meshgrid(across, along, indexing="ij"))
    u = u + rng.normal(0, 0.04 * min(1.0, jitter) * row_px, u.shape)
    v = v + rng.uniform(-0.5, 0.5, v.shape) * jitter * step_px
    cos, sin = np.cos(angle), np.sin(angle)
    feet = np.stack([u * sin + v * cos, u * cos - v * sin], axis=1) + side / 2
    return feet[((feet > -0.15 * side) & (feet < 1.15 * side)).all(axis=1)]


def clump(plants: list[Leaves], places_m: npt.NDArray[np.float64], rng: np.random.Generator) -> Leaves:
    """Copies of the plants at places (n, 2: x, y), each turned its own way."""
    sizes = np.array([len(plant) for plant in plants])
    stock = joined(plants)
    starts = np.cumsum(sizes) - sizes
    chosen = rng.integers(len(plants), size=len(places_m))
    index = np.concatenate([np.arange(starts[k], starts[k] + sizes[k]) for k in chosen])
    each = np.repeat(np.arange(len(places_m)), sizes[chosen])
    turn = rng.uniform(0, 2 * np.pi, len(places_m))[each]
    leaves = stock.take(index)
    cos, sin = np.cos(turn), np.sin(turn)
    base = leaves.base_m.astype(np.float64)
    values = {field.name: getattr(leaves, field.name) for field in fields(leaves)}
    x = base[:, 0] * cos - base[:, 1] * sin + places_m[each, 0]
    y = base[:, 0] * sin + base[:, 1] * cos + places_m[each, 1]
    values["base_m"] = np.stack([x, y, base[:, 2]], axis=1).astype(np.float32)
    values["azimuth"] = (leaves.azimuth + turn).astype(np.float32)
    return Leaves(**values)


_LITTER = np.array(
    [
        (214, 190, 140),
        (186, 158, 112),
        (150, 120, 86),
        (116, 88, 62),
        (196, 176, 150),
        (128, 112, 96),
        (164, 112, 74),
    ]
)


def litter(rng: np.random.Generator, count: int, spread_m: float, smallest_m: float) -> Leaves:
    """Straw, dry leaves, sticks or stubble within a square; background, whatever its form."""
    tone = np.asarray(linear(tuple(_LITTER[rng.integers(len(_LITTER))] / 255.0)))
    straw = rng.random(count) < (1.0 if rng.random() < 0.5 else rng.uniform(0.0, 0.8))
    length = np.where(straw, rng.gamma(2.5, rng.uniform(0.012, 0.04), count), rng.uniform(0.01, 0.05, count))
    length = np.maximum(length, 2 * smallest_m)
    width = np.where(straw, rng.uniform(0.0012, 0.005, count), length * rng.uniform(0.2, 0.6, count))
    stubble = straw & (rng.random(count) < (0.5 if rng.random() < 0.2 else 0.02))
    colour = np.clip(
        tone * np.exp(rng.normal(0, 0.3, (count, 1)) + rng.normal(0, 0.06, (count, 3))), 0.01, 0.8
    )
    outline = np.where(
        straw,
        OUTLINES.index("strap"),
        rng.choice([OUTLINES.index(n) for n in ("ovate", "lobed", "blade")], count),
    )
    base = np.stack(
        [*rng.uniform(-spread_m / 2, spread_m / 2, (2, count)), rng.uniform(0.001, 0.01, count)], axis=1
    )
    return make_leaves(
        count, base_m=base, azimuth=rng.uniform(0, 2 * np.pi, count),
        elevation=np.where(stubble, rng.uniform(0.7, 1.5, count), rng.normal(0.03, 0.1, count)),
        arch=np.where(straw, 0.0, rng.normal(0, 0.8, count)), length_m=length, width_m=width, outline=outline,
        bend=rng.normal(0, 0.2, count), roll=rng.normal(0, 0.4, count), fold=np.where(straw, 0.1, 0.4),
        ripple=0.15, rib=0.08, gloss=rng.uniform(0, 0.4), colour=colour, plant=0.0,
    )  # fmt: skip
