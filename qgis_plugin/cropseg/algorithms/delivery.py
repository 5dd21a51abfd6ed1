"""From the engine's folder to where the user wants the results."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingParameterVectorDestination,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ..engine.workspace import place, require_replaceable
from ..translation import tr
from .base import EngineAlgorithm
from .sources import write_layer

ENGINE_FORMATS = (".gpkg", ".fgb", ".geojson", ".parquet")
"""What the engine writes outlines and plots as."""

_OTHER_STORE = re.compile("[A-Za-z]{2,}:")
"""``memory:``, ``ogr:`` and ``postgis:``, with which QGIS spells what is no file; a drive has one letter."""


def destination(
    algorithm: EngineAlgorithm,
    parameters: dict,
    name: str,
    context: QgsProcessingContext,
    *suffixes: str,
    layer: str = "",
) -> str | None:
    """Where an output goes, as QGIS spells it; None where it is not wanted.

    Asked before the work, so that a name to which nothing can be written is refused before it.

    Parameters
    ----------
    suffixes
        What the engine writes. A vector layer may have any other suffix that QGIS converts to.
    layer
        The layer that is written, where it is one.

    Raises
    ------
    QgsProcessingException
        If it is no file, has a suffix that nothing writes, is another output's or a file that the algorithm
        reads, or holds other layers, which would be lost.
    PlaceError
        If a file of that name cannot be replaced.
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
    real = os.path.normcase(os.path.realpath(path))
    if real in algorithm.targets:
        raise QgsProcessingException(
            tr("{} is named for two results.\n→ choose another name for one of them").format(path)
        )
    algorithm.targets.add(real)
    refuse_input(path, algorithm.inputs)
    refuse_loss(path, {layer})
    require_replaceable([Path(path)])
    return path


def refuse_input(path: str | Path, inputs: Iterable[str]) -> None:
    """Raise QgsProcessingException if a result would replace a file that it is made of."""
    target = Path(path)
    if target.exists() and any(Path(other).exists() and target.samefile(other) for other in inputs):
        raise QgsProcessingException(
            tr(
                "{} is read by this run and would be replaced by its result.\n→ choose another name or folder"
            ).format(path)
        )


def refuse_loss(path: str | Path, own: set[str]) -> None:
    """Raise QgsProcessingException if a GeoPackage that would be replaced holds other layers than these."""
    if others := layers_in(path) - own:
        raise QgsProcessingException(
            tr("{} also holds {}, which would be lost.\n→ choose another name or folder").format(
                path, ", ".join(sorted(others))
            )
        )


def layers_in(path: str | Path) -> set[str]:
    """The layers of a GeoPackage, without their styles; none for any other file."""
    if Path(path).suffix.lower() != ".gpkg" or not Path(path).exists():
        return set()
    try:
        package = gdal.OpenEx(str(path), gdal.OF_VECTOR | gdal.OF_RASTER)
    except RuntimeError:  # as GDAL says it where another plugin had it use exceptions
        package = None
    if package is None:
        return set()
    return {package.GetLayer(i).GetName() for i in range(package.GetLayerCount())} - {"layer_styles"}


def engine_suffix(target: str, *formats: str) -> str:
    """The format to ask the engine for: the user's own where it writes that, else one that QGIS converts.

    ``formats`` are what it writes beside ``ENGINE_FORMATS``.
    """
    suffix = Path(target).suffix.lower()
    return suffix if suffix in (*ENGINE_FORMATS, *formats) else ".gpkg"


def deliver(source: Path, target: str | None, *, context: QgsProcessingContext, layer: str = "") -> None:
    """Move a finished file to its destination; a layer is converted where that has another format."""
    if target is None:
        return
    path = Path(target)
    if path.suffix.lower() == source.suffix.lower():
        place(source, path)
        return
    made = QgsVectorLayer(f"{source}|layername={layer}", layer, "ogr")
    if message := write_layer(made, target, context, name=layer):
        raise QgsProcessingException(tr("{} cannot be written: {}").format(target, message))
