"""Components across blocks: what is still open, joined along seams, closed row of blocks by row of blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from cropseg_geo.vector.arrays import Bools, Ints, Longs
from cropseg_geo.vector.corners import Components, Corners, Rims, connected
from cropseg_geo.vector.marks import Marks
from cropseg_geo.vector.rings import in_scan_order

CLOSED_AT_ONCE = 1 << 17
"""Corners of what a row of blocks completes that become polygons at the same time: fewer than a block's."""


@dataclass(frozen=True)
class Pieces:
    """Pieces of outlines: corners and, where outlines do not simply follow the pixels, marks."""

    corners: Corners
    marks: Marks | None = None

    def __len__(self) -> int:
        """Corners and marks: an outline that runs straight through a block has marks alone."""
        return len(self.corners) + (0 if self.marks is None else len(self.marks))

    def of(self, is_wanted: Bools, number: Ints) -> Pieces:
        """Those of the wanted components, renumbered; both arrays are by component."""
        marks = None if self.marks is None else np.flatnonzero(is_wanted[self.marks.component])
        return self.take(np.flatnonzero(is_wanted[self.corners.component]), marks, number)

    def take(self, corners: Longs, marks: Longs | None, number: Ints) -> Pieces:
        """Some corners and marks, their components renumbered."""
        taken = self.corners.take(corners)
        taken = taken.owned_by(number[taken.component])
        if self.marks is None or marks is None:
            return Pieces(taken)
        return Pieces(taken, Marks(self.marks.places.take(marks), number[self.marks.component[marks]]))

    @staticmethod
    def concatenated(parts: Sequence[Pieces]) -> Pieces:
        marks = [p.marks for p in parts if p.marks is not None]
        return Pieces(
            Corners.concatenated([p.corners for p in parts]), Marks.concatenated(marks) if marks else None
        )


@dataclass(frozen=True)
class Closed:
    """Components that a row of blocks completed, still among the pieces of others.

    ``waiting`` are pieces, each with the index in ``components`` of every component that they number, −1
    where it is not complete.
    """

    components: Components
    waiting: tuple[tuple[Pieces, Ints], ...]

    def in_groups(self, n_corners: int) -> Iterator[tuple[Pieces, Components]]:
        """All of it, by components in the row-major order of their first pixels, corners in scan order.

        A group is full with ``n_corners``, which only its last component may exceed: a row of blocks is as
        wide as the raster, what is made of it at a time need not be.
        """
        group = self._groups(n_corners)
        n = int(group.max(initial=-1)) + 1
        components = _Members.of(group, n)
        number = np.append(components.place, np.int32(-1))
        group = np.append(group, -1)  # where −1 points to
        waiting = [
            (
                pieces,
                _Members.of(group[index[pieces.corners.component]], n),
                None if pieces.marks is None else _Members.of(group[index[pieces.marks.component]], n),
                number[index],
            )
            for pieces, index in self.waiting
        ]
        for k in range(n):
            found = Pieces.concatenated(
                [
                    pieces.take(corners.at(k), None if marks is None else marks.at(k), own_number)
                    for pieces, corners, marks, own_number in waiting
                ]
            )
            yield Pieces(in_scan_order(found.corners), found.marks), self.components.take(components.at(k))

    def _groups(self, n_corners: int) -> Longs:
        """The group of each component, (n,); none is empty."""
        n = len(self.components)
        first, size = np.full(n + 1, np.iinfo(np.int64).max), np.zeros(n + 1, np.int64)
        for pieces, index in self.waiting:
            corners, component = pieces.corners, index[pieces.corners.component]
            np.minimum.at(first, component, (corners.row.astype(np.int64) << 32) + corners.col)
            np.add.at(size, component, 1)
        order = np.argsort(first[:n])  # no two components begin at the same vertex
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
        """``group`` is that of each member, one of ``n``, or −1."""
        index = np.argsort(group.astype(np.int16 if n < 2**15 else np.int64), kind="stable")  # 16 bits: radix
        return _Members(index, np.searchsorted(group[index], np.arange(n + 1)))

    @property
    def place(self) -> Ints:
        """The place of each member in its group; all belong to one."""
        place = np.empty(len(self.index), np.int32)
        place[self.index] = np.arange(len(place)) - np.repeat(self.ends[:-1], np.diff(self.ends))
        return place

    def at(self, k: int) -> Longs:
        return self.index[self.ends[k] : self.ends[k + 1]]


@dataclass(frozen=True)
class OpenPart:
    """The components of one block that reach its rims: their pieces, and where they meet the rims."""

    first_col: int
    pieces: Pieces
    components: Components
    rims: Rims


@dataclass(frozen=True)
class Frontier:
    """Everything above the next row of blocks that is not complete yet.

    ``below`` (width + 1,) is the component of each pixel of the last row done, −1 for background, with
    one more pixel of background in front. ``held`` are pieces whose component indexes ``components``.
    """

    below: Ints
    components: Components
    held: tuple[Pieces, ...]

    @staticmethod
    def at_top(width: int) -> Frontier:
        return Frontier(np.full(width + 1, -1, np.int32), Components.concatenated([]), ())

    @property
    def n_held(self) -> int:
        """Number of corners that wait for the rest of their component."""
        return sum(len(pieces.corners) for pieces in self.held)


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

    # By origin: what the frontier held first, then part by part.
    open_index = np.split(np.where(is_open, number, np.int32(-1))[labels], offsets)
    closed_index = np.split(np.where(is_open, np.int32(-1), number)[labels], offsets)
    waiting = [(pieces, 0) for pieces in frontier.held] + [(p.pieces, k) for k, p in enumerate(parts, 1)]
    held = [pieces.of(open_index[k] >= 0, open_index[k]) for pieces, k in waiting]
    following = Frontier(below, merged.take(is_open), tuple(pieces for pieces in held if len(pieces)))
    return following, Closed(merged.take(~is_open), tuple((p, closed_index[k]) for p, k in waiting))


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
