"""Cuts between plants that touch: edges of pixels that part what would else be one region."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cropseg_geo.vector.arrays import Bools, Ints, Longs
from cropseg_geo.vector.blocks import PaddedBlock
from cropseg_geo.vector.corners import connected


@dataclass(frozen=True)
class Cuts:
    """Edges between two pixels of one class that belong to different plants; sorted arrays.

    ``lying`` (n,) names the pixel above each horizontal edge, ``standing`` (m,) the pixel to the left of each
    vertical one, as row × ``width`` + column of the raster.
    """

    lying: Longs
    standing: Longs
    width: int

    def parted(self, block: PaddedBlock) -> PaddedBlock:
        """The block with its plants numbered instead of its classes; numbers count in this block only."""
        classes = block.class_id
        height, width = classes.shape
        row, col = block.window.row - 1, block.window.col - 1
        cut_below = self._within(self.lying, row, col, height, width)[:-1]
        cut_right = self._within(self.standing, row, col, height, width)[:, :-1]
        starts = np.ones(classes.shape, np.bool_)
        starts[:, 1:] = (classes[:, 1:] != classes[:, :-1]) | cut_right
        run = np.cumsum(starts.ravel(), dtype=np.int32).reshape(classes.shape) - np.int32(1)
        joined = (classes[1:] == classes[:-1]) & (classes[1:] != 0) & ~cut_below
        # One joint for each pair of runs will do: where either begins, or is joined for the first time.
        joined[:, 1:] &= starts[1:, 1:] | starts[:-1, 1:] | ~joined[:, :-1]
        number = _numbers(classes.ravel()[starts.ravel()] != 0, run[1:][joined], run[:-1][joined])
        return replace(block, pixels=number[run], classes=classes)

    def _within(self, edges: Longs, row: int, col: int, height: int, width: int) -> Bools:
        """Which pixels of a window name one of ``edges``."""
        first, stop = np.searchsorted(edges, [row * self.width, (row + height) * self.width])
        at_row, at_col = np.divmod(edges[first:stop], self.width)
        is_near = (at_col >= col) & (at_col < col + width)
        found = np.zeros((height, width), np.bool_)
        found[at_row[is_near] - row, at_col[is_near] - col] = True
        return found


class CutsAhead:
    """The cuts of a raster row by row, looked for only as far ahead as is needed to know them all.

    Parameters
    ----------
    found
        Edges (n,) that are cuts, named by the pixel above or to the left (row × ``width`` + column) × 2, plus
        1 for a standing one; and down to which row, not included, all cuts are out by now.
    width
        Columns of the raster.
    """

    def __init__(self, found: Iterator[tuple[Longs, int]], width: int) -> None:
        self._found, self._width = found, width
        self._edges = np.empty(0, np.int64)
        self._known_rows = 0

    def of_rows(self, first: int, stop: int) -> Cuts:
        """Cuts between pixels of the rows ``[first, stop)``; those above are forgotten."""
        parts = [self._edges[self._edges >= 2 * first * self._width]]
        while self._known_rows < stop:
            edges, self._known_rows = next(self._found)
            parts.append(edges)
        self._edges = np.sort(np.concatenate(parts))
        stands = (self._edges & 1).astype(np.bool_)
        return Cuts(self._edges[~stands] >> 1, self._edges[stands] >> 1, self._width)


def _numbers(is_class: Bools, below: Ints, above: Ints) -> Ints:
    """A number from 1 for each run, equal where runs are joined; 0 for the background."""
    node = np.cumsum(is_class, dtype=np.int32) - np.int32(1)
    _, label = connected(int(node[-1]) + 1, node[below], node[above])
    number = np.zeros(len(is_class), np.int32)
    number[is_class] = label + np.int32(1)
    return number
