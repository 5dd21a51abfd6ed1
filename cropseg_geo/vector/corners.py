"""From the pixels of one block to corners of outlines, each owned by a connected component.

The overall strategy is to touch every pixel only in three byte-wide passes and to do the rest on
*breaks*: places where the class changes along a row or along the row above it. Runs between breaks are
the nodes of a graph whose components are the 4-connected regions; and every corner of an outline lies at
a break. A corner belongs to one pixel next to its vertex, its *owner*:

- convex, if both edge neighbours of the owner at the vertex are of another class;
- concave, if both are of its class and the pixel diagonally across is not.

Both are decided by the 2 × 2 pixels around the vertex, so they do not depend on how the raster is cut
into blocks. The four pixels around a vertex are numbered 0 above left, 1 above right, 2 below left,
3 below right; a corner's ``kind`` is its owner's number, plus 4 if it is concave.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import connected_components

from cropseg_geo.vector.arrays import Bools, Bytes, Floats, Ints, Longs
from cropseg_geo.vector.blocks import PaddedBlock

CONCAVE = 4


@dataclass(frozen=True)
class Corners:
    """Corners of outlines: lattice vertex, kind, and the component that owns each.

    Vertex ``(row, col)`` is the upper left corner of pixel ``(row, col)``. All arrays have shape (n,).
    ``occupied`` counts the pixels above and to the left of the vertex that are not background; None
    where nobody asked.
    """

    row: Ints
    col: Ints
    kind: Bytes
    component: Ints
    occupied: Longs | None = None

    def __len__(self) -> int:
        return len(self.row)

    def take(self, which: Bools | Longs) -> Corners:
        occupied = None if self.occupied is None else self.occupied[which]
        return Corners(self.row[which], self.col[which], self.kind[which], self.component[which], occupied)

    def owned_by(self, component: Ints) -> Corners:
        return Corners(self.row, self.col, self.kind, component, self.occupied)

    @staticmethod
    def concatenated(parts: Sequence[Corners]) -> Corners:
        counts = [p.occupied for p in parts if p.occupied is not None]
        return Corners(
            np.concatenate([np.empty(0, np.int32), *(p.row for p in parts)]),
            np.concatenate([np.empty(0, np.int32), *(p.col for p in parts)]),
            np.concatenate([np.empty(0, np.uint8), *(p.kind for p in parts)]),
            np.concatenate([np.empty(0, np.int32), *(p.component for p in parts)]),
            np.concatenate(counts) if counts else None,
        )


@dataclass(frozen=True)
class Components:
    """What is known of each connected component (or of the part of it seen so far); shapes (n,).

    ``prob_sum`` adds up the probability of its pixels, NaN where the source holds none; ``prob_missing``
    counts its pixels whose probability is NaN.
    """

    class_id: Bytes
    prob_sum: Floats
    prob_missing: Longs

    def __len__(self) -> int:
        return len(self.class_id)

    def mean_prob(self, pixels: Longs) -> Floats:
        """Mean (n,) over the pixels whose probability is known, NaN where there is none."""
        n_known = pixels - self.prob_missing
        mean = np.full(len(self), np.nan)
        np.divide(self.prob_sum, n_known, out=mean, where=n_known > 0)
        return mean

    def take(self, which: Bools | Longs) -> Components:
        return Components(self.class_id[which], self.prob_sum[which], self.prob_missing[which])

    def merged(self, labels: Ints, n: int) -> Components:
        """Components that share a label become one of ``n``."""
        class_id = np.zeros(n, np.uint8)
        class_id[labels] = self.class_id
        return Components(
            class_id,
            np.bincount(labels, weights=self.prob_sum, minlength=n).astype(np.float64, copy=False),
            np.bincount(labels, weights=self.prob_missing, minlength=n).astype(np.int64),
        )

    @staticmethod
    def concatenated(parts: Sequence[Components]) -> Components:
        return Components(
            np.concatenate([np.empty(0, np.uint8), *(p.class_id for p in parts)]),
            np.concatenate([np.empty(0, np.float64), *(p.prob_sum for p in parts)]),
            np.concatenate([np.empty(0, np.int64), *(p.prob_missing for p in parts)]),
        )


@dataclass(frozen=True)
class Rims:
    """The component of each pixel that two blocks share, −1 for background.

    ``top`` (w + 1,) and ``left`` (h,) are the padding; ``bottom`` (w,) and ``right`` (h,) are the
    block's own last row and column, which pad its neighbours (−1 at the raster's rim).
    """

    top: Ints
    left: Ints
    bottom: Ints
    right: Ints

    @property
    def touched(self) -> Ints:
        """The components that may go on in other blocks."""
        found = np.unique(np.concatenate([self.top, self.left, self.bottom, self.right]))
        return found[found >= 0]

    def relabelled(self, new: Ints) -> Rims:
        """``new[component]`` for each component; background stays −1."""
        padded = np.append(new, np.int32(-1))
        return Rims(padded[self.top], padded[self.left], padded[self.bottom], padded[self.right])


@dataclass(frozen=True)
class Runs:
    """Stretches of one class along a row, in row-major order."""

    starts: Bools  # (Hp, Wp): does a run start at this pixel?
    first_px: Longs  # (n,): flat index of each run's first pixel
    component: Ints  # (n,): −1 for background

    def component_at(self, row: Longs, col: Longs) -> Ints:
        """The components at pixels of the padded block."""
        pixel = row * self.starts.shape[1] + col
        return np.asarray(self.component[np.searchsorted(self.first_px, pixel, side="right") - 1])


@dataclass(frozen=True)
class Found:
    """What one block shows: corners, components, how they meet its rims, and its runs."""

    corners: Corners
    components: Components
    rims: Rims
    runs: Runs


def corners_of(block: PaddedBlock) -> Found:
    """All corners at the block's vertices, its 4-connected components, and how they meet its rims.

    The padding is labelled too: a component of the padding is a part of one of the neighbour's.
    """
    pixels = block.pixels
    height, width = pixels.shape
    starts = np.empty((height, width), np.bool_)
    starts[:, 0] = True
    np.not_equal(pixels[:, 1:], pixels[:, :-1], out=starts[:, 1:])
    below = np.flatnonzero(starts[1:] | starts[:-1])  # break ↔ flat index of the pixel above right of it
    flat, flat_starts = pixels.ravel(), starts.ravel()
    is_start_above, is_start_below = flat_starts[below], flat_starts[below + width]
    run_above = np.cumsum(is_start_above, dtype=np.int32) - np.int32(1)
    run_below = np.cumsum(is_start_below, dtype=np.int32) + np.int32(np.count_nonzero(starts[0]) - 1)
    above_right, below_right = flat[below], flat[below + width]
    first_px = np.concatenate([np.flatnonzero(starts[0]), below[is_start_below] + width])
    is_joined = (above_right == below_right) & (above_right != 0)
    run_class = block.class_id.ravel()[first_px]
    components, component = _components(run_class, run_above[is_joined], run_below[is_joined])
    runs = Runs(starts, first_px, component)

    # Padding's first column has no vertex of ours; its breaks only join runs.
    is_inner = np.ones(len(below), np.bool_)
    is_inner[np.searchsorted(below, np.arange(height - 1) * width)] = False
    above_left, below_left = flat[below - 1], flat[below + width - 1]
    is_corner = is_inner & ((above_left != below_left) | (above_right != below_right))
    at = np.flatnonzero(is_corner)
    quad = np.stack([above_left[at], above_right[at], below_left[at], below_right[at]], axis=1)
    kind, vertex, owner = _corner_kinds(quad, run_above[at], run_below[at])
    row, col = np.divmod(below[at].astype(np.int32), np.int32(width))
    corners = Corners(
        (row + np.int32(block.window.row))[vertex],
        (col + np.int32(block.window.col - 1))[vertex],
        kind,
        component[owner],
        None if block.occupied is None else block.occupied[row, col - 1][vertex],
    )
    return Found(corners, _with_probability(components, runs, block), _rims(runs, block), runs)


def _components(run_class: Bytes, run_above: Ints, run_below: Ints) -> tuple[Components, Ints]:
    """Components over runs: what is known of each, and each run's component (−1 for background)."""
    is_class = run_class != 0
    node = np.cumsum(is_class, dtype=np.int32) - np.int32(1)
    n = int(node[-1]) + 1
    count, label = connected(n, node[run_below], node[run_above])
    component = np.full(len(run_class), -1, np.int32)
    component[is_class] = label
    class_id = np.zeros(count, np.uint8)
    class_id[label] = run_class[is_class]
    return Components(class_id, np.zeros(count), np.zeros(count, np.int64)), component


def connected(n: int, one: Ints, other: Ints) -> tuple[int, Ints]:
    """Components of the graph of ``n`` nodes with edges ``one[k]``–``other[k]``: count and labels (n,)."""
    if n == 0:
        return 0, np.empty(0, np.int32)
    data = np.ones(len(one), np.float64)
    if len(one) and np.all(one[1:] >= one[:-1]):  # sorted already: the rows of a sparse matrix
        row_ends = np.zeros(n + 1, np.int32)
        row_ends[1:] = np.cumsum(np.bincount(one, minlength=n))
        graph = csr_array((data, other, row_ends), shape=(n, n))
    else:
        graph = coo_array((data, (one, other)), shape=(n, n)).tocsr()
    count, label = connected_components(graph, directed=False)
    return int(count), label.astype(np.int32, copy=False)


def _corner_kinds(quad: Bytes, run_above: Ints, run_below: Ints) -> tuple[Bytes, Longs, Ints]:
    """Corners at vertices whose four pixels are ``quad`` (n, 4): kind, vertex index and owner's run.

    ``run_above`` and ``run_below`` are the runs of the two pixels on the right. At each vertex the corners
    come in the order of their owners' numbers.
    """
    top, bottom = quad[:, 0] != quad[:, 1], quad[:, 2] != quad[:, 3]  # is there an edge going up, down …
    left, right = quad[:, 0] != quad[:, 2], quad[:, 1] != quad[:, 3]
    # An owner's two edges are both there (convex) or both missing (concave): one of up and down and one
    # of left and right is there, so where both of the owner's are missing the other two are not.
    is_corner = np.stack([top == left, top == right, bottom == left, bottom == right], axis=1)
    is_corner &= quad != 0
    slot = np.flatnonzero(is_corner)
    vertex, number = slot >> 2, (slot & 3).astype(np.uint8)
    is_concave = ~np.where(number < 2, top[vertex], bottom[vertex])
    kind = number + CONCAVE * is_concave.astype(np.uint8)
    owner = np.stack([run_above - top, run_above, run_below - bottom, run_below], axis=1).ravel()[slot]
    return kind, vertex, owner


def _with_probability(components: Components, runs: Runs, block: PaddedBlock) -> Components:
    """Adds up the probability of the block's own pixels (not of the padding) by component."""
    if block.prob is None:
        return Components(components.class_id, np.full(len(components), np.nan), components.prob_missing)
    own = (slice(1, block.window.height + 1), slice(1, block.window.width + 1))
    prob = np.zeros(block.pixels.shape, np.float32)
    prob[own] = block.prob
    is_missing = np.isnan(prob) & (block.pixels != 0)
    np.nan_to_num(prob, copy=False, nan=0.0)
    owner = np.where(runs.component < 0, len(components), runs.component)
    n = len(components)

    def total(values: npt.NDArray[np.float32]) -> Floats:
        by_run = np.add.reduceat(values.ravel(), runs.first_px, dtype=np.float64)
        return np.bincount(owner, weights=by_run, minlength=n + 1)[:n].astype(np.float64, copy=False)

    missing = components.prob_missing
    if is_missing.any():
        missing = total(is_missing.astype(np.float32)).astype(np.int64)
    return Components(components.class_id, total(prob), missing)


def _rims(runs: Runs, block: PaddedBlock) -> Rims:
    h, w = block.window.shape
    first_run = np.searchsorted(runs.first_px, np.arange(h + 2) * block.pixels.shape[1])

    def along(row: int) -> Ints:
        run = first_run[row] + np.cumsum(runs.starts[row, : w + 1]) - 1
        return np.asarray(runs.component[run])

    bottom = np.full(w, -1, np.int32) if block.is_last_row else along(h)[1:]
    right = np.full(h, -1, np.int32) if block.is_last_col else runs.component[first_run[2:] - 1]
    return Rims(along(0), runs.component[first_run[1:-1]], bottom, right)
