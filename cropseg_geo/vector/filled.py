"""A mask whose small holes are filled, for those who need it so before anything is traced."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Window
from cropseg_geo.vector.arrays import Bools, Bytes
from cropseg_geo.vector.rings import Rings
from cropseg_geo.vector.source import MaskSource, read_probability
from cropseg_geo.vector.stretches import Stretches, StretchStore


def stretches_within(rings: Rings, which: Bools, class_id: Bytes) -> Stretches:
    """The pixels inside some rings on pixel edges; ``class_id`` is by component."""
    row, col = rings.vertices.T
    ring = np.repeat(np.arange(len(which)), np.diff(rings.ring_ends))
    is_side = (ring[1:] == ring[:-1]) & (col[1:] == col[:-1]) & which[ring[1:]]
    at = np.flatnonzero(is_side)
    top, length = np.minimum(row[at], row[at + 1]), np.abs(row[at + 1] - row[at])
    of = np.repeat(np.arange(len(at)), length)
    side_row = top[of] + np.arange(len(of)) - np.repeat(np.cumsum(length) - length, length)
    side_ring, side_col = ring[at][of], col[at][of]
    order = np.lexsort((side_col, side_row, side_ring))
    left, right = order[0::2], order[1::2]  # along a row one enters a ring and leaves it in turns
    component = np.repeat(rings.component, np.diff(rings.polygon_ends))
    return Stretches(
        side_row[left].astype(np.int32),
        side_col[left].astype(np.int32),
        side_col[right].astype(np.int32),
        class_id[component[side_ring[left]]],
    )


@dataclass(frozen=True)
class FilledMask:
    """A mask with some stretches filled; what was filled has no probability."""

    source: MaskSource
    stretches: StretchStore

    @property
    def height(self) -> int:
        return self.source.height

    @property
    def width(self) -> int:
        return self.source.width

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        """Classes ``(h, w)``."""
        classes = self.source.read_mask(window)
        return classes if (filled := self._filled(window)) is None else np.asarray(classes + filled)

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Probability ``(h, w)``, NaN also where a hole was filled."""
        prob = read_probability(self.source, window)
        if prob is None or (filled := self._filled(window)) is None:
            return prob
        return np.where(filled > 0, np.float32(np.nan), prob)

    def _filled(self, window: Window) -> Bytes | None:
        """The classes of what is filled in a window, 0 elsewhere; None where nothing is."""
        s = self.stretches.between(window.row, window.row_stop)
        first = np.clip(s.first_col - window.col, 0, window.width)
        stop = np.clip(s.stop_col - window.col, 0, window.width)
        near = np.flatnonzero(first < stop)
        if not len(near):
            return None
        steps = np.zeros((window.height, window.width + 1), np.uint8)  # bytes wrap round, and back again
        row, class_id = s.row[near] - window.row, s.class_id[near]
        np.add.at(steps, (row, first[near]), class_id)
        np.subtract.at(steps, (row, stop[near]), class_id)
        return np.asarray(np.cumsum(steps, axis=1, dtype=np.uint8)[:, :-1])
