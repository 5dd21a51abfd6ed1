"""``cropseg:plotstats``: mask and plots → coverage and more for each plot."""

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
from .sources import mask_source, raster_layer, raster_source
from .stats_options import add_plots_options, add_stats_options, plots_arguments, stats_arguments

INPUT, PROBABILITY, OUTPUT = "INPUT", "PROBABILITY", "OUTPUT"


class PlotStatsAlgorithm(EngineAlgorithm):
    """Measure plots on a mask."""

    def name(self) -> str:
        return "plotstats"

    def displayName(self) -> str:  # noqa: N802
        return tr("Plot statistics")

    def tags(self) -> list[str]:
        return tr("plots,coverage,zonal statistics,canopy cover,trial,phenotyping,height").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Measures coverage and canopy of every plot of a field trial.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Measures every plot on a finished mask: coverage, canopy area, number of plants or patches, "
            "mean probability, and with more inputs height, volume and colour indices. Pixels on the edge "
            "of a plot count by the part that lies inside; nodata counts neither as canopy nor as "
            "soil.\n\nThe plots may be in any CRS, a selection, or a layer that lives in memory only."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        self.add(
            QgsProcessingParameterRasterLayer(INPUT, tr("Mask")),
            tr("One band of class numbers, 0 is background, 255 is nodata."),
        )
        add_plots_options(self, is_optional=False)
        self.add(
            QgsProcessingParameterRasterLayer(PROBABILITY, tr("Probability"), optional=True),
            tr("The mask's probability raster; gives the mean probability and how much is uncertain."),
        )
        add_stats_options(self)
        self.add(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Plots with statistics"), POLYGONS),
            tr("The plots with a column for each measure, coloured by coverage. As .csv: the table alone."),
        )
        self.addOutput(QgsProcessingOutputNumber("N_PLOTS", tr("Number of plots")))
        self.addOutput(QgsProcessingOutputNumber("COVERAGE", tr("Mean coverage of the plots")))

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        mask = raster_layer(self, parameters, INPUT, context)
        probability = self.parameterAsRasterLayer(parameters, PROBABILITY, context)
        self._arguments = {
            "mask": mask_source(mask, feedback),
            "prob": raster_source(probability, feedback) if probability else None,
            **plots_arguments(self, parameters, context, feedback, mask.crs()),
            **stats_arguments(self, parameters, context, feedback),
        }
        self._origin = origin_of(mask)

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = destination(self, parameters, OUTPUT, context, *ENGINE_FORMATS, ".csv", layer="plots")
        with workspace(Path(target), keep_blocks=False) as folder:
            out = folder / f"plots{engine_suffix(target, '.csv')}"
            values = self.run_job(
                Job("plots_stats", {**self._arguments, "out": str(out), "overwrite": True}), feedback
            )
            deliver(out, target, context=context, layer="plots")
        expect(context, target, Arrival("plots", self._origin))
        return {OUTPUT: target, "N_PLOTS": values["n_plots"], "COVERAGE": values["mean_coverage"]}
