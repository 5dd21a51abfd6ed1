"""Pieces of outlines, and where those wait whose components go on in other blocks.

The overall strategy is to put them away block by block, sorted by component, and to remember for each
component of a block only where its pieces lie. The latest stay in memory, older ones go to a temporary file:
crop rows that run down a whole field are open until its end, and wide rasters have many plants on a seam.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.vector.arrays import Bools, Ints, Longs
from cropseg_geo.vector.corners import Corners
from cropseg_geo.vector.marks import Marks, Places
from cropseg_geo.vector.scratch import Scratch

AT_HAND_BYTES = 16_000_000
"""Pieces that wait in memory; those before them are in a temporary file."""

NO_CORNER = np.iinfo(np.int64).max

_Columns = dict[str, "npt.NDArray[Any] | _OnDisk"]


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
        return self._taken(np.flatnonzero(is_wanted[self.corners.component]), marks, number)

    def by_component(self, is_wanted: Bools, number: Ints) -> Pieces:
        """The same, sorted by component."""

        def ordered(component: Ints) -> Longs:
            found = np.flatnonzero(is_wanted[component])
            key = number[component[found]]
            key = key.astype(np.int16) if len(number) < 2**15 else key  # 16 bits: a radix sort
            return found[np.argsort(key, kind="stable")]

        marks = None if self.marks is None else ordered(self.marks.component)
        return self._taken(ordered(self.corners.component), marks, number)

    def _taken(self, corners: Longs, marks: Longs | None, number: Ints) -> Pieces:
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
class Spans:
    """Where pieces wait: of each entry those of one component in one block; shapes (n,) and (n, 2).

    ``corner`` and ``mark`` are the first one and the one after the last of ``block`` (in the order in which
    blocks were put away); ``first`` is the vertex of its first corner, row << 32 plus column, or
    :data:`NO_CORNER` where there are marks alone.
    """

    component: Ints
    block: Ints
    corner: Longs
    mark: Longs
    first: Longs

    def __len__(self) -> int:
        return len(self.component)

    @property
    def n_corners(self) -> Longs:
        return np.asarray(self.corner[:, 1] - self.corner[:, 0])

    def take(self, which: Bools | Longs | slice) -> Spans:
        return Spans(
            self.component[which], self.block[which], self.corner[which], self.mark[which], self.first[which]
        )

    def renumbered(self, number: Ints) -> Spans:
        return Spans(number[self.component], self.block, self.corner, self.mark, self.first)

    @staticmethod
    def none() -> Spans:
        pairs = np.empty((0, 2), np.int64)
        return Spans(np.empty(0, np.int32), np.empty(0, np.int32), pairs, pairs, np.empty(0, np.int64))

    @staticmethod
    def concatenated(parts: Sequence[Spans]) -> Spans:
        parts = [Spans.none(), *parts]
        return Spans(
            np.concatenate([p.component for p in parts]),
            np.concatenate([p.block for p in parts]),
            np.concatenate([p.corner for p in parts]),
            np.concatenate([p.mark for p in parts]),
            np.concatenate([p.first for p in parts]),
        )


class PieceStore:
    """Pieces that wait for the rest of their components; for one thread at a time."""

    def __init__(self) -> None:
        self._blocks: dict[int, _Block] = {}
        self._n_added = 0
        self._n_bytes = 0  # at hand
        self._scratch: Scratch | None = None

    def __enter__(self) -> PieceStore:
        return self

    def __exit__(self, *_: object) -> None:
        if self._scratch is not None:
            self._scratch.close()

    def add(self, pieces: Pieces) -> Spans:
        """Put away those of one block, which are sorted by component.

        Raises
        ------
        OutputError
            If the temporary folder cannot hold what there is no memory for.
        """
        component = pieces.corners.component
        mark_component = np.empty(0, np.int32) if pieces.marks is None else pieces.marks.component
        n = 1 + max(component.max(initial=-1), mark_component.max(initial=-1))
        if n == 0:
            return Spans.none()
        corner, mark = (_spans_of(c, int(n)) for c in (component, mark_component))
        has_any = np.flatnonzero((corner[:, 0] < corner[:, 1]) | (mark[:, 0] < mark[:, 1]))
        corner, mark = corner[has_any], mark[has_any]
        first = np.full(len(has_any), NO_CORNER)
        has_corner = corner[:, 0] < corner[:, 1]
        begin = corner[has_corner, 0]
        first[has_corner] = (pieces.corners.row[begin].astype(np.int64) << 32) + pieces.corners.col[begin]
        block = _Block.of(pieces)
        self._blocks[self._n_added] = block
        self._n_added += 1
        self._n_bytes += block.n_bytes
        self._make_room()
        name = np.full(len(has_any), self._n_added - 1, np.int32)
        return Spans(has_any.astype(np.int32), name, corner, mark, first)

    def pieces(self, spans: Spans) -> Pieces:
        """What lies there, span by span within each block, blocks in ascending order."""
        spans = spans.take(np.argsort(spans.block, kind="stable"))
        names, begin = np.unique(spans.block, return_index=True)
        ends = [*begin[1:].tolist(), len(spans)]
        return Pieces.concatenated(
            [
                self._blocks[name].pieces(spans.take(slice(first, stop)))
                for name, first, stop in zip(names.tolist(), begin.tolist(), ends, strict=True)
            ]
        )

    def forget_all_but(self, spans: Spans) -> None:
        """Blocks of which nothing else is wanted any more are gone."""
        wanted = set(spans.block.tolist())
        for name in [name for name in self._blocks if name not in wanted]:
            self._n_bytes -= self._blocks.pop(name).n_bytes
        if self._scratch is not None and not any(block.is_on_disk for block in self._blocks.values()):
            self._scratch.clear()

    def _make_room(self) -> None:
        """The oldest go to disk."""
        if self._n_bytes <= AT_HAND_BYTES:
            return
        if self._scratch is None:
            self._scratch = Scratch("outlines that are still open")
        for name, block in self._blocks.items():
            if not block.is_on_disk and self._n_bytes > AT_HAND_BYTES // 2:
                self._blocks[name] = block.put_on(self._scratch)
                self._n_bytes -= block.n_bytes


@dataclass(frozen=True)
class _OnDisk:
    """A column that is not at hand: its file, where it begins there, and its type."""

    scratch: Scratch
    at: int
    dtype: np.dtype[Any]

    @staticmethod
    def of(column: npt.NDArray[Any], scratch: Scratch) -> _OnDisk:
        return _OnDisk(scratch, scratch.append(column.tobytes()), column.dtype)

    def __getitem__(self, entries: slice) -> npt.NDArray[Any]:
        size = self.dtype.itemsize
        data = self.scratch.read(self.at + entries.start * size, (entries.stop - entries.start) * size)
        return np.frombuffer(data, self.dtype)


@dataclass(frozen=True)
class _Block:
    """The pieces of one block, as columns in memory or on disk; ``marks`` are empty where there are none."""

    corners: _Columns
    marks: _Columns
    n_bytes: int
    is_on_disk: bool = False

    @staticmethod
    def of(pieces: Pieces) -> _Block:
        corners: dict[str, npt.NDArray[Any]] = {
            "row": pieces.corners.row, "col": pieces.corners.col, "kind": pieces.corners.kind
        }  # fmt: skip
        if pieces.corners.occupied is not None:
            corners["occupied"] = pieces.corners.occupied
        marks: dict[str, npt.NDArray[Any]] = {}
        if pieces.marks is not None:
            places = pieces.marks.places
            marks = {"row2": places.row2.astype(np.int32), "col2": places.col2.astype(np.int32)}
            if places.shift.any():
                marks["shift"] = places.shift
        n_bytes = sum(column.nbytes for column in (*corners.values(), *marks.values()))
        return _Block({**corners}, {**marks}, n_bytes)

    def put_on(self, scratch: Scratch) -> _Block:
        """The same on disk, with nothing at hand."""

        def put(columns: _Columns) -> _Columns:
            return {
                name: column if isinstance(column, _OnDisk) else _OnDisk.of(column, scratch)
                for name, column in columns.items()
            }

        return _Block(put(self.corners), put(self.marks), 0, is_on_disk=True)

    def pieces(self, spans: Spans) -> Pieces:
        """What lies at these spans of this block."""
        corners = _found(self.corners, spans.corner)
        component = np.repeat(spans.component, spans.n_corners)
        found = Corners(corners["row"], corners["col"], corners["kind"], component, corners.get("occupied"))
        if not self.marks:
            return Pieces(found)
        marks = _found(self.marks, spans.mark)
        row2, col2 = marks["row2"].astype(np.int64), marks["col2"].astype(np.int64)
        places = Places(row2, col2, marks.get("shift", np.zeros(len(row2))))
        return Pieces(found, Marks(places, np.repeat(spans.component, spans.mark[:, 1] - spans.mark[:, 0])))


def _spans_of(component: Ints, n: int) -> Longs:
    """First and last-plus-one (n, 2) of each of ``n`` components in a sorted array of them."""
    ends = np.searchsorted(component, np.arange(n + 1))
    return np.stack([ends[:-1], ends[1:]], axis=1)


def _found(columns: _Columns, spans: Longs) -> dict[str, npt.NDArray[Any]]:
    """The entries at some spans (n, 2) of each column."""
    first, stop = (int(spans[:, 0].min()), int(spans[:, 1].max())) if len(spans) else (0, 0)
    size = spans[:, 1] - spans[:, 0]
    index = np.arange(int(size.sum())) + np.repeat(spans[:, 0] - first - (np.cumsum(size) - size), size)
    return {name: column[first:stop][index] for name, column in columns.items()}
