"""What each column of the statistics is called in the report, in which unit and to how many digits."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

import pandas as pd

TEXT, NUMBER, FLAG = "text", "number", "flag"


@dataclass(frozen=True)
class ColumnFacts:
    """One column as the page shows it: ``value × factor``, ``decimals`` digits, ``unit``.

    ``is_statistic`` says that plots can be coloured and ranked by it.
    """

    name: str
    label: str
    kind: str = NUMBER
    unit: str = ""
    factor: float = 1.0
    decimals: int = 2
    about: str = ""
    is_statistic: bool = True


_PERCENT = ("%", 100.0, 1)
_M2 = ("m²", 1.0, 2)
_M = ("m", 1.0, 2)
_INDEX = ("", 1.0, 3)
_COUNT = ("", 1.0, 0)

_KNOWN: dict[str, tuple[str, tuple[str, float, int], str]] = {
    "coverage": ("Coverage", _PERCENT, "canopy area ÷ valid area of the plot"),
    "canopy_area_m2": ("Canopy area", _M2, "canopy on the ground"),
    "plot_area_m2": ("Plot area", _M2, "the plot on the ground"),
    "valid_fraction": ("Valid area", _PERCENT, "part of the plot with valid pixels"),
    "mean_prob": ("Mean probability", _PERCENT, "mean probability of crop over the valid area"),
    "uncertain_fraction": ("Uncertain area", _PERCENT, "part of the valid area near the threshold"),
    "n_objects": ("Objects", _COUNT, "canopy polygons that share area with the plot"),
    "mean_object_m2": ("Mean object", ("m²", 1.0, 3), "mean area of the canopy polygons"),
    "max_object_m2": ("Largest object", ("m²", 1.0, 3), "area of the largest canopy polygon"),
    "gap_fraction": ("Gaps in rows", _PERCENT, "share of the row length without canopy"),
    "max_gap_m": ("Largest gap", _M, "longest piece of row without canopy"),
    "row_spacing_m": ("Row spacing", _M, "distance of rows that the gaps were measured with"),
    "coverage_per_day": ("Growth of coverage", ("%/d", 100.0, 2), "change since the date before, in points"),
    "uniformity_cv": ("Unevenness (CV)", _PERCENT, "spread of coverage over sub-cells; 0 is even"),
    "exg": ("ExG", _INDEX, "excess green over canopy pixels"),
    "gli": ("GLI", _INDEX, "green leaf index over canopy pixels"),
    "ngrdi": ("NGRDI", _INDEX, "normalised green–red difference over canopy pixels"),
    "ndvi": ("NDVI", _INDEX, "normalised difference vegetation index over canopy pixels"),
    "ndre": ("NDRE", _INDEX, "normalised difference red edge over canopy pixels"),
    "height_mean_m": ("Mean height", _M, "mean canopy height"),
    "height_p95_m": ("Height, 95th percentile", _M, "height that 95 % of the canopy stays below"),
    "volume_m3": ("Canopy volume", ("m³", 1.0, 2), "canopy height summed over its area"),
}  # fmt: skip
_PLACES = {"block", "row", "column", "col", "rep", "replicate", "range", "bed", "year", "days", "fid", "id"}
"""Whole numbers that say where or which a plot is: no quantity to colour by."""

_UNITS = {"m2": "m²", "m3": "m³", "m": "m", "cm": "cm", "mm": "mm", "ha": "ha", "kg": "kg", "pct": "%"}


def describe_column(name: str, values: pd.Series[Any]) -> ColumnFacts:
    """A column's facts: the known ones by name, for others what name and type tell.

    Parameters
    ----------
    name
        Column of the table, for example ``canopy_area_m2``.
    values
        Its values.
    """
    if pd.api.types.is_bool_dtype(values):
        return ColumnFacts(name, _label(name), FLAG, decimals=0, is_statistic=False)
    if not pd.api.types.is_numeric_dtype(values):
        return ColumnFacts(name, _label(name), TEXT, decimals=0, is_statistic=False)
    if name in _KNOWN:
        label, (unit, factor, decimals), about = _KNOWN[name]
        return ColumnFacts(name, label, NUMBER, unit, factor, decimals, about)
    if name.startswith("coverage_"):
        what = name.removeprefix("coverage_").replace("_", " ")
        return ColumnFacts(name, f"Coverage, {what}", NUMBER, "%", 100.0, 1, f"area of {what} ÷ valid area")
    if name.casefold() in _PLACES or name == "plot_id":
        return ColumnFacts(name, _label(name), NUMBER, decimals=_decimals(values), is_statistic=False)
    stem, unit = _split_unit(name)
    return ColumnFacts(name, _label(stem), NUMBER, unit, decimals=_decimals(values))


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
