"""Measure the same plots on the masks of several dates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import astuple, dataclass, replace
from datetime import date
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd

from cropseg_geo.errors import InputError
from cropseg_geo.events import Event, Listener, Warned, WarnedOfOutlines, told_of_outlines_once, warn
from cropseg_geo.layers import write_plot_table
from cropseg_geo.outputs.publishing import drafted, write_text
from cropseg_geo.outputs.refusals import refuse_inputs
from cropseg_geo.paths import several_paths
from cropseg_geo.pipeline.measurement import (
    Companions,
    PlotSettings,
    measure_survey,
    named_bands,
    outlines_for,
)
from cropseg_geo.plots.dates import GivenDate, survey_dates
from cropseg_geo.plots.growth import DATE, growth_svg, long_table
from cropseg_geo.plots.layout import PlotsElsewhereError
from cropseg_geo.plots.options import StatsOptions, parse_groups
from cropseg_geo.plots.summary import MOST_DATE, season_summary
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.vector.files.formats import FORMATS, TABLES, require_format
from cropseg_geo.vector.options import Outlines

Paths = Iterable[str | Path]


def plot_series(
    masks: Paths,
    plots: str | Path | gpd.GeoDataFrame,
    out: str | Path | None = None,
    *,
    dates: Iterable[GivenDate] | None = None,
    chart: str | Path | None = None,
    summary: str | Path | None = None,
    probs: Paths | None = None,
    rasters: Paths | None = None,
    bands: str | Mapping[str, int] | None = None,
    dsms: Paths | None = None,
    dtms: Paths | None = None,
    stats: str | Iterable[str] = "all",
    buffer_m: float = 0.0,
    min_valid: float = 0.9,
    row_angle_deg: float | None = None,
    row_spacing_m: float | None = None,
    cell_m: float = 1.0,
    outlines: Outlines | None = None,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> pd.DataFrame:
    """One long table of the same plots on several dates: a row for each date and plot, earliest first.

    Parameters
    ----------
    masks
        Class masks, one for each date, as paths in any iterable; their CRS and GSD may differ. Plots that one
        of them does not show have ``valid_fraction`` 0 on its date.
    plots
        Plot polygons, any CRS.
    out, chart
        A file for the table: ``.csv``, or with the plots' outlines what :func:`vectorize` writes, of which
        QGIS's temporal controller plays a ``.gpkg``; and an ``.svg`` file for the growth curves. None writes
        nothing.
    summary
        A file for the season's figures, a row for each plot, in the formats of ``out``: see
        :func:`cropseg_geo.plots.summary.season_summary`.
    dates
        In the order of the masks: ISO texts, or dates or times of Python, pandas or numpy, of which the day
        counts. None: from the files' names.
    probs, rasters, dsms, dtms
        What belongs to the masks, in their order; one terrain model may serve all dates. See
        :func:`measure_plots` for these and the other options.

    Returns
    -------
    ``date``, ``days`` since the first, the columns of :func:`measure_plots` without the geometry, and
    ``coverage_per_day``, the change of coverage since the previous date ÷ days.

    Raises
    ------
    CropsegError
        If a mask or the plots cannot be used, dates are missing, ambiguous or repeated, or a file cannot
        be written.
    """
    listener = listener or warn
    tables_as = TABLES | FORMATS
    for path, formats in ((out, tables_as), (chart, {".svg": "picture"}), (summary, tables_as)):
        if path is not None:
            require_format(path, formats)
    masks = several_paths(masks)
    if not masks:
        raise InputError("no mask is given", remedy="name at least one mask file")
    days = survey_dates(masks, dates)
    options = StatsOptions(
        parse_groups(stats),
        buffer_m=buffer_m,
        min_valid=min_valid,
        row_angle_deg=row_angle_deg,
        row_spacing_m=row_spacing_m,
        cell_m=cell_m,
    )
    settings = PlotSettings(options, named_bands(bands), plot_id, plots_crs, outlines)
    companions = _companions(len(masks), probs, rasters, dsms, dtms)
    results = [Path(p).absolute() for p in (out, chart, summary) if p]
    if len(set(results)) < len(results):
        raise InputError(f"{summary}: is named for two results", remedy="give --summary a name of its own")
    refuse_inputs(results, plots, *masks, *(file for beside in companions for file in astuple(beside)))
    with ExitStack() as stack:
        drafts = [
            stack.enter_context(drafted(Path(p), kind, overwrite=overwrite, listener=listener)) if p else None
            for kind, p in (("series", out), ("chart", chart), ("summary", summary))
        ]
        surveys = sorted(map(_Survey, masks, days, companions), key=lambda survey: survey.day)
        _compare_outlines(surveys, settings, listener)
        tables = _measured(surveys, plots, settings, listener)
        series = long_table(tables)
        if drafts[0] is not None:
            write_plot_table(drafts[0], _with_outlines(series, tables, DATE), date=DATE)
        if drafts[1] is not None:
            write_text(drafts[1], growth_svg(series))
        if drafts[2] is not None:
            write_plot_table(drafts[2], _with_outlines(season_summary(series), tables, MOST_DATE))
    return series


@dataclass(frozen=True)
class _Survey:
    """A mask, its date and the files that belong to it."""

    mask: str
    day: date
    beside: Companions


def _compare_outlines(surveys: Sequence[_Survey], settings: PlotSettings, listener: Listener) -> None:
    """Tell where masks were traced with different outlines, so that their objects are different things."""
    if "objects" not in settings.options.groups or settings.outlines is not None:
        return
    seen: dict[Outlines, _Survey] = {}
    for survey in surveys:
        with open_mask(survey.mask, survey.beside.prob) as source:
            seen.setdefault(outlines_for(source, settings), survey)
    if len(seen) > 1:
        one, other, *_ = (Path(survey.mask).name for survey in seen.values())
        listener(
            Warned(
                f"{one} and {other} were traced with different outlines: their objects do not compare; "
                "the options of outlines (--objects, --min-area …) count alike on all dates"
            )
        )


def _measured(
    surveys: Sequence[_Survey],
    plots: str | Path | gpd.GeoDataFrame,
    settings: PlotSettings,
    listener: Listener,
) -> dict[date, gpd.GeoDataFrame]:
    """Statistics by date. Masks that show no plot come last: where none shows one, nothing is measured."""
    tables: dict[date, gpd.GeoDataFrame] = {}
    missed: dict[_Survey, PlotsElsewhereError] = {}
    listener = told_of_outlines_once(listener)
    for survey in surveys:
        tell = _told_of(survey, listener)
        try:
            tables[survey.day] = measure_survey(survey.mask, plots, settings, survey.beside, tell)
        except PlotsElsewhereError as err:
            missed[survey] = err
    for survey, refusal in missed.items():
        if not tables:
            raise InputError(f"{survey.mask}: {refusal.message}", remedy=refusal.remedy) from refusal
        tell, anywhere = _told_of(survey, listener), replace(settings, may_miss=True)
        tables[survey.day] = measure_survey(survey.mask, plots, anywhere, survey.beside, tell)
    return tables


def _with_outlines(
    table: pd.DataFrame, tables: Mapping[date, gpd.GeoDataFrame], dates: str
) -> gpd.GeoDataFrame:
    """Rows of all plots with the outlines as they are on the first date's mask; ``dates`` become dates."""
    first = tables[min(tables)].geometry
    dated = table.assign(**{dates: pd.to_datetime(table[dates]).dt.date})
    outlines = gpd.GeoSeries(np.tile(first.to_numpy(), len(table) // len(first)), crs=first.crs)
    return gpd.GeoDataFrame(dated.assign(**{first.name: outlines}), geometry=first.name)


def _companions(
    n: int, probs: Paths | None, rasters: Paths | None, dsms: Paths | None, dtms: Paths | None
) -> list[Companions]:
    beside = [None if files is None else several_paths(files) for files in (probs, rasters, dsms, dtms)]
    if beside[3] is not None and len(beside[3]) == 1:
        beside[3] *= n
    for name, files in zip(("--prob", "--raster", "--dsm", "--dtm"), beside, strict=True):
        if files is not None and len(files) != n:
            raise InputError(
                f"{len(files)} files of {name} for {n} masks",
                remedy=f"give {name} once for each mask, in the masks' order",
            )
    columns = [files or [""] * n for files in beside]
    return [Companions(*(file or None for file in files)) for files in zip(*columns, strict=True)]


def _told_of(survey: _Survey, listener: Listener) -> Listener:
    """A listener whose warnings say which mask they are about, where it matters which."""

    def tell(event: Event) -> None:
        if isinstance(event, Warned) and not isinstance(event, WarnedOfOutlines):
            event = Warned(f"{survey.day.isoformat()}, {Path(survey.mask).name}: {event.message}")
        listener(event)

    return tell
