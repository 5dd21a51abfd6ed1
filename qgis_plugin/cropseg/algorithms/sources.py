"""Layers of QGIS as files that the engine can open. The layers themselves are left as they are."""

from __future__ import annotations

import os
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRasterLayer,
)

from ..translation import tr

VECTOR_FORMATS = ["gpkg", "shp", "geojson", "fgb"]
"""Formats that are handed on as they are; everything else is copied to a GeoPackage first."""


def absolute(path: str) -> str:
    """A file's name that leads to it from the engine's folder, too; links stay as they are."""
    return os.path.abspath(path)  # noqa: PTH100 - it would follow links


def raster_layer(
    algorithm: QgsProcessingAlgorithm, parameters: dict, name: str, context: QgsProcessingContext
) -> QgsRasterLayer:
    """The raster layer of a parameter. Raises QgsProcessingException."""
    layer = algorithm.parameterAsRasterLayer(parameters, name, context)
    if layer is None or not layer.isValid():
        raise QgsProcessingException(algorithm.invalidRasterError(parameters, name))
    return layer


def raster_source(layer: QgsRasterLayer) -> str:
    """What GDAL opens for a raster layer; with the layer's own CRS where the file has another.

    Raises
    ------
    QgsProcessingException
        For a layer that is no file, such as a map service.
    """
    if layer.dataProvider().name() != "gdal":
        raise QgsProcessingException(
            tr("{} is no raster file but a {} layer.\n→ export it to a GeoTIFF and take that").format(
                layer.name(), layer.dataProvider().name()
            )
        )
    # QGIS appends its own hints to the name of the file.
    source = layer.source().partition("|option:")[0].partition("|credential:")[0]
    if Path(source).exists():
        source = absolute(source)
    crs = layer.crs()
    if crs.isValid() and crs != layer.dataProvider().crs():
        return _with_crs(source, crs)
    return source


def _with_crs(source: str, crs: QgsCoordinateReferenceSystem) -> str:
    """A virtual raster over the source that states another CRS."""
    virtual = QgsProcessingUtils.generateTempFilename(f"{Path(source).stem}.vrt")
    if gdal.Translate(virtual, source, format="VRT", outputSRS=crs.toWkt()) is None:
        raise QgsProcessingException(
            tr("{} cannot be given the CRS of its layer ({})").format(source, crs.authid())
        )
    return virtual


def vector_source(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict,
    name: str,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> str:
    """What the engine opens for a vector parameter.

    Selections, filters, memory layers and databases are written to a temporary GeoPackage, and so is a layer
    whose CRS or features differ from its file's: the user set its CRS, or has edits that are not saved yet.
    Raises QgsProcessingException.
    """
    layer = algorithm.parameterAsVectorLayer(parameters, name, context)
    is_as_its_file = layer is None or not (
        layer.isModified() or (layer.crs().isValid() and layer.crs() != layer.dataProvider().crs())
    )
    path, layer_name = algorithm.parameterAsCompatibleSourceLayerPathAndLayerName(
        parameters, name, context, VECTOR_FORMATS if is_as_its_file else [], "gpkg", feedback
    )
    if not path:
        raise QgsProcessingException(algorithm.invalidSourceError(parameters, name))
    if layer is not None and path not in layer.source():
        # A copy has one layer, but QGIS may still say the name that it had in its own file.
        layer_name = ""
    if Path(path).exists():
        path = absolute(path)
    return f"{path}|layername={layer_name}" if layer_name else path


def extent_of(
    algorithm: QgsProcessingAlgorithm,
    parameters: dict,
    name: str,
    context: QgsProcessingContext,
    crs: QgsCoordinateReferenceSystem,
) -> list[float] | None:
    """minx, miny, maxx, maxy of an extent in a raster's CRS; None where none is given."""
    if parameters.get(name) in (None, ""):
        return None
    box = algorithm.parameterAsExtent(parameters, name, context, crs)
    if box.isEmpty() or not box.isFinite():
        raise QgsProcessingException(tr("The extent is empty, or has no place in the raster's CRS."))
    return [box.xMinimum(), box.yMinimum(), box.xMaximum(), box.yMaximum()]
