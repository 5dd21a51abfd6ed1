"""The columns of the plot statistics: names, units and meanings, in the order in which they are written.

One table for everything that describes them: the columns of GeoPackages, ``--help``, the report and
``docs/plot-statistics.md`` (:func:`columns_markdown` writes its table; a test keeps it in step).
"""

from __future__ import annotations

from dataclasses import dataclass

GROUPS = ("coverage", "objects", "rows", "uniformity")
"""What can be asked for; ``coverage`` is always measured. Colour and height follow from what is given."""


@dataclass(frozen=True)
class ColumnSpec:
    """A column: its name, its unit (empty for text and flags), what it says, and its group."""

    name: str
    unit: str
    description: str
    group: str

    @property
    def text(self) -> str:
        """Description with the unit."""
        return f"{self.description} ({self.unit})" if self.unit else self.description


_CANOPY = "mean over canopy pixels"

COLUMNS = (
    ColumnSpec("plot_id", "", "Plot", "coverage"),
    ColumnSpec("coverage", "0–1", "Canopy ÷ valid area of the plot; empty without a valid pixel", "coverage"),
    ColumnSpec("canopy_area_m2", "m²", "Canopy area in the plot", "coverage"),
    ColumnSpec("plot_area_m2", "m²", "Area that is measured: the plot within its buffer", "coverage"),
    ColumnSpec("valid_fraction", "0–1", "Part of that area with valid pixels", "coverage"),
    ColumnSpec("low_validity", "", "True where valid_fraction is below the limit (--min-valid)", "coverage"),
    ColumnSpec("mean_prob", "0–1", "Mean probability of the valid area", "coverage"),
    ColumnSpec(
        "uncertain_fraction", "0–1",
        "Share of the valid area whose probability is within 0.1 of the mask's threshold", "coverage",
    ),
    ColumnSpec("n_objects", "1", "Canopy polygons that share area with the plot", "objects"),
    ColumnSpec("mean_object_m2", "m²", "Mean area of these polygons, each cut to the plot", "objects"),
    ColumnSpec("max_object_m2", "m²", "Largest of these areas", "objects"),
    ColumnSpec("gap_fraction", "0–1", "Share of row length without canopy", "rows"),
    ColumnSpec("max_gap_m", "m", "Longest stretch of a row without canopy", "rows"),
    ColumnSpec("row_spacing_m", "m", "Distance of rows that the gaps were measured with", "rows"),
    ColumnSpec(
        "uniformity_cv", "1",
        "Coefficient of variation of coverage over sub-cells; 0 is even", "uniformity",
    ),
    ColumnSpec("exg", "−1–2", f"Excess green (2G−R−B)/(R+G+B), {_CANOPY}", "colour"),
    ColumnSpec("gli", "−1–1", f"Green leaf index (2G−R−B)/(2G+R+B), {_CANOPY}", "colour"),
    ColumnSpec("ngrdi", "−1–1", f"Green–red difference (G−R)/(G+R), {_CANOPY}", "colour"),
    ColumnSpec("ndvi", "−1–1", f"Vegetation index (NIR−R)/(NIR+R), {_CANOPY}", "colour"),
    ColumnSpec("ndre", "−1–1", f"Red-edge index (NIR−RE)/(NIR+RE), {_CANOPY}", "colour"),
    ColumnSpec("height_mean_m", "m", f"Canopy height above ground, {_CANOPY}", "height"),
    ColumnSpec("height_p95_m", "m", "95th percentile of canopy height", "height"),
    ColumnSpec("volume_m3", "m³", "Canopy height summed over canopy area", "height"),
)  # fmt: skip

SERIES_COLUMNS = (
    ColumnSpec("date", "ISO 8601", "Date of the survey", "series"),
    ColumnSpec("days", "d", "Days since the first date", "series"),
    ColumnSpec(
        "coverage_per_day", "1/d", "Change of coverage per day since the previous date of the plot", "series"
    ),
)

SUMMARY_COLUMNS = (
    ColumnSpec(
        "area_under_curve_d", "d", "Area under the coverage curve, straight between dates with a value",
        "summary",
    ),
    ColumnSpec(
        "days_to_half_coverage", "d",
        "Days from the first date until that curve reaches 0.5; empty if it does not", "summary",
    ),
    ColumnSpec("max_coverage", "0–1", "Largest coverage", "summary"),
    ColumnSpec("max_coverage_date", "ISO 8601", "First date that has it", "summary"),
)  # fmt: skip

STATISTICS = tuple(c.name for c in COLUMNS if c.name != "plot_id")

_ALL = (*COLUMNS, *SERIES_COLUMNS, *SUMMARY_COLUMNS)


def column_descriptions() -> dict[str, str]:
    """What each column says, with its unit."""
    return {c.name: c.text for c in _ALL}


def columns_markdown() -> str:
    """The columns as a Markdown table."""
    lines = ["| Column | Unit | Meaning | Group |", "|---|---|---|---|"]
    lines += [f"| `{c.name}` | {c.unit} | {c.description} | {c.group} |" for c in _ALL]
    return "\n".join(lines) + "\n"


def columns_help() -> str:
    """The columns in a line or two for ``--help``, by group."""
    groups = dict.fromkeys(c.group for c in COLUMNS)
    parts = [f"{g}: {', '.join(c.name for c in COLUMNS if c.group == g)}" for g in groups]
    return "; ".join(parts)
