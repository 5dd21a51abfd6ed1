"""``cropseg:report``: a finished mask, and what was measured on it → a page or a sheet to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsFeatureRequest,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterRasterLayer,
    QgsProcessingUtils,
)

from ..engine.protocol import Job
from ..engine.workspace import workspace
from ..moved import POLYGONS, TABLES
from ..translation import tr
from .base import EngineAlgorithm
from .delivery import deliver, destination
from .model_options import BANDS
from .sources import mask_source, raster_layer, vector_layer, vector_source, write_layer
from .stats_options import ORTHOMOSAIC, PLOTS, raster_arguments

INPUT, PROBABILITY, SERIES, OUTPUT = "INPUT", "PROBABILITY", "SERIES", "OUTPUT"


class ReportAlgorithm(EngineAlgorithm):
    """Make the report of a finished mask."""

    def name(self) -> str:
        return "report"

    def displayName(self) -> str:  # noqa: N802
        return tr("Report of a mask")

    def tags(self) -> list[str]:
        return tr("report,pdf,html,print,plots,coverage,map,growth curve").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Makes a page, or a sheet to print, of a mask and of what was measured on it.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Makes a report of a finished mask: map, key figures, table and charts of the plots, growth "
            "curves, notes on quality and provenance.\n\nAs .html it is one file that works offline and can "
            "be passed on; as .pdf or .png a sheet in A4 landscape."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, tr("Mask")),
            tr("One band of class numbers, 0 is background, 255 is nodata."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(ORTHOMOSAIC, tr("Orthomosaic"), optional=True),
            tr("The image that the mask was made of, to show under it."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(PLOTS, tr("Plots"), [POLYGONS], optional=True),
            tr("The plots with their statistics, as the plot statistics give them."),
        )
        self.add(
            QgsProcessingParameterFeatureSource(SERIES, tr("Plots over the dates"), [TABLES], optional=True),
            tr("For growth curves: what Plots over several dates gives."),
        )
        self.add(
            QgsProcessingParameterRasterLayer(PROBABILITY, tr("Probability"), optional=True),
            tr("The mask's probability raster, for notes on how sure the model is."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterBand(
                BANDS, tr("Bands"), None, ORTHOMOSAIC, optional=True, allowMultiple=True
            ),
            tr("Red, green and blue of the orthomosaic, in this order; one is shown in grey. Empty: found."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterFileDestination(
                OUTPUT, tr("Report"), "HTML (*.html);;PDF (*.pdf);;PNG (*.png)"
            ),
            tr("A page (.html), or a sheet to print (.pdf, .png)."),
        )

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        mask = raster_layer(self, parameters, INPUT, context)
        rasters = {"raster": ORTHOMOSAIC, "prob": PROBABILITY}
        self._arguments = {
            "mask": mask_source(mask, feedback),
            **raster_arguments(self, parameters, context, feedback, rasters),
            "bands": self.parameterAsInts(parameters, BANDS, context) or None,
        }
        if self.given(parameters, PLOTS):
            plots = vector_source(self, parameters, PLOTS, context, feedback, mask.crs())
            self._arguments["plots"] = plots
        if self.given(parameters, SERIES):
            self._arguments["series"] = self._table(parameters, context)

    def _table(self, parameters: dict, context: QgsProcessingContext) -> str:
        """The rows of SERIES as a .csv file, which the engine reads. Raises QgsProcessingException."""
        source = self.parameterAsSource(parameters, SERIES, context)
        layer = vector_layer(self, parameters, SERIES, context)
        if source is None or layer is None:
            raise QgsProcessingException(self.invalidSourceError(parameters, SERIES))
        rows = source.materialize(QgsFeatureRequest())
        if layer.providerType() == "ogr":
            # How a file numbers its rows, which would pass for something measured.
            rows.dataProvider().deleteAttributes(layer.primaryKeyAttributes())
            rows.updateFields()
        path = QgsProcessingUtils.generateTempFilename("series.csv")
        if message := write_layer(rows, path, context):
            raise QgsProcessingException(tr("{} cannot be written: {}").format(path, message))
        return path

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = destination(self, parameters, OUTPUT, context, ".html", ".pdf", ".png")
        with workspace(Path(target), keep_blocks=False) as folder:
            report = folder / f"report{Path(target).suffix.lower()}"
            self.run_job(Job("report", {**self._arguments, "out": str(report), "overwrite": True}), feedback)
            deliver(report, target, context=context)
        return {OUTPUT: target}
