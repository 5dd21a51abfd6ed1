"""From the corners of whole components to their polygons.

The overall strategy is to walk no outline. Each corner has one horizontal and one vertical edge. Along a
lattice line, edges whose component lies on the same side never overlap, so the corners of that side, in
order, are the ends of edges two by two. Walking with the component on the left, one of a corner's two
edges leaves it: following those is a permutation of the corners whose cycles are the rings.

Where two pixels of a component touch only in a vertex, the pairing would lead an outline twice through
it. The pixels on the other diagonal are then in two different 4-connected parts of the complement, so
exchanging the vertical edges of the two corners parts the ring into two that touch there: a shell and a
hole, or two holes. That is what makes every polygon valid (OGC 06-103r4, 6.1.11).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order

from cropseg_geo.vector.arrays import Bools, Floats, Ints, Longs
from cropseg_geo.vector.corners import Corners, connected

# For each kind of corner (owner's number 0–3, plus 4 if concave): is it the right end of its horizontal
# edge; is its component below that edge; right of its vertical edge; does the outline leave horizontally?
_IS_RIGHT_END = np.array([1, 0, 1, 0, 0, 1, 0, 1], np.bool_)
_IS_LOWER_END = np.array([1, 1, 0, 0, 0, 0, 1, 1], np.bool_)
_IS_BELOW = np.array([0, 0, 1, 1, 0, 0, 1, 1], np.bool_)
_IS_RIGHT_OF = np.array([0, 1, 0, 1, 0, 1, 0, 1], np.bool_)
_LEAVES_HORIZONTALLY = np.array([0, 1, 1, 0, 1, 0, 0, 1], np.bool_)

_ACROSS = np.where(_IS_RIGHT_END, 1.0, -1.0)
_DOWN = np.where(_IS_LOWER_END, 1.0, -1.0)
_TURN = np.where(_LEAVES_HORIZONTALLY, -1.0, 1.0)


@dataclass(frozen=True)
class Measures:
    """Exact measures of components in pixels; shapes (n,).

    ``pixels`` counts pixels; ``across`` and ``down`` are the summed lengths of horizontal and vertical
    edges.
    """

    pixels: Longs
    across: Longs
    down: Longs


def measure(corners: Corners, n: int) -> Measures:
    """Measures of the ``n`` components of ``corners`` (Green's theorem, corner by corner; no ring needed)."""
    kind = corners.kind
    # A horizontal edge walked to the right has its component above: it adds row × length to the area.
    # The ends of an edge tell its length: right minus left, lower minus upper.
    row, col = corners.row.astype(np.float64), corners.col.astype(np.float64)
    terms = (_TURN[kind] * row * col, _ACROSS[kind] * col, _DOWN[kind] * row)
    pixels, across, down = (np.rint(_total(term, corners, n)).astype(np.int64) for term in terms)
    return Measures(pixels, across, down)


def centroids(corners: Corners, n: int) -> tuple[Floats, Floats]:
    """Row and column (n,) of the centroids of the ``n`` components, in pixels."""
    # Counted from each component's first corner: third powers of a large raster's rows lose digits.
    first = _first_of(corners.component, n)
    first_row, first_col = corners.row[first], corners.col[first]
    row = (corners.row - first_row[corners.component]).astype(np.float64)
    col = (corners.col - first_col[corners.component]).astype(np.float64)
    term = _TURN[corners.kind] * row * col
    area = 2.0 * _total(term, corners, n)
    return (
        first_row + _total(term * row, corners, n) / area,
        first_col + _total(term * col, corners, n) / area,
    )


def _total(terms: Floats, corners: Corners, n: int) -> Floats:
    return np.bincount(corners.component, weights=terms, minlength=n).astype(np.float64, copy=False)


@dataclass(frozen=True)
class Rings:
    """Closed rings, shell first, then its holes, component by component.

    ``vertices`` (m, 2) (row, col) in pixels, the first of each ring repeated at its end; ring k is
    ``vertices[ring_ends[k]:ring_ends[k + 1]]``; polygon j, of component ``component[j]``, has rings
    ``polygon_ends[j]:polygon_ends[j + 1]``. ``corner`` are the pixel corners that the rings were made of,
    ring after ring, ``corner_ring`` the ring of each. Components and the holes of each are in the
    row-major order of their first vertex, where each ring begins. Shells run with their component on the
    left, as seen with row 0 at the top.
    """

    vertices: Ints | Floats
    ring_ends: Longs
    polygon_ends: Longs
    component: Ints
    corner: Longs
    corner_ring: Longs

    @property
    def is_shell(self) -> Bools:
        """Whether each ring is a shell."""
        is_shell = np.zeros(len(self.ring_ends) - 1, np.bool_)
        is_shell[self.polygon_ends[:-1]] = True
        return is_shell

    def take(self, which: Bools) -> Rings:
        """Some of the rings; a shell goes with its holes."""
        size = np.diff(self.ring_ends)
        polygon = np.repeat(np.arange(len(self.component)), np.diff(self.polygon_ends))
        is_left = which[self.polygon_ends[:-1]]
        rings_left = np.bincount(polygon[which], minlength=len(self.component))[is_left]
        is_taken = which[self.corner_ring]
        number = np.cumsum(which) - 1
        return Rings(
            self.vertices[np.repeat(which, size)],
            np.concatenate([[0], np.cumsum(size[which])]),
            np.concatenate([[0], np.cumsum(rings_left)]),
            self.component[is_left],
            self.corner[is_taken],
            number[self.corner_ring[is_taken]],
        )

    def take_polygons(self, which: Bools) -> Rings:
        return self.take(np.repeat(which, np.diff(self.polygon_ends)))


def in_scan_order(corners: Corners) -> Corners:
    """Corners by row, column and owner's number: the order in which a block yields them."""
    width = int(corners.col.max(initial=0)) + 1
    key = (corners.row.astype(np.int64) * width + corners.col) * 4 + (corners.kind & 3)
    return corners.take(np.argsort(key))


def rings_of(corners: Corners) -> Rings:
    """The simple rings of whole components.

    ``corners`` are in scan order; of each component in it, all corners are there.
    """
    n = len(corners)
    successor = _successors(corners)
    n_rings, ring = connected(n, np.arange(n, dtype=np.int32), successor)
    first = _first_of(ring, n_rings)  # ring → its first corner in scan order
    ring_component = corners.component[first]
    n_components = int(corners.component.max(initial=-1)) + 1
    component_first = np.full(n_components, n, np.int64)
    np.minimum.at(component_first, ring_component, first)
    # The first corner of a component is on its shell, so the shell comes before the holes.
    order = np.lexsort((first, component_first[ring_component]))
    first, ring_component = first[order], ring_component[order]
    ring_size = np.bincount(ring, minlength=n_rings)[order]
    path = _end_to_end(successor, first)
    ends = np.concatenate([[0], np.cumsum(ring_size + 1)])
    closed = np.empty(n + n_rings, np.int64)
    is_repeat = np.zeros(n + n_rings, np.bool_)
    is_repeat[ends[1:] - 1] = True
    closed[~is_repeat] = path
    closed[is_repeat] = first
    is_shell = np.ones(n_rings, np.bool_)
    is_shell[1:] = ring_component[1:] != ring_component[:-1]
    return Rings(
        np.stack([corners.row[closed], corners.col[closed]], axis=1),
        ends,
        np.append(np.flatnonzero(is_shell), n_rings),
        ring_component[is_shell],
        path,
        np.repeat(np.arange(n_rings), ring_size),
    )


def total_inside(rings: Rings, corners: Corners, counts: Longs) -> Longs:
    """What lies inside each ring (n_rings,) of what ``counts`` counts above and left of each corner.

    The inclusion and exclusion of a summed-area table, corner by corner: exact for any ring on pixels.
    """
    terms = _TURN[corners.kind[rings.corner]].astype(np.int64) * counts[rings.corner]
    total = np.zeros(len(rings.ring_ends) - 1, np.int64)
    np.add.at(total, rings.corner_ring, terms)
    return np.abs(total)


def _successors(corners: Corners) -> Ints:
    """The corner that follows each along its ring, with the component on the left; (n,), a permutation."""
    kind = corners.kind
    mate_across = _mates(np.arange(len(kind)), _IS_BELOW[kind])
    span = int(corners.col.max(initial=0)) - (start := int(corners.col.min(initial=0)))
    col = (corners.col - start).astype(np.uint16 if span < 2**16 else np.int64)  # 16 bits: a radix sort
    mate_down = _mates(np.argsort(col, kind="stable"), _IS_RIGHT_OF[kind])
    one, other = _self_touches(corners)
    exchanged = np.arange(len(kind))
    exchanged[one], exchanged[other] = other, one
    mate_down = exchanged[mate_down[exchanged]]
    return np.where(_LEAVES_HORIZONTALLY[kind], mate_across, mate_down).astype(np.int32)


def _mates(order: Longs, side: Bools) -> Longs:
    """The other end of each corner's edge: neighbours in ``order`` among the corners of one side."""
    mate = np.empty(len(order), np.int64)
    side_in_order = side[order]
    for group in (order[~side_in_order], order[side_in_order]):
        mate[group[0::2]], mate[group[1::2]] = group[1::2], group[0::2]
    return mate


def _self_touches(corners: Corners) -> tuple[Longs, Longs]:
    """Pairs of convex corners of one component, diagonally across the same vertex."""
    ones: list[Longs] = []
    others: list[Longs] = []
    width = int(corners.col.max(initial=0)) + 1
    for number, across in ((0, 3), (1, 2)):
        one, other = np.flatnonzero(corners.kind == number), np.flatnonzero(corners.kind == across)
        key_one = corners.row[one].astype(np.int64) * width + corners.col[one]
        key_other = corners.row[other].astype(np.int64) * width + corners.col[other]
        _, i, j = np.intersect1d(key_one, key_other, assume_unique=True, return_indices=True)
        one, other = one[i], other[j]
        is_same = corners.component[one] == corners.component[other]
        ones.append(one[is_same])
        others.append(other[is_same])
    return np.concatenate(ones), np.concatenate(others)


def _first_of(label: Ints, n: int) -> Longs:
    """The first index of each of ``n`` labels."""
    first = np.empty(n, np.int64)
    first[label[::-1]] = np.arange(len(label) - 1, -1, -1)  # the last of repeated assignments stays
    return first


def _end_to_end(successor: Ints, first: Longs) -> npt.NDArray[np.int64]:
    """All corners, ring after ring, each from its first: the rings chained to one path and walked."""
    n = len(successor)
    if n == 0:
        return np.empty(0, np.int64)
    before = np.empty(n, np.int32)
    before[successor] = np.arange(n, dtype=np.int32)
    chained = successor.copy()
    chained[before[first]] = np.roll(first, -1)
    graph = csr_array((np.ones(n), chained, np.arange(n + 1, dtype=np.int32)), shape=(n, n))
    path = breadth_first_order(graph, int(first[0]), directed=True, return_predecessors=False)
    return np.asarray(path, np.int64)
