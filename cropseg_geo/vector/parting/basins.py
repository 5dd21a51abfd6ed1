"""Basins of one tile: where the way up from each pixel ends, and the necks between them.

Most necks part nothing, whatever lies beyond them; what they join is made one basin here, so that little is
left of a tile. A basin's widest neck is looked at before its others. If it is wide enough for the basin by
itself, both are one, and where the other's peak is no lower, nothing else can notice that they are already.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cropseg_geo.grid import Window
from cropseg_geo.vector.arrays import Bools, Bytes, Ints, Longs, Singles
from cropseg_geo.vector.corners import connected

NECK = 0.7
"""A neck narrower than this share of the narrower plant's width parts two plants."""

NARROWEST_PX = 3.0
"""Parts whose widest place is no further (px) from the outline are not parted off: that is its noise."""

REACH_PX = 256
"""Distance (px) from the outline up to which one place counts as wider than another."""

_Value = TypeVar("_Value", bound=np.generic)


@dataclass(frozen=True)
class Tile:
    """A tile of the raster, the window around it that was read, and the classes there; no nodata."""

    window: Window
    around: Window
    classes: Bytes
    raster_height: int
    raster_width: int


@dataclass(frozen=True)
class Necks:
    """Places where two nodes meet, each pair once; shapes (n, 2) and (n,).

    ``node`` are the two, ``width`` is the distance to the outline at the widest place between them. ``rank``
    are the names of the basins that meet there: of equally wide necks those with lower names come first.
    """

    node: Longs
    width: Singles
    rank: Longs

    def take(self, which: Longs) -> Necks:
        return Necks(self.node[which], self.width[which], self.rank[which])

    def between(self, node: Longs) -> tuple[Necks, Longs]:
        """The first neck between each two of the nodes ``node[old]``, in order, and which of these each of
        the old necks has become; −1 where both its sides are one now."""
        pair = np.sort(node[self.node], axis=1)
        is_two = np.flatnonzero(pair[:, 0] != pair[:, 1])
        _, first, number = np.unique(
            pair[is_two, 0] << 32 | pair[is_two, 1], return_index=True, return_inverse=True
        )
        order = np.argsort(first)
        became = np.full(len(pair), -1)
        became[is_two] = inverse(order)[number]
        kept = is_two[first[order]]
        return Necks(pair[kept], self.width[kept], self.rank[kept]), became


@dataclass(frozen=True)
class Basins:
    """What is left of a tile, or of all tiles so far.

    A node is a basin, or the part of one whose way up leaves the tile; it is named (``name``, sorted) by the
    pixel where the way ends or enters the next tile, and ``peak`` is the distance there. ``rim`` (n, 2) says
    of pixels along the tile's sides (by name) which node (by name) they belong to. ``edge`` are the pixel
    edges along the necks (name of the pixel above or to the left × 2, plus 1 for a standing one),
    ``edge_neck`` the neck of each.
    """

    name: Longs
    peak: Singles
    rim: Longs
    necks: Necks
    edge: Longs
    edge_neck: Ints

    @staticmethod
    def none() -> Basins:
        empty, pairs = np.empty(0, np.int64), np.empty((0, 2), np.int64)
        necks = Necks(pairs, np.empty(0, np.float32), pairs)
        return Basins(empty, np.empty(0, np.float32), pairs, necks, empty, np.empty(0, np.int32))


def inverse(order: Longs) -> Longs:
    """The place of each element in a permutation."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place


def wide_enough(width: Any, peak: Any) -> Any:  # numbers or arrays of float64
    """Does a neck of this width join a plant with such a peak to a wider one?"""
    # Half a pixel lies between a pixel's centre and the outline.
    return (peak <= NARROWEST_PX) | (width - 0.5 >= NECK * (peak - 0.5))


def basins_of(tile: Tile, aspect: float) -> Basins | None:
    """The basins of a tile; None without a plant. ``aspect`` is a pixel's height ÷ its width."""
    ring = tile.window.grown(1).relative_to(tile.around)
    classes = _with_ring(tile.classes, ring)
    is_plant = np.zeros(classes.shape, np.bool_)
    is_plant[1:-1, 1:-1] = classes[1:-1, 1:-1] != 0
    if not is_plant.any():
        return None
    height, width = classes.shape
    rows, cols = tile.window.row - 1 + np.arange(height), tile.window.col - 1 + np.arange(width)
    name = (rows[:, None] * tile.raster_width + cols).ravel()
    distance = _distance(tile, aspect, ring)
    root = _roots(classes, distance)
    rim = _rim(is_plant)
    rim_root = root.ravel()[rim]
    meetings = _meetings(classes, distance, root)
    node = np.unique(np.concatenate([root[is_plant], *meetings.node.T]))
    necks, edge_neck = _necks(meetings, node, name)
    peak = distance.ravel()[node]
    is_open = ~is_plant.ravel()[node]  # in the ring: the way goes on
    is_seen = ~is_open
    is_seen[np.searchsorted(node, rim_root)] = False  # has necks in other tiles
    owner = _owners(necks, peak, is_open, is_seen)
    kept = np.unique(owner)
    fewer, became = necks.between(np.searchsorted(kept, owner))
    neck = became[edge_neck]
    edge = (2 * name[meetings.edge >> 1] + (meetings.edge & 1))[neck >= 0]
    return Basins(
        name[node[kept]],
        peak[kept],
        np.stack([name[rim], name[rim_root]], axis=1),
        fewer,
        edge,
        neck[neck >= 0].astype(np.int32),
    )


def _owners(necks: Necks, peak: Singles, is_open: Bools, is_seen: Bools) -> Longs:
    """The node (n,) that each node is made one with; ``necks`` have the widest first.

    Only nodes whose necks are all known (``is_seen``), and meet none whose way is not (``is_open``).
    """
    n = len(peak)
    meets_open = np.zeros(n, np.bool_)
    first = np.full(n, len(necks.node))
    for here, there in (necks.node.T, necks.node.T[::-1]):
        np.logical_or.at(meets_open, here, is_open[there])
        np.minimum.at(first, here, np.arange(len(here)))
    one = np.flatnonzero(is_seen & ~meets_open & (first < len(necks.node)))
    widest = first[one]
    other = necks.node[widest].sum(axis=1) - one
    is_one = wide_enough(necks.width[widest].astype(np.float64), peak[one].astype(np.float64))
    is_one &= peak[one] <= peak[other]
    one, other = one[is_one], other[is_one]
    _, group = connected(n, one.astype(np.int32), other.astype(np.int32))
    # Each way of owners ends at the one node that has none, or at two that have each other.
    has_owner = np.zeros(n, np.bool_)
    has_owner[one] = True
    last = np.zeros(n, np.int64)
    order = np.lexsort((np.arange(n), ~has_owner, peak))
    last[group[order]] = order
    return last[group]


def _with_ring(values: npt.NDArray[_Value], ring: Window) -> npt.NDArray[_Value]:
    """The values of a window that may reach past them, where they are 0."""
    found = np.zeros(ring.shape, values.dtype)
    inside = ring & Window(0, 0, *values.shape)
    found[inside.relative_to(ring).slices] = values[inside.slices]
    return found


def _distance(tile: Tile, aspect: float, ring: Window) -> Singles:
    """Distance (px) of each pixel of the ring, and in it, to what is not of its class; 0 past the raster.

    It is :data:`REACH_PX` at most. The raster's rim is an outline; what lies past the sides of the window
    that was read is not known to be.
    """
    distance = np.zeros(ring.shape, np.float32)
    around, raster = tile.around, (tile.raster_height, tile.raster_width)
    seen = ring & Window(0, 0, *around.shape)
    here = seen.relative_to(ring).slices
    rim = (
        (int(around.row == 0), int(around.row_stop == raster[0])),
        (int(around.col == 0), int(around.col_stop == raster[1])),
    )
    for k in np.flatnonzero(np.bincount(tile.classes[seen.slices].ravel())[1:]) + 1:
        is_class = tile.classes == k
        inside = np.pad(is_class, rim)
        far = np.full(seen.shape, REACH_PX, np.float32)
        if not inside.all():
            wanted = Window(seen.row + rim[0][0], seen.col + rim[1][0], seen.height, seen.width)
            np.minimum(_to_outline(inside, aspect, wanted), REACH_PX, out=far)
        np.copyto(distance[here], far, where=is_class[seen.slices])
    return distance


def _to_outline(inside: Bools, aspect: float, wanted: Window) -> Singles:
    """Distance (px) of each pixel of a window to the nearest one that is not ``inside``."""
    row, col = ndimage.distance_transform_edt(
        inside, sampling=(aspect, 1.0), return_distances=False, return_indices=True
    )
    found = np.empty(wanted.shape, np.float32)
    cols = np.arange(wanted.col, wanted.col_stop)
    for i in range(wanted.height):  # in doubles, which are too many to hold for all of a tile
        at = (wanted.row + i, slice(wanted.col, wanted.col_stop))
        found[i] = np.sqrt(((row[at] - at[0]) * aspect) ** 2 + (col[at] - cols).astype(np.float64) ** 2)
    return found


def _roots(classes: Bytes, distance: Singles) -> Ints:
    """Where the way up from each pixel ends, as a flat index; pixels of the ring are ends themselves."""
    height, width = classes.shape
    inner = (slice(1, -1), slice(1, -1))
    best = np.full((height - 2, width - 2), -1.0, np.float32)
    way = np.zeros(best.shape, np.int32)
    # In the order of the pixels' indices: of equal heights the last one wins, wherever the tile begins.
    for dr, dc in ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)):
        there = (slice(1 + dr, height - 1 + dr), slice(1 + dc, width - 1 + dc))
        is_better = (classes[there] == classes[inner]) & (distance[there] >= best)
        np.copyto(best, distance[there], where=is_better)
        way[is_better] = dr * width + dc
    start = np.arange(classes.size, dtype=np.int32).reshape(classes.shape)
    start[inner] += np.where(classes[inner] != 0, way, 0)
    target: Ints = start.ravel()
    while True:
        further = target[target]
        if np.array_equal(further, target):
            return np.asarray(target.reshape(classes.shape), np.int32)
        target = further


@dataclass(frozen=True)
class _Meetings:
    """Pixel edges between two nodes: nodes (n, 2) by flat index, the lower distance of the two pixels (n,),
    and the edge (n,): flat index of its first pixel × 2, plus 1 if it stands."""

    node: Ints
    height: Singles
    edge: Longs


def _meetings(classes: Bytes, distance: Singles, root: Ints) -> _Meetings:
    """Edges below and to the right of the tile's own pixels; those on the other sides are a neighbour's."""
    here = (slice(1, -1), slice(1, -1))
    index = np.arange(classes.size).reshape(classes.shape)[here]
    nodes, heights, edges = [], [], []
    for there, stands in (((slice(2, None), slice(1, -1)), 0), ((slice(1, -1), slice(2, None)), 1)):
        meets = (classes[here] != 0) & (classes[here] == classes[there]) & (root[here] != root[there])
        nodes.append(np.stack([root[here][meets], root[there][meets]], axis=1))
        heights.append(np.minimum(distance[here][meets], distance[there][meets]))
        edges.append(2 * index[meets] + stands)
    return _Meetings(np.concatenate(nodes), np.concatenate(heights), np.concatenate(edges))


def _necks(meetings: _Meetings, node: Longs, name: Longs) -> tuple[Necks, Longs]:
    """The necks between nodes (by their places in ``node``), the widest first, and the neck of each edge."""
    pair = np.sort(np.searchsorted(node, meetings.node), axis=1)
    key, neck = np.unique(pair[:, 0] << 32 | pair[:, 1], return_inverse=True)
    pair = np.stack([key >> 32, key & 0xFFFFFFFF], axis=1)
    width = np.zeros(len(key), np.float32)
    np.maximum.at(width, neck, meetings.height)
    order = np.lexsort((pair[:, 1], pair[:, 0], -width))
    pair = pair[order]
    return Necks(pair, width[order], name[node[pair]]), inverse(order)[neck]


def _rim(is_plant: Bools) -> Longs:
    """Flat indices of the plants' pixels along the four sides of the tile within its ring."""
    height, width = is_plant.shape
    is_side = np.zeros(is_plant.shape, np.bool_)
    is_side[[1, height - 2], 1:-1] = True
    is_side[1:-1, [1, width - 2]] = True
    return np.flatnonzero(is_side & is_plant)
