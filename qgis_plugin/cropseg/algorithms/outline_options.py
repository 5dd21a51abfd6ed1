"""The parameters of canopy outlines, and the job's argument that comes of them."""

from __future__ import annotations

from typing import Any

from qgis.core import QgsProcessingContext

from ..translation import tr
from .base import EngineAlgorithm

MIN_AREA, OUTLINE, OBJECTS = "MIN_AREA", "OUTLINE", "OBJECTS"
FILL_HOLES, SIMPLIFY = "FILL_HOLES", "SIMPLIFY"

OUTLINES = ["pixel", "contour"]
OBJECT_KINDS = ["touching", "split"]


def add_outline_options(algorithm: EngineAlgorithm) -> None:
    """MIN_AREA, and folded how outlines are drawn."""
    algorithm.add_number(
        MIN_AREA,
        tr("Smallest outline (m²)"),
        tr("Outlines of less area are left out. The mask keeps their pixels."),
        0,
    )
    algorithm.add_choice(
        OUTLINE,
        tr("Outlines follow"),
        OUTLINES,
        tr("pixel: the edges of pixels, with exact areas. contour: the probability, smooth."),
        is_advanced=True,
    )
    algorithm.add_choice(
        OBJECTS,
        tr("Plants that touch"),
        OBJECT_KINDS,
        tr("touching: stay one outline. split: are parted at their necks."),
        is_advanced=True,
    )
    algorithm.add_number(
        FILL_HOLES,
        tr("Fill holes up to (m²)"),
        tr("Holes of less area are filled where they hold nothing but background."),
        0,
        is_advanced=True,
    )
    algorithm.add_number(
        SIMPLIFY,
        tr("Simplify by (m)"),
        tr("Tolerance of simpler outlines; edges that neighbours share stay shared. 0: none."),
        0,
        is_advanced=True,
    )


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
