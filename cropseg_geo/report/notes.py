"""What a reader must know before trusting the figures: validity, confidence, resolution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import listed
from cropseg_geo.model.card import ModelCard
from cropseg_geo.plots.options import UNCERTAIN_MARGIN, StatsOptions
from cropseg_geo.raster.tags import Tag, is_ours
from cropseg_geo.report.figures import Figures
from cropseg_geo.report.tables import PlotTable, Series

HIGH_UNCERTAIN_FRACTION = 0.2
"""Share of uncertain pixels from which a plot or field is flagged."""

WARNING, INFO = "warning", "info"


@dataclass(frozen=True)
class Note:
    """One remark on quality; ``level`` is ``"warning"`` or ``"info"``."""

    level: str
    title: str
    text: str


def quality_notes(
    figures: Figures,
    tags: Mapping[str, str],
    card: ModelCard | None,
    table: PlotTable | None,
    *,
    gsd_m: float,
    origins: Sequence[Note] = (),
) -> tuple[Note, ...]:
    """The remarks, warnings first.

    Parameters
    ----------
    figures, tags
        The mask's counts and its provenance.
    card
        The model that made the mask, None where this installation does not have it.
    gsd_m
        GSD of the orthomosaic, or of the mask without one.
    origins
        What :func:`origin_notes` found.
    """
    notes = [*origins, *_resolution(tags, card, gsd_m), *_validity(figures), *_confidence(figures)]
    if table is not None:
        notes += _plots(table)
    if not any(map(is_ours, tags)):
        notes.append(
            Note(
                INFO,
                "Origin unknown",
                "The mask carries no provenance: model, threshold and version are not known.",
            )
        )
    return tuple(sorted(notes, key=lambda note: note.level != WARNING))


def origin_notes(
    tags: Mapping[str, str],
    stated: Mapping[str, str],
    day: str | None,
    series: Series | None,
    table: PlotTable | None,
) -> list[Note]:
    """Where mask, plots and series do not belong together, as far as they say what they are of.

    Parameters
    ----------
    tags, stated
        Provenance of the mask, and of the file of measured plots.
    day
        Day of the mask (ISO), if that is known.
    """
    notes = []
    if any(tag in tags and tag in stated and tags[tag] != stated[tag] for tag in (Tag.RUN, Tag.SOURCE)):
        which = next(stated[tag] for tag in (Tag.MASK, Tag.SOURCE, Tag.RUN) if tag in stated)
        text = f"The plots were measured on another mask, of another run or image ({which})."
        notes.append(Note(WARNING, "Plots of another mask", text))
    if day is not None and series is not None and day not in series.dates:
        text = f"The mask is of {day}, which is none of the dates of the series ({listed(series.dates)})."
        if table is not None and table.date is not None:
            text += f" The plots show their statistics of {table.date}."
        notes.append(Note(WARNING, "Mask of another date", text))
    return notes


def plot_flags(table: PlotTable) -> list[list[str]]:
    """What is flagged for each plot, in words; empty lists for plots in order."""
    flags: list[list[str]] = [[] for _ in range(len(table))]
    for flagged, text in (
        (_low_validity(table), "low valid area"),
        (_uncertain(table), "low confidence"),
        (_unmeasured(table), "no valid pixel"),
    ):
        for place in np.flatnonzero(flagged):
            flags[place].append(text)
    return flags


def _low_validity(table: PlotTable) -> npt.NDArray[np.bool_]:
    """Plots that are valid in part, but in too small a part; those without any valid pixel are unmeasured."""
    frame = table.frame
    if "low_validity" in frame:
        flagged = frame["low_validity"].map(lambda v: str(v).casefold() in ("true", "1", "1.0"))
        low = np.asarray(flagged, bool)
    else:
        low = _column(table, "valid_fraction") < StatsOptions.min_valid
    return low & ~_unmeasured(table)


def _uncertain(table: PlotTable) -> npt.NDArray[np.bool_]:
    return _column(table, "uncertain_fraction") > HIGH_UNCERTAIN_FRACTION


def _unmeasured(table: PlotTable) -> npt.NDArray[np.bool_]:
    if not table.is_measured:
        return np.zeros(len(table), bool)
    return np.isnan(_column(table, "coverage"))


def _column(table: PlotTable, name: str) -> npt.NDArray[np.float64]:
    """A column's numbers; NaN, which is neither below nor above any limit, without the column."""
    if not any(c.name == name and c.is_statistic for c in table.columns):
        return np.full(len(table), np.nan)
    return table.frame[name].to_numpy(np.float64, na_value=np.nan)


def _resolution(tags: Mapping[str, str], card: ModelCard | None, gsd_m: float) -> list[Note]:
    if card is None:
        return []
    finest, coarsest = card.gsd_range_m
    span = f"{100 * finest:g}–{100 * coarsest:g} cm/px"
    found = f"The orthomosaic has {100 * gsd_m:.3g} cm/px; the model {card.name} was trained for {span}."
    if gsd_m > coarsest * 1.001:
        return [Note(WARNING, "Too coarse for the model", f"{found} Small plants may be missed.")]
    if gsd_m < finest * 0.999:
        working = tags.get(Tag.WORKING_GSD_M)
        how = f" It worked at {100 * float(working):.3g} cm/px." if working else ""
        return [Note(INFO, "Finer than the model's range", f"{found}{how}")]
    return [Note(INFO, "Resolution", found)]


def _validity(figures: Figures) -> list[Note]:
    if not figures.valid_area_m2:
        return [Note(WARNING, "No valid pixel", "The mask is nodata everywhere; there is nothing to report.")]
    if figures.valid_fraction < 0.5:
        share = f"{100 * figures.valid_fraction:.0f} %"
        text = f"Only {share} of the raster's area is valid; cover is the share of that part."
        return [Note(INFO, "Much of the raster is empty", text)]
    return []


def _confidence(figures: Figures) -> list[Note]:
    share = figures.uncertain_fraction
    if share is None:
        return []
    near = f"within {UNCERTAIN_MARGIN:g} of the threshold"
    text = f"{100 * share:.1f} % of the valid area has a probability {near}"
    if share > HIGH_UNCERTAIN_FRACTION:
        return [Note(WARNING, "Low confidence", f"{text}. Check the mask against the image before using it.")]
    return [Note(INFO, "Confidence", f"{text}.")]


def _plots(table: PlotTable) -> list[Note]:
    notes = []
    ids = table.frame["plot_id"].astype(str).to_numpy()
    for flagged, title, text in (
        (_unmeasured(table), "Plots without data", "have no valid pixel and no coverage"),
        (_low_validity(table), "Low validity", "are only partly covered by valid pixels"),
        (_uncertain(table), "Uncertain plots", "have many pixels near the threshold"),
    ):
        n = int(flagged.sum())
        if n:
            named = ", ".join(ids[flagged][:5]) + (f" and {n - 5:,} more" if n > 5 else "")
            notes.append(Note(WARNING, title, f"{n:,} of {len(table):,} plots {text}: {named}."))
    valid = _column(table, "valid_fraction")
    if not notes and np.isfinite(valid).any():
        least = math.floor(1000 * float(np.nanmin(valid)) + 1e-6) / 10
        text = (
            "has valid pixels all over" if least >= 100 else f"is valid on at least {least:g} % of its area"
        )
        notes.append(Note(INFO, "Validity", f"Every plot {text}."))
    return notes
