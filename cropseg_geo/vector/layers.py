"""What a GeoPackage layer is made of: its columns, each with a type and a description, and its style."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import geopandas as gpd
import numpy as np
import pandas as pd

from cropseg_geo.vector.styles import canopy_qml, plots_qml


@dataclass(frozen=True)
class Column:
    """A column: name, numpy type (``object`` for text) and what it says, with the unit."""

    name: str
    dtype: str
    description: str


@dataclass(frozen=True)
class Layer:
    """A layer of polygons.

    ``geometry_type`` is ``"Polygon"`` or ``"MultiPolygon"``; ``qml`` is the default QGIS style or empty.
    """

    name: str
    geometry_type: str
    description: str
    columns: tuple[Column, ...]
    qml: str = ""

    def empty_frame(self, crs: str) -> gpd.GeoDataFrame:
        """No row, every column."""
        columns = {c.name: pd.Series(np.empty(0, c.dtype)) for c in self.columns}
        return gpd.GeoDataFrame(columns, geometry=gpd.GeoSeries([], crs=crs), crs=crs)


CANOPY = Layer(
    "canopy",
    "Polygon",
    "Crop canopy: one polygon for each 4-connected region of one class",
    (
        Column("class_id", "int32", "Class of the mask"),
        Column("class_name", "object", "Name of the class"),
        Column("area_m2", "float64", "Area on the ground (m²), holes not counted"),
        Column("perimeter_m", "float64", "Length of all outlines on the ground (m), holes included"),
        Column("mean_prob", "float64", "Mean probability of the polygon's pixels (0–1)"),
    ),
    canopy_qml(),
)

_PLOT_COLUMNS = {
    "plot_id": "Plot",
    "coverage": "Crop area ÷ valid area of the plot (0–1)",
    "canopy_area_m2": "Crop area in the plot (m²)",
    "plot_area_m2": "Area of the plot on the ground (m²)",
    "valid_fraction": "Part of the plot that the raster covers with valid pixels (0–1)",
    "mean_prob": "Mean probability of the plot's valid pixels (0–1)",
    "n_objects": "Canopy polygons that share area with the plot",
}


def plots_layer(
    frame: gpd.GeoDataFrame, *, name: str = "plots", descriptions: Mapping[str, str] | None = None
) -> Layer:
    """The layer that holds ``frame``: its columns, ours described, and the style of plots."""
    texts = {**_PLOT_COLUMNS, **(descriptions or {})}
    columns = tuple(
        Column(str(c), str(frame[c].dtype), texts.get(str(c), _describe(str(c))))
        for c in frame.columns
        if c != frame.geometry.name
    )
    qml = plots_qml() if "coverage" in frame.columns else ""
    return Layer(name, "MultiPolygon", "Plots with their canopy statistics", columns, qml)


def _describe(column: str) -> str:
    if column.startswith("coverage_"):
        return f"Area of {column.removeprefix('coverage_')} ÷ valid area of the plot (0–1)"
    return ""
