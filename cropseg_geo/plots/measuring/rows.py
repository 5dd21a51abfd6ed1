"""Gaps along plant rows: where the rows of a plot are, and how much of their length has no canopy.

A row is a line along the plot; its band reaches a quarter of the row spacing to either side, so that the
bands of neighbours stay apart. A place along the row is canopy where a canopy pixel of the band lies, a gap
where the band has valid pixels and none is canopy, and is not counted where the band has no valid pixel.
The gap fraction is the length of the gaps over the length of gaps and canopy, all rows together.

Rows are found by their period: across the rows, the excess of canopy over the plot's mean coverage is
compared with a wave of every spacing that may be. The spacing with the strongest wave is the rows', if the
wave is strong enough (:data:`CLEAR`); its phase says where they run. Spacing and place are then those of the
line that fits the centres of the rows' canopy best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from cropseg_geo.plots.measuring.frame import Axes, Matrix

CLEAR = 0.4
"""Strength from which rows count as seen. Rows with sharp edges that cover a fraction f of the ground have
the strength 2 sin(πf)/(πf): 2 where thin, 1.27 where they cover half, 0.47 at 0.8, 0 where they close.
Plants of 10 cm strewn at random over 1.5 m × 4 m stay below it (40 draws each) from a coverage of 0.2 on."""

BAND = 0.5
"""Width of a row's band in row spacings."""

_MIN_SPACING_M = 0.10
_MIN_SPACING_PX = 6
_MAX_SPACING_M = 1.2
"""Annual crops stand closer. A wider wave is a patchy stand, unless the user says otherwise."""

_MIN_ROWS = 1.5
"""Row spacings that must fit across a plot of more than one row: two rows fill at least 1.5."""

_TREND = 0.75
"""Waves per width that go with a step or slope of coverage from one side of a plot to the other."""

_ROUNDS = 10
"""Times that rows are put through the centres of their canopy: three do for most, ten for wide rows, too."""

_LITTLE = 0.25
"""Share of the fullest row's canopy that a row must have for its place to count."""

_FARTHEST = 0.15
"""Share of the spacing that it may change by then; the wave over two rows is up to 8 % off."""

_FREQUENCIES_PER_WIDTH = 8
_FINER = 16
_MAX_CELLS = 4_000_000


@dataclass(frozen=True)
class Rows:
    """Rows of one plot: spacing (m), position of one of them across the plot (m), strength (0–2)."""

    spacing_m: float
    phase_m: float
    strength: float


@dataclass(frozen=True)
class Gaps:
    """Gaps of one plot; NaN where no row was measured."""

    fraction: float = math.nan
    longest_m: float = math.nan
    spacing_m: float = math.nan


NO_GAPS = Gaps()


@dataclass(frozen=True)
class RowGrid:
    """One plot's pixels in a grid along and across its rows, filled piece by piece.

    ``step_u_m`` and ``step_v_m`` are its cells along and across (m). ``valid`` and ``canopy`` (nv,) count
    pixels. ``valid_edges`` and ``canopy_edges`` (nv, nu + 1) hold +1 where a pixel begins along the row
    and −1 where it ends: their running sum is positive where pixels lie, at half a pixel's resolution.
    """

    axes: Axes
    step_u_m: float
    step_v_m: float
    valid: npt.NDArray[np.float64] = field(repr=False)
    canopy: npt.NDArray[np.float64] = field(repr=False)
    valid_edges: npt.NDArray[np.int32] = field(repr=False)
    canopy_edges: npt.NDArray[np.int32] = field(repr=False)

    @classmethod
    def empty(cls, axes: Axes, pixel_m: float) -> RowGrid:
        """A grid over a plot; coarser than half a pixel only where more than a few million cells come up."""
        cells = 2 * axes.length_m * axes.width_m / pixel_m**2
        coarser = max(1.0, math.sqrt(cells / _MAX_CELLS))
        step_u, step_v = 0.5 * pixel_m * coarser, pixel_m * coarser
        nu, nv = math.ceil(axes.length_m / step_u) + 1, math.ceil(axes.width_m / step_v) + 1
        edges = (nv, nu + 1)
        return cls(axes, step_u, step_v, np.zeros(nv), np.zeros(nv),
                   np.zeros(edges, np.int32), np.zeros(edges, np.int32))  # fmt: skip

    def add(
        self, u: npt.NDArray[np.float64], v: npt.NDArray[np.float64], is_canopy: npt.NDArray[np.bool_],
        matrix: Matrix,
    ) -> None:  # fmt: skip
        """Adds valid pixels: their centres along and across (m), and which are canopy."""
        # Along the row, pixels lie at most one step of the pixel grid apart: half of it to either side
        # closes the holes between them without reaching over an edge by more than half a pixel.
        half_m = float(np.abs(np.array(self.axes.along) @ matrix).max()) / 2
        nv, n_edges = self.valid_edges.shape
        at_v = np.clip(((v - self.axes.low[1]) / self.step_v_m).astype(np.intp), 0, nv - 1)
        offset = (u - self.axes.low[0]) / self.step_u_m
        start = np.clip(np.rint(offset - half_m / self.step_u_m).astype(np.intp), 0, n_edges - 2)
        stop = np.clip(np.rint(offset + half_m / self.step_u_m).astype(np.intp), start + 1, n_edges - 1)
        first, last = at_v * n_edges + start, at_v * n_edges + stop
        everything = np.ones(len(u), np.bool_)
        for pixels, count, edges in (
            (everything, self.valid, self.valid_edges),
            (is_canopy, self.canopy, self.canopy_edges),
        ):
            count[:] += np.bincount(at_v[pixels], minlength=nv)
            for places, sign in ((first, 1), (last, -1)):
                edges[:] += sign * np.bincount(places[pixels], minlength=edges.size).reshape(edges.shape)

    @property
    def centres_m(self) -> npt.NDArray[np.float64]:
        """Positions of the cells across the plot (m)."""
        return np.asarray(self.axes.low[1] + (np.arange(len(self.valid)) + 0.5) * self.step_v_m)


def find_rows(grid: RowGrid, spacing_m: float | None = None) -> Rows | None:
    """Spacing, place and strength of a plot's rows; None if no spacing that may be stands out.

    A plot of one row has its width for a spacing. With ``spacing_m`` only the rows' place is looked for.
    """
    centres = grid.centres_m
    n_valid, n_canopy = grid.valid.sum(), grid.canopy.sum()
    excess = grid.canopy - n_canopy / max(n_valid, 1) * grid.valid
    middle = (grid.axes.low[1] + grid.axes.high[1]) / 2

    def strongest(frequencies: npt.NDArray[np.float64]) -> tuple[float, complex]:
        waves = np.exp(2j * np.pi * frequencies[:, None] * (centres - middle)) @ excess
        best = int(np.argmax(np.abs(waves)))
        return float(frequencies[best]), complex(waves[best])

    is_periodic = False
    if spacing_m is not None:
        frequency, wave = strongest(np.array([1 / spacing_m]))
    else:
        lowest = max(_MIN_ROWS / grid.axes.width_m, 1 / _MAX_SPACING_M)
        highest = 1 / max(_MIN_SPACING_M, _MIN_SPACING_PX * grid.step_v_m)
        if highest <= lowest:
            return None
        step = 1 / (_FREQUENCIES_PER_WIDTH * grid.axes.width_m)
        # Looked for from where a trend across the plot would be strongest, so that it is not taken for rows.
        rough, _ = strongest(np.arange(_TREND / grid.axes.width_m, highest, step))
        if rough >= lowest:
            fine = np.linspace(rough - step, rough + step, 2 * _FINER + 1)
            frequency, wave = strongest(np.clip(fine, lowest, highest))
            is_periodic = True
        elif grid.axes.width_m <= _MAX_SPACING_M:
            # A wider wave than could repeat: canopy swells once, as one row does.
            frequency, wave = strongest(np.array([1 / grid.axes.width_m]))
        else:
            return None
    spacing = 1 / frequency
    phase = middle + float(np.angle(wave)) / (2 * np.pi) * spacing
    found = Rows(spacing, phase, float(2 * np.abs(wave) / n_canopy) if n_canopy else 0.0)
    return _centred(found, grid) if is_periodic else found


def _centred(rows: Rows, grid: RowGrid) -> Rows:
    """The rows through the centres of their canopy: over a few rows, a wave comes out too long or too short.

    The canopy of a row is looked at as far as to the middle between two rows or to the plot's edge, and as
    far to one side as to the other: a row that the edge cuts then stays where it is, instead of moving
    inwards. Rows whose band does not fit, or which hold next to nothing, do not count.
    """
    low, high, centres = grid.axes.low[1], grid.axes.high[1], grid.centres_m
    spacing, phase = rows.spacing_m, rows.phase_m
    for _ in range(_ROUNDS):
        number = np.arange(math.ceil((low - phase) / spacing), math.floor((high - phase) / spacing) + 1)
        lines = phase + number * spacing
        reach = np.minimum(spacing / 2, np.minimum(lines - low, high - lines))
        offset = centres - lines[:, None]  # (rows, nv)
        canopy = np.where(np.abs(offset) <= reach[:, None], grid.canopy, 0.0)
        amount = canopy.sum(axis=1)
        is_seen = (reach >= BAND / 2 * spacing) & (amount > _LITTLE * amount.max(initial=0.0))
        if is_seen.sum() < 2:
            return rows
        centre = lines[is_seen] + (canopy * offset).sum(axis=1)[is_seen] / amount[is_seen]
        slope, at_zero = np.polyfit(number[is_seen], centre, 1, w=np.sqrt(amount[is_seen]))
        spacing, phase = float(slope), float(at_zero)
        if abs(spacing - rows.spacing_m) > _FARTHEST * rows.spacing_m:
            return rows
    return replace(rows, spacing_m=spacing, phase_m=phase)


def measure_gaps(grid: RowGrid, rows: Rows) -> Gaps:
    """Gaps of a plot along rows that are known."""
    low, high = grid.axes.low[1], grid.axes.high[1]
    first = math.ceil((low - rows.phase_m) / rows.spacing_m)
    last = math.floor((high - rows.phase_m) / rows.spacing_m)
    lines = rows.phase_m + np.arange(first, last + 1) * rows.spacing_m
    centres = grid.centres_m
    half = max(BAND / 2 * rows.spacing_m, 0.75 * grid.step_v_m)
    starts, stops = np.searchsorted(centres, lines - half), np.searchsorted(centres, lines + half)
    is_valid, is_canopy = (
        np.array([edges[i:j].sum(axis=0).cumsum() > 0 for i, j in zip(starts, stops, strict=True)])
        for edges in (grid.valid_edges, grid.canopy_edges)
    )
    n_valid = int(is_valid.sum())
    if not n_valid:
        return NO_GAPS
    is_gap = is_valid & ~is_canopy
    return Gaps(float(is_gap.sum() / n_valid), _longest_run(is_gap) * grid.step_u_m, rows.spacing_m)


def _longest_run(flags: npt.NDArray[np.bool_]) -> int:
    """Most neighbours that are set in one line of ``flags`` (lines, n)."""
    padded = np.pad(flags, ((0, 0), (1, 1))).astype(np.int8).ravel()
    change = np.diff(padded)
    lengths = np.flatnonzero(change == -1) - np.flatnonzero(change == 1)
    return int(lengths.max(initial=0))
