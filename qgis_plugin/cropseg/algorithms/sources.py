"""Layers of QGIS as files that the engine can open. The layers themselves are left as they are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from osgeo import gdal
from qgis.core import (
    QgsCoordinateReferenceSystem,
    QgsCoordinateTransform,
    QgsDatumTransform,
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeatureSourceDefinition,
    QgsProcessingFeedback,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsVectorFileWriter,
    QgsVectorLayer,
)

from ..moved import FROM_PROVIDER
from ..results import file_of
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


def raster_source(layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> str:
    """What GDAL opens for a raster layer; with the layer's own CRS where the file has another.

    Further values that the user calls no data are left out, with a warning.

    Raises
    ------
    QgsProcessingException
        For a layer that is no file, such as a map service, or that has no CRS.
    """
    provider = layer.dataProvider()
    if provider.name() != "gdal":
        raise QgsProcessingException(
            tr("{} is no raster file but a {} layer.\n→ export it to a GeoTIFF and take that").format(
                layer.name(), provider.name()
            )
        )
    if not layer.crs().isValid():
        raise QgsProcessingException(
            tr(
                "{} has no CRS, and none is guessed.\n"
                "→ right-click the layer › Layer CRS › Set Layer CRS …, or write it into the file: "
                "gdal_edit.py -a_srs EPSG:<code> <file>"
            ).format(layer.name())
        )
    if any(provider.userNoDataValues(band) for band in range(1, provider.bandCount() + 1)):
        feedback.pushWarning(
            tr(
                "{}: the additional no data values of the layer do not count here; "
                "write them into the file, or limit the work to an area."
            ).format(layer.name())
        )
    # QGIS appends its own hints to the name of the file.
    source = layer.source().partition("|option:")[0].partition("|credential:")[0]
    if Path(source).exists():
        source = absolute(source)
    if layer.crs() != provider.crs():
        return _with_crs(source, layer.crs())
    return source


def mask_source(layer: QgsRasterLayer, feedback: QgsProcessingFeedback) -> str:
    """What GDAL opens for a mask. Raises QgsProcessingException, also for what is none."""
    source = raster_source(layer, feedback)
    if layer.dataProvider().bandScale(1) != 1:
        raise QgsProcessingException(
            tr(
                "{} holds no class numbers; it looks like a probability raster.\n"
                "→ give the mask, whose name ends in _mask.tif"
            ).format(layer.name())
        )
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
    crs: QgsCoordinateReferenceSystem | None = None,
) -> str:
    """What the engine opens for a vector parameter, in a CRS if one is given.

    Selections, filters, memory layers and databases are written to a temporary GeoPackage, and so is a layer
    that is not as its file is: the user set its CRS, joined columns, or has edits that are not saved yet.
    Where the CRS differ, QGIS transforms: it has its user's settings and grids, and the engine has none.
    Raises QgsProcessingException.
    """
    layer = vector_layer(algorithm, parameters, name, context)
    is_as_its_file = layer is None or _is_as_its_file(layer)
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
    source = f"{path}|layername={layer_name}" if layer_name else path
    if crs is None or layer is None or not layer.crs().isValid() or layer.crs() == crs:
        return source
    return _transformed(source, layer.name(), transformation(layer.crs(), crs, context, feedback), context)


def vector_layer(
    algorithm: QgsProcessingAlgorithm, parameters: dict, name: str, context: QgsProcessingContext
) -> QgsVectorLayer | None:
    """The layer of a parameter, of which only the selected features may be wanted."""
    given = parameters.get(name)
    if isinstance(given, QgsProcessingFeatureSourceDefinition):
        # As such QGIS finds no layer.
        parameters = {**parameters, name: given.source}
    return algorithm.parameterAsVectorLayer(parameters, name, context)


def _is_as_its_file(layer: QgsVectorLayer) -> bool:
    """True if a layer's file says all that the user sees; a filter and a selection apart."""
    crs, fields = layer.crs(), layer.fields()
    return not (
        layer.isModified()
        or (crs.isValid() and crs != layer.dataProvider().crs())
        or any(fields.fieldOrigin(i) != FROM_PROVIDER for i in range(fields.count()))
    )


def transformation(
    own: QgsCoordinateReferenceSystem,
    crs: QgsCoordinateReferenceSystem,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> QgsCoordinateTransform:
    """From one CRS to another as the user has it set; with a warning where a more exact way lacks a file."""
    settings = context.transformContext()
    ways = QgsDatumTransform.operations(own, crs)
    if ways and not ways[0].isAvailable and not settings.hasTransform(own, crs):
        files = ", ".join(grid.shortName for grid in ways[0].grids)
        feedback.pushWarning(
            tr("From {} to {} places may be off by metres: QGIS lacks the grid {}.").format(
                own.authid(), crs.authid(), files
            )
        )
    return QgsCoordinateTransform(own, crs, settings)


def _transformed(
    source: str, name: str, transform: QgsCoordinateTransform, context: QgsProcessingContext
) -> str:
    """A copy of a layer's file in another CRS. Raises QgsProcessingException."""
    # What refuses the copy names it.
    stem = re.sub(r"[^\w.-]+", "_", name)[:60] or "layer"
    target = QgsProcessingUtils.generateTempFilename(f"{stem}.gpkg")
    if message := write_layer(QgsVectorLayer(source, name, "ogr"), target, context, transform):
        raise QgsProcessingException(
            tr("{} cannot be brought into {}: {}").format(name, transform.destinationCrs().authid(), message)
        )
    return target


def write_layer(
    layer: QgsVectorLayer,
    target: str,
    context: QgsProcessingContext,
    transform: QgsCoordinateTransform | None = None,
    *,
    name: str = "",
) -> str:
    """Write a layer to a file of the format that its suffix says, under a name where the format has names.

    With a transformation to a GeoPackage, whose own numbers of features take no column of the layer's.

    Returns
    -------
    str
        What is in the way; empty if nothing is.
    """
    options = QgsVectorFileWriter.SaveVectorOptions()
    options.driverName = QgsVectorFileWriter.driverForExtension(Path(target).suffix)
    options.fileEncoding = "UTF-8"
    options.layerName = name
    if transform is not None:
        options.ct = transform
        # Their usual column is "fid", which in another file may be any column of the user's.
        options.layerOptions = ["FID=cropseg_fid"]
        numbers = layer.primaryKeyAttributes()
        options.attributes = [i for i in layer.fields().allAttributesList() if i not in numbers]
        # None at all would mean all of them.
        options.skipAttributeCreation = not options.attributes
    error, message, *_ = QgsVectorFileWriter.writeAsVectorFormatV3(
        layer, target, context.transformContext(), options
    )
    return "" if error == QgsVectorFileWriter.WriterError.NoError else message or str(error)


def input_files(
    algorithm: QgsProcessingAlgorithm, parameters: dict, context: QgsProcessingContext
) -> set[str]:
    """Every file that an algorithm's parameters read, with those that a virtual raster is made of."""
    files = set()
    for definition in algorithm.parameterDefinitions():
        name, kind = definition.name(), definition.type()
        if parameters.get(name) in (None, ""):
            continue
        if kind == "raster" and (raster := algorithm.parameterAsRasterLayer(parameters, name, context)):
            files |= _with_members(file_of(raster))
        elif kind == "multilayer":
            layers = algorithm.parameterAsLayerList(parameters, name, context)
            files = files.union(*(_with_members(file_of(layer)) for layer in layers))
        elif kind == "source" and (layer := vector_layer(algorithm, parameters, name, context)):
            files.add(file_of(layer))
        elif kind == "file":
            files.add(algorithm.parameterAsFile(parameters, name, context))
    return files


def _with_members(path: str) -> set[str]:
    """A raster's file; of a virtual raster, its members' as well."""
    if not path.lower().endswith(".vrt") or (virtual := gdal.OpenEx(path)) is None:
        return {path}
    members = set(virtual.GetFileList() or ()) - {path}
    return {path}.union(*(_with_members(member) for member in members))


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
