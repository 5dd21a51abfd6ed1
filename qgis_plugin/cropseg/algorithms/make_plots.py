"""``cropseg:makeplots``: rows and columns, or a template → plots of exact size."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsFeatureSource,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingOutputString,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterFile,
    QgsProcessingParameterNumber,
    QgsProcessingParameterPoint,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsProcessingParameterVectorDestination,
)

from ..engine.protocol import Job
from ..engine.workspace import workspace
from ..moved import ANY_GEOMETRY, POLYGONS
from ..results import Arrival, expect
from ..translation import tr
from .base import EngineAlgorithm
from .delivery import deliver, destination, engine_suffix
from .sources import raster_source, vector_source

CORNERS, POINT_A, POINT_B, SIDE, TURN = "CORNERS", "POINT_A", "POINT_B", "SIDE", "TURN"
TEMPLATE, FIELD_BOOK, FIELD_BOOK_BY, MASK, OUTPUT = (
    "TEMPLATE",
    "FIELD_BOOK",
    "FIELD_BOOK_BY",
    "MASK",
    "OUTPUT",
)
ORDER, START, FIRST, STEP = "ORDER", "START", "FIRST", "STEP"
PLOT_NAME, BY_BLOCK = "PLOT_NAME", "BY_BLOCK"

SIDES = ["left", "right"]
ORDERS = ["row", "column", "serpentine", "serpentine-column"]
STARTS = ["bottom-left", "bottom-right", "top-left", "top-right"]

TRIAL = {
    "ROWS": "rows",
    "COLUMNS": "columns",
    "LENGTH": "length_m",
    "WIDTH": "width_m",
    "ROW_ALLEY": "row_alley_m",
    "COLUMN_ALLEY": "column_alley_m",
    "BLOCK_ROWS": "block_rows",
    "BLOCK_COLUMNS": "block_columns",
    "BLOCK_ALLEY": "block_alley_m",
    "BUFFER": "buffer_m",
}
"""Parameters of the trial, and what the engine calls them."""

_COUNTS = ("ROWS", "COLUMNS", "BLOCK_ROWS", "BLOCK_COLUMNS")
_INTEGER = QgsProcessingParameterNumber.Type.Integer
_DOUBLE = QgsProcessingParameterNumber.Type.Double


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
        self._add_place()
        self._add_trial()
        self._add_numbering()
        self._add_extras()
        self.add(
            QgsProcessingParameterVectorDestination(OUTPUT, tr("Plots"), POLYGONS),
            tr("The plots with plot_id, block, row and column."),
        )
        self.addOutput(QgsProcessingOutputNumber("N_PLOTS", tr("Number of plots")))
        self.addOutput(QgsProcessingOutputNumber("MISFIT", tr("Largest misfit of a corner (m)")))
        self.addOutput(QgsProcessingOutputString("MAP", tr("The plots as they lie in the field")))

    def _add_place(self) -> None:
        self.add(
            QgsProcessingParameterFeatureSource(CORNERS, tr("Corners"), [ANY_GEOMETRY], optional=True),
            tr("Four points at the outer corners of the trial, in any order, or one polygon."),
        )
        self.add(
            QgsProcessingParameterPoint(POINT_A, tr("Or: point A, lower left corner"), optional=True),
            tr("The corner where row 1 and column 1 meet."),
        )
        self.add(
            QgsProcessingParameterPoint(POINT_B, tr("Point B, along the first row"), optional=True),
            tr("Any further point along the first row of plots."),
        )

    def _add_trial(self) -> None:
        for name, label, text in (
            ("ROWS", tr("Rows of plots"), tr("Number of rows; not with a template.")),
            ("COLUMNS", tr("Plots in a row"), tr("Number of columns; not with a template.")),
        ):
            self.add(QgsProcessingParameterNumber(name, label, _INTEGER, optional=True, minValue=1), text)
        self._add_numbers(
            ("LENGTH", tr("Plot length (m)"), None, tr("From row to row. Empty: as the corners give it.")),
            ("WIDTH", tr("Plot width (m)"), None, tr("Along a row. Empty: as the corners give it.")),
            (
                "ROW_ALLEY",
                tr("Alley between rows (m)"),
                0.0,
                tr("Gap between one row of plots and the next."),
            ),
            ("COLUMN_ALLEY", tr("Alley between columns (m)"), 0.0, tr("Gap between neighbours in a row.")),
        )
        for name, label in (
            ("BLOCK_ROWS", tr("Rows of a block")),
            ("BLOCK_COLUMNS", tr("Columns of a block")),
        ):
            self.add(
                QgsProcessingParameterNumber(name, label, _INTEGER, optional=True, minValue=1),
                tr("Empty: the trial is one block."),
                is_advanced=True,
            )
        self._add_numbers(
            ("BLOCK_ALLEY", tr("Alley between blocks (m)"), None, tr("In place of the ordinary alley.")),
            ("BUFFER", tr("Draw plots in by (m)"), 0.0, tr("Every plot is made smaller on all sides.")),
            is_advanced=True,
        )

    def _add_numbers(self, *numbers: tuple[str, str, float | None, str], is_advanced: bool = False) -> None:
        for name, label, default, text in numbers:
            number = QgsProcessingParameterNumber(
                name, label, _DOUBLE, default, optional=default is None, minValue=0
            )
            self.add(number, text, is_advanced=is_advanced)

    def _add_numbering(self) -> None:
        for name, label, choices, text in (
            (ORDER, tr("Numbering"), ORDERS, tr("The way that the plots are walked and counted.")),
            (START, tr("First plot"), STARTS, tr("Corner of the trial where counting begins.")),
        ):
            self.add(
                QgsProcessingParameterEnum(
                    name, label, choices, defaultValue=choices[0], usesStaticStrings=True
                ),
                text,
            )
        self.add(
            QgsProcessingParameterNumber(FIRST, tr("First number"), _INTEGER, 1),
            tr("Number of the first plot, such as 101."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterNumber(STEP, tr("Step"), _INTEGER, 1, minValue=1),
            tr("From one number to the next."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterBoolean(BY_BLOCK, tr("Block by block"), False),
            tr("Finish a block before the next."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterString(PLOT_NAME, tr("Names of plots"), optional=True),
            tr("From number, block, row, column, in_block: {block}-{row:02}-{column:02}. Empty: the number."),
            is_advanced=True,
        )

    def _add_extras(self) -> None:
        self.add(
            QgsProcessingParameterFile(
                FIELD_BOOK, tr("Field book"), optional=True, fileFilter=tr("Tables (*.csv *.txt *.tsv)")
            ),
            tr("Table with a line for each plot; its columns are added."),
        )
        extras: list[tuple[Any, str]] = [
            (
                QgsProcessingParameterString(FIELD_BOOK_BY, tr("Field book by"), "auto"),
                tr("auto, row-column, or the field book's column of plot names."),
            ),
            (
                QgsProcessingParameterRasterLayer(MASK, tr("Fit to the canopy of"), optional=True),
                tr("A mask: the plots are moved and turned a little so that the canopy lies inside."),
            ),
            (
                QgsProcessingParameterFeatureSource(TEMPLATE, tr("Template"), [POLYGONS], optional=True),
                tr("Plots of an earlier survey that are moved here, with all their columns."),
            ),
            (
                QgsProcessingParameterEnum(
                    SIDE, tr("Further rows lie"), SIDES, defaultValue=SIDES[0], usesStaticStrings=True
                ),
                tr("Left or right of the line from A to B."),
            ),
            (
                QgsProcessingParameterNumber(TURN, tr("Turn (°)"), _DOUBLE, 0.0),
                tr("A further turn, counter-clockwise."),
            ),
        ]
        for parameter, text in extras:
            self.add(parameter, text, is_advanced=True)

    def prepareAlgorithm(  # noqa: N802
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        template = None
        if self.given(parameters, TEMPLATE):
            template, _ = vector_source(self, parameters, TEMPLATE, context, feedback)
        mask = self.parameterAsRasterLayer(parameters, MASK, context)
        self._arguments = {
            "site": self._site(parameters, context),
            "trial": None if template else self._trial(parameters, context),
            "numbering": {
                "order": self.parameterAsEnumString(parameters, ORDER, context),
                "start": self.parameterAsEnumString(parameters, START, context),
                "first": self.parameterAsInt(parameters, FIRST, context),
                "step": self.parameterAsInt(parameters, STEP, context),
                "by_block": self.parameterAsBool(parameters, BY_BLOCK, context),
                "template": self.parameterAsString(parameters, PLOT_NAME, context),
            },
            "template": {"plots": template} if template else None,
            "fieldbook": self.parameterAsFile(parameters, FIELD_BOOK, context) or None,
            "fieldbook_by": self.text(parameters, FIELD_BOOK_BY, context),
            "snap_to": raster_source(mask) if mask else None,
        }
        return True

    def _trial(self, parameters: dict, context: QgsProcessingContext) -> dict[str, Any]:
        if not (self.given(parameters, "ROWS") and self.given(parameters, "COLUMNS")):
            raise QgsProcessingException(tr("ROWS and COLUMNS are needed, or a TEMPLATE."))
        read = {name: self.whole if name in _COUNTS else self.number for name in TRIAL}
        return {
            key: value
            for name, key in TRIAL.items()
            if (value := read[name](parameters, name, context)) is not None
        }

    def _site(self, parameters: dict, context: QgsProcessingContext) -> dict[str, Any] | None:
        """Where the trial lies. Raises QgsProcessingException."""
        side = self.parameterAsEnumString(parameters, SIDE, context)
        turn = {"rotate_deg": self.parameterAsDouble(parameters, TURN, context)}
        if self.given(parameters, CORNERS):
            source = self.parameterAsSource(parameters, CORNERS, context)
            if source is None:
                raise QgsProcessingException(self.invalidSourceError(parameters, CORNERS))
            return {"crs": crs_text(source.sourceCrs()), "corners": corners_of(source), **turn}
        if self.given(parameters, POINT_A) and self.given(parameters, POINT_B):
            crs = self.parameterAsPointCrs(parameters, POINT_A, context)
            points = [self.parameterAsPoint(parameters, name, context, crs) for name in (POINT_A, POINT_B)]
            return {"crs": crs_text(crs), "ab": [[p.x(), p.y()] for p in points], "side": side, **turn}
        return None

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        target = destination(self, parameters, OUTPUT, context)
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


def crs_text(crs: QgsCoordinateReferenceSystem) -> str:
    """A CRS as the engine reads it. Raises QgsProcessingException where there is none."""
    if not crs.isValid():
        raise QgsProcessingException(
            tr("The place of the trial has no CRS.\n→ give the layer or the project one")
        )
    return crs.authid() or crs.toWkt()


def corners_of(source: QgsFeatureSource) -> list[list[float]]:
    """x, y of the corners: the points of a layer, or the vertices of its one polygon."""
    corners: list[list[float]] = []
    for feature in source.getFeatures():
        points = [[point.x(), point.y()] for point in feature.geometry().vertices()]
        # A ring ends where it began.
        corners += points[:-1] if len(points) > 1 and points[0] == points[-1] else points
    return corners
