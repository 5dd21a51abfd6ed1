"""``cropseg:segment``: orthomosaic → mask, probability and canopy outlines."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterRasterDestination,
    QgsProcessingParameterVectorDestination,
)

from ..engine.protocol import Job
from ..engine.workspace import workspace
from ..moved import POLYGONS
from ..results import Arrival, expect
from ..translation import tr
from .base import EngineAlgorithm, is_temporary
from .delivery import deliver, destination
from .model_options import INPUT, add_model_options, add_raster_options, model_arguments
from .outline_options import add_outline_options, outline_arguments

OUTPUT, PROBABILITY, CANOPY = "OUTPUT", "PROBABILITY", "CANOPY"
NUMBERS = {
    "COVERAGE": "canopy_cover",
    "CANOPY_AREA": "canopy_area_m2",
    "VALID_AREA": "valid_area_m2",
    "N_POLYGONS": "n_polygons",
    "RESOLUTION": "gsd_m",
}


class SegmentAlgorithm(EngineAlgorithm):
    """Segment an orthomosaic."""

    def name(self) -> str:
        return "segment"

    def displayName(self) -> str:  # noqa: N802
        return tr("Segment an orthomosaic")

    def tags(self) -> list[str]:
        return tr("canopy,crop,mask,deep learning,vegetation,coverage,drone,classification").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Finds the crop canopy in a drone orthomosaic.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Labels every pixel of a drone orthomosaic as canopy or background with a neural network that "
            "runs on this computer, whatever the size of the image. Gives a mask, the probability behind "
            "it and the outlines of the canopy; their areas add up to the mask's.\n\nCancel at any time: "
            "blocks that are finished are kept beside a permanent result, and the same run goes on from "
            "them."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        add_raster_options(self)
        add_model_options(self)
        add_outline_options(self)
        self.add(
            QgsProcessingParameterRasterDestination(OUTPUT, tr("Mask")),
            tr("GeoTIFF (COG): 0 background, 1 canopy, 255 nodata."),
        )
        self.add(
            QgsProcessingParameterRasterDestination(PROBABILITY, tr("Probability"), optional=True),
            tr("GeoTIFF (COG) with the probability of canopy, 0–1."),
        )
        self.add(
            QgsProcessingParameterVectorDestination(CANOPY, tr("Canopy"), POLYGONS, optional=True),
            tr("Outlines of the canopy with their area, perimeter and mean probability."),
        )
        for name, label in number_labels().items():
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        arguments = model_arguments(self, parameters, context, feedback)
        self._arguments = {**arguments, "outlines": outline_arguments(self, parameters, context)}
        self._origin = self.parameterAsRasterLayer(parameters, INPUT, context).name()

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        mask = destination(self, parameters, OUTPUT, context, ".tif", ".tiff")
        probability = destination(self, parameters, PROBABILITY, context, ".tif", ".tiff")
        canopy = destination(self, parameters, CANOPY, context, ".gpkg", layer="canopy")
        with workspace(Path(mask), keep_blocks=not is_temporary(mask)) as folder:
            values = self.run_job(self._job(folder), feedback)
            files = {kind: Path(path) for kind, path in values["files"].items()}
            deliver(files["mask"], mask, context=context)
            deliver(files["prob"], probability, context=context)
            deliver(files["layers"], canopy, context=context, layer="canopy")
        for path, kind in ((mask, "mask"), (probability, "probability"), (canopy, "canopy")):
            expect(context, path, Arrival(kind, self._origin))
        feedback.pushInfo(cover_in_words(values["summary"]))
        placed = {OUTPUT: mask, PROBABILITY: probability, CANOPY: canopy}
        return {name: path for name, path in placed.items() if path} | numbers(values["summary"])

    def _job(self, folder: Path) -> Job:
        return Job("segment", {**self._arguments, "out": str(folder), "overwrite": True})


def number_labels() -> dict[str, str]:
    """The outputs that are numbers, as the user reads them."""
    return {
        "COVERAGE": tr("Canopy cover (share of the valid area)"),
        "CANOPY_AREA": tr("Canopy area (m²)"),
        "VALID_AREA": tr("Valid area (m²)"),
        "N_POLYGONS": tr("Number of outlines"),
        "RESOLUTION": tr("Working resolution (m/px)"),
    }


def numbers(summary: Mapping[str, Any]) -> dict[str, Any]:
    """Values of the outputs that are numbers."""
    return {name: summary[key] for name, key in NUMBERS.items()}


def cover_in_words(summary: Mapping[str, Any]) -> str:
    """The main figure as a line of the log."""
    if summary["canopy_cover"] is None:
        return tr("No valid pixel lies in the extent.")
    return tr("Canopy cover {:.1%} of {:,.1f} m²").format(summary["canopy_cover"], summary["valid_area_m2"])
