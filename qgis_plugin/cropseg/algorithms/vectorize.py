"""``cropseg:vectorize``: mask → canopy outlines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterVectorDestination,
)

from ..engine.protocol import Job
from ..engine.workspace import workspace
from ..moved import POLYGONS
from ..results import Arrival, expect
from ..translation import tr
from .base import EngineAlgorithm, origin_of
from .delivery import ENGINE_FORMATS, deliver, destination, engine_suffix
from .outline_options import add_outline_options, outline_arguments
from .sources import mask_source, raster_layer, raster_source

INPUT, PROBABILITY, OUTPUT = "INPUT", "PROBABILITY", "OUTPUT"


class VectorizeAlgorithm(EngineAlgorithm):
    """Trace a mask."""

    def name(self) -> str:
        return "vectorize"

    def displayName(self) -> str:  # noqa: N802
        return tr("Outline the canopy of a mask")

    def tags(self) -> list[str]:
        return tr("polygonize,outlines,vector,canopy,mask").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Traces a mask into polygons without seams.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Traces a mask into polygons along the edges of its pixels: no seams, no gaps, no overlaps, "
            "every geometry valid, and areas that add up to the mask's. Masks of any size are read in "
            "strips."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, tr("Mask")),
            tr("One band of class numbers, 0 is background, 255 is nodata."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(PROBABILITY, tr("Probability"), optional=True),
            tr("The mask's probability raster; gives every outline its mean probability."),
        )
        add_outline_options(self)
        self.add(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Canopy"), POLYGONS),
            tr("Outlines of the canopy with their area, perimeter and mean probability."),
        )
        self.addOutput(QgsProcessingOutputNumber("N_POLYGONS", tr("Number of outlines")))
        self.addOutput(QgsProcessingOutputNumber("CANOPY_AREA", tr("Canopy area (m²)")))

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        mask = raster_layer(self, parameters, INPUT, context)
        probability = self.parameterAsRasterLayer(parameters, PROBABILITY, context)
        self._arguments = {
            "mask": mask_source(mask, feedback),
            "prob": raster_source(probability, feedback) if probability else None,
            "outlines": outline_arguments(self, parameters, context),
        }
        self._origin = origin_of(mask)

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = destination(self, parameters, OUTPUT, context, *ENGINE_FORMATS, layer="canopy")
        with workspace(Path(target), keep_blocks=False) as folder:
            out = folder / f"canopy{engine_suffix(target)}"
            values = self.run_job(
                Job("vectorize", {**self._arguments, "out": str(out), "overwrite": True}), feedback
            )
            deliver(out, target, context=context, layer="canopy")
        expect(context, target, Arrival("canopy", self._origin))
        return {
            OUTPUT: target,
            "N_POLYGONS": values["n_polygons"],
            "CANOPY_AREA": values["canopy_area_m2"],
        }
