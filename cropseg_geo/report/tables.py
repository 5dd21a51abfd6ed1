"""Plot statistics and their growth over dates, brought to the report's order and pixels."""

from __future__ import annotations

from collections.abc import Mapping
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
from cropseg_geo.plots.ids import PLOT_ID
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.report.columns import ColumnFacts, describe_column
from cropseg_geo.vector_input import read_layer

DATE = "date"
_SIMPLIFY_PX = 0.25
"""Outlines may move this far in pixels of the overview: less than the line that draws them."""

_MOST_SERIES_VALUES = 400_000
"""Values of growth curves that a page holds (about 3 MB); of more, the last statistics are left out."""


@dataclass(frozen=True, eq=False)
class PlotTable:
    """Plots in the order of their file.

    ``frame`` has ``plot_id`` first and no geometry; ``outlines_px`` (n,) are shapely polygons in pixels of
    the overview with x = column and y = −row, or None for a table without outlines.
    """

    frame: pd.DataFrame
    columns: tuple[ColumnFacts, ...]
    outlines_px: npt.NDArray[Any] | None = None

    def __len__(self) -> int:
        return len(self.frame)

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


def read_plot_table(plots: str | Path | gpd.GeoDataFrame, overview: Ground, listener: Listener) -> PlotTable:
    """Plots with their statistics, from a layer (outlines and table) or a ``.csv`` (table only).

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
        return make_table(frame, None)
    layout = read_plots(plots, ground=overview, listener=listener)
    frame = pd.DataFrame(layout.frame.drop(columns=[layout.frame.geometry.name]))
    outlines = shapely.simplify(_onto_page(layout.geometry, overview), _SIMPLIFY_PX)
    return make_table(frame, np.asarray(outlines))


def _onto_page(geometry: npt.NDArray[Any], overview: Ground) -> npt.NDArray[Any]:
    """Geometries in the overview's CRS → its pixels, x = column and y = −row, which is up on a screen."""
    to_pixel = ~overview.transform

    def move(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = xy[:, 0], xy[:, 1]
        col = to_pixel.a * x + to_pixel.b * y + to_pixel.c
        row = to_pixel.d * x + to_pixel.e * y + to_pixel.f
        return np.column_stack([col, -row])

    return np.asarray(shapely.transform(geometry, move))


def make_table(frame: pd.DataFrame, outlines_px: npt.NDArray[Any] | None) -> PlotTable:
    """A table with its columns described, ``plot_id`` first; infinite numbers count as missing."""
    frame = frame.rename(columns=str).replace([np.inf, -np.inf], np.nan)
    frame = frame[[PLOT_ID, *(name for name in frame.columns if name != PLOT_ID)]]
    columns = tuple(describe_column(name, frame[name]) for name in frame.columns)
    return PlotTable(frame.reset_index(drop=True), columns, outlines_px)


def _read_csv(path: Path) -> pd.DataFrame:
    if not is_there(path):
        raise InputError(f"the table {path} does not exist", remedy="check its path")
    try:
        as_text = pd.read_csv(path, dtype=str)
        names = [name for name in as_text.columns if _are_names(name, as_text[name].dropna())]
        frame = pd.read_csv(path, dtype=dict.fromkeys(names, str))
    except (ValueError, OSError) as err:  # what pandas' parser errors derive from
        raise InputError(f"{path}: is no table that can be read ({err})") from err
    return _require_plots(path, frame)


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
        raise InputError(f"{path}: {frame[PLOT_ID].isna().sum()} rows have no {PLOT_ID}")
    return frame


def _are_names(column: str, values: pd.Series[str]) -> bool:
    """True where values that could be read as numbers would not be what they say: 0101, and ids as 1E2."""
    if column == PLOT_ID and not values.str.fullmatch(r"0|[1-9]\d{0,14}").all():
        return True
    return bool(values.str.fullmatch(r"0\d+").any())


def read_series(path: str | Path, table: PlotTable | None) -> tuple[Series, PlotTable]:
    """The long table of several dates, a ``.csv`` or a layer, in the order of ``table``'s plots.

    Without a table the latest date becomes it; plots without statistics take those of the latest date.

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
        raise InputError(f"{path}: {frame[DATE].isna().sum()} rows have no date")
    if frame.duplicated([PLOT_ID, DATE]).any():
        twice = frame[frame.duplicated([PLOT_ID, DATE])].iloc[0]
        raise InputError(f"{path}: plot {twice[PLOT_ID]!r} has more than one row of {twice[DATE]}")
    if table is None:
        latest = frame[frame[DATE] == frame[DATE].max()]
        table = make_table(latest.drop(columns=[DATE]), None)
    series = _by_plot(frame, table)
    return series, table if table.statistics else _with_latest(frame, table)


def _with_latest(frame: pd.DataFrame, table: PlotTable) -> PlotTable:
    """The plots with the columns that they lack, as they are on the latest date of the series."""
    latest = frame[frame[DATE] == frame[DATE].max()]
    keyed = latest.set_axis(pd.Index(latest[PLOT_ID].astype(str)), axis=0)
    lacking = [name for name in latest.columns if name != DATE and name not in table.frame.columns]
    more = keyed[lacking].reindex(table.frame[PLOT_ID].astype(str)).reset_index(drop=True)
    return make_table(pd.concat([table.frame, more], axis=1), table.outlines_px)


def _by_plot(frame: pd.DataFrame, table: PlotTable) -> Series:
    ids = table.frame[PLOT_ID].astype(str)
    known = frame[frame[PLOT_ID].astype(str).isin(set(ids))]
    if known.empty:
        raise InputError(
            f"no plot of the series ({frame[PLOT_ID].iloc[0]}, …) is among the plots ({ids.iloc[0]}, …)",
            remedy="give the series that was measured on these plots",
        )
    dates = tuple(sorted(known[DATE].unique()))
    facts = make_table(known.drop(columns=[DATE]), None).statistics
    most = max(1, _MOST_SERIES_VALUES // (len(ids) * len(dates)))
    keyed = known.assign(**{PLOT_ID: known[PLOT_ID].astype(str)})
    values = {}
    for column in facts[:most]:
        wide = keyed.pivot(index=PLOT_ID, columns=DATE, values=column.name)
        values[column.name] = wide.reindex(index=ids, columns=list(dates)).to_numpy(np.float64)
    return Series(dates, values)
