"""``cropseg:plotseries``: masks of several dates and plots → one layer to play, and growth curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
    QgsProcessingParameterMultipleLayers,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
    QgsRasterLayer,
)

from ..engine.protocol import Job
from ..engine.workspace import workspace
from ..moved import POLYGONS, RASTERS
from ..results import Arrival, expect
from ..translation import tr
from .base import EngineAlgorithm, origin_of
from .delivery import ENGINE_FORMATS, deliver, destination, engine_suffix
from .sources import mask_source, raster_source
from .stats_options import (
    DSM,
    DTM,
    ORTHOMOSAIC,
    add_measures,
    add_plots_options,
    measures_arguments,
    plots_arguments,
)

INPUT, DATES, PROBABILITY = "INPUT", "DATES", "PROBABILITY"
OUTPUT, SUMMARY, CHART = "OUTPUT", "SUMMARY", "CHART"


class PlotSeriesAlgorithm(EngineAlgorithm):
    """Measure the same plots on the masks of several dates."""

    def name(self) -> str:
        return "plotseries"

    def displayName(self) -> str:  # noqa: N802
        return tr("Plots over several dates")

    def tags(self) -> list[str]:
        return tr("plots,time series,growth curve,season,dates,coverage,trial,phenotyping").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Measures the same plots on several dates: one layer to play, and growth curves.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Measures the same plots on the masks of several flights, as the plot statistics do on one: a "
            "layer with each plot once for each date, the change of coverage per day in it, and growth "
            "curves as a picture.\n\nThe masks may differ in resolution, extent and CRS. Their dates are "
            "read from the files' names (trial_2026-05-31_mask.tif), or given."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        self.add(
            QgsProcessingParameterMultipleLayers(INPUT, tr("Masks"), RASTERS),
            tr("One for each date: a band of class numbers, 0 is background, 255 is nodata."),
        )
        self.add(
            QgsProcessingParameterString(DATES, tr("Dates"), optional=True),
            tr("In the order of the masks: 2026-05-31, 2026-06-14. Empty: as the files' names say."),
        )
        add_plots_options(self, is_optional=False)
        for name, label, text in (
            (PROBABILITY, tr("Probabilities"), tr("The masks' probability rasters, in the masks' order.")),
            (ORTHOMOSAIC, tr("Orthomosaics"), tr("For colour indices of the canopy, in the masks' order.")),
            (DSM, tr("Surface models (DSM)"), tr("For canopy height and volume, in the masks' order.")),
            (DTM, tr("Terrain models (DTM)"), tr("One for all dates, or one for each in the masks' order.")),
        ):
            self.add(
                QgsProcessingParameterMultipleLayers(name, label, RASTERS, optional=True),
                text,
                is_advanced=True,
            )
        add_measures(self)
        self.add(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Plots over the dates"), POLYGONS),
            tr(
                "Each plot once for each date, earliest first; the temporal controller plays them. "
                "As .csv: the table alone."
            ),
        )
        self.add(
            QgsProcessingParameterVectorDestination(
                SUMMARY, tr("The season of each plot"), POLYGONS, optional=True, createByDefault=False
            ),
            tr(
                "Each plot once: the area under its coverage curve, the days until half of it was covered, "
                "the largest coverage and its date. As .csv: the table alone."
            ),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                CHART, tr("Growth curves"), "SVG (*.svg)", optional=True, createByDefault=True
            ),
            tr("The coverage of every plot over the dates, as a picture."),
        )
        self.addOutput(QgsProcessingOutputNumber("N_PLOTS", tr("Number of plots")))

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        def sources(name: str) -> list[str] | None:
            return [
                raster_source(layer, feedback) for layer in self._rasters(parameters, name, context)
            ] or None

        masks = self._rasters(parameters, INPUT, context)
        dates = self.text(parameters, DATES, context)
        self._arguments = {
            "masks": [mask_source(mask, feedback) for mask in masks],
            "dates": [day.strip() for day in dates.split(",")] if dates else None,
            "probs": sources(PROBABILITY),
            "rasters": sources(ORTHOMOSAIC),
            "dsms": sources(DSM),
            "dtms": sources(DTM),
            **plots_arguments(self, parameters, context, feedback, masks[0].crs()),
            **measures_arguments(self, parameters, context),
        }
        self._origin = origin_of(masks[0])

    def _rasters(self, parameters: dict, name: str, context: QgsProcessingContext) -> list[QgsRasterLayer]:
        """The layers of a parameter in its order. Raises QgsProcessingException if one is missing."""
        layers = self.parameterAsLayerList(parameters, name, context)
        rasters = [layer for layer in layers if isinstance(layer, QgsRasterLayer) and layer.isValid()]
        if len(rasters) != _how_many(parameters.get(name) or []):
            raise QgsProcessingException(self.invalidRasterError(parameters, name))
        return rasters

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = destination(self, parameters, OUTPUT, context, *ENGINE_FORMATS, ".csv", layer="plots")
        summary = destination(self, parameters, SUMMARY, context, *ENGINE_FORMATS, ".csv", layer="plots")
        chart = destination(self, parameters, CHART, context, ".svg")
        with workspace(Path(target), keep_blocks=False) as folder:
            table, curves = folder / f"plots{engine_suffix(target, '.csv')}", folder / "growth.svg"
            season = folder / f"season{engine_suffix(summary or '', '.csv')}"
            wanted = {
                "out": str(table),
                "summary": str(season) if summary else None,
                "chart": str(curves) if chart else None,
                "overwrite": True,
            }
            job = Job("plots_series", {**self._arguments, **wanted})
            values = self.run_job(job, feedback, rounds=len(job.arguments["masks"]))
            deliver(table, target, context=context, layer="plots")
            deliver(season, summary, context=context, layer="plots")
            deliver(curves, chart, context=context)
        for layer in (target, summary):
            expect(context, layer, Arrival("plots", self._origin))
        files = {OUTPUT: target, SUMMARY: summary, CHART: chart}
        return {name: path for name, path in files.items() if path} | {"N_PLOTS": values["n_plots"]}


def _how_many(given: object) -> int:
    """How many layers are given. In a model, lists of several sources come within a list."""
    return sum(map(_how_many, given)) if isinstance(given, (list, tuple)) else 1
