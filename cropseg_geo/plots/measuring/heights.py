"""Heights of canopy: where they come from, and their percentile in one pass of bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Window

_LOWEST_MM, _HIGHEST_MM = -5_000, 60_000


class HeightSource(Protocol):
    """Heights above ground on the mask's grid, read by windows."""

    def read(self, window: Window) -> npt.NDArray[np.float32]:
        """Height above ground ``(h, w)`` in metres, NaN where unknown."""


@dataclass(frozen=True)
class HeightCount:
    """How many canopy pixels of a plot have which height, in millimetres (−5 m to 60 m)."""

    counts: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros(_HIGHEST_MM - _LOWEST_MM + 1, np.int64), repr=False
    )

    def add(self, heights_m: npt.NDArray[np.float32]) -> None:
        """Adds heights (n,); unknown ones are left out."""
        known = heights_m[np.isfinite(heights_m)].astype(np.float64) * 1000
        steps = np.clip(np.rint(known), _LOWEST_MM, _HIGHEST_MM).astype(np.intp) - _LOWEST_MM
        self.counts[:] += np.bincount(steps, minlength=len(self.counts))

    def percentile(self, percent: float) -> float:
        """The lowest height that at least ``percent`` of the pixels do not exceed (m); NaN without pixels."""
        below = np.cumsum(self.counts)
        if not below[-1]:
            return math.nan
        return (int(np.searchsorted(below, percent / 100 * below[-1])) + _LOWEST_MM) / 1000
