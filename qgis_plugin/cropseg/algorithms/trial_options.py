"""The parameters of a field trial's layout, and the job's arguments that come of them."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeatureSource,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterPoint,
    QgsProcessingParameterString,
)

from ..moved import ANY_GEOMETRY
from ..translation import tr
from .base import EngineAlgorithm
from .sources import transformation

CORNERS, POINT_A, POINT_B = "CORNERS", "POINT_A", "POINT_B"
SIDE, TURN, TOLERANCE = "SIDE", "TURN", "TOLERANCE"
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


def add_place_options(algorithm: EngineAlgorithm) -> None:
    """CORNERS, or POINT_A and POINT_B."""
    algorithm.add(
        QgsProcessingParameterFeatureSource(CORNERS, tr("Corners"), [ANY_GEOMETRY], optional=True),
        tr("Four points at the outer corners of the trial, in any order, or one polygon."),
    )
    algorithm.add(
        QgsProcessingParameterPoint(POINT_A, tr("Or: point A, lower left corner"), optional=True),
        tr("The corner where row 1 and column 1 meet."),
    )
    algorithm.add(
        QgsProcessingParameterPoint(POINT_B, tr("Point B, along the first row"), optional=True),
        tr("Any further point along the first row of plots."),
    )


def add_trial_options(algorithm: EngineAlgorithm) -> None:
    """ROWS, COLUMNS and all sizes; folded the blocks."""
    for name, label, text in (
        ("ROWS", tr("Rows of plots"), tr("Number of rows; not with a template.")),
        ("COLUMNS", tr("Plots in a row"), tr("Number of columns; not with a template.")),
    ):
        algorithm.add_number(name, label, text, lowest=1, is_whole=True)
    for name, label, default, text in (
        ("LENGTH", tr("Plot length (m)"), None, tr("From row to row. Empty: as the corners give it.")),
        ("WIDTH", tr("Plot width (m)"), None, tr("Along a row. Empty: as the corners give it.")),
        ("ROW_ALLEY", tr("Alley between rows (m)"), 0.0, tr("Gap between one row of plots and the next.")),
        ("COLUMN_ALLEY", tr("Alley between columns (m)"), 0.0, tr("Gap between neighbours in a row.")),
    ):
        algorithm.add_number(name, label, text, default)
    one_block = tr("Empty: the trial is one block.")
    for name, label in (("BLOCK_ROWS", tr("Rows of a block")), ("BLOCK_COLUMNS", tr("Columns of a block"))):
        algorithm.add_number(name, label, one_block, lowest=1, is_whole=True, is_advanced=True)
    for name, label, default, text in (
        ("BLOCK_ALLEY", tr("Alley between blocks (m)"), None, tr("In place of the ordinary alley.")),
        ("BUFFER", tr("Draw plots in by (m)"), 0.0, tr("Every plot is made smaller on all sides.")),
    ):
        algorithm.add_number(name, label, text, default, is_advanced=True)


def add_numbering_options(algorithm: EngineAlgorithm) -> None:
    """ORDER and START; folded how plots are named."""
    algorithm.add_choice(
        ORDER,
        tr("Numbering"),
        ORDERS,
        tr(
            "row: row after row. column: column after column. serpentine: rows, every other one back. "
            "serpentine-column: columns, every other one back."
        ),
    )
    algorithm.add_choice(
        START,
        tr("First plot"),
        STARTS,
        tr("Corner of the trial where counting begins: bottom or top, left or right."),
    )
    algorithm.add_number(
        FIRST,
        tr("First number"),
        tr("Number of the first plot, such as 101."),
        1,
        lowest=None,
        is_whole=True,
        is_advanced=True,
    )
    algorithm.add_number(
        STEP, tr("Step"), tr("From one number to the next."), 1, lowest=1, is_whole=True, is_advanced=True
    )
    algorithm.add(
        QgsProcessingParameterBoolean(BY_BLOCK, tr("Block by block"), False),
        tr("Finish a block before the next."),
        is_advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterString(PLOT_NAME, tr("Names of plots"), optional=True),
        tr("From number, block, row, column, in_block: {block}-{row:02}-{column:02}. Empty: the number."),
        is_advanced=True,
    )


def add_line_options(algorithm: EngineAlgorithm) -> None:
    """How the trial lies to its points: SIDE, TURN and TOLERANCE."""
    algorithm.add_choice(
        SIDE, tr("Further rows lie"), SIDES, tr("Left or right of the line from A to B."), is_advanced=True
    )
    algorithm.add_number(
        TURN, tr("Turn (°)"), tr("A further turn, counter-clockwise."), 0.0, lowest=None, is_advanced=True
    )
    algorithm.add_number(
        TOLERANCE,
        tr("Error of corners (m)"),
        tr("How far a corner may lie from where the trial would have it. Empty: half a metre."),
        is_advanced=True,
    )


def trial_arguments(
    algorithm: EngineAlgorithm, parameters: dict, context: QgsProcessingContext
) -> dict[str, Any]:
    """Rows, columns and sizes. Raises QgsProcessingException."""
    if not (algorithm.given(parameters, "ROWS") and algorithm.given(parameters, "COLUMNS")):
        raise QgsProcessingException(tr("ROWS and COLUMNS are needed, or a TEMPLATE."))
    read = {name: algorithm.whole if name in _COUNTS else algorithm.number for name in TRIAL}
    values = {key: read[name](parameters, name, context) for name, key in TRIAL.items()}
    return {key: value for key, value in values.items() if value is not None}


def numbering_arguments(
    algorithm: EngineAlgorithm, parameters: dict, context: QgsProcessingContext
) -> dict[str, Any]:
    """How plots are counted and named."""
    return {
        "order": algorithm.parameterAsEnumString(parameters, ORDER, context),
        "start": algorithm.parameterAsEnumString(parameters, START, context),
        "first": algorithm.parameterAsInt(parameters, FIRST, context),
        "step": algorithm.parameterAsInt(parameters, STEP, context),
        "by_block": algorithm.parameterAsBool(parameters, BY_BLOCK, context),
        "template": algorithm.parameterAsString(parameters, PLOT_NAME, context),
    }


def site_arguments(
    algorithm: EngineAlgorithm,
    parameters: dict,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
    crs: QgsCoordinateReferenceSystem | None,
) -> dict[str, Any] | None:
    """Where the trial lies, in a CRS if one is given, else in that of its points; None where nothing says it.

    Raises QgsProcessingException.
    """
    side = algorithm.parameterAsEnumString(parameters, SIDE, context)
    turn: dict[str, Any] = {"rotate_deg": algorithm.parameterAsDouble(parameters, TURN, context)}
    if (tolerance := algorithm.number(parameters, TOLERANCE, context)) is not None:
        turn["tolerance_m"] = tolerance
    if algorithm.given(parameters, CORNERS):
        source = algorithm.parameterAsSource(parameters, CORNERS, context)
        if source is None:
            raise QgsProcessingException(algorithm.invalidSourceError(parameters, CORNERS))
        own, points, how = source.sourceCrs(), corners_of(source), "corners"
    elif algorithm.given(parameters, POINT_A) and algorithm.given(parameters, POINT_B):
        own, how = algorithm.parameterAsPointCrs(parameters, POINT_A, context), "ab"
        line = [algorithm.parameterAsPoint(parameters, name, context, own) for name in (POINT_A, POINT_B)]
        points = [[point.x(), point.y()] for point in line]
        turn["side"] = side
    else:
        return None
    if crs is not None and own.isValid() and own != crs:
        points = _transformed(points, transformation(own, crs, context, feedback))
        own = crs
    return {"crs": crs_text(own), how: points, **turn}


def _transformed(points: list[list[float]], transform: QgsCoordinateTransform) -> list[list[float]]:
    """The same places in another CRS. Raises QgsProcessingException."""
    try:
        moved = [transform.transform(x, y) for x, y in points]
    except QgsCsException as err:
        raise QgsProcessingException(str(err)) from err
    return [[point.x(), point.y()] for point in moved]


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
