"""Plants that touch, parted at their necks: watershed of the distance to the outline.

The overall strategy is to find the cuts before plants are traced. From each pixel the way leads up to where
its region is widest; pixels that end at one place are a basin. Basins are merged, the widest necks first,
unless the neck between two is narrower than ``NECK`` of the narrower one's width: a rule without a length, so
that it serves seedlings and shrubs. Edges between pixels of different plants are the cuts.

Pixels are looked at in the tiles of a fixed lattice, each with a margin of ``REACH_PX``: distances are exact
up to that and count as it beyond, so they are the same whichever tile they are seen from, and ways, basins
and necks that cross a tile's side are joined there exactly. A region may be as large as the raster. Cuts are
known a few plants above the last row of tiles seen, so they are looked for just ahead of the tracing.

Source: L. Vincent and P. Soille, "Watersheds in digital spaces" (1991); the rule of merging is ours.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from cropseg_geo.grid import Window
from cropseg_geo.vector.ahead import Threads
from cropseg_geo.vector.arrays import Longs
from cropseg_geo.vector.parting import basins
from cropseg_geo.vector.parting.basins import Basins, Tile, basins_of
from cropseg_geo.vector.parting.cuts import CutsAhead
from cropseg_geo.vector.parting.plants import Seen, joined
from cropseg_geo.vector.source import MaskSource, read_classes

TILE_PX = 1024
"""Side of the lattice's tiles: bounds the memory, changes no plant."""


def cuts_of(
    source: MaskSource,
    n_classes: int,
    aspect: float,
    threads: Threads,
    on_progress: Callable[[int], None] = lambda px: None,
) -> CutsAhead:
    """The cuts between plants that touch, found as far down the raster as somebody asks.

    Parameters
    ----------
    source
        The mask; read from the caller's thread.
    n_classes
        How many classes are named.
    aspect
        Height of a pixel on the ground ÷ its width.
    threads
        Where tiles are looked at.
    on_progress
        Told the pixels of each tile that is done.
    """
    return CutsAhead(_found(source, n_classes, aspect, threads, on_progress), source.width)


def _found(
    source: MaskSource, n_classes: int, aspect: float, threads: Threads, on_progress: Callable[[int], None]
) -> Iterator[tuple[Longs, int]]:
    """After each row of tiles the edges that are certain to be cuts, and down to which row these are all."""

    height, width = source.height, source.width

    def look(tile: Tile) -> tuple[int, Basins, Longs]:
        found = basins_of(tile, aspect)
        return tile.window.size, *joined([] if found is None else [found], Seen(tile.window, height, width))

    left = Basins.none()
    for row in range(0, height, TILE_PX):
        stop = min(row + TILE_PX, height)
        parts, cuts = [left], []
        tiles = _tiles(source, Window(row, 0, stop - row, width), n_classes, aspect)
        for size_px, tile_left, tile_cut in threads.in_order(tiles, look):
            on_progress(size_px)
            parts.append(tile_left)
            cuts.append(tile_cut)
        left, cut = joined(parts, Seen(Window(0, 0, stop, width), height, width))
        yield np.concatenate([*cuts, cut]), _known_rows(left.edge, stop, width)


def _tiles(source: MaskSource, row: Window, n_classes: int, aspect: float) -> Iterator[Tile]:
    """The tiles of a row of them."""
    whole = Window(0, 0, source.height, source.width)
    cols = basins.REACH_PX + 1
    rows = math.ceil(basins.REACH_PX / aspect) + 1
    for window in row.split(TILE_PX):
        top, left = window.row - rows, window.col - cols
        around = whole & Window(top, left, window.height + 2 * rows, window.width + 2 * cols)
        yield Tile(window, around, read_classes(source, around, n_classes)[0], *whole.shape)


def _known_rows(waiting: Longs, stop: int, width: int) -> int:
    """The first row, ``stop`` at most, whose pixels have an edge of ``waiting`` above or to their right."""
    row, stands = (waiting >> 1) // width, waiting & 1
    return int((row + 1 - stands).min(initial=stop))
