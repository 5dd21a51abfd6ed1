"""``cropseg:makeplots``: rows and columns, or a template → plots of exact size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..engine.protocol import Job
from ..engine.workspace import workspace
from ..moved import POLYGONS
from ..results import Arrival, expect
from ..translation import tr
from .base import EngineAlgorithm
from .delivery import ENGINE_FORMATS, deliver, destination, engine_suffix
from .sources import absolute, mask_source, vector_source
from .trial_options import (
    add_line_options,
    add_numbering_options,
    add_place_options,
    add_trial_options,
    numbering_arguments,
    site_arguments,
    trial_arguments,
)

TEMPLATE, FIELD_BOOK, FIELD_BOOK_BY = "TEMPLATE", "FIELD_BOOK", "FIELD_BOOK_BY"
MASK, OUTPUT = "MASK", "OUTPUT"


class MakePlotsAlgorithm(EngineAlgorithm):
    """Lay out a field trial."""

    def name(self) -> str:
        return "makeplots"

    def displayName(self) -> str:  # noqa: N802
        return tr("Make plots")

    def tags(self) -> list[str]:
        return tr("plots,trial,layout,grid,blocks,field book,phenotyping").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Lays out the plots of a field trial, exact on the ground.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Lays out rows and columns of plots in exact sizes, in any CRS, with alleys, blocks and the "
            "numbering of the field.\n\nSay where they lie by a layer of the four outer corners (or one "
            "polygon), or by two points: A, the lower left corner, and B, along the first row. Or move the "
            "plots of an earlier survey there, as a template. A field book (CSV) adds its columns. With a "
            "mask the plots are moved and turned a little to fit the canopy."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        add_place_options(self)
        add_trial_options(self)
        add_numbering_options(self)
        self._add_extras()
        add_line_options(self)
        self.add(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Plots"), POLYGONS),
            tr("The plots with plot_id, block, row and column."),
        )
        self.addOutput(QgsProcessingOutputNumber("N_PLOTS", tr("Number of plots")))
        self.addOutput(QgsProcessingOutputNumber("MISFIT", tr("Largest misfit of a corner (m)")))
        self.addOutput(QgsProcessingOutputString("MAP", tr("The plots as they lie in the field")))

    def _add_extras(self) -> None:
        self.add(
            QgsProcessingParameterFile(
                FIELD_BOOK, tr("Field book"), optional=True, fileFilter=tr("Tables (*.csv *.txt *.tsv)")
            ),
            tr("Table with a line for each plot; its columns are added."),
        )
        self.add(
            QgsProcessingParameterString(FIELD_BOOK_BY, tr("Field book by"), "auto"),
            tr("auto, row-column, or the field book's column of plot names."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterRasterLayer(MASK, tr("Fit to the canopy of"), optional=True),
            tr(
                "A mask: the plots are moved and turned a little so that the canopy lies inside; they come "
                "in its CRS."
            ),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterFeatureSource(TEMPLATE, tr("Template"), [POLYGONS], optional=True),
            tr("Plots of an earlier survey that are moved here, with all their columns."),
            is_advanced=True,
        )

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        mask = self.parameterAsRasterLayer(parameters, MASK, context)
        # What is fitted to a mask is brought to it by QGIS.
        crs = mask.crs() if mask else None
        has_template = self.given(parameters, TEMPLATE)
        template = vector_source(self, parameters, TEMPLATE, context, feedback, crs) if has_template else None
        book = self.parameterAsFile(parameters, FIELD_BOOK, context)
        self._arguments = {
            "site": site_arguments(self, parameters, context, feedback, crs),
            "trial": None if template else trial_arguments(self, parameters, context),
            "numbering": numbering_arguments(self, parameters, context),
            "template": {"plots": template} if template else None,
            "fieldbook": absolute(book) if book else None,
            "fieldbook_by": self.text(parameters, FIELD_BOOK_BY, context),
            "snap_to": mask_source(mask, feedback) if mask else None,
        }

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = destination(self, parameters, OUTPUT, context, *ENGINE_FORMATS, layer="plots")
        with workspace(Path(target), keep_blocks=False) as folder:
            out = folder / f"plots{engine_suffix(target)}"
            job = Job("plots_make", {**self._arguments, "out": str(out), "overwrite": True})
            values = self.run_job(job, feedback)
            deliver(out, target, context=context, layer="plots")
        layout = values["layout"]
        feedback.pushInfo(layout.get("map", ""))
        expect(context, target, Arrival("plots", tr("Plots")))
        return {
            OUTPUT: target,
            "N_PLOTS": values["n_plots"],
            "MISFIT": layout.get("misfit_largest_m"),
            "MAP": layout.get("map", ""),
        }
