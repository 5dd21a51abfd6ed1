"""The plan of a field trial in its own axes: rows and columns of plots, alleys, blocks.

Axes: u runs along a row, from the left column to the right one; v runs from the bottom row to the top one;
both in metres from the trial's bottom left corner. A plot's width is along u, its length along v.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError

MAX_PLOTS = 1_000_000
"""More than any trial has. Beyond, it is a slip of the finger that would fill the memory."""

MAX_TRIAL_SIDE_M = 100_000.0
"""So far from the middle, 5 m in the plane are 5 m on the ground to less than 1 mm."""


@dataclass(frozen=True)
class Trial:
    """Rows × columns of plots of one size.

    Parameters
    ----------
    rows, columns
        Number of plots, at least 1.
    length_m, width_m
        Size of a plot (m): length from row to row, width along a row. None where the corners tell.
    row_alley_m, column_alley_m
        Gap between rows, between columns (m).
    block_rows, block_columns
        Rows and columns of a block; None: all of them.
    block_alley_m
        Gap between blocks (m), instead of the ordinary one; None: the ordinary one.
    buffer_m
        Each finished plot is drawn in by this on every side (m); its place stays.

    Raises
    ------
    InputError
        For counts below one, negative sizes, blocks that do not divide the trial, a buffer that leaves none,
        and trials beyond :data:`MAX_PLOTS` or :data:`MAX_TRIAL_SIDE_M`.
    """

    rows: int
    columns: int
    length_m: float | None = None
    width_m: float | None = None
    row_alley_m: float = 0.0
    column_alley_m: float = 0.0
    block_rows: int | None = None
    block_columns: int | None = None
    block_alley_m: float | None = None
    buffer_m: float = 0.0

    def __post_init__(self) -> None:
        for name, count in (("rows", self.rows), ("columns", self.columns)):
            if count < 1:
                raise InputError(f"{count} {name} of plots: at least 1 is needed", remedy=f"pass --{name} 4")
        if self.rows * self.columns > MAX_PLOTS:
            raise InputError(
                f"{self.rows} rows of {self.columns} plots are {self.rows * self.columns:,} plots; "
                f"{MAX_PLOTS:,} is the most",
                remedy="check --rows and --columns",
            )
        for name, size in (("length", self.length_m), ("width", self.width_m)):
            if size is not None and not (math.isfinite(size) and size > 0):
                raise InputError(
                    f"a plot {name} of {size:g} m: a length in metres above 0 is needed",
                    remedy=f"pass --{name} in metres, for example --{name} 1.5",
                )
        self._check_gaps()
        self._check_blocks()
        for name, size in (("length", self.length_m), ("width", self.width_m)):
            if size is not None and 2 * self.buffer_m >= size:
                raise InputError(
                    f"an inner buffer of {self.buffer_m:g} m on both sides leaves nothing of a plot {name} "
                    f"of {size:g} m",
                    remedy=f"pass a --buffer below {size / 2:g}",
                )
        if self.width_m is not None and self.length_m is not None:
            self._check_extent(max(self.extent_m))

    def _check_extent(self, side_m: float) -> None:
        if side_m > MAX_TRIAL_SIDE_M:
            raise InputError(
                f"the trial would be {side_m / 1000:,.0f} km long; "
                f"{MAX_TRIAL_SIDE_M / 1000:g} km is the most",
                remedy="sizes and alleys are metres: check them, and the counts",
            )

    def _check_gaps(self) -> None:
        gaps = {
            "row alley": self.row_alley_m,
            "column alley": self.column_alley_m,
            "block alley": self.block_alley_m or 0.0,
            "buffer": self.buffer_m,
        }
        for name, gap in gaps.items():
            if not (math.isfinite(gap) and gap >= 0):
                raise InputError(
                    f"a {name} of {gap:g} m: 0 or more is needed",
                    remedy=f"pass --{name.replace(' ', '-')} in metres, 0 for none",
                )

    def _check_blocks(self) -> None:
        parts = (("rows", self.rows, self.block_rows), ("columns", self.columns, self.block_columns))
        for name, count, part in parts:
            if part is not None and (part < 1 or count % part):
                raise InputError(
                    f"blocks of {part} {name} do not divide {count} {name} evenly",
                    remedy=f"pass --block-{name} as a divisor of {count}, or make the blocks one by one",
                )
        if self.block_alley_m is None:
            return
        if self.block_rows is None and self.block_columns is None:
            raise InputError("a block alley without blocks", remedy="pass --block-rows or --block-columns")
        gaps = (
            ("row", self.block_rows, self.row_alley_m),
            ("column", self.block_columns, self.column_alley_m),
        )
        for name, part, gap in gaps:
            if part is not None and self.block_alley_m < gap:
                raise InputError(
                    f"the block alley of {self.block_alley_m:g} m is narrower than the {name} alley of "
                    f"{gap:g} m, which it replaces",
                    remedy=f"pass --block-alley of {gap:g} or more",
                )

    @property
    def row_gaps_m(self) -> npt.NDArray[np.float64]:
        """Gap above each row but the last (rows − 1,)."""
        return self._gaps(self.rows, self.row_alley_m, self.block_rows)

    @property
    def column_gaps_m(self) -> npt.NDArray[np.float64]:
        """Gap to the right of each column but the last (columns − 1,)."""
        return self._gaps(self.columns, self.column_alley_m, self.block_columns)

    def _gaps(self, count: int, alley_m: float, part: int | None) -> npt.NDArray[np.float64]:
        gaps = np.full(count - 1, alley_m)
        if part is not None and self.block_alley_m is not None:
            gaps[part - 1 :: part] = self.block_alley_m
        return gaps

    def sized(self, width_m: float, length_m: float) -> Trial:
        """The trial with the sizes that are not given taken from its outer width and length (m).

        Raises
        ------
        InputError
            The alleys leave no room for plots.
        """
        sizes = {"width": self.width_m, "length": self.length_m}
        outer = {"width": width_m, "length": length_m}
        gaps = {"width": self.column_gaps_m.sum(), "length": self.row_gaps_m.sum()}
        counts = {"width": self.columns, "length": self.rows}
        for name in ("width", "length"):
            room = outer[name] - gaps[name]
            if sizes[name] is None and room <= 0:
                raise InputError(
                    f"the alleys take {gaps[name]:.3f} m of the {outer[name]:.3f} m between the corners: "
                    f"no {name} is left for plots",
                    remedy="pass narrower alleys, or check the corners",
                )
            sizes[name] = sizes[name] or float(room / counts[name])
        return replace(self, width_m=sizes["width"], length_m=sizes["length"])

    @property
    def size_m(self) -> tuple[float, float]:
        """Plot width and length (m).

        Raises
        ------
        InputError
            One of them is not given.
        """
        if self.width_m is None or self.length_m is None:
            missing = "width" if self.width_m is None else "length"
            raise InputError(
                f"the plot {missing} is not given, and an A–B line does not tell it",
                remedy=f"pass --{missing} in metres, or the trial's four corners",
            )
        return self.width_m, self.length_m

    @property
    def extent_m(self) -> tuple[float, float]:
        """Outer width and length of the trial (m), from the first plot's outer edge to the last one's."""
        width, length = self.size_m
        return (
            self.columns * width + float(self.column_gaps_m.sum()),
            self.rows * length + float(self.row_gaps_m.sum()),
        )

    def corners(self) -> npt.NDArray[np.float64]:
        """Corners (rows, columns, 4, 2) of every plot: u, v (m), counter-clockwise from the lower left."""
        width, length = self.size_m
        left = np.concatenate([[0.0], np.cumsum(width + self.column_gaps_m)])
        bottom = np.concatenate([[0.0], np.cumsum(length + self.row_gaps_m)])
        b = self.buffer_m
        u = left[None, :, None] + np.array([b, width - b, width - b, b])
        v = bottom[:, None, None] + np.array([b, b, length - b, length - b])
        shape = (self.rows, self.columns, 4)
        return np.stack([np.broadcast_to(u, shape), np.broadcast_to(v, shape)], axis=-1)
