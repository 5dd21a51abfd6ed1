"""What to measure of plots, and how."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from cropseg_geo.errors import InputError
from cropseg_geo.plots.columns import GROUPS

ALL = "all"
UNCERTAIN_MARGIN = 0.1
"""Half the width of the band around the threshold in which a pixel counts as uncertain."""


@dataclass(frozen=True)
class StatsOptions:
    """Options of the plot statistics.

    Parameters
    ----------
    groups
        Any of ``coverage`` (always measured), ``objects``, ``rows``, ``uniformity``.
    buffer_m
        Strip inside each plot's outline that is left out, against edge effects (m).
    min_valid
        ``valid_fraction`` below which a plot is flagged as ``low_validity``. At 0.9 the missing area can
        move the coverage of the whole plot by 0.1 at most.
    threshold
        Probability from which the mask calls a pixel crop; around it pixels are uncertain.
    row_angle_deg
        Direction of the rows, degrees clockwise from grid north. None: the plot's long axis; in plots whose
        sides differ by less than a tenth, the one along which rows show more clearly.
    row_spacing_m
        Distance between rows (m). None: found in each plot.
    cell_m
        Aim for the side of the sub-cells of ``uniformity_cv`` (m): the plot's enclosing rectangle is cut
        into equal cells near this size, at least two along and two across. One metre is wider than the
        rows of most crops, so that the cells differ by stand and not by row and inter-row.

    Raises
    ------
    InputError
        For values out of range.
    """

    groups: frozenset[str] = frozenset(GROUPS)
    buffer_m: float = 0.0
    min_valid: float = 0.9
    threshold: float = 0.5
    row_angle_deg: float | None = None
    row_spacing_m: float | None = None
    cell_m: float = 1.0

    def __post_init__(self) -> None:
        unknown = self.groups - set(GROUPS)
        if unknown:
            raise InputError(
                f"{', '.join(sorted(unknown))}: no group of plot statistics",
                remedy=f"choose from {', '.join(GROUPS)}, or {ALL}",
            )
        _require(self.buffer_m >= 0, "--buffer", self.buffer_m, "metres from 0")
        _require(0 <= self.min_valid <= 1, "--min-valid", self.min_valid, "a fraction from 0 to 1")
        _require(0 <= self.threshold <= 1, "the threshold", self.threshold, "a probability from 0 to 1")
        _require(self.row_angle_deg is None or math.isfinite(self.row_angle_deg), "--row-angle",
                 self.row_angle_deg, "degrees clockwise from north")  # fmt: skip
        _require(self.row_spacing_m is None or self.row_spacing_m > 0, "--row-spacing", self.row_spacing_m,
                 "metres above 0")  # fmt: skip
        _require(self.cell_m > 0, "--cell", self.cell_m, "metres above 0")


def parse_groups(names: str | Iterable[str]) -> frozenset[str]:
    """``"all"``, ``"coverage,rows"`` or names → groups, ``coverage`` among them."""
    listed = names.split(",") if isinstance(names, str) else names
    groups = {name.strip().casefold() for name in listed if name.strip()}
    return frozenset(GROUPS) if ALL in groups else frozenset(groups | {"coverage"})


def _require(is_good: bool, what: str, found: float | None, expected: str) -> None:
    # Written so that NaN, which compares false, is refused as well; what is not given is good.
    if found is not None and not (is_good and math.isfinite(found)):
        raise InputError(f"{what} is {found:g}; expected {expected}", remedy=f"give {expected}")
