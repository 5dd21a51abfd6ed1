"""What a run will do, decided before it starts, from facts alone; everything that can be refused is."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass
from functools import cached_property

from affine import Affine

from cropseg_geo.errors import InputError
from cropseg_geo.grid import BlockGrid, TileGrid, Window
from cropseg_geo.ground import Ground

MAX_UPSAMPLING = 4.0
"""A raster coarser than the model's range by up to this factor is upsampled without being asked."""

LADDER_STEP = math.sqrt(2)
"""Ratio of neighbouring GSDs when one is chosen from the image: a step finer doubles the work."""

_FINER_STEPS, _COARSER_STEPS = 3, 4

TILES_PER_BLOCK_SIDE = 4

_BASE_MEMORY = 700 << 20
_ACTIVATION_BYTES_PER_PX = 700
_BATCH_BYTES_PER_PX = 30
"""Values, logits and steps of a tile of a batch; measured with 3 bands and 2 classes."""


@dataclass(frozen=True)
class Plan:
    """The lattice and the identity of one run.

    Parameters
    ----------
    blocks
        Lattice of tiles and blocks over the working grid.
    extent
        Pixels of the working grid that are wanted.
    channels
        Probability channels a pixel has.
    identity
        Everything that the blended probabilities depend on, by name.
    """

    blocks: BlockGrid
    extent: Window
    channels: int
    identity: tuple[tuple[str, str], ...]

    @property
    def tiles(self) -> TileGrid:
        return self.blocks.tiles

    @cached_property
    def facts(self) -> dict[str, str]:
        """Everything that finished blocks depend on, by name."""
        tiles = self.tiles
        lattice = (tiles.height, tiles.width, tiles.tile_px, tiles.overlap_px, self.blocks.tiles_per_side)
        return {
            "lattice": str((*lattice, self.channels)),
            "extent": str(self.extent),
            **dict(self.identity),
        }

    @cached_property
    def fingerprint(self) -> str:
        """Name of the run: equal for runs whose finished blocks can be exchanged."""
        return hashlib.sha256(json.dumps(self.facts).encode()).hexdigest()

    @cached_property
    def n_blocks(self) -> int:
        return sum(1 for _ in self.blocks.meeting(self.extent))

    @cached_property
    def n_tiles(self) -> int:
        """Tiles that meet the extent, empty ones included."""
        return self._count(self.tiles.rows.count, self.extent.row, self.extent.row_stop) * self._count(
            self.tiles.cols.count, self.extent.col, self.extent.col_stop
        )

    def _count(self, n: int, start: int, stop: int) -> int:
        """Tiles of ``n`` along an axis that meet ``[start, stop)``."""
        first = max(0, (start - self.tiles.tile_px) // self.tiles.stride_px + 1)
        last = min(n - 1, (stop - 1) // self.tiles.stride_px)
        return max(0, last - first + 1)

    def memory_bytes(self, *, lanes: int, batch_size: int, at_once: int, bytes_per_pixel: int) -> int:
        """Peak memory of one process to expect; it does not depend on the raster's size.

        ``at_once`` are the tiles of a batch whose activations lie in this memory together.
        """
        footprint = (self.blocks.side_px + self.tiles.overlap_px) ** 2
        block = footprint * (2 * bytes_per_pixel + 12 * self.channels + 2)
        per_px = at_once * _ACTIVATION_BYTES_PER_PX + batch_size * _BATCH_BYTES_PER_PX
        return _BASE_MEMORY + lanes * (block + self.tiles.tile_px**2 * per_px)

    def disk_bytes(self, output_px: int, *, regrids: bool) -> int:
        """Disk to expect: finished blocks (compressed about 4:1), uncompressed drafts, finished files.

        ``regrids``: outputs lie on another grid than the tiles, whose blended steps are one more draft.
        """
        drafts = output_px * (1 + self.channels)
        if regrids:
            drafts += 2 * self.extent.size * self.channels
        return self.block_bytes + drafts + self.finished_bytes(output_px)

    @property
    def block_bytes(self) -> int:
        """Disk to expect for finished blocks."""
        return self.extent.size * self.channels

    def finished_bytes(self, output_px: int) -> int:
        """Disk that a finished run keeps at most: half of what its rasters have uncompressed."""
        return output_px * (1 + self.channels) // 2


def make_plan(
    *,
    shape: tuple[int, int],
    extent: Window,
    tile_px: int,
    overlap_px: int,
    channels: int,
    identity: dict[str, str],
    tiles_per_side: int,
) -> Plan:
    """Lay the lattice over a working grid of ``shape`` rows and columns.

    Raises
    ------
    InputError
        If the extent holds no pixel of the raster or tile and overlap do not fit together.
    """
    tiles = TileGrid(*shape, tile_px=tile_px, overlap_px=overlap_px)
    inside = extent & tiles.bounds
    if not inside:
        raise InputError(
            "the extent that was asked for holds no pixel of the raster",
            remedy="give --bbox or --aoi in the raster's own CRS, or check that they lie on it",
        )
    return Plan(BlockGrid(tiles, tiles_per_side), inside, channels, tuple(sorted(identity.items())))


def choose_gsd(native_m: float, accepted_m: tuple[float, float], wanted_m: float | None, model: str) -> float:
    """The GSD (m) to run the model at.

    The raster's own where the model accepts it; a finer raster is read at the finest GSD the model accepts,
    a slightly coarser one is upsampled to the coarsest; ``wanted_m`` overrides all of that.

    Raises
    ------
    InputError
        If the raster is far coarser than the model accepts, or ``wanted_m`` is outside the model's range.
    """
    finest, coarsest = accepted_m
    accepts = f"model {model!r} accepts {finest:g}–{coarsest:g} m/px"
    if wanted_m is not None:
        if not finest * (1 - 1e-6) <= wanted_m <= coarsest * (1 + 1e-6):
            raise InputError(
                f"--gsd {wanted_m:g}: {accepts}", remedy=f"choose a GSD between {finest:g} and {coarsest:g}"
            )
        if native_m / wanted_m > 16:
            raise InputError(
                f"the raster has {native_m:.3g} m/px; --gsd {wanted_m:g} would make over 256 pixels of each",
                remedy="use imagery of a finer GSD",
            )
        return wanted_m
    if native_m < finest:
        return finest
    if native_m <= coarsest:
        return native_m
    if native_m <= coarsest * MAX_UPSAMPLING:
        return coarsest
    raise InputError(
        f"the raster has {native_m:.3g} m/px; {accepts}",
        remedy=f"pass --gsd {coarsest:g} to resample it all the same (upsampling adds no detail), "
        "or use imagery of a finer GSD",
    )


def gsd_ladder(native_m: float, accepted_m: tuple[float, float], default_m: float) -> tuple[float, ...]:
    """GSDs (m) to compare, finest first: steps of √2 from the default, 2.8 times finer to 4 times coarser.

    None is outside what the model accepts or upsamples the raster more than ``MAX_UPSAMPLING`` times. All
    but the default are rounded to three digits, so that the chosen one can be given as ``--gsd``.

    >>> gsd_ladder(0.01, (0.003, 0.016), 0.01)
    (0.00354, 0.005, 0.00707, 0.01, 0.0141)
    """
    finest, coarsest = max(accepted_m[0], native_m / MAX_UPSAMPLING), accepted_m[1]
    steps = [k for k in range(-_FINER_STEPS, _COARSER_STEPS + 1) if k]
    others = {float(f"{default_m * LADDER_STEP**k:.3g}") for k in steps}
    return tuple(sorted({gsd for gsd in others if finest <= gsd <= coarsest} | {default_m}))


def working_shape(height: int, width: int, native_m: float, gsd_m: float) -> tuple[int, int]:
    """Rows and columns of the grid that spans the raster's extent at about ``gsd_m``."""
    if math.isclose(native_m, gsd_m, rel_tol=1e-3):
        return height, width
    factor = native_m / gsd_m
    return max(1, round(height * factor)), max(1, round(width * factor))


def working_window(window: Window, pixel: tuple[float, float], shape: tuple[int, int]) -> Window:
    """The working pixels over a window of the file; ``pixel`` is a working pixel's size in file pixels."""
    row, col = math.floor(window.row / pixel[0]), math.floor(window.col / pixel[1])
    row_stop = min(shape[0], math.ceil(window.row_stop / pixel[0]))
    col_stop = min(shape[1], math.ceil(window.col_stop / pixel[1]))
    return Window(row, col, max(0, row_stop - row), max(0, col_stop - col))


def bbox_window(bbox: tuple[float, float, float, float], ground: Ground) -> Window:
    """The pixels that touch a box (min x, min y, max x, max y) in the raster's CRS, clipped to the raster.

    Raises
    ------
    InputError
        If the box is not a box or does not meet the raster.
    """
    min_x, min_y, max_x, max_y = bbox
    if not (all(map(math.isfinite, bbox)) and min_x < max_x and min_y < max_y):
        raise InputError(
            f"--bbox {min_x:g},{min_y:g},{max_x:g},{max_y:g} is not a box",
            remedy="give minx,miny,maxx,maxy in the raster's CRS, with min below max",
        )
    inverse: Affine = ~ground.transform
    corners = [inverse @ xy for xy in ((min_x, min_y), (min_x, max_y), (max_x, min_y), (max_x, max_y))]
    cols, rows = zip(*corners, strict=True)
    tolerance = 1e-6
    row, col = math.floor(min(rows) + tolerance), math.floor(min(cols) + tolerance)
    row_stop, col_stop = math.ceil(max(rows) - tolerance), math.ceil(max(cols) - tolerance)
    window = Window(row, col, row_stop - row, col_stop - col) & Window(0, 0, ground.height, ground.width)
    if not window:
        left, top = ground.transform @ (0, 0)
        right, bottom = ground.transform @ (ground.width, ground.height)
        raise InputError(
            f"--bbox {min_x:g},{min_y:g},{max_x:g},{max_y:g} does not meet the raster, "
            f"which runs from ({min(left, right):.2f}, {min(top, bottom):.2f}) "
            f"to ({max(left, right):.2f}, {max(top, bottom):.2f})",
            remedy="give the box in the raster's own CRS",
        )
    return window
