"""The whole season of each plot in a few figures: how much canopy for how long, when half, when most."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropseg_geo.plots.columns import SUMMARY_COLUMNS
from cropseg_geo.plots.growth import DATE, DAYS
from cropseg_geo.plots.tables import making_way

AREA, HALF, MOST, MOST_DATE = (spec.name for spec in SUMMARY_COLUMNS)

_HALF = 0.5

Floats = npt.NDArray[np.float64]


def season_summary(series: pd.DataFrame) -> pd.DataFrame:
    """One row for each plot of a series.

    Parameters
    ----------
    series
        As :func:`cropseg_geo.plots.growth.long_table` makes it: the same plots in one order on each date.

    Returns
    -------
    ``plot_id``, the user's own columns as on the first date (``<name>_input`` where a figure has their name),
    and the figures of :data:`cropseg_geo.plots.columns.SUMMARY_COLUMNS`; dates are ISO texts.
    """
    dates = series.drop_duplicates(DATE)
    days = dates[DAYS].to_numpy(np.float64)
    coverage = series["coverage"].to_numpy(np.float64).reshape(len(days), -1)  # (dates, plots)
    first = series.iloc[: coverage.shape[1]]
    own = first.loc[:, :"coverage"].drop(columns=[DATE, DAYS, "coverage"])
    own = making_way(own, (spec.name for spec in SUMMARY_COLUMNS))
    curves = [
        (days[known], cover[known]) for cover, known in zip(coverage.T, np.isfinite(coverage.T), strict=True)
    ]
    most_days = [float(at[np.argmax(cover)]) if len(at) else math.nan for at, cover in curves]
    day_of = dict(zip(days.tolist(), dates[DATE], strict=True))
    figures = pd.DataFrame(
        {
            AREA: [float(np.trapezoid(cover, at)) if len(at) > 1 else math.nan for at, cover in curves],
            HALF: [_first_reached(_HALF, at, cover) for at, cover in curves],
            MOST: [float(cover.max()) if len(at) else math.nan for at, cover in curves],
            MOST_DATE: pd.Series([day_of.get(day) for day in most_days], index=own.index, dtype="object"),
        },
        index=own.index,
    )
    return pd.concat([own, figures], axis=1)


def _first_reached(level: float, days: Floats, cover: Floats) -> float:
    """The day on which straight lines between the values reach a level; the first if that has it; or NaN."""
    above = np.flatnonzero(cover >= level)
    if not len(above):
        return math.nan
    i = int(above[0])
    if i == 0:
        return float(days[0])
    return float(np.interp(level, cover[i - 1 : i + 1], days[i - 1 : i + 1]))
