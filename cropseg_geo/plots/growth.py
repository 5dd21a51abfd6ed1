"""Several dates of the same plots: one long table, growth rates, and the curves as an SVG picture."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from html import escape
from itertools import pairwise

import geopandas as gpd
import numpy as np
import pandas as pd

from cropseg_geo.plots.ids import PLOT_ID
from cropseg_geo.plots.tables import making_way

DATE, DAYS, RATE = "date", "days", "coverage_per_day"

MOST_PANELS = 400
"""Plots that are drawn; a picture of more helps nobody and weighs megabytes."""

MOST_LETTERS = 20
"""Letters of an id over its panel: longer ones would run into the next."""


def long_table(tables: Mapping[date, gpd.GeoDataFrame]) -> pd.DataFrame:
    """One row for each date and plot, earliest date first.

    Parameters
    ----------
    tables
        Plot statistics of each date; the same plots in the same order.

    Returns
    -------
    ``date`` (ISO), ``days`` since the first date, the columns of the tables without their geometry, and
    ``coverage_per_day``: change of coverage since the previous date that has a coverage of the plot ÷ the
    days between; empty on its first.
    """
    days = sorted(tables)
    parts = []
    for day in days:
        table = pd.DataFrame(tables[day].drop(columns=[tables[day].geometry.name]))
        table = making_way(table, (DATE, DAYS, RATE))
        table.insert(0, DATE, day.isoformat())
        table.insert(1, DAYS, (day - days[0]).days)
        parts.append(table)
    coverage = np.array([part["coverage"].to_numpy(dtype=np.float64) for part in parts])  # (dates, plots)
    rates = _rates(np.array([(day - days[0]).days for day in days], np.float64), coverage)
    for part, rate in zip(parts, rates, strict=True):
        part.insert(int(part.columns.get_loc("coverage")) + 1, RATE, rate)  # type: ignore[arg-type]
    return pd.concat(parts, ignore_index=True)


def _rates(days: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """Change per day (dates, plots) since the last date with a coverage."""
    rates = np.full(coverage.shape, np.nan)
    last_day = np.full(coverage.shape[1], np.nan)
    last = np.full(coverage.shape[1], np.nan)
    for i, day in enumerate(days):
        rates[i] = (coverage[i] - last) / (day - last_day)
        is_known = np.isfinite(coverage[i])
        last[is_known], last_day[is_known] = coverage[i][is_known], day
    return rates


_PANEL, _GAP, _TOP, _LEFT, _BOTTOM = (120, 84), (14, 30), 58, 46, 40
_CURVE, _MEDIAN, _INK, _RULE = "#1b7837", "#b0b0b0", "#333", "#dddddd"


def growth_svg(table: pd.DataFrame) -> str:
    """Coverage over the dates, a panel for each plot, all on the same axes: a picture as SVG text.

    The grey curve in every panel is the median of all plots. Dates without coverage leave a gap.
    """
    days = table.drop_duplicates(DATE)[[DATE, DAYS]]
    by_plot = table.groupby(PLOT_ID, sort=False)
    ids = list(dict.fromkeys(table[PLOT_ID]))[:MOST_PANELS]
    median = list(zip(days[DAYS], table.groupby(DAYS)["coverage"].median(), strict=True))
    across = max(1, min(10, math.ceil(math.sqrt(len(ids) * 1.6))))
    down = math.ceil(len(ids) / across)
    width = max(_LEFT + across * (_PANEL[0] + _GAP[0]) + 10, 380)
    height = _TOP + down * (_PANEL[1] + _GAP[1]) + _BOTTOM
    span = float(days[DAYS].max()) or 1.0
    n_plots = table[PLOT_ID].nunique()
    count = f"{len(ids)} of {n_plots} plots" if n_plots > len(ids) else f"{n_plots} plots"
    first, last = days[DATE].iloc[0], days[DATE].iloc[-1]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
        f'height="{height}" role="img" font-family="sans-serif" font-size="11" fill="{_INK}">',
        f"<title>Canopy cover of {count}, {first} to {last}</title>",
        f'<rect width="{width}" height="{height}" fill="white"/>',
        f'<text x="10" y="20" font-size="15">Canopy cover, {first} – {last}</text>',
        f'<text x="10" y="38">{count}; grey: median of all plots</text>',
    ]
    for k, plot in enumerate(ids):
        row, col = divmod(k, across)
        x, y = _LEFT + col * (_PANEL[0] + _GAP[0]), _TOP + row * (_PANEL[1] + _GAP[1])
        rows = by_plot.get_group(plot)
        curve = list(zip(rows[DAYS], rows["coverage"], strict=True))
        labels = (col == 0, k + across >= len(ids))
        parts += _panel(str(plot), (x, y), span, curve, median, labels, (str(first), str(last)))
    return "\n".join([*parts, "</svg>"]) + "\n"


Curve = Sequence[tuple[float, float]]


def _panel(
    plot: str,
    place: tuple[int, int],
    span: float,
    curve: Curve,
    median: Curve,
    labels: tuple[bool, bool],
    ends: tuple[str, str],
) -> Iterator[str]:
    """One plot's panel; ``labels`` says whether it carries those of the vertical and horizontal axis."""
    (x, y), (wide, high) = place, _PANEL
    yield f'<g transform="translate({x},{y})"><title>{escape(_summary(plot, curve))}</title>'
    for part in (0.0, 0.5, 1.0):
        level = (1 - part) * high
        yield f'<path d="M0 {level:g}H{wide}" stroke="{_RULE}"/>'
        if labels[0]:
            yield f'<text x="-5" y="{level + 4:g}" text-anchor="end" font-size="10">{part:.0%}</text>'
    if labels[1]:
        for x_end, text, anchor in ((0, ends[0], "start"), (wide, ends[1], "end")):
            short = text[5:] if ends[0][:4] == ends[1][:4] else text[2:]
            yield f'<text x="{x_end}" y="{high + 14}" text-anchor="{anchor}" font-size="10">{short}</text>'
    yield f'<text x="0" y="-5">{escape(_fitting(plot))}</text>'
    for points, colour, pen in ((median, _MEDIAN, 1), (curve, _CURVE, 2)):
        for run in _runs(points):
            places = [(day / span * wide, (1 - cover) * high) for day, cover in run]
            path = "L".join(f"{px:.1f} {py:.1f}" for px, py in places)
            if len(places) > 1:
                yield f'<path d="M{path}" fill="none" stroke="{colour}" stroke-width="{pen}"/>'
            if points is curve:
                yield from (
                    f'<circle cx="{px:.1f}" cy="{py:.1f}" r="2.5" fill="{colour}"/>' for px, py in places
                )
    yield "</g>"


def _fitting(plot: str) -> str:
    """An id that fits over its panel; plots of one trial differ at the end rather than in the middle."""
    if len(plot) <= MOST_LETTERS:
        return plot
    kept = MOST_LETTERS - 1
    return f"{plot[: kept // 2]}…{plot[-(kept - kept // 2) :]}"


def _summary(plot: str, curve: Curve) -> str:
    known = [cover for _, cover in curve if math.isfinite(cover)]
    return f"{plot}: {known[0]:.0%} to {known[-1]:.0%}" if known else f"{plot}: no valid pixels"


def _runs(points: Curve) -> Iterator[Curve]:
    """Stretches of neighbouring dates that have a value."""
    breaks = [-1, *(i for i, (_, value) in enumerate(points) if not math.isfinite(value)), len(points)]
    return (points[i + 1 : j] for i, j in pairwise(breaks) if j > i + 1)
