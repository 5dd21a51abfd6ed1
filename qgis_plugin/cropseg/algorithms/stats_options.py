"""The parameters of plot statistics beyond mask and plots, and the job's arguments that come of them."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterField,
    QgsProcessingParameterRasterLayer,
)

from ..moved import POLYGONS
from ..translation import tr
from .base import EngineAlgorithm
from .sources import raster_source, vector_source

PLOTS, PLOT_ID = "PLOTS", "PLOT_ID"
ORTHOMOSAIC, DSM, DTM, STATISTICS = "ORTHOMOSAIC", "DSM", "DTM", "STATISTICS"
BUFFER, MIN_VALID = "BUFFER", "MIN_VALID"
ROW_ANGLE, ROW_SPACING, CELL = "ROW_ANGLE", "ROW_SPACING", "CELL"

GROUPS = ["coverage", "objects", "rows", "uniformity"]


def add_plots_options(algorithm: EngineAlgorithm, *, is_optional: bool) -> None:
    """PLOTS and PLOT_ID."""
    algorithm.add(
        QgsProcessingParameterFeatureSource(PLOTS, tr("Plots"), [POLYGONS], optional=is_optional),
        tr("Outlines of the plots, in any CRS. Their own columns are kept."),
    )
    algorithm.add(
        QgsProcessingParameterField(PLOT_ID, tr("Column of plot names"), None, PLOTS, optional=True),
        tr("Names each plot once. Empty: plot_id, plot, id … whichever is there."),
    )


def add_stats_options(algorithm: EngineAlgorithm) -> None:
    """ORTHOMOSAIC, DSM, DTM and what is measured."""
    algorithm.add(
        QgsProcessingParameterRasterLayer(ORTHOMOSAIC, tr("Orthomosaic"), optional=True),
        tr("The image that the mask was made of; gives colour indices of the canopy."),
        is_advanced=True,
    )
    add_height_options(algorithm)
    add_measures(algorithm)


def add_measures(algorithm: EngineAlgorithm) -> None:
    """What is measured, and how."""
    algorithm.add(
        QgsProcessingParameterEnum(
            STATISTICS,
            tr("What to measure"),
            GROUPS,
            allowMultiple=True,
            defaultValue=GROUPS,
            usesStaticStrings=True,
        ),
        tr(
            "coverage: always measured, alone the fastest by far. objects: plants or patches. "
            "rows: rows and their gaps. uniformity: how even the coverage is."
        ),
        is_advanced=True,
    )
    for name, label, default, highest, text in _numbers():
        algorithm.add_number(name, label, text, default, highest=highest, is_advanced=True)


def add_height_options(algorithm: EngineAlgorithm) -> None:
    """DSM and DTM."""
    algorithm.add(
        QgsProcessingParameterRasterLayer(DSM, tr("Surface model (DSM)"), optional=True),
        tr("Heights of the surface; with the terrain model they give canopy height and volume."),
        is_advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterRasterLayer(DTM, tr("Terrain model (DTM)"), optional=True),
        tr("Heights of the bare ground; goes together with the surface model."),
        is_advanced=True,
    )


def _numbers() -> list[tuple[str, str, float | None, float, str]]:
    return [
        (BUFFER, tr("Edge to leave out (m)"), 0.0, 1000,
         tr("Strip inside each plot's outline that is not measured, against edge effects.")),
        (MIN_VALID, tr("Valid share expected"), 0.9, 1,
         tr("Plots of which less is valid are marked.")),
        (ROW_ANGLE, tr("Direction of rows (°)"), None, 360,
         tr("Degrees clockwise from grid north. Empty: the plot's long side.")),
        (ROW_SPACING, tr("Distance of rows (m)"), None, 1000,
         tr("Empty: found in each plot.")),
        (CELL, tr("Cell of uniformity (m)"), 1.0, 1000,
         tr("Side of the cells whose coverages are compared within a plot.")),
    ]  # fmt: skip


def stats_arguments(
    algorithm: EngineAlgorithm,
    parameters: dict,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> dict[str, Any]:
    """The job's arguments for ORTHOMOSAIC, DSM, DTM and what is measured."""
    rasters = {"raster": ORTHOMOSAIC, "dsm": DSM, "dtm": DTM}
    return {
        **raster_arguments(algorithm, parameters, context, feedback, rasters),
        **measures_arguments(algorithm, parameters, context),
    }


def measures_arguments(
    algorithm: EngineAlgorithm, parameters: dict, context: QgsProcessingContext
) -> dict[str, Any]:
    """The job's arguments for what is measured, and how."""
    return {
        "stats": algorithm.parameterAsEnumStrings(parameters, STATISTICS, context) or None,
        "buffer_m": algorithm.number(parameters, BUFFER, context),
        "min_valid": algorithm.number(parameters, MIN_VALID, context),
        "row_angle_deg": algorithm.number(parameters, ROW_ANGLE, context),
        "row_spacing_m": algorithm.number(parameters, ROW_SPACING, context),
        "cell_m": algorithm.number(parameters, CELL, context),
    }


def plots_arguments(
    algorithm: EngineAlgorithm,
    parameters: dict,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    crs: QgsCoordinateReferenceSystem,
) -> dict[str, Any]:
    """The plots, in a CRS, and the column of their names; nothing where no plots are given."""
    if not algorithm.given(parameters, PLOTS):
        return {}
    return {
        "plots": vector_source(algorithm, parameters, PLOTS, context, feedback, crs),
        "plot_id": algorithm.text(parameters, PLOT_ID, context),
    }


def raster_arguments(
    algorithm: EngineAlgorithm,
    parameters: dict,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    names: dict[str, str],
) -> dict[str, Any]:
    """Optional rasters: argument → parameter becomes argument → source, None where it is left empty."""
    layers = {arg: algorithm.parameterAsRasterLayer(parameters, name, context) for arg, name in names.items()}
    return {argument: raster_source(layer, feedback) if layer else None for argument, layer in layers.items()}
