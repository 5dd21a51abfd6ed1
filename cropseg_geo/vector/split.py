"""Plants that touch, parted at their necks: watershed of the distance to the outline.

The overall strategy is to find the cuts before anything is traced. From each pixel the way leads up to where
its region is widest; pixels that end at one place are a basin. Basins are merged, the widest necks first,
unless the neck between two is narrower than ``NECK`` of the narrower one's width: a rule without a length, so
that it serves seedlings and shrubs. Edges between pixels of different plants are the cuts.

Pixels are looked at in the tiles of a fixed lattice, each with a margin of ``REACH_PX``: distances are exact
up to that and count as it beyond, so they are the same whichever tile they are seen from, and ways, basins
and necks that cross a tile's side are joined there exactly. A region may be as large as the raster.

Source: L. Vincent and P. Soille, "Watersheds in digital spaces" (1991); the rule of merging is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from cropseg_geo.grid import Window
from cropseg_geo.vector import basins
from cropseg_geo.vector.ahead import in_order
from cropseg_geo.vector.arrays import Longs, Singles
from cropseg_geo.vector.basins import Basins, Necks, Tile, basins_of, wide_enough
from cropseg_geo.vector.corners import connected
from cropseg_geo.vector.cuts import Cuts
from cropseg_geo.vector.source import MaskSource, read_classes

TILE_PX = 1024
"""Side of the lattice's tiles: bounds the memory, changes no plant."""


def cuts_of(
    source: MaskSource,
    n_classes: int,
    aspect: float,
    *,
    threads: int = 1,
    on_progress: Callable[[int], None] = lambda px: None,
) -> Cuts:
    """The cuts between plants that touch.

    Parameters
    ----------
    source
        The mask; read from the caller's thread.
    n_classes
        How many classes are named.
    aspect
        Height of a pixel on the ground ÷ its width.
    on_progress
        Told the pixels of each tile that is done.
    """

    def look(tile: Tile) -> tuple[int, Basins | None]:
        return tile.window.size, basins_of(tile, aspect)

    found: list[Basins] = []
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="split") as pool:
        for size_px, seen in in_order(pool, _tiles(source, n_classes, aspect), look, threads + 1):
            on_progress(size_px)
            if seen is not None:
                found.append(seen)
    return _cuts(found, source.width)


def _tiles(source: MaskSource, n_classes: int, aspect: float) -> Iterator[Tile]:
    whole = Window(0, 0, source.height, source.width)
    cols = basins.REACH_PX + 1
    rows = math.ceil(basins.REACH_PX / aspect) + 1
    for window in whole.split(TILE_PX):
        row, col = window.row - rows, window.col - cols
        around = whole & Window(row, col, window.height + 2 * rows, window.width + 2 * cols)
        yield Tile(window, around, read_classes(source, around, n_classes)[0], *whole.shape)


def _cuts(tiles: Sequence[Basins], width: int) -> Cuts:
    """Basins and necks of all tiles, joined at their sides and merged; what still parts plants is cut."""
    name = np.unique(np.concatenate([np.empty(0, np.int64), *(t.name for t in tiles)]))
    basin, peak, top = _joined(name, tiles)
    nodes = [basin[np.searchsorted(name, t.name)][t.necks.node] for t in tiles]
    ranks = np.concatenate([np.empty((0, 2), np.int64), *(t.necks.rank for t in tiles)])
    # A way that left its tile is named after where it ends.
    at = np.minimum(np.searchsorted(name, ranks), max(0, len(name) - 1))
    if len(name):
        ranks = np.where(name[at] == ranks, name[top[basin[at]]], ranks)
    necks = Necks(
        np.concatenate([np.empty((0, 2), np.int64), *nodes]),
        np.concatenate([np.empty(0, np.float32), *(t.necks.width for t in tiles)]),
        np.sort(ranks, axis=1),
    )
    once, _ = necks.widest_first().between(np.arange(len(peak)))
    plant = _merged(peak, once)
    cut = [np.empty(0, np.int64)]
    for node, tile in zip(nodes, tiles, strict=True):
        is_cut = plant[node[:, 0]] != plant[node[:, 1]]
        cut.append(tile.edge[is_cut[tile.edge_neck]])
    edges = np.sort(np.concatenate(cut))
    stands = (edges & 1).astype(np.bool_)
    return Cuts(edges[~stands] >> 1, edges[stands] >> 1, width)


def _joined(name: Longs, tiles: Sequence[Basins]) -> tuple[Longs, Singles, Longs]:
    """The basin of each node, and of each basin its peak and the node where it is."""
    rim = np.concatenate([np.empty((0, 2), np.int64), *(t.rim for t in tiles)])
    rim = rim[np.isin(rim[:, 0], name)]
    one, other = np.searchsorted(name, rim.T)
    n, basin = connected(len(name), one.astype(np.int32), other.astype(np.int32))
    height = np.zeros(len(name), np.float32)
    for tile in tiles:
        height[np.searchsorted(name, tile.name)] = tile.peak
    # The way up ends at the highest place, of equal ones at the last.
    order = np.lexsort((name, height))
    top = np.zeros(n, np.int64)
    top[basin[order]] = order
    return basin.astype(np.int64), height[top], top


def _merged(peak: Singles, necks: Necks) -> Longs:
    """The group (n,) of each basin, after merging across all ``necks``, in order, that are wide enough."""
    group = list(range(len(peak)))
    highest = peak.tolist()

    def root(k: int) -> int:
        while group[k] != k:
            group[k] = group[group[k]]
            k = group[k]
        return k

    for (one, other), width in zip(necks.node.tolist(), necks.width.tolist(), strict=True):
        a, b = root(one), root(other)
        if a != b and wide_enough(width, min(highest[a], highest[b])):
            group[b] = a
            highest[a] = max(highest[a], highest[b])
    return np.array([root(k) for k in range(len(group))], np.int64)
