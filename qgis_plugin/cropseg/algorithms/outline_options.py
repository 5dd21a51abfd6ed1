"""The parameters of canopy outlines, and the job's argument that comes of them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext, QgsProcessingParameterEnum, QgsProcessingParameterNumber

from ..translation import tr
from .base import EngineAlgorithm

MIN_AREA, OUTLINE, OBJECTS = "MIN_AREA", "OUTLINE", "OBJECTS"
FILL_HOLES, SIMPLIFY = "FILL_HOLES", "SIMPLIFY"

OUTLINES = ["pixel", "contour"]
OBJECT_KINDS = ["touching", "split"]
_DOUBLE = QgsProcessingParameterNumber.Type.Double


def add_outline_options(algorithm: EngineAlgorithm) -> None:
    """MIN_AREA, and folded how outlines are drawn."""
    algorithm.add(
        QgsProcessingParameterNumber(
            MIN_AREA, tr("Smallest outline (m²)"), _DOUBLE, defaultValue=0, minValue=0
        ),
        tr("Outlines of less area are left out. The mask keeps their pixels."),
    )
    advanced = [
        (
            QgsProcessingParameterEnum(
                OUTLINE, tr("Outlines follow"), OUTLINES, defaultValue=OUTLINES[0], usesStaticStrings=True
            ),
            tr("pixel: the edges of pixels, with exact areas. contour: the probability, smooth."),
        ),
        (
            QgsProcessingParameterEnum(
                OBJECTS,
                tr("Plants that touch"),
                OBJECT_KINDS,
                defaultValue=OBJECT_KINDS[0],
                usesStaticStrings=True,
            ),
            tr("touching: stay one outline. split: are parted at their necks."),
        ),
        (
            QgsProcessingParameterNumber(
                FILL_HOLES, tr("Fill holes up to (m²)"), _DOUBLE, defaultValue=0, minValue=0
            ),
            tr("Holes of less area are filled where they hold nothing but background."),
        ),
        (
            QgsProcessingParameterNumber(
                SIMPLIFY, tr("Simplify by (m)"), _DOUBLE, defaultValue=0, minValue=0
            ),
            tr("Tolerance of simpler outlines; edges that neighbours share stay shared. 0: none."),
        ),
    ]
    for parameter, text in advanced:
        algorithm.add(parameter, text, is_advanced=True)


def outline_arguments(
    algorithm: EngineAlgorithm, parameters: dict, context: QgsProcessingContext
) -> dict[str, Any]:
    """The choices as the engine names them."""
    return {
        "outline": algorithm.parameterAsEnumString(parameters, OUTLINE, context),
        "objects": algorithm.parameterAsEnumString(parameters, OBJECTS, context),
        "min_area_m2": algorithm.parameterAsDouble(parameters, MIN_AREA, context),
        "fill_holes_m2": algorithm.parameterAsDouble(parameters, FILL_HOLES, context),
        "simplify_m": algorithm.parameterAsDouble(parameters, SIMPLIFY, context),
    }
