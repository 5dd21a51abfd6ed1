"""Plot statistics and their growth over dates, brought to the report's order and pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener
from cropseg_geo.ground import Ground
from cropseg_geo.paths import is_there
from cropseg_geo.plots.columns import STATISTICS
from cropseg_geo.plots.growth import DATE
from cropseg_geo.plots.ids import PLOT_ID
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring.frame import to_pixels
from cropseg_geo.plots.tables import making_way
from cropseg_geo.report.columns import ColumnFacts, describe_column
from cropseg_geo.vector_input import read_layer

_SIMPLIFY_PX = 0.25
"""Outlines may move this far in pixels of the overview: less than the line that draws them."""

_MOST_SERIES_VALUES = 400_000
"""Values of growth curves that a page holds (about 3 MB); of more, the last statistics are left out."""


_FILL = "fill them in, or remove these rows"


@dataclass(frozen=True, eq=False)
class PlotTable:
    """Plots in the order of their file.

    ``frame`` has ``plot_id`` first and no geometry; ``outlines_px`` (n,) are shapely polygons in pixels of
    the overview with x = column and y = −row, or None for a table without outlines. ``date`` is that of the
    statistics (ISO) where they are a series', else None.
    """

    frame: pd.DataFrame
    columns: tuple[ColumnFacts, ...]
    outlines_px: npt.NDArray[Any] | None = None
    date: str | None = None

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def is_measured(self) -> bool:
        """True with coverage, which every table of ours has; a user's own column of that name is another."""
        return any(c.name == "coverage" and c.about for c in self.columns)

    @property
    def statistics(self) -> tuple[ColumnFacts, ...]:
        """Columns to colour by, coverage first; those without a value are left out."""
        usable = [c for c in self.columns if c.is_statistic and self.frame[c.name].notna().any()]
        return tuple(sorted(usable, key=lambda c: (c.name != "coverage", not c.about)))


@dataclass(frozen=True, eq=False)
class Series:
    """Statistics by date: ``values[name]`` is (plots, dates) float64, NaN where a plot has none."""

    dates: tuple[str, ...]
    values: Mapping[str, npt.NDArray[np.float64]]


def read_plot_table(
    plots: str | Path | gpd.GeoDataFrame, overview: Ground, classes: Sequence[str], listener: Listener
) -> PlotTable:
    """Plots with their statistics, from a layer (outlines and table) or a ``.csv`` (table only).

    ``classes`` are the names of the mask's, the background first.

    Raises
    ------
    InputError
        If it cannot be read, holds no plot, or ids are missing or repeated.
    """
    if not isinstance(plots, gpd.GeoDataFrame) and Path(plots).suffix.lower() == ".csv":
        frame = _read_csv(Path(plots))
        if frame[PLOT_ID].duplicated().any():
            raise InputError(
                f"{plots}: names more than one row {frame[PLOT_ID][frame[PLOT_ID].duplicated()].iloc[0]!r}",
                remedy="give one row for each plot, or pass a table of several dates as --series",
            )
        return make_table(frame, classes)
    layout = read_plots(plots, ground=overview, listener=listener)
    frame = pd.DataFrame(layout.frame.drop(columns=[layout.frame.geometry.name]))
    outlines = shapely.simplify(to_pixels(layout.geometry, overview), _SIMPLIFY_PX)
    return make_table(frame, classes, np.asarray(outlines))


def make_table(
    frame: pd.DataFrame,
    classes: Sequence[str],
    outlines_px: npt.NDArray[Any] | None = None,
    date: str | None = None,
) -> PlotTable:
    """A table with its columns described, ``plot_id`` first; infinite numbers count as missing."""
    frame = frame.rename(columns=str).replace([np.inf, -np.inf], np.nan)
    frame = frame[[PLOT_ID, *(name for name in frame.columns if name != PLOT_ID)]]
    columns = tuple(describe_column(name, frame[name], classes) for name in frame.columns)
    return PlotTable(frame.reset_index(drop=True), columns, outlines_px, date)


def _read_csv(path: Path) -> pd.DataFrame:
    """A table as it is written: NA and None are missing among numbers, and words elsewhere."""
    if not is_there(path):
        raise InputError(f"the table {path} does not exist", remedy="check its path")
    try:
        as_text = pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""])
        frame = pd.read_csv(path, low_memory=False)  # by parts, a column would be of several types
    except (ValueError, OSError) as err:  # what pandas' parser errors derive from
        raise InputError(
            f"{path}: is no table that can be read ({err})",
            remedy="check that you may read it, and save it again as CSV with commas, in UTF-8",
        ) from err
    words = [
        name
        for name in frame.columns
        if not pd.api.types.is_numeric_dtype(frame[name]) or _are_names(name, as_text[name].dropna())
    ]
    return _require_plots(path, frame.assign(**{name: as_text[name].array for name in words}))


def _read_rows(path: str | Path) -> pd.DataFrame:
    """The rows of a layer without their outlines."""
    layer = read_layer(path)
    geometry = [layer.geometry.name] if isinstance(layer, gpd.GeoDataFrame) else []
    return _require_plots(path, pd.DataFrame(layer.drop(columns=geometry)))


def _require_plots(path: str | Path, frame: pd.DataFrame) -> pd.DataFrame:
    """The table, if every row names its plot."""
    if PLOT_ID not in frame.columns or not len(frame):
        raise InputError(
            f"{path}: has {len(frame)} rows and the columns {', '.join(map(str, frame.columns[:8]))}; "
            f"a table of plots has the column {PLOT_ID}",
            remedy="give the table that cropseg plots stats or cropseg plots series wrote",
        )
    if frame[PLOT_ID].isna().any():
        raise InputError(f"{path}: {frame[PLOT_ID].isna().sum()} rows have no {PLOT_ID}", remedy=_FILL)
    return frame


def _are_names(column: str, values: pd.Series[str]) -> bool:
    """True where values that could be read as numbers would not be what they say: 0101, and ids as 1E2."""
    if column == PLOT_ID and not values.str.fullmatch(r"0|[1-9]\d{0,14}").all():
        return True
    return bool(values.str.fullmatch(r"0\d+").any())


def read_series(
    path: str | Path, table: PlotTable | None, classes: Sequence[str], day: str | None
) -> tuple[Series, PlotTable]:
    """The long table of several dates, a ``.csv`` or a layer, in the order of ``table``'s plots.

    Without a table the rows of ``day`` (ISO), the mask's, become it, and plots that are not measured take
    their statistics from them; where it has none of that day, from those of the latest date.

    Raises
    ------
    InputError
        If there is no date column, a date is none, or a plot has two rows of one date.
    """
    is_csv = Path(path).suffix.lower() == ".csv"
    frame = _read_csv(Path(path)) if is_csv else _read_rows(path)
    if DATE not in frame.columns:
        raise InputError(
            f"{path}: has no column {DATE!r}", remedy="give the table that cropseg plots series wrote"
        )
    try:
        frame[DATE] = pd.to_datetime(frame[DATE], format="ISO8601").dt.strftime("%Y-%m-%d")
    except ValueError as err:
        raise InputError(
            f"{path}: its dates are not all ISO dates ({err})", remedy="write them as 2026-05-31"
        ) from err
    if frame[DATE].isna().any():
        raise InputError(f"{path}: {frame[DATE].isna().sum()} rows have no date", remedy=_FILL)
    if frame.duplicated([PLOT_ID, DATE]).any():
        twice = frame[frame.duplicated([PLOT_ID, DATE])].iloc[0]
        raise InputError(
            f"{path}: plot {twice[PLOT_ID]!r} has more than one row of {twice[DATE]}",
            remedy="leave one row for each plot and date",
        )
    shown = day if day is not None and (frame[DATE] == day).any() else frame[DATE].max()
    of_day = make_table(frame[frame[DATE] == shown].drop(columns=[DATE]), classes, date=shown)
    table = of_day if table is None else table
    series = _by_plot(frame, table, classes)
    return series, table if table is of_day or table.is_measured else _completed(table, of_day, classes)


def _completed(table: PlotTable, of_day: PlotTable, classes: Sequence[str]) -> PlotTable:
    """The plots with a day's columns that they lack; own ones make way for statistics, as in measuring."""
    ours = {*STATISTICS, *(c.name for c in of_day.columns if c.about)}
    own = making_way(table.frame, ours)
    lacking = [name for name in of_day.frame.columns if name not in own.columns]
    keyed = of_day.frame.set_axis(pd.Index(of_day.frame[PLOT_ID].astype(str)), axis=0)
    more = keyed[lacking].reindex(own[PLOT_ID].astype(str)).reset_index(drop=True)
    return make_table(pd.concat([own, more], axis=1), classes, table.outlines_px, of_day.date)


def _by_plot(frame: pd.DataFrame, table: PlotTable, classes: Sequence[str]) -> Series:
    """The statistics by date, and of the other columns those that change over the dates."""
    ids = table.frame[PLOT_ID].astype(str)
    known = frame[frame[PLOT_ID].astype(str).isin(set(ids))]
    if known.empty:
        raise InputError(
            f"no plot of the series ({frame[PLOT_ID].iloc[0]}, …) is among the plots ({ids.iloc[0]}, …)",
            remedy="give the series that was measured on these plots",
        )
    dates = tuple(sorted(known[DATE].unique()))
    keyed = known.assign(**{PLOT_ID: known[PLOT_ID].astype(str)})
    facts = make_table(known, classes).statistics
    own = [c.name for c in facts if not c.about]
    changing = keyed.groupby(PLOT_ID)[own].nunique().gt(1).any()
    facts = tuple(c for c in facts if c.about or changing[c.name])
    most = max(1, _MOST_SERIES_VALUES // (len(ids) * len(dates)))
    values = {}
    for column in facts[:most]:
        wide = keyed.pivot(index=PLOT_ID, columns=DATE, values=column.name)
        values[column.name] = wide.reindex(index=ids, columns=list(dates)).to_numpy(np.float64)
    return Series(dates, values)
