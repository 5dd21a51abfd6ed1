"""The trial: where the survey ends, where plots, rows, plants and weeds are; everything by hashing.

Two frames, both in pixels of 1 cm: the raster (row down, column right) and the field (``u`` across the
sown rows, ``v`` along them), which is turned by ``rotation_deg`` about the raster's centre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from rasterio.transform import Affine

from cropseg_geo.grid import Window
from sample_tiles.noise import Floats, hash_unit, noise_at, smooth_noise
from sample_tiles.plants import VARIANTS
from sample_tiles.varieties import STAGES, VARIETIES, WEEDS, Variety

GSD_M = 0.01
CRS = "EPSG:32632"
ORIGIN_M = (565_800.0, 5_705_400.0)  # loess farmland south of Göttingen

PLOT_WIDTH, PLOT_LENGTH = 360, 600  # along u, along v
PITCH_U, PITCH_V = 450, 745
_EDGE_RAGGED = (8.0, 62.0)
_WEED_CELL = 100
# growth of the blocks (sowing dates), in stages; a larger field repeats them
_BLOCK_STAGES = (2.9, 0.9, 4.7, 1.9)
# hash streams
_EDGE, _VARIETY, _PLOT, _PLANT, _WEED, _VIGOUR, _MARK = range(7)


@dataclass(frozen=True)
class Plot:
    """One plot: block and column from 0, its centre (u, v), what grows in it and how far it is."""

    block: int
    column: int
    u: float
    v: float
    variety: Variety
    stage: float
    emergence: float

    @property
    def plot_id(self) -> str:
        return f"B{self.block + 1}-{self.column + 1:02d}"

    @property
    def corners(self) -> NDArray[np.float64]:
        """Corners in the field frame.  # (4, 2): u, v"""
        half = np.array([PLOT_WIDTH, PLOT_LENGTH]) / 2
        return np.array([self.u, self.v]) + half * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])


@dataclass(frozen=True, eq=False)
class Plants:
    """Plants in drawing order; all arrays (n,). ``kind`` counts through VARIETIES, then WEEDS."""

    row: NDArray[np.int64]
    col: NDArray[np.int64]
    kind: NDArray[np.int64]
    stage: NDArray[np.int64]
    variant: NDArray[np.int64]
    gain: NDArray[np.float64]

    def within(self, window: Window) -> Plants:
        """The plants whose foot is in ``window``, order kept."""
        inside = (self.row >= window.row) & (self.row < window.row_stop)
        inside &= (self.col >= window.col) & (self.col < window.col_stop)
        return self.take(inside)

    def take(self, index: NDArray[np.bool_] | NDArray[np.int64]) -> Plants:
        return Plants(*(getattr(self, name)[index] for name in self.__dataclass_fields__))


def joined(parts: list[Plants]) -> Plants:
    """Plants of several plots or cells, in the order given."""
    names = Plants.__dataclass_fields__
    empty = np.zeros(0, dtype=np.int64)
    return Plants(*(np.concatenate([getattr(p, name) for p in parts]) if parts else empty for name in names))


@dataclass(frozen=True)
class Field:
    """A field that fills a raster of ``height`` × ``width`` pixels of 1 cm, turned by ``rotation_deg``."""

    height: int = 4096
    width: int = 4608
    seed: int = 20
    rotation_deg: float = 17.0

    @property
    def bounds(self) -> Window:
        return Window(0, 0, self.height, self.width)

    @property
    def transform(self) -> Affine:
        return Affine(GSD_M, 0.0, ORIGIN_M[0], 0.0, -GSD_M, ORIGIN_M[1])

    @cached_property
    def _turn(self) -> tuple[float, float]:
        return math.cos(math.radians(self.rotation_deg)), math.sin(math.radians(self.rotation_deg))

    @cached_property
    def footprint(self) -> tuple[float, float]:
        """Length along u and v of the turned rectangle that touches all four sides of the raster."""
        cos, sin = self._turn
        along_u = (self.width * cos - self.height * sin) / (cos**2 - sin**2)
        along_v = (self.height * cos - self.width * sin) / (cos**2 - sin**2)
        return along_u, along_v

    @cached_property
    def plot_counts(self) -> tuple[int, int]:
        """Number of blocks (along v) and of plots in a block (along u)."""
        margin = 2 * 90
        blocks = int((self.footprint[1] - margin + PITCH_V - PLOT_LENGTH) // PITCH_V)
        columns = int((self.footprint[0] - margin + PITCH_U - PLOT_WIDTH) // PITCH_U)
        return blocks, columns

    def to_field(self, row: ArrayLike, col: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Raster position (pixel corners are integers) → (u, v)."""
        cos, sin = self._turn
        x, y = np.asarray(col) - self.width / 2, np.asarray(row) - self.height / 2
        return x * cos + y * sin, y * cos - x * sin

    def to_raster(self, u: ArrayLike, v: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(u, v) → raster position (row, column)."""
        cos, sin = self._turn
        u, v = np.asarray(u), np.asarray(v)
        return u * sin + v * cos + self.height / 2, u * cos - v * sin + self.width / 2

    def frame(self, window: Window) -> tuple[Floats, Floats]:
        """(u, v) of the pixel centres of ``window``.  # (height, width) float32 each"""
        cos, sin = self._turn
        x = np.arange(window.col, window.col_stop) + 0.5 - self.width / 2
        y = np.arange(window.row, window.row_stop) + 0.5 - self.height / 2
        u = (x * cos).astype(np.float32) + (y * sin).astype(np.float32)[:, None]
        v = (y * cos).astype(np.float32)[:, None] - (x * sin).astype(np.float32)
        return u, v

    def surveyed(self, window: Window) -> NDArray[np.bool_]:
        """Pixels that the survey covers: a turned rectangle with the ragged rim of a mosaic."""
        u, v = self.frame(window)
        inside = np.minimum(self.footprint[0] / 2 - np.abs(u), self.footprint[1] / 2 - np.abs(v))
        rim = _EDGE_RAGGED[1]
        if inside.max() < 0 or inside.min() > rim:
            return np.asarray(inside > 0)
        ragged = 0.62 * smooth_noise(window, 160, self.seed, _EDGE)
        ragged += 0.28 * smooth_noise(window, 24, self.seed, _EDGE)
        ragged += 0.16 * smooth_noise(window, 5, self.seed, _EDGE)
        low, high = _EDGE_RAGGED
        edge = np.clip(low + (high - low) * (0.5 + 0.6 * ragged), low, high)
        return np.asarray(inside > edge)

    def touches_survey(self, window: Window) -> bool:
        """Whether any surveyed pixel can be in ``window`` (cheap, may say yes too often)."""
        u, v = self.to_field(
            [window.row, window.row, window.row_stop, window.row_stop],
            [window.col, window.col_stop, window.col, window.col_stop],
        )
        reach_u, reach_v = self.footprint[0] / 2, self.footprint[1] / 2
        return bool(u.min() < reach_u and u.max() > -reach_u and v.min() < reach_v and v.max() > -reach_v)

    def plot(self, block: int, column: int) -> Plot:
        """The plot of a block and column; varieties are shuffled within groups of eight."""
        blocks, columns = self.plot_counts
        group, place = divmod(column, len(VARIETIES))
        order = np.argsort(hash_unit(self.seed, _VARIETY, block, group, np.arange(len(VARIETIES))))
        luck = hash_unit(self.seed, _PLOT, block, column, np.arange(3))
        poor = luck[1] < 0.09
        return Plot(
            block=block,
            column=column,
            u=(column - (columns - 1) / 2) * PITCH_U,
            v=(block - (blocks - 1) / 2) * PITCH_V,
            variety=VARIETIES[int(order[place])],
            stage=_BLOCK_STAGES[block % len(_BLOCK_STAGES)] + float(luck[0] - 0.5) * 0.9,
            emergence=0.55 if poor else 0.9 + 0.09 * float(luck[2]),
        )

    @property
    def plots(self) -> list[Plot]:
        blocks, columns = self.plot_counts
        return [self.plot(block, column) for block in range(blocks) for column in range(columns)]

    def _near(self, window: Window) -> tuple[range, range]:
        """Blocks and columns of the plots that may have plants in ``window``."""
        u, v = self.to_field(
            [window.row, window.row, window.row_stop, window.row_stop],
            [window.col, window.col_stop, window.col, window.col_stop],
        )
        spans = []
        for low, high, pitch, count in (
            (v.min(), v.max(), PITCH_V, self.plot_counts[0]),
            (u.min(), u.max(), PITCH_U, self.plot_counts[1]),
        ):
            middle = (count - 1) / 2
            first = math.floor(low / pitch + middle - 0.5)
            last = math.ceil(high / pitch + middle + 0.5)
            spans.append(range(max(0, first), min(count, last + 1)))
        return spans[0], spans[1]

    def plots_near(self, window: Window) -> list[Plot]:
        """The plots that may reach into ``window``, with some to spare."""
        blocks, columns = self._near(window)
        return [self.plot(block, column) for block in blocks for column in columns]

    def plants(self, window: Window) -> Plants:
        """All plants with their foot in ``window``, in drawing order: weeds, then plot by plot."""
        blocks, columns = self._near(window)
        parts = [_weeds(self, window)]
        parts += [_sown(self, block, column).within(window) for block in blocks for column in columns]
        return joined(parts)


@lru_cache(maxsize=512)
def _sown(field: Field, block: int, column: int) -> Plants:
    """The plants of one plot, in a hashed order so that no row always covers the next."""
    plot, seed = field.plot(block, column), field.seed
    variety = plot.variety
    rows = int(PLOT_WIDTH // variety.row_spacing_cm)
    places = int(PLOT_LENGTH // variety.plant_spacing_cm)
    r, k = (a.ravel() for a in np.meshgrid(np.arange(rows), np.arange(places), indexing="ij"))
    luck = [hash_unit(seed, _PLANT, block, column, r, k, stream) for stream in range(8)]
    u = plot.u + (r - (rows - 1) / 2) * variety.row_spacing_cm + (luck[0] - 0.5) * 4
    v = plot.v + (k - (places - 1) / 2) * variety.plant_spacing_cm
    v = v + (luck[1] - 0.5) * 0.7 * variety.plant_spacing_cm
    wander = 2.2 * noise_at(u, v, 170, seed, _PLANT, 1)  # the drill does not run quite straight
    vigour = 0.75 * noise_at(u, v, 420, seed, _VIGOUR) + 0.55 * noise_at(u, v, 90, seed, _VIGOUR, 1)
    missing = 0.22 * np.clip(noise_at(u, v, 55, seed, _VIGOUR, 2) - 0.35, 0, 1) * 3
    emerged = luck[2] < plot.emergence - missing
    stage = np.clip(plot.stage + vigour + (luck[3] + luck[7] - 1) * 0.8, 0, STAGES - 1)
    row, col = field.to_raster(u + wander, v)
    order = np.argsort(luck[4][emerged], kind="stable")
    return Plants(
        row=np.floor(row).astype(np.int64),
        col=np.floor(col).astype(np.int64),
        kind=np.full(row.shape, VARIETIES.index(variety)),
        stage=np.floor(stage + luck[5]).astype(np.int64).clip(0, STAGES - 1),
        variant=(luck[6] * VARIANTS).astype(np.int64),
        gain=0.93 + 0.14 * luck[7] + 0.05 * vigour,
    ).take(np.flatnonzero(emerged)[order])


def _weeds(field: Field, window: Window) -> Plants:
    """Weeds, by cells of one square metre of the raster: more in alleys and in patches."""
    seed, cell = field.seed, _WEED_CELL
    i, j, n = (
        a.ravel()
        for a in np.meshgrid(
            np.arange(window.row // cell, (window.row_stop - 1) // cell + 1),
            np.arange(window.col // cell, (window.col_stop - 1) // cell + 1),
            np.arange(5),
            indexing="ij",
        )
    )
    luck = [hash_unit(seed, _WEED, i, j, n, stream) for stream in range(6)]
    row, col = (i + luck[0]) * cell, (j + luck[1]) * cell
    u, v = field.to_field(row, col)
    patch = 0.5 + 0.5 * noise_at(u, v, 600, seed, _WEED, 1)
    in_plot = np.minimum(*(PLOT / 2 - off for PLOT, off in _offsets(field, u, v))) > 0
    share = np.where(in_plot, 0.05, 0.16) * (0.15 + 2.4 * patch**3)
    shown = luck[2] < share
    return Plants(
        row=np.floor(row).astype(np.int64),
        col=np.floor(col).astype(np.int64),
        kind=len(VARIETIES) + (luck[3] < 0.4).astype(np.int64) * (len(WEEDS) - 1),
        stage=(luck[4] ** 2 * STAGES).astype(np.int64),
        variant=(luck[5] * VARIANTS).astype(np.int64),
        gain=0.85 + 0.3 * luck[3],
    ).take(shown).within(window)  # fmt: skip


def _offsets(field: Field, u: ArrayLike, v: ArrayLike) -> list[tuple[int, NDArray[np.float64]]]:
    """For u and v: the plot's size and the distance from the nearest plot's centre line."""
    result = []
    for position, pitch, size, count in (
        (u, PITCH_U, PLOT_WIDTH, field.plot_counts[1]),
        (v, PITCH_V, PLOT_LENGTH, field.plot_counts[0]),
    ):
        middle = (count - 1) / 2
        nearest = np.clip(np.rint(np.asarray(position) / pitch + middle), 0, count - 1)
        result.append((size, np.abs(np.asarray(position) - (nearest - middle) * pitch)))
    return result
