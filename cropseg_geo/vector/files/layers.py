"""What a vector layer is made of: its columns, each with a type and a description, and its style."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import geopandas as gpd
import pandas as pd

from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.files.styles import Style, canopy_style, class_colour, plots_style

PLOT_ID = "plot_id"


@dataclass(frozen=True)
class Column:
    """A column: name, type and what it says, with the unit.

    ``dtype`` is ``int32``, ``int64``, ``float64``, ``bool``, ``date`` (with a time of day), ``day`` (without)
    or ``object`` for text; ``title`` is the short form of the description that stands in the heads of tables.
    """

    name: str
    dtype: str
    description: str
    title: str = ""


@dataclass(frozen=True)
class Layer:
    """A layer of polygons; ``geometry_type`` is ``"Polygon"`` or ``"MultiPolygon"``."""

    name: str
    geometry_type: str
    description: str
    columns: tuple[Column, ...]
    style: Style | None = None

    @property
    def titles(self) -> dict[str, str]:
        return {c.name: c.title for c in self.columns if c.title}


_CANOPY_COLUMNS = (
    Column("class_id", "int32", "Class of the mask", "Class id"),
    Column("class_name", "object", "Name of the class", "Class"),
    Column("area_m2", "float64", "Area on the ground (m²), holes not counted", "Area (m²)"),
    Column(
        "perimeter_m", "float64", "Length of all outlines on the ground (m), holes included", "Perimeter (m)"
    ),
    Column("mean_prob", "float64", "Mean probability of the polygon's pixels (0–1)", "Probability"),
    Column("centroid_x", "float64", "Centre of mass: x or longitude (unit of the CRS)", "Centroid x"),
    Column("centroid_y", "float64", "Centre of mass: y or latitude (unit of the CRS)", "Centroid y"),
)
_HEIGHT_COLUMNS = (
    Column("height_mean_m", "float64", "Mean height above ground of the polygon's pixels (m)", "Height (m)"),
    Column(
        "height_p95_m",
        "float64",
        "95th percentile of the height of its pixels (m), to 1 mm",
        "Height p95 (m)",
    ),
    Column("volume_m3", "float64", "Height summed over the area whose height is known (m³)", "Volume (m³)"),
)


def canopy_layer(
    classes: Sequence[str], *, plot_dtype: str | None = None, with_heights: bool = False
) -> Layer:
    """The layer of canopy polygons.

    Parameters
    ----------
    classes
        Names by class id, background first.
    plot_dtype
        Type of ``plot_id``; None leaves the column out.
    with_heights
        Whether heights above ground are known.
    """
    columns: tuple[Column, ...] = _CANOPY_COLUMNS
    if plot_dtype is not None:
        text = "Plot that the polygon shares the largest area with; empty outside the plots"
        columns += (Column(PLOT_ID, plot_dtype, text, "Plot"),)
    if with_heights:
        columns += _HEIGHT_COLUMNS
    description = "Crop canopy: one polygon for each connected region of one class"
    layer = Layer("canopy", "Polygon", description, columns)
    return with_classes(layer, classes, range(1, len(classes)))


def with_classes(
    layer: Layer, classes: Sequence[str], ids: Sequence[int], colours: Sequence[str] | None = None
) -> Layer:
    """The canopy layer styled for the classes ``ids``; colours by class id."""
    shown = {k: (classes[k], colours[k] if colours else class_colour(k)) for k in ids}
    return replace(
        layer, style=canopy_style(layer.name, shown or {1: ("crop", class_colour(1))}, layer.titles)
    )


def canopy_columns(batch: CanopyBatch) -> dict[str, Any]:
    """The columns of a batch of polygons that need no other data."""
    return {c.name: getattr(batch, c.name) for c in _CANOPY_COLUMNS}


_PLOTS = "plots"
_PLOT_COLUMNS = {
    PLOT_ID: "Plot",
    "coverage": "Crop area ÷ valid area of the plot (0–1)",
    "canopy_area_m2": "Crop area in the plot (m²)",
    "plot_area_m2": "Area of the plot on the ground (m²)",
    "valid_fraction": "Part of the plot that the raster covers with valid pixels (0–1)",
    "mean_prob": "Mean probability of the plot's valid pixels (0–1)",
    "n_objects": "Canopy polygons that share area with the plot",
}


def plots_layer(
    frame: gpd.GeoDataFrame, *, descriptions: Mapping[str, str] | None = None, date: str | None = None
) -> Layer:
    """The layer that holds ``frame``: its columns, ours described, and the style of plots.

    ``date`` is the column that tells several dates of the same plots apart.
    """
    texts = {**_PLOT_COLUMNS, **(descriptions or {})}
    columns = tuple(
        Column(str(c), dtype_of(frame[c]), texts.get(str(c), _describe(str(c))))
        for c in frame.columns
        if c != frame.geometry.name
    )
    style = None
    if {PLOT_ID, "coverage"} <= set(frame.columns):
        with_flags = {"low_validity", "valid_fraction"} <= set(frame.columns)
        style = plots_style(_PLOTS, with_flags=with_flags, date=date)
    return Layer(_PLOTS, "MultiPolygon", "Plots with their canopy statistics", columns, style)


def dtype_of(values: pd.Series[Any]) -> str:
    """The type of a column of a user's own, as :class:`Column` names it."""
    for is_kind, dtype in (
        (pd.api.types.is_bool_dtype, "bool"),
        (pd.api.types.is_integer_dtype, "int64"),
        (pd.api.types.is_float_dtype, "float64"),
        (pd.api.types.is_datetime64_any_dtype, "date"),
    ):
        if is_kind(values.dtype):
            return dtype
    return "day" if pd.api.types.infer_dtype(values) == "date" else "object"


def _describe(column: str) -> str:
    if column.startswith("coverage_"):
        return f"Area of {column.removeprefix('coverage_')} ÷ valid area of the plot (0–1)"
    return ""
