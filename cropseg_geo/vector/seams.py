"""Components across blocks: what is still open, joined along seams, closed row of blocks by row of blocks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from cropseg_geo.vector.arrays import Ints, Longs
from cropseg_geo.vector.corners import Components, Rims, connected
from cropseg_geo.vector.pieces import NO_CORNER, Pieces, PieceStore, Spans
from cropseg_geo.vector.rings import in_scan_order

CLOSED_AT_ONCE = 1 << 17
"""Corners of what a row of blocks completes that become polygons at the same time: fewer than a block's."""


@dataclass(frozen=True)
class Closed:
    """Components that a row of blocks completed, and where their pieces wait."""

    components: Components
    spans: Spans

    def in_groups(self, store: PieceStore, n_corners: int) -> Iterator[tuple[Pieces, Components]]:
        """All of it, by components in the row-major order of their first pixels, corners in scan order.

        A group is full with ``n_corners``, which only its last component may exceed: a row of blocks is as
        wide as the raster, what is made of it at a time need not be.
        """
        group = self._groups(n_corners)
        n = int(group.max(initial=-1)) + 1
        components, spans = _Members.of(group, n), _Members.of(group[self.spans.component], n)
        for k in range(n):
            found = store.pieces(self.spans.take(spans.at(k)).renumbered(components.place))
            yield Pieces(in_scan_order(found.corners), found.marks), self.components.take(components.at(k))

    def _groups(self, n_corners: int) -> Longs:
        """The group of each component, (n,); none is empty."""
        n = len(self.components)
        first, size = np.full(n, NO_CORNER), np.zeros(n, np.int64)
        np.minimum.at(first, self.spans.component, self.spans.first)
        np.add.at(size, self.spans.component, self.spans.n_corners)
        order = np.argsort(first)  # no two components begin at the same vertex
        full = (np.cumsum(size[order]) - size[order]) // n_corners
        group = np.empty(n, np.int64)
        group[order] = np.cumsum(np.diff(full, prepend=0) > 0)  # a large component fills several at once
        return group


@dataclass(frozen=True)
class _Members:
    """The members of groups: ``index[ends[k]:ends[k + 1]]``, in ascending order, are those of group k."""

    index: Longs
    ends: Longs

    @staticmethod
    def of(group: Longs, n: int) -> _Members:
        """``group`` is that of each member, one of ``n``."""
        index = np.argsort(group, kind="stable")
        return _Members(index, np.searchsorted(group[index], np.arange(n + 1)))

    @property
    def place(self) -> Ints:
        """The place of each member in its group."""
        place = np.empty(len(self.index), np.int32)
        place[self.index] = np.arange(len(place)) - np.repeat(self.ends[:-1], np.diff(self.ends))
        return place

    def at(self, k: int) -> Longs:
        return self.index[self.ends[k] : self.ends[k + 1]]


@dataclass(frozen=True)
class OpenPart:
    """The components of one block that reach its rims: where their pieces wait, where they meet the rims."""

    first_col: int
    spans: Spans
    components: Components
    rims: Rims


@dataclass(frozen=True)
class Frontier:
    """Everything above the next row of blocks that is not complete yet.

    ``below`` (width + 1,) is the component of each pixel of the last row done, −1 for background, with
    one more pixel of background in front. ``spans`` are where pieces of ``components`` wait.
    """

    below: Ints
    components: Components
    spans: Spans

    @staticmethod
    def at_top(width: int) -> Frontier:
        return Frontier(np.full(width + 1, -1, np.int32), Components.concatenated([]), Spans.none())


def join(frontier: Frontier, parts: list[OpenPart]) -> tuple[Frontier, Closed]:
    """Joins one row of blocks to what is open above it: the next frontier, and what is complete now."""
    offsets = np.cumsum([len(frontier.components), *(len(p.components) for p in parts)])
    labels = _join_labels(frontier, parts, offsets)
    n = int(labels.max(initial=-1)) + 1
    everything = Components.concatenated([frontier.components, *(p.components for p in parts)])
    merged = everything.merged(labels, n)

    below = np.full(len(frontier.below), -1, np.int32)
    for part, offset in zip(parts, offsets, strict=False):
        at = np.flatnonzero(part.rims.bottom >= 0)
        below[part.first_col + 1 + at] = labels[part.rims.bottom[at] + offset]
    is_open = np.zeros(n, np.bool_)
    is_open[below[below >= 0]] = True
    # Both sides count on from 0: the open ones for the next frontier, the closed ones for the polygons.
    number = np.where(is_open, np.cumsum(is_open), np.cumsum(~is_open)).astype(np.int32) - np.int32(1)

    below[below >= 0] = number[below[below >= 0]]

    spans = Spans.concatenated([frontier.spans, *(p.spans for p in parts)])
    origin = np.repeat([0, *offsets[:-1]], [len(frontier.spans), *(len(p.spans) for p in parts)])
    component = labels[spans.component + origin]
    is_left = is_open[component]
    spans = replace(spans, component=number[component])
    following = Frontier(below, merged.take(is_open), spans.take(is_left))
    return following, Closed(merged.take(~is_open), spans.take(~is_left))


def _join_labels(frontier: Frontier, parts: list[OpenPart], offsets: Ints) -> Ints:
    """Labels (n,) of all open components, equal where they are parts of one component.

    A block's padding shows the pixels of its neighbours, labelled on both sides.
    """
    ones: list[Ints] = []
    others: list[Ints] = []
    for k, part in enumerate(parts):
        top = part.rims.top
        above = frontier.below[part.first_col : part.first_col + len(top)]
        seams = [(top, above, 0)]
        if k:
            seams.append((part.rims.left, parts[k - 1].rims.right, offsets[k - 1]))
        for mine, theirs, their_offset in seams:
            is_shared = mine >= 0
            ones.append(mine[is_shared] + offsets[k])
            others.append(theirs[is_shared] + their_offset)
    n = int(offsets[-1])
    if not ones:
        return np.empty(0, np.int32)
    return connected(n, np.concatenate(ones), np.concatenate(others))[1]
