"""Evenness of a stand: the coefficient of variation of coverage over sub-cells of a plot."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.plots.measuring.frame import Axes

_MIN_FILL = 0.5
"""Part of a cell that must be valid before its coverage counts."""

_MIN_CELLS = 3
_MOST_CELLS = 100_000_000


@dataclass(frozen=True)
class CellGrid:
    """Equal cells over a plot's enclosing rectangle, filled piece by piece with pixels.

    ``shape`` counts cells along and across; ``valid`` and ``canopy`` count pixels of each.
    """

    axes: Axes
    shape: tuple[int, int]
    pixels_per_cell: float
    valid: npt.NDArray[np.float64] = field(repr=False)
    canopy: npt.NDArray[np.float64] = field(repr=False)

    @classmethod
    def empty(cls, axes: Axes, pixel_m: float, cell_m: float) -> CellGrid:
        """Cells of about ``cell_m``, at least two along and two across."""
        shape = (max(2, round(axes.length_m / cell_m)), max(2, round(axes.width_m / cell_m)))
        n = shape[0] * shape[1]
        if n > _MOST_CELLS:
            raise InputError(
                f"{n:,} cells of {cell_m:g} m in one plot of {axes.length_m:g} × {axes.width_m:g} m",
                remedy="give larger cells (--cell), or leave uniformity out (--stats)",
            )
        per_cell = axes.length_m * axes.width_m / n / pixel_m**2
        return cls(axes, shape, per_cell, np.zeros(n), np.zeros(n))

    def add(
        self, u: npt.NDArray[np.float64], v: npt.NDArray[np.float64], is_canopy: npt.NDArray[np.bool_]
    ) -> None:
        """Adds valid pixels: their centres along and across (m), and which are canopy."""
        n_u, n_v = self.shape
        i = np.clip(((u - self.axes.low[0]) / self.axes.length_m * n_u).astype(np.intp), 0, n_u - 1)
        j = np.clip(((v - self.axes.low[1]) / self.axes.width_m * n_v).astype(np.intp), 0, n_v - 1)
        cell = i * n_v + j
        size = n_u * n_v
        self.valid[:] += np.bincount(cell, minlength=size)
        self.canopy[:] += np.bincount(cell[is_canopy], minlength=size)

    def variation(self) -> float:
        """Standard deviation ÷ mean of the cells' coverage.

        Cells with less than half of their area valid and in the plot are left out. NaN with fewer than
        three cells, or without canopy.
        """
        counts = self.valid >= max(1.0, _MIN_FILL * self.pixels_per_cell)
        coverage = self.canopy[counts] / self.valid[counts]
        if len(coverage) < _MIN_CELLS or not coverage.any():
            return math.nan
        return float(coverage.std() / coverage.mean())
