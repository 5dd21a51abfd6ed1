"""Points that outlines are drawn through where they do not simply follow the pixels' edges.

The overall strategy is to leave the topology to the corners of pixels and to choose only the points. An
outline on pixel edges passes lattice vertices and the middles of unit edges in turn. A *mark* at one of
these places says that outlines are drawn through it, in the middle of an edge with a shift across it;
unmarked places are left out. A mark counts for every outline that passes its place, so that outlines
which share an edge share its points.

Places are counted in half pixels: ``(row2, col2)`` is a vertex where both are even, the middle of a lying
(horizontal) edge where only ``col2`` is odd, of a standing one where only ``row2`` is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cropseg_geo.vector.arrays import Bools, Floats, Ints, Longs
from cropseg_geo.vector.corners import Runs
from cropseg_geo.vector.rings import Rings


@dataclass(frozen=True)
class Places:
    """Marked places in half pixels, each with its shift (px) across its edge; shapes (n,)."""

    row2: Longs
    col2: Longs
    shift: Floats

    def __len__(self) -> int:
        return len(self.row2)

    def take(self, which: Bools | Longs) -> Places:
        return Places(self.row2[which], self.col2[which], self.shift[which])

    @staticmethod
    def at_rest(row2: Longs, col2: Longs) -> Places:
        return Places(row2, col2, np.zeros(len(row2)))

    @staticmethod
    def concatenated(parts: Sequence[Places]) -> Places:
        return Places(
            np.concatenate([np.empty(0, np.int64), *(p.row2 for p in parts)]),
            np.concatenate([np.empty(0, np.int64), *(p.col2 for p in parts)]),
            np.concatenate([np.empty(0), *(p.shift for p in parts)]),
        )


@dataclass(frozen=True)
class Marks:
    """Marked places, each held by a component whose outline passes there."""

    places: Places
    component: Ints

    def __len__(self) -> int:
        return len(self.component)

    @staticmethod
    def concatenated(parts: Sequence[Marks]) -> Marks:
        return Marks(
            Places.concatenated([p.places for p in parts]),
            np.concatenate([np.empty(0, np.int32), *(p.component for p in parts)]),
        )


def marks_of(places: Places, runs: Runs, row_offset: int, col_offset: int) -> Marks:
    """A block's own marks, once for each component around them, in the half pixels of the raster.

    ``places`` are in those of the padded block, whose first pixel lies at the offsets (px) in the raster.
    """
    own = places.take((places.row2 >= 2) & (places.col2 >= 2))
    rows = ((own.row2 - 1) >> 1, own.row2 >> 1)
    cols = ((own.col2 - 1) >> 1, own.col2 >> 1)
    around = np.stack([runs.component_at(row, col) for row in rows for col in cols], axis=1)
    around.sort(axis=1)
    is_new = around >= 0
    is_new[:, 1:] &= around[:, 1:] != around[:, :-1]
    mark = np.nonzero(is_new)[0]
    held = Places(own.row2 + 2 * row_offset, own.col2 + 2 * col_offset, own.shift).take(mark)
    return Marks(held, around[is_new])


def drawn(rings: Rings, places: Places) -> Rings:
    """Rings on pixel edges, drawn through the marked places only; each keeps its direction."""
    row2, col2, ring = _passed(rings)
    if not len(row2):
        return rings
    width = int(max(col2.max(), places.col2.max(initial=0))) + 1
    key = places.row2 * width + places.col2
    order = np.argsort(key, kind="stable")
    key = key[order]
    passed = row2 * width + col2
    at = np.minimum(np.searchsorted(key, passed), len(key) - 1)
    is_hit = key[at] == passed
    row2, col2, ring = row2[is_hit], col2[is_hit], ring[is_hit]
    points = points_of(Places(row2, col2, places.shift[order[at[is_hit]]]))
    size = np.bincount(ring, minlength=len(rings.ring_ends) - 1)
    ends = np.concatenate([[0], np.cumsum(size + 1)])
    closed = np.empty((int(ends[-1]), 2))
    is_repeat = np.zeros(len(closed), np.bool_)
    is_repeat[ends[1:] - 1] = True
    closed[~is_repeat] = points
    closed[is_repeat] = closed[ends[:-1]]
    return Rings(closed, ends, rings.polygon_ends, rings.component, rings.corner, rings.corner_ring)


def points_of(places: Places) -> Floats:
    """(n, 2) rows and columns (px) of marked places."""
    row_shift = np.where(places.row2 & 1, 0.0, np.where(places.col2 & 1, places.shift, 0.0))
    col_shift = np.where(places.row2 & 1, places.shift, 0.0)
    return np.stack([places.row2 / 2 + row_shift, places.col2 / 2 + col_shift], axis=1)


def places_at(points: Floats) -> tuple[Longs, Longs]:
    """The place of each point: the inverse of :func:`points_of` for shifts below half a pixel."""
    row, col = points[:, 0], points[:, 1]
    row_floor, col_floor = np.floor(row), np.floor(col)
    row2 = np.where(row - row_floor == 0.5, 2 * row_floor + 1, 2 * np.floor(row + 0.5))
    col2 = np.where(col - col_floor == 0.5, 2 * col_floor + 1, 2 * np.floor(col + 0.5))
    return row2.astype(np.int64), col2.astype(np.int64)


def _passed(rings: Rings) -> tuple[Longs, Longs, Longs]:
    """Every place that the rings pass, in order: rows and columns in half pixels, and the ring's number."""
    vertices = rings.vertices.astype(np.int64)
    is_edge = np.ones(max(0, len(vertices) - 1), np.bool_)
    is_edge[rings.ring_ends[1:-1] - 1] = False
    step = (vertices[1:] - vertices[:-1])[is_edge]
    count = 2 * np.abs(step).sum(axis=1)
    ring = np.repeat(np.arange(len(rings.ring_ends) - 1), np.diff(rings.ring_ends) - 1)
    begin = np.cumsum(count) - count
    along = np.arange(int(count.sum())) - np.repeat(begin, count)
    start, way = 2 * vertices[:-1][is_edge], np.sign(step)
    row2 = np.repeat(start[:, 0], count) + np.repeat(way[:, 0], count) * along
    col2 = np.repeat(start[:, 1], count) + np.repeat(way[:, 1], count) * along
    return row2, col2, np.repeat(ring, count)
