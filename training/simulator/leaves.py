"""Leaves as arched strips, and how they are painted into a sprite: dense points, the highest wins."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.intp]

_NODES = 257
_SPACING_PX = 0.68  # a lattice this dense, at any angle, puts a point into every cell
_RIB = np.array([0.42, 0.48, 0.26], dtype=np.float32)
ATTRIBUTES = 7
"""Columns of a sprite's table: normal x, normal y, albedo (3), gloss, and 1 for what counts as vegetation."""

OUTLINES = ("blade", "strap", "ovate", "obovate", "round", "needle", "rosette", "lobed", "feather", "heart")


@dataclass(frozen=True, eq=False)
class Leaves:
    """Leaves of one plant or many, (n,) each unless it says otherwise; metres, radians, linear colours."""

    base_m: Floats  # (n, 3): x right, y down, z up
    azimuth: Floats
    elevation: Floats
    arch: Floats  # how far the tip hangs below the direction of the base
    length_m: Floats
    width_m: Floats
    outline: Floats  # index of OUTLINES
    bend: Floats  # turn of the midline in the plane
    roll: Floats
    fold: Floats  # how far the halves rise from the midrib
    ripple: Floats
    colour: Floats  # (n, 3)
    tip: Floats  # (n, 3)
    tip_start: Floats  # from where on the colour goes over to the tip's
    rib: Floats  # how far the midrib is paler
    gloss: Floats
    plant: Floats  # 1 vegetation, 0 litter

    def __len__(self) -> int:
        return len(self.azimuth)

    @property
    def area_m2(self) -> float:
        """Of all leaves, as if each filled its length times its width."""
        return float((self.length_m * self.width_m).sum())

    def take(self, index: npt.NDArray[np.generic]) -> Leaves:
        return Leaves(*(getattr(self, field.name)[index] for field in fields(self)))


_DEFAULTS = {
    "arch": 0.0, "outline": 0.0, "bend": 0.0, "roll": 0.0, "fold": 0.2, "ripple": 0.05, "tip_start": 2.0,
    "rib": 0.2, "gloss": 0.3, "plant": 1.0,
}  # fmt: skip


def make_leaves(count: int, **values: npt.ArrayLike) -> Leaves:
    """Leaves from arrays or single numbers; what is not given has its default."""
    given = {**_DEFAULTS, **values}
    given.setdefault("tip", given["colour"])
    shapes = {"base_m": (count, 3), "colour": (count, 3), "tip": (count, 3)}
    return Leaves(
        **{
            field.name: np.broadcast_to(
                np.asarray(given[field.name], dtype=np.float32), shapes.get(field.name, (count,))
            )
            for field in fields(Leaves)
        }
    )


def joined(parts: list[Leaves]) -> Leaves:
    """All leaves of the parts, in order."""
    return Leaves(*(np.concatenate([getattr(p, field.name) for p in parts]) for field in fields(Leaves)))


@lru_cache(maxsize=1)
def _outlines() -> Floats:
    """Half width at the nodes of the midline relative to the widest place.  # (outlines, nodes)"""
    s = np.linspace(0.0, 1.0, _NODES)
    stalked = np.clip((s - 0.25) / 0.75, 0.0, 1.0)
    ovate = np.sin(np.pi * s**0.75) ** 0.8
    shapes = {
        "blade": np.clip((s + 0.08) ** 0.45 * (1 - s) ** 0.62 / 0.62, 0, 1),
        "strap": np.clip(np.minimum(1.0, 7.0 * (1.0 - s)) * np.minimum(1.0, 0.5 + 6.0 * s), 0, 1),
        "ovate": ovate,
        "obovate": np.sin(np.pi * s**1.35) ** 0.7,
        "round": np.sqrt(np.clip(1.0 - (2.0 * s - 1.0) ** 2, 0, 1)),
        "needle": np.clip(1.0 - 0.8 * s, 0.1, 1),
        "rosette": np.maximum(0.12, np.sin(np.pi * stalked**0.85) ** 0.7),
        "lobed": ovate * (0.62 + 0.38 * np.cos(2 * np.pi * (4.5 * s**0.9 + 0.5))),
        "feather": np.maximum(0.07, ovate * np.clip(1.6 * np.sin(2 * np.pi * 8 * s), 0.0, 1.0)),
        "heart": np.where(s < 0.3, np.sqrt(np.clip(1 - ((s - 0.3) / 0.3) ** 2, 0, 1)), 1.0)
        * np.where(s >= 0.3, np.clip((1 - s) / 0.7, 0, 1) ** 0.75, 1.0),
    }
    return np.stack([shapes[name] for name in OUTLINES]).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Sprite:
    """What one unit (a plant, a stretch of a row) shows from above; the first cell relative to its foot.

    ``top_m``: (h, w) float32, height of the surface, −inf where there is none.
    ``table``: (h·w, ATTRIBUTES) float32, of the same cells, row by row.
    """

    row: int
    col: int
    top_m: Floats
    table: Floats


def paint(leaves: Leaves, cell_m: float, *, half_cells: int, rng: np.random.Generator) -> Sprite:
    """Paint leaves into cells of ``cell_m``; nothing farther than ``half_cells`` from the foot is kept.

    A cell belongs to a leaf whose surface covers the cell's centre: blades thinner than a cell thus take
    their right share of cells.
    """
    clouds = [_cloud(group, cell_m, sizes, half_cells, rng) for sizes, group in _alike(leaves, cell_m)]
    cells = np.concatenate([cloud.cells for cloud in clouds])  # x, y
    if not len(cells):
        empty = np.full((1, 1), -np.inf, dtype=np.float32)
        return Sprite(0, 0, empty, np.zeros((1, ATTRIBUTES), dtype=np.float32))
    low = cells.min(axis=0)
    width, height = (cells.max(axis=0) - low + 1).tolist()
    index = (cells[:, 1] - low[1]) * np.int32(width) + cells[:, 0] - low[0]
    z_m = np.concatenate([cloud.z_m for cloud in clouds])
    # Written in the order of height, so that what lies highest stays; numbers break ties alike everywhere.
    key = (z_m * np.float32(1e5)).astype(np.uint64) << np.uint64(32) | np.arange(len(z_m), dtype=np.uint64)
    order = (np.sort(key) & np.uint64(0xFFFFFFFF)).astype(np.intp)
    winner = np.full(height * width, -1, dtype=np.intp)
    winner[index[order]] = order
    seen = np.flatnonzero(winner >= 0)
    top = np.full(height * width, -np.inf, dtype=np.float32)
    top[seen] = z_m[winner[seen]]
    table = np.zeros((height * width, ATTRIBUTES), dtype=np.float32)
    first = 0
    for cloud in clouds:
        shown = seen[(winner[seen] >= first) & (winner[seen] < first + len(cloud.z_m))]
        table[shown] = cloud.surface(winner[shown] - first)
        first += len(cloud.z_m)
    return Sprite(int(low[1]), int(low[0]), top.reshape(height, width), table)


def _alike(leaves: Leaves, cell_m: float) -> list[tuple[tuple[int, int], Leaves]]:
    """Leaves in groups that need about the same number of points along and across."""
    along = np.maximum(3, leaves.length_m / (cell_m * _SPACING_PX) + 1)
    across = np.maximum(1, leaves.width_m / (cell_m * _SPACING_PX) + 1)
    # Classes a third of an octave apart: at most a quarter more points than needed.
    classes = np.stack([np.ceil(3 * np.log2(along)), np.ceil(3 * np.log2(across))], axis=1)
    kinds, member = np.unique(classes, axis=0, return_inverse=True)
    return [
        ((int(np.ceil(2 ** (a / 3))), int(np.ceil(2 ** (b / 3)))), leaves.take(np.flatnonzero(member == k)))
        for k, (a, b) in enumerate(kinds.tolist())
    ]


@dataclass(frozen=True, eq=False)
class _Cloud:
    """Points on the surfaces of leaves that have as many points along (S) and across (T).

    ``cells``: (m, 2) int32, x and y. ``z_m``: (m,). ``at``: (m,) index into (n, S, T).
    ``frame``: tangent, lateral and normal of the midlines, (n, S, 3) each. ``phase``: (n, 4).
    """

    leaves: Leaves
    s: Floats
    t: Floats
    cells: npt.NDArray[np.int32]
    z_m: Floats
    at: Ints
    frame: tuple[Floats, Floats, Floats]
    phase: Floats

    def surface(self, chosen: Ints) -> Floats:
        """Normal, colour and gloss of the chosen points.  # (k, ATTRIBUTES)"""
        along = self.at[chosen] // len(self.t)
        leaf = along // len(self.s)
        s, t = self.s[along % len(self.s)], self.t[self.at[chosen] % len(self.t)]
        phase = self.phase[leaf].T
        tangent, lateral, normal = (axis.reshape(-1, 3)[along] for axis in self.frame)
        ripple, rib = self.leaves.ripple[leaf], self.leaves.rib[leaf]
        vein = np.sin(44.0 * s - 13.8 * np.abs(t) + phase[0])
        tilt_along = ripple * (np.sin(9.0 * s + phase[1]) + 0.6 * vein)
        tilt_across = ripple * np.sin(5.0 * s + 2.0 * t + phase[2]) - self.leaves.fold[leaf] * np.sign(t)
        tilted = normal + tangent * tilt_along[:, None] + lateral * tilt_across[:, None]
        tilted /= np.linalg.norm(tilted, axis=-1, keepdims=True)
        tilted *= np.where(tilted[:, 2:] < 0, np.float32(-1.0), np.float32(1.0))

        dying = np.clip((s - self.leaves.tip_start[leaf] + 0.12 * np.sin(4 * t + phase[3])) * 6.0, 0, 1)
        colour, tip = self.leaves.colour[leaf], self.leaves.tip[leaf]
        colour = colour + dying[:, None] * (tip - colour)
        mottle = (
            1 + 0.06 * np.sin(11.0 * s + 3.0 * t + phase[1]) + 0.04 * np.sin(5.0 * t - 4.0 * s + phase[2])
        )
        if len(self.t) >= 5:
            mottle += 0.5 * rib * np.clip(np.abs(vein) * 3.0 - 2.3, 0.0, 1.0) - 0.03
            pale = rib * np.clip(1.6 - np.abs(t) * max(8.0, len(self.t) / 3.0), 0.0, 1.0)
            colour = colour + pale[:, None] * (_RIB - colour)
        values = np.empty((len(chosen), ATTRIBUTES), dtype=np.float32)
        values[:, :2] = tilted[:, :2]
        values[:, 2:5] = np.clip(colour * mottle[:, None], 0.0, 1.0)
        values[:, 5], values[:, 6] = self.leaves.gloss[leaf], self.leaves.plant[leaf]
        return values


def _cloud(
    leaves: Leaves, cell_m: float, sizes: tuple[int, int], half_cells: int, rng: np.random.Generator
) -> _Cloud:
    """Points of the leaves, dense enough for cells of ``cell_m``."""
    s = np.linspace(0.0, 1.0, sizes[0], dtype=np.float32)
    t = np.linspace(-1.0, 1.0, sizes[1] + 2, dtype=np.float32)[1:-1]
    line, tangent, lateral = _midlines(leaves, s)
    nodes = s * (_NODES - 1)
    lower = np.minimum(nodes.astype(np.intp), _NODES - 2)
    shape = _outlines()[leaves.outline.astype(np.intp)]
    profile = shape[:, lower] + (nodes - lower).astype(np.float32) * (shape[:, lower + 1] - shape[:, lower])
    half = 0.5 * leaves.width_m[:, None] * profile  # (n, S)

    scale = np.float32(1.0 / cell_m)
    across = lateral * (half * scale)[..., None]  # cells
    x = (line[..., 0] * scale)[..., None] + across[..., :1] * t
    y = (line[..., 1] * scale)[..., None] + across[..., 1:2] * t
    col, row = np.floor(x), np.floor(y)
    # The lateral distance of the cell's centre decides, not that of the point.
    width = np.maximum(np.hypot(lateral[..., 0], lateral[..., 1]), np.float32(0.05))[..., None]
    off = ((col + 0.5 - x) * lateral[..., :1] + (row + 0.5 - y) * lateral[..., 1:2]) / width
    half_px = (half * scale)[..., None] * width
    kept = np.abs(half_px * t + off) <= half_px
    kept &= (np.abs(col) < half_cells) & (np.abs(row) < half_cells)
    at = np.flatnonzero(kept)
    rise = lateral[..., 2] * half
    z_m = line[..., 2:] + rise[..., None] * t + (leaves.fold[:, None] * half)[..., None] * np.abs(t)
    cells = np.stack([col.ravel()[at], row.ravel()[at]], axis=1).astype(np.int32)
    height = np.maximum(z_m.ravel()[at], np.float32(0.001))
    phase = rng.uniform(0.0, 6.28, (len(leaves), 4)).astype(np.float32)
    return _Cloud(leaves, s, t, cells, height, at, (tangent, lateral, np.cross(tangent, lateral)), phase)


def _midlines(leaves: Leaves, s: Floats) -> tuple[Floats, Floats, Floats]:
    """Points, tangents and lateral directions of the midlines.  # (n, S, 3) each"""
    azimuth = leaves.azimuth[:, None] + leaves.bend[:, None] * s
    elevation = leaves.elevation[:, None] - leaves.arch[:, None] * s
    flat = np.cos(elevation)
    tangent = np.stack([flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)], axis=-1)
    steps = tangent * (leaves.length_m[:, None, None] / len(s))
    line = np.cumsum(steps, axis=1) - steps + leaves.base_m[:, None, :]
    line[..., 2] = np.maximum(line[..., 2], np.float32(0.001))
    side = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=-1)
    roll = leaves.roll[:, None, None]
    lateral = side * np.cos(roll) + np.cross(tangent, side) * np.sin(roll)
    return (
        np.asarray(line, dtype=np.float32),
        np.asarray(tangent, dtype=np.float32),
        np.asarray(lateral, dtype=np.float32),
    )
