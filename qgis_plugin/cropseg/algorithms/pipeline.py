"""``cropseg:pipeline``: orthomosaic and plots → everything, with a report."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputHtml,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputVectorLayer,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFolderDestination,
)

from ..engine.process import Cancelled
from ..engine.protocol import Job
from ..engine.workspace import place, require_replaceable, workspace
from ..results import Arrival, load
from ..translation import tr
from .base import EngineAlgorithm, is_temporary
from .delivery import layers_in, refuse_input, refuse_loss
from .model_options import INPUT, add_model_options, add_raster_options, model_arguments
from .outline_options import add_outline_options, outline_arguments
from .segment import cover_in_words, number_labels, numbers
from .sources import raster_layer
from .stats_options import (
    DSM,
    DTM,
    add_height_options,
    add_plots_options,
    plots_arguments,
    raster_arguments,
)

OUTPUT = "OUTPUT"
MAKE_REPORT, LOAD, OVERWRITE = "MAKE_REPORT", "LOAD", "OVERWRITE"


class PipelineAlgorithm(EngineAlgorithm):
    """All of it."""

    def name(self) -> str:
        return "pipeline"

    def displayName(self) -> str:  # noqa: N802
        return tr("Orthomosaic to plot coverage and report")

    def tags(self) -> list[str]:
        return tr("canopy,coverage,plots,report,crop,drone,phenotyping,all").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Everything in one run: mask, outlines, coverage of every plot and a report.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "From a drone orthomosaic to results in one run: mask, probability, canopy outlines, with "
            "plots their coverage, with a surface model heights and volumes, and a report as a page that "
            "can be passed on.\n\nThe files lie in one folder, named after the orthomosaic. Cancel at any "
            "time: blocks that are finished are kept there, and the same run goes on from them."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        add_raster_options(self)
        add_plots_options(self, is_optional=True)
        add_height_options(self)
        add_model_options(self)
        add_outline_options(self)
        for name, label, default, text in (
            (
                MAKE_REPORT,
                tr("Make a report"),
                True,
                tr("A page with pictures and tables that works offline."),
            ),
            (LOAD, tr("Load the results"), True, tr("Adds the layers to the project, styled and grouped.")),
            (OVERWRITE, tr("Replace earlier results"), False, tr("Otherwise they are refused.")),
        ):
            self.add(QgsProcessingParameterBoolean(name, label, default), text)
        self.add(
            QgsProcessingParameterFolderDestination(OUTPUT, tr("Folder for the results")),
            tr("Made if need be; the files are named after the orthomosaic."),
        )
        for output in (
            QgsProcessingOutputRasterLayer("MASK", tr("Mask")),
            QgsProcessingOutputRasterLayer("PROBABILITY", tr("Probability")),
            QgsProcessingOutputVectorLayer("CANOPY", tr("Canopy")),
            QgsProcessingOutputVectorLayer("PLOT_STATS", tr("Plots with statistics")),
            QgsProcessingOutputFile("TABLE", tr("Table of plots")),
            QgsProcessingOutputHtml("REPORT", tr("Report")),
        ):
            self.addOutput(output)
        for name, label in number_labels().items():
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        layer = raster_layer(self, parameters, INPUT, context)
        self._arguments = {
            **model_arguments(self, parameters, context, feedback),
            **raster_arguments(self, parameters, context, feedback, {"dsm": DSM, "dtm": DTM}),
            "outlines": outline_arguments(self, parameters, context),
            "report": self.parameterAsBool(parameters, MAKE_REPORT, context),
            **plots_arguments(self, parameters, context, feedback, layer.crs()),
        }
        self._origin = layer.name()

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = Path(self.parameterAsString(parameters, OUTPUT, context))
        overwrite = self.parameterAsBool(parameters, OVERWRITE, context)
        stem = Path(self._arguments["raster"]).stem
        _refuse_existing(target, stem, self.inputs, overwrite=overwrite)
        if "plots" not in self._arguments and "plots" in layers_in(target / f"{stem}.gpkg"):
            feedback.pushWarning(
                tr("The earlier results' layer of plots goes: this run has no PLOTS and replaces its file.")
            )
        target.mkdir(parents=True, exist_ok=True)
        try:
            with workspace(target / stem, keep_blocks=not is_temporary(str(target))) as folder:
                job = Job("segment", {**self._arguments, "out": str(folder), "overwrite": True})
                values = self.run_job(job, feedback)
                files = {kind: Path(path) for kind, path in values["files"].items()}
                for kind, path in files.items():
                    place(path, target / path.name)
                    files[kind] = target / path.name
        except Cancelled:
            _remove_if_empty(target)
            raise
        feedback.pushInfo(cover_in_words(values["summary"]))
        results = self._results(files)
        if self.parameterAsBool(parameters, LOAD, context):
            self._load(results, context)
        return {**results, OUTPUT: str(target), **numbers(values["summary"])}

    def _results(self, files: dict[str, Path]) -> dict[str, str]:
        results = {
            "MASK": str(files["mask"]),
            "PROBABILITY": str(files["prob"]),
            "CANOPY": f"{files['layers']}|layername=canopy",
        }
        if "plots" in self._arguments:
            results["PLOT_STATS"] = f"{files['layers']}|layername=plots"
        if "plots_csv" in files:
            results["TABLE"] = str(files["plots_csv"])
        if "report" in files:
            results["REPORT"] = str(files["report"])
        return results

    def _load(self, results: dict[str, str], context: QgsProcessingContext) -> None:
        for name, kind, label in (
            ("PROBABILITY", "probability", tr("Probability")),
            ("MASK", "mask", tr("Mask")),
            ("CANOPY", "canopy", tr("Canopy")),
            ("PLOT_STATS", "plots", tr("Plots")),
        ):
            if name in results:
                load(context, results[name], label, Arrival(kind, self._origin))


def _refuse_existing(folder: Path, stem: str, inputs: Iterable[str], *, overwrite: bool) -> None:
    """Raise before the work if results lie there already and may not be replaced, or others' files do."""
    names = (
        f"{stem}_mask.tif",
        f"{stem}_prob.tif",
        f"{stem}.gpkg",
        f"{stem}_plots.csv",
        f"{stem}_report.html",
    )
    existing = [name for name in names if (folder / name).exists()]
    if existing and not overwrite:
        raise QgsProcessingException(
            tr("{} already holds {}.\n→ tick OVERWRITE to replace them, or choose another folder").format(
                folder, ", ".join(existing)
            )
        )
    for name in existing:
        refuse_input(folder / name, inputs)
        refuse_loss(folder / name, {"canopy", "plots"})
    require_replaceable(folder / name for name in existing)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
