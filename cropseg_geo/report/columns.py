"""What each column of the statistics is called in the report, in which unit and to how many digits."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from cropseg_geo.plots.columns import COLUMNS, SERIES_COLUMNS

TEXT, NUMBER, FLAG = "text", "number", "flag"


@dataclass(frozen=True)
class ColumnFacts:
    """One column as the page shows it: ``value × factor``, ``decimals`` digits, ``unit``.

    ``is_statistic`` says that plots can be coloured and ranked by it. ``about`` says what ours are;
    it is empty for the user's own columns.
    """

    name: str
    label: str
    kind: str = NUMBER
    unit: str = ""
    factor: float = 1.0
    decimals: int = 2
    about: str = ""
    is_statistic: bool = True


_SHOWN = {
    "coverage": ("Coverage", 100.0, 1),
    "canopy_area_m2": ("Canopy area", 1.0, 2),
    "plot_area_m2": ("Plot area", 1.0, 2),
    "valid_fraction": ("Valid area", 100.0, 1),
    "mean_prob": ("Mean probability", 100.0, 1),
    "uncertain_fraction": ("Uncertain area", 100.0, 1),
    "n_objects": ("Objects", 1.0, 0),
    "mean_object_m2": ("Mean object", 1.0, 3),
    "max_object_m2": ("Largest object", 1.0, 3),
    "gap_fraction": ("Gaps in rows", 100.0, 1),
    "max_gap_m": ("Largest gap", 1.0, 2),
    "row_spacing_m": ("Row spacing", 1.0, 2),
    "coverage_per_day": ("Growth of coverage", 100.0, 2),
    "uniformity_cv": ("Unevenness (CV)", 100.0, 1),
    "exg": ("ExG", 1.0, 3),
    "gli": ("GLI", 1.0, 3),
    "ngrdi": ("NGRDI", 1.0, 3),
    "ndvi": ("NDVI", 1.0, 3),
    "ndre": ("NDRE", 1.0, 3),
    "height_mean_m": ("Mean height", 1.0, 2),
    "height_p95_m": ("Height, 95th percentile", 1.0, 2),
    "volume_m3": ("Canopy volume", 1.0, 2),
}
"""Label, factor and decimals of what :mod:`cropseg_geo.plots.columns` describes; shares become percents."""

_SPECS = {spec.name: spec for spec in (*COLUMNS, *SERIES_COLUMNS)}
_PLACES = {"block", "row", "column", "col", "rep", "replicate", "range", "bed", "year", "days", "fid", "id"}
"""Whole numbers that say where or which a plot is: no quantity to colour by."""

_ROUNDING = 1e-6
"""Sums of parts of pixels may go so far beyond 1."""

_UNITS = {"m2": "m²", "m3": "m³", "m": "m", "cm": "cm", "mm": "mm", "ha": "ha", "kg": "kg", "pct": "%"}


def describe_column(name: str, values: pd.Series[Any], classes: Sequence[str] = ()) -> ColumnFacts:
    """A column's facts: the known ones by name, for others what name and type tell.

    Parameters
    ----------
    name
        Column of the table, for example ``canopy_area_m2``.
    values
        Its values. Shares go from 0 to 1: what is called like one of ours and goes beyond is the user's own.
    classes
        Names of the mask's classes, the background first.
    """
    if pd.api.types.is_bool_dtype(values):
        return ColumnFacts(name, _label(name), FLAG, decimals=0, is_statistic=False)
    if not pd.api.types.is_numeric_dtype(values):
        return ColumnFacts(name, _label(name), TEXT, decimals=0, is_statistic=False)
    spec = _SPECS.get(name)
    if spec is not None and name in _SHOWN and (spec.unit != "0–1" or _are_shares(values)):
        label, factor, decimals = _SHOWN[name]
        about = spec.description[:1].lower() + spec.description[1:]  # it is read in the middle of sentences
        return ColumnFacts(name, label, NUMBER, _shown_unit(spec.unit, factor), factor, decimals, about)
    # Of one class of plants there is no such column: it would be the coverage.
    if len(classes) > 2 and name in {f"coverage_{c}" for c in classes[1:]} and _are_shares(values):
        what = name.removeprefix("coverage_").replace("_", " ")
        return ColumnFacts(name, f"Coverage, {what}", NUMBER, "%", 100.0, 1, f"area of {what} ÷ valid area")
    if name.casefold() in _PLACES or name == "plot_id":
        return ColumnFacts(name, _label(name), NUMBER, decimals=_decimals(values), is_statistic=False)
    stem, unit = _split_unit(name)
    return ColumnFacts(name, _label(stem), NUMBER, unit, decimals=_decimals(values))


def _are_shares(values: pd.Series[Any]) -> bool:
    return bool(values.dropna().between(-_ROUNDING, 1 + _ROUNDING).all())


def _shown_unit(unit: str, factor: float) -> str:
    if factor == 100.0:
        return "%/d" if unit == "1/d" else "%"
    return unit if unit in _UNITS.values() else ""  # counts and indices have none


def _split_unit(name: str) -> tuple[str, str]:
    """``"yield_kg"`` → (``"yield"``, ``"kg"``): a known unit at the end of a name."""
    match = re.fullmatch(r"(.+)_([a-z]+\d?)", name)
    if match and match[2] in _UNITS:
        return match[1], _UNITS[match[2]]
    return name, ""


def _label(name: str) -> str:
    if name == "plot_id":
        return "Plot"
    text = name.replace("_", " ").strip()
    return text[:1].upper() + text[1:]


def _decimals(values: pd.Series[Any]) -> int:
    """Digits after the point that keep about three significant ones of the largest value."""
    numbers = values.dropna()
    if numbers.empty or (numbers == numbers.round()).all():
        return 0
    largest = float(numbers.abs().max())
    return 2 if not math.isfinite(largest) else max(0, min(4, 2 - math.floor(math.log10(largest or 1.0))))
