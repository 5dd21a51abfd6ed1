"""Stretches of pixels along rows, and where those of a whole raster are kept: on disk, not in memory."""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.vector.arrays import Bytes, Ints
from cropseg_geo.vector.scratch import Scratch

_BAND_ROWS = 512
_BANDS_AT_HAND = 16
"""Bands of rows that are kept in memory: more than a row of tiles with its margins, which looks ahead, and a
row of blocks, which follows, ask for in turns."""

_STORED = np.dtype([("row", "<i4"), ("first_col", "<i4"), ("stop_col", "<i4"), ("class_id", "u1")])


@dataclass(frozen=True)
class Stretches:
    """Stretches of pixels along rows, ``[first_col, stop_col)`` of ``row``, and the class they get; (n,)."""

    row: Ints
    first_col: Ints
    stop_col: Ints
    class_id: Bytes

    def __len__(self) -> int:
        return len(self.row)


class StretchStore:
    """Stretches of a raster in a temporary file, by bands of rows; for one thread at a time."""

    def __init__(self) -> None:
        self._scratch = Scratch("holes that are filled")
        self._places: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self._at_hand: OrderedDict[int, npt.NDArray[Any]] = OrderedDict()

    def __enter__(self) -> StretchStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._scratch.close()

    def add(self, stretches: Stretches) -> None:
        """Keep some more; before the first is asked for.

        Raises
        ------
        OutputError
            If the temporary folder cannot hold them.
        """
        if not len(stretches):
            return
        order = np.argsort(stretches.row, kind="stable")
        found = np.empty(len(order), _STORED)
        for name in ("row", "first_col", "stop_col", "class_id"):
            found[name] = getattr(stretches, name)[order]
        bands, begin = np.unique(found["row"] // _BAND_ROWS, return_index=True)
        at = self._scratch.append(found.tobytes())
        for band, first, stop in zip(bands, begin, [*begin[1:], len(found)], strict=True):
            self._places[int(band)].append((at + int(first) * _STORED.itemsize, int(stop - first)))

    def between(self, first: int, stop: int) -> Stretches:
        """Those of the rows ``[first, stop)``, by rows."""
        bands = range(max(0, first) // _BAND_ROWS, -(-stop // _BAND_ROWS))
        found = np.concatenate([np.empty(0, _STORED), *(self._band(k) for k in bands)])
        begin, end = np.searchsorted(found["row"], [first, stop])
        found = found[begin:end]
        return Stretches(found["row"], found["first_col"], found["stop_col"], found["class_id"])

    def _band(self, k: int) -> npt.NDArray[Any]:
        if k in self._at_hand:
            self._at_hand.move_to_end(k)
            return self._at_hand[k]
        parts = [np.empty(0, _STORED)]
        for at, count in self._places.get(k, []):
            parts.append(np.frombuffer(self._scratch.read(at, count * _STORED.itemsize), _STORED))
        found = np.concatenate(parts)
        self._at_hand[k] = found[np.argsort(found["row"], kind="stable")]
        if len(self._at_hand) > _BANDS_AT_HAND:
            self._at_hand.popitem(last=False)
        return self._at_hand[k]
