"""From the engine's folder to where the user wants the results."""

from __future__ import annotations

import re
from pathlib import Path

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterVectorDestination,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ..engine.workspace import place
from ..translation import tr

ENGINE_FORMATS = (".gpkg", ".fgb", ".geojson", ".parquet")
"""What the engine writes outlines and plots as."""

_OTHER_STORE = re.compile("[A-Za-z]{2,}:")
"""``memory:``, ``ogr:`` and ``postgis:``, with which QGIS spells what is no file; a drive has one letter."""


def destination(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict,
    name: str,
    context: QgsProcessingContext,
    *suffixes: str,
) -> str | None:
    """Where an output goes, as QGIS spells it; None where it is not wanted.

    Asked before the work, so that a name to which nothing can be written is refused before it.

    Parameters
    ----------
    suffixes
        What the engine writes. A vector layer may have any other suffix that QGIS converts to.

    Raises
    ------
    QgsProcessingException
        If it is no file, or has a suffix that nothing writes.
    """
    path = algorithm.parameterAsOutputLayer(parameters, name, context)
    if not path:
        return None
    if _OTHER_STORE.match(path):
        raise QgsProcessingException(
            tr("The engine writes files, and {} is none.\n→ give a file, or TEMPORARY_OUTPUT").format(path)
        )
    suffix = Path(path).suffix.lower()
    is_layer = isinstance(
        algorithm.parameterDefinition(name), QgsProcessingParameterVectorDestination
    ) and bool(QgsVectorFileWriter.driverForExtension(suffix))
    if suffix not in suffixes and not is_layer:
        raise QgsProcessingException(
            tr("{} is not a name for this result.\n→ let it end in {}").format(path, " / ".join(suffixes))
        )
    return path


def engine_suffix(target: str) -> str:
    """The format to ask the engine for: the user's own where it writes that, else one that QGIS converts."""
    suffix = Path(target).suffix.lower()
    return suffix if suffix in ENGINE_FORMATS else ".gpkg"


def deliver(source: Path, target: str | None, *, context: QgsProcessingContext, layer: str = "") -> None:
    """Move a finished file to its destination; a layer is converted where that has another format."""
    if target is None:
        return
    path = Path(target)
    if path.suffix.lower() == source.suffix.lower():
        place(source, path)
        return
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = QgsVectorFileWriter.driverForExtension(path.suffix)
    options.fileEncoding = "UTF-8"
    made = QgsVectorLayer(f"{source}|layername={layer}", layer, "ogr")
    error, message, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        made, target, context.transformContext(), options
    )
    if error != QgsVectorFileWriter.WriterError.NoError:
        raise QgsProcessingException(tr("{} cannot be written: {}").format(target, message))
