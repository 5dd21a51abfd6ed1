"""Basins of tiles joined, and merged to plants as soon as that is certain: in each tile, then row by row.

Merging looks at the necks, the widest first, and makes two basins one unless the neck between them is too
narrow for the lower of their peaks. Peaks of what was merged only grow and necks only get narrower, so what a
neck parts once stays parted.

What has not been seen yet enters through basins that reach a side of what was seen. They are *in doubt*:
they may have more necks, and be part of more than is known, but not of less, so that their peaks are lower
bounds. Then, at a neck between

- two in doubt, nothing can be said: they may even be one already;
- others, too narrow for the lower peak, they are parted;
- others, wide enough, where the lower one is not in doubt, it joins the higher one. That one's peak stays the
  same, so nothing that is seen later will notice;
- others, wide enough, where the lower one is in doubt, it depends. From this width on the higher one is in
  doubt as well.

A basin whose way up leaves what was seen is *open*: neither its peak is known nor its necks' places among
equally wide ones. These come before the others then, and leave both sides in doubt.

What is decided is exactly what it would be if everything were known. What is not has to wait. Doubt spreads
only towards higher peaks across necks that are wide for the lower one, so that all these peaks are below
1 / ``NECK`` of the first: a few plants deep. Necks between two plants that both go on below wait with them,
those between closed rows down a whole field until its end, with 12 bytes for each of their edges. Of a tile
by itself only what its four sides leave in doubt is kept, so a row of tiles is little to hold, however many
basins it has.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from cropseg_geo.grid import Window
from cropseg_geo.vector.arrays import Bools, Longs, Singles
from cropseg_geo.vector.corners import connected
from cropseg_geo.vector.parting.basins import Basins, Necks, inverse, wide_enough


@dataclass(frozen=True)
class Seen:
    """What was looked at: a window of a raster of ``height`` × ``width`` px, named row × width + column."""

    window: Window
    height: int
    width: int

    def has(self, name: Longs) -> Bools:
        """Which of the pixels were seen."""
        row, col = np.divmod(name, self.width)
        seen = self.window
        is_within: Bools = (
            (row >= seen.row) & (row < seen.row_stop) & (col >= seen.col) & (col < seen.col_stop)
        )
        return is_within

    def at_its_sides(self, name: Longs) -> Bools:
        """Which of the pixels seen have a neighbour in the raster that was not."""
        row, col = np.divmod(name, self.width)
        seen = self.window
        is_beside = np.zeros(len(name), np.bool_)
        for is_open, is_at in (
            (seen.row > 0, row == seen.row),
            (seen.row_stop < self.height, row == seen.row_stop - 1),
            (seen.col > 0, col == seen.col),
            (seen.col_stop < self.width, col == seen.col_stop - 1),
        ):
            if is_open:
                is_beside |= is_at
        return is_beside


def joined(parts: Sequence[Basins], seen: Seen) -> tuple[Basins, Longs]:
    """What is left of basins that lie side by side, and the edges that are certain to part plants.

    Parameters
    ----------
    parts
        Basins of tiles, as they were found or as this left them.
    seen
        Where these tiles are.

    Returns
    -------
    Basins
        Those that are in doubt, with the necks that have to wait.
    Longs
        Edges (n,) between plants, named as in :class:`~cropseg_geo.vector.parting.basins.Basins`.
    """
    name = np.unique(_concatenated(*(p.name for p in parts)))
    basin, peak, top = _ways_joined(name, parts)
    necks, edge, edge_neck = _necks_of(name, basin, parts, name[top])
    rim = np.concatenate([np.empty((0, 2), np.int64), *(p.rim for p in parts)])
    rim = rim[seen.at_its_sides(rim[:, 0])]
    rim[:, 1] = basin[np.searchsorted(name, rim[:, 1])]
    is_open = ~seen.has(name[top])
    is_doubtful = is_open.copy()
    is_doubtful[rim[:, 1]] = True

    is_ranked = ~is_open[necks.node].any(axis=1)
    order = np.lexsort((necks.rank[:, 1], necks.rank[:, 0], is_ranked, -necks.width))
    necks, edge_neck = necks.take(order), inverse(order)[edge_neck]
    group, waits = _merged(peak, is_open, is_doubtful, necks)
    is_parted = ~waits & (group[necks.node[:, 0]] != group[necks.node[:, 1]])
    cut = edge[is_parted[edge_neck]]

    is_left = waits[edge_neck]
    edge, edge_neck = edge[is_left], (np.cumsum(waits) - 1)[edge_neck[is_left]]
    necks, became = necks.take(np.flatnonzero(waits)).between(group)
    kept = np.unique(_concatenated(necks.node.ravel(), np.flatnonzero(is_doubtful)))
    kept = kept[np.argsort(name[top[kept]])]
    place = np.zeros(len(peak), np.int64)
    place[kept] = np.arange(len(kept))
    left = Basins(
        name[top[kept]],
        peak[kept],
        np.stack([rim[:, 0], name[top[rim[:, 1]]]], axis=1),
        Necks(place[necks.node], necks.width, necks.rank),
        edge,
        became[edge_neck].astype(np.int32),
    )
    return left, cut


def _ways_joined(name: Longs, parts: Sequence[Basins]) -> tuple[Longs, Singles, Longs]:
    """The basin of each node, and of each basin its peak and the node where it is."""
    rim = np.concatenate([np.empty((0, 2), np.int64), *(p.rim for p in parts)])
    rim = rim[np.isin(rim[:, 0], name)]
    one, other = np.searchsorted(name, rim.T)
    n, basin = connected(len(name), one.astype(np.int32), other.astype(np.int32))
    height = np.zeros(len(name), np.float32)
    for part in parts:
        height[np.searchsorted(name, part.name)] = part.peak
    # The way up ends at the highest place, of equal ones at the last.
    order = np.lexsort((name, height))
    top = np.zeros(n, np.int64)
    top[basin[order]] = order
    return basin.astype(np.int64), height[top], top


def _necks_of(
    name: Longs, basin: Longs, parts: Sequence[Basins], top_name: Longs
) -> tuple[Necks, Longs, Longs]:
    """All necks, between basins, and the edges along them with the neck of each."""
    nodes = [basin[np.searchsorted(name, p.name)][p.necks.node] for p in parts]
    ranks = np.concatenate([np.empty((0, 2), np.int64), *(p.necks.rank for p in parts)])
    # A way that had left what was seen is named after where it ends.
    if len(name):
        at = np.minimum(np.searchsorted(name, ranks), len(name) - 1)
        ranks = np.where(name[at] == ranks, top_name[basin[at]], ranks)
    necks = Necks(
        np.concatenate([np.empty((0, 2), np.int64), *nodes]),
        np.concatenate([np.empty(0, np.float32), *(p.necks.width for p in parts)]),
        np.sort(ranks, axis=1),
    )
    offsets = np.cumsum([0, *(len(p.necks.width) for p in parts)])
    edge_neck = [p.edge_neck + offset for p, offset in zip(parts, offsets, strict=False)]
    return necks, _concatenated(*(p.edge for p in parts)), _concatenated(*edge_neck)


def _merged(peak: Singles, is_open: Bools, is_doubtful: Bools, necks: Necks) -> tuple[Longs, Bools]:
    """The group (n,) that each basin is merged to, named by its highest one, and which ``necks`` wait."""
    group = list(range(len(peak)))
    heights, unknown, doubtful = peak.tolist(), is_open.tolist(), is_doubtful.tolist()
    waits = np.zeros(len(necks.width), np.bool_)

    def root(k: int) -> int:
        while group[k] != k:
            group[k] = group[group[k]]
            k = group[k]
        return k

    for i, ((one, other), width) in enumerate(zip(necks.node.tolist(), necks.width.tolist(), strict=True)):
        low, high = root(one), root(other)
        if low == high:
            continue
        if (heights[low], doubtful[low]) > (heights[high], doubtful[high]):
            low, high = high, low
        is_wide = wide_enough(width, heights[low])
        if unknown[low] or unknown[high] or (doubtful[low] and (is_wide or doubtful[high])):
            waits[i] = doubtful[low] = doubtful[high] = True
        elif is_wide:
            group[low] = high
    return np.array([root(k) for k in range(len(group))], np.int64), waits


def _concatenated(*parts: Longs) -> Longs:
    return np.concatenate([np.empty(0, np.int64), *parts])
