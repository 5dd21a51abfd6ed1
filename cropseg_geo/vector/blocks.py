"""Blocks of a mask, each with a rim of its neighbours' pixels, in the order of reading.

Every pixel is read once: what a block needs of the blocks above and to the left is kept from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cropseg_geo.grid import Window
from cropseg_geo.vector.arrays import Bytes, Ints, Longs, Singles
from cropseg_geo.vector.source import MaskSource, read_classes, read_probability


@dataclass(frozen=True)
class PaddedBlock:
    """A block's pixels with one more row above and one more column to the left.

    ``pixels`` (h + 1, w + 1) are classes, with another row (column) of background where the
    block is the last one: the vertices on the raster's lower and right rim belong to it. ``prob`` (h, w)
    or None.
    ``padded_prob`` is the probability at ``pixels``, NaN at nodata and off the raster; ``occupied``
    (h + 1, w + 1) counts at each vertex of the window the pixels of the raster above and to the left of it
    that are not background. Both are None where nobody asked for them. Where plants are parted, ``pixels``
    are numbers of plants, and ``classes`` their classes.
    """

    window: Window
    pixels: Bytes | Ints
    prob: Singles | None
    padded_prob: Singles | None = None
    occupied: Longs | None = None
    classes: Bytes | None = None

    @property
    def class_id(self) -> Bytes:
        """The class of each of ``pixels``."""
        return np.asarray(self.pixels, np.uint8) if self.classes is None else self.classes

    @property
    def is_last_row(self) -> bool:
        return bool(self.pixels.shape[0] == self.window.height + 2)

    @property
    def is_last_col(self) -> bool:
        return bool(self.pixels.shape[1] == self.window.width + 2)


@dataclass(frozen=True)
class Wanted:
    """What a block has to hold beside its pixels."""

    padded_prob: bool = False
    occupied: bool = False


@dataclass(frozen=True)
class Above:
    """What is known along the lattice line above a row of blocks; shapes (width + 1,).

    ``pixels`` and ``prob`` of the pixels above the line, one off the raster in front; ``occupied`` counts,
    at the vertices of the line, the pixels above and to the left that are not background.
    """

    pixels: Bytes
    prob: Singles
    occupied: Longs

    @staticmethod
    def top(width: int) -> Above:
        return Above(
            np.zeros(width + 1, np.uint8),
            np.full(width + 1, np.nan, np.float32),
            np.zeros(width + 1, np.int64),
        )

    def followed_by(self, pieces: Sequence[Above]) -> Above:
        """The next line from its pieces; what lies left of the raster stays."""
        return Above(
            np.concatenate([self.pixels[:1], *(p.pixels for p in pieces)]),
            np.concatenate([self.prob[:1], *(p.prob for p in pieces)]),
            np.concatenate([self.occupied[:1], *(p.occupied for p in pieces)]),
        )


def row_of_blocks(
    source: MaskSource, row: int, block_px: int, above: Above, n_classes: int, wanted: Wanted
) -> Iterator[tuple[PaddedBlock, Above]]:
    """The blocks from ``row`` on, each with its piece of the line that is above the next row of blocks.

    The pieces hold (w,) values, one for each column of the block and the vertex to its right.
    """
    height = min(block_px, source.height - row)
    left = np.zeros(height, np.uint8)
    left_prob = np.full(height, np.nan, np.float32)
    left_occupied = np.zeros(height + 1, np.int64)
    for col in range(0, source.width, block_px):
        window = Window(row, col, height, min(block_px, source.width - col))
        here = slice(col, col + window.width + 1)
        own = (slice(1, height + 1), slice(1, window.width + 1))
        shape = (height + 1 + (row + height == source.height), window.width + 1)
        shape = (shape[0], shape[1] + (col + window.width == source.width))
        classes, is_nodata = read_classes(source, window, n_classes)
        pixels = np.zeros(shape, np.uint8)
        pixels[own], pixels[own[0], 0], pixels[0, : window.width + 1] = classes, left, above.pixels[here]
        left = classes[:, -1]
        prob = read_probability(source, window)
        padded, occupied = None, None
        last_prob, last_occupied = above.prob[here][1:], above.occupied[here][1:]
        if wanted.padded_prob and prob is not None:
            padded = np.full(shape, np.nan, np.float32)
            padded[own] = np.where(is_nodata, np.float32(np.nan), prob)
            padded[own[0], 0], padded[0, : window.width + 1] = left_prob, above.prob[here]
            left_prob, last_prob = padded[own][:, -1].copy(), padded[height, own[1]].copy()
        if wanted.occupied:
            occupied = _occupied((classes != 0) | is_nodata, above.occupied[here], left_occupied)
            left_occupied = left_occupied + _grown(occupied)
            last_occupied = occupied[-1, 1:].copy()
        yield (
            PaddedBlock(window, pixels, prob, padded, occupied),
            Above(pixels[height, own[1]].copy(), last_prob, last_occupied),
        )


def _occupied(is_occupied: np.ndarray, above: Longs, left: Longs) -> Longs:
    """Counts (h + 1, w + 1) above and to the left of each vertex, from those along the rims."""
    count = np.zeros((is_occupied.shape[0] + 1, is_occupied.shape[1] + 1), np.int64)
    count[1:, 1:] = is_occupied
    np.cumsum(count, axis=0, out=count)
    np.cumsum(count, axis=1, out=count)
    return count + above + left[:, None]


def _grown(occupied: Longs) -> Longs:
    """How many of a block's own pixels are occupied down to each of its rows, (h + 1,)."""
    return np.asarray((occupied[:, -1] - occupied[0, -1]) - (occupied[:, 0] - occupied[0, 0]))
