"""Windows, tiles and blocks: pure integers, row before column, no I/O.

A *tile* is what the model sees; tiles overlap. A *block* is the unit of work and of writing; blocks
partition the raster. Both hang on one lattice whose origin is the raster's first pixel, so the tiles of
an extent are a subset of the tiles of the whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cropseg_geo.errors import InputError


@dataclass(frozen=True, order=True)
class Window:
    """A rectangle of pixels: rows ``[row, row + height)``, columns ``[col, col + width)``.

    >>> Window(0, 0, 4, 4) & Window(2, 3, 4, 4)
    Window(row=2, col=3, height=2, width=1)
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise InputError(f"a window cannot be {self.height} rows by {self.width} columns")

    @property
    def row_stop(self) -> int:
        return self.row + self.height

    @property
    def col_stop(self) -> int:
        return self.col + self.width

    @property
    def shape(self) -> tuple[int, int]:
        return (self.height, self.width)

    @property
    def size(self) -> int:
        return self.height * self.width

    def __bool__(self) -> bool:
        return self.size > 0

    def __and__(self, other: Window) -> Window:
        """The intersection; of size 0 where the windows do not meet."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        return Window(
            row,
            col,
            max(0, min(self.row_stop, other.row_stop) - row),
            max(0, min(self.col_stop, other.col_stop) - col),
        )

    def __contains__(self, other: Window) -> bool:
        return (self & other) == other

    def relative_to(self, origin: Window) -> Window:
        """The same pixels, counted from the first pixel of ``origin``."""
        return Window(self.row - origin.row, self.col - origin.col, self.height, self.width)

    def grown(self, margin: int) -> Window:
        """The window with ``margin`` more pixels on each side (may leave the raster)."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def split(self, side: int) -> Iterator[Window]:
        """Windows of at most ``side`` × ``side`` pixels that partition this one, row by row."""
        for row in range(self.row, self.row_stop, side):
            for col in range(self.col, self.col_stop, side):
                yield Window(row, col, side, side) & self

    @property
    def slices(self) -> tuple[slice, slice]:
        """Row and column slices, for arrays whose first pixel is the origin of the window's counting."""
        return (slice(self.row, self.row_stop), slice(self.col, self.col_stop))

    def __str__(self) -> str:
        return f"rows {self.row}–{self.row_stop - 1}, columns {self.col}–{self.col_stop - 1}"


@dataclass(frozen=True)
class Axis:
    """One axis of the lattice: tile ``k`` starts at ``k * stride`` and is ``tile`` pixels long.

    Neighbours share ``overlap`` pixels. There is always a first tile; another follows as long as pixels
    remain that no tile covers. The last tile may reach past the end.
    """

    length: int
    tile: int
    overlap: int

    @property
    def stride(self) -> int:
        return self.tile - self.overlap

    @property
    def count(self) -> int:
        return max(1, -(-(self.length - self.overlap) // self.stride))


@dataclass(frozen=True)
class TileGrid:
    """The lattice of tiles over a raster of ``height`` × ``width`` pixels.

    Parameters
    ----------
    height, width
        Raster size in pixels.
    tile_px
        Side of the square tile that the model sees.
    overlap_px
        Pixels shared by neighbouring tiles; at most half a tile, so that at most four tiles meet in a pixel.
    """

    height: int
    width: int
    tile_px: int
    overlap_px: int

    def __post_init__(self) -> None:
        if self.height < 1 or self.width < 1:
            raise InputError(f"a raster of {self.height} × {self.width} pixels has nothing to tile")
        if self.tile_px < 1 or not 0 <= self.overlap_px <= self.tile_px // 2:
            raise InputError(
                f"tile {self.tile_px} px with overlap {self.overlap_px} px: "
                f"the overlap must be between 0 and half the tile ({self.tile_px // 2} px)",
                remedy="choose a smaller --overlap or a larger --tile",
            )

    @property
    def stride_px(self) -> int:
        return self.tile_px - self.overlap_px

    @property
    def bounds(self) -> Window:
        return Window(0, 0, self.height, self.width)

    @property
    def rows(self) -> Axis:
        return Axis(self.height, self.tile_px, self.overlap_px)

    @property
    def cols(self) -> Axis:
        return Axis(self.width, self.tile_px, self.overlap_px)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of tile rows and tile columns."""
        return (self.rows.count, self.cols.count)

    def tile(self, i: int, j: int) -> Window:
        """The full window of tile ``(i, j)``; it may reach past the raster's last row and column."""
        return Window(i * self.stride_px, j * self.stride_px, self.tile_px, self.tile_px)


@dataclass(frozen=True, order=True)
class Block:
    """``tiles`` × ``tiles`` neighbouring tiles and the pixels that they own.

    ``window`` are the pixels that the block writes; blocks partition the raster. The footprint of its
    tiles reaches ``overlap_px`` further down and right, into the next blocks.
    """

    i: int
    j: int
    window: Window
    tiles: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class BlockGrid:
    """Blocks of ``tiles_per_side`` × ``tiles_per_side`` tiles over a :class:`TileGrid`."""

    tiles: TileGrid
    tiles_per_side: int

    def __post_init__(self) -> None:
        if self.tiles_per_side < 1:
            raise InputError(f"a block of {self.tiles_per_side} tiles a side holds no tile")

    @property
    def side_px(self) -> int:
        return self.tiles_per_side * self.tiles.stride_px

    @property
    def shape(self) -> tuple[int, int]:
        rows, cols = self.tiles.shape
        return (-(-rows // self.tiles_per_side), -(-cols // self.tiles_per_side))

    def block(self, i: int, j: int) -> Block:
        """Block ``(i, j)``; the last row and column of blocks run to the raster's edge."""
        n_rows, n_cols = self.shape
        if not (0 <= i < n_rows and 0 <= j < n_cols):
            raise InputError(f"block ({i}, {j}) is outside the {n_rows} × {n_cols} blocks")
        row, col = i * self.side_px, j * self.side_px
        row_stop = self.tiles.height if i == n_rows - 1 else row + self.side_px
        col_stop = self.tiles.width if j == n_cols - 1 else col + self.side_px
        tile_rows, tile_cols = self.tiles.shape
        n = self.tiles_per_side
        tiles = tuple(
            (ti, tj)
            for ti in range(i * n, min((i + 1) * n, tile_rows))
            for tj in range(j * n, min((j + 1) * n, tile_cols))
        )
        return Block(i, j, Window(row, col, row_stop - row, col_stop - col), tiles)

    def footprint(self, block: Block) -> Window:
        """The pixels that the tiles of a block cover: its own, and the overlap into the next blocks."""
        window, overlap = block.window, self.tiles.overlap_px
        grown = Window(window.row, window.col, window.height + overlap, window.width + overlap)
        return grown & self.tiles.bounds

    def meeting(self, extent: Window) -> Iterator[Block]:
        """The blocks whose tiles reach into ``extent``, row by row."""
        return (block for block in self if self.footprint(block) & extent)

    def __iter__(self) -> Iterator[Block]:
        """All blocks, row by row."""
        n_rows, n_cols = self.shape
        for i in range(n_rows):
            for j in range(n_cols):
                yield self.block(i, j)
