"""The sample field as a project: copied to a folder of the user's and styled by code."""

from __future__ import annotations

import shutil
from pathlib import Path

from qgis.core import (
    QgsFillSymbol,
    QgsLayerTreeGroup,
    QgsMapLayer,
    QgsPalLayerSettings,
    QgsProject,
    QgsRasterLayer,
    QgsReferencedRectangle,
    QgsSingleSymbolRenderer,
    QgsTextBufferSettings,
    QgsTextFormat,
    QgsVectorLayer,
    QgsVectorLayerSimpleLabeling,
)
from qgis.PyQt.QtCore import QStandardPaths
from qgis.PyQt.QtGui import QColor

from .results import file_of
from .translation import tr

SOURCE = Path(__file__).resolve().parent / "sample"
RASTERS = {"INPUT": "field.tif", "DSM": "field_dsm.tif", "DTM": "field_dtm.tif"}
PLOTS = "plots.gpkg"
PROJECT = "field.qgz"


def default_folder() -> Path:
    """Where the sample goes unless the user says otherwise."""
    documents = QStandardPaths.writableLocation(QStandardPaths.StandardLocation.DocumentsLocation)
    return Path(documents or Path.home()) / "CropSeg sample field"


def copy_sample(folder: Path) -> None:
    """Copy the sample's files to a folder; those that are there already stay as they are.

    Raises
    ------
    OSError
        If the folder cannot be written, or the plugin was not installed from its package.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (*RASTERS.values(), PLOTS):
        target = folder / name
        if not target.exists():
            # A copy that was cut short must not be taken for the file at the next try.
            part = target.with_name(f"{name}.part")
            shutil.copyfile(SOURCE / name, part)
            part.replace(target)


def fill_project(project: QgsProject, folder: Path) -> QgsReferencedRectangle:
    """Put the sample's layers, styled, into an empty project; returns where the field lies."""
    rasters = {key: QgsRasterLayer(str(folder / name), _title(key)) for key, name in RASTERS.items()}
    plots = QgsVectorLayer(f"{folder / PLOTS}|layername=plots", tr("Plots"), "ogr")
    style_plots(plots)
    project.setTitle(tr("CropSeg sample field"))
    project.setCrs(rasters["INPUT"].crs())
    layers: dict[str, QgsMapLayer] = {"PLOTS": plots, **rasters}
    for layer in layers.values():
        project.addMapLayer(layer, False)
    root = project.layerTreeRoot()
    root.addLayer(plots)
    root.addLayer(rasters["INPUT"])
    _add_heights(root.addGroup(tr("Heights")), [rasters["DSM"], rasters["DTM"]])
    return QgsReferencedRectangle(rasters["INPUT"].extent(), project.crs())


def find_layers(project: QgsProject) -> dict[str, str]:
    """The sample's layers in a project, known by their files.

    Returns
    -------
    dict
        Parameter of ``cropseg:pipeline`` → id of its layer; empty where one of them is missing.
    """
    ids = {Path(file_of(layer)): layer.id() for layer in project.mapLayers().values()}
    names = {**RASTERS, "PLOTS": PLOTS}
    for folder in {path.parent for path in ids}:
        if all(folder / name in ids for name in names.values()):
            return {key: ids[folder / name] for key, name in names.items()}
    return {}


def style_plots(layer: QgsVectorLayer) -> None:
    """Outlines that are seen on soil, on leaves and in the legend, with the plots' names."""
    symbol = QgsFillSymbol.createSimple(
        {"style": "no", "outline_color": "255,221,87,255", "outline_width": "0.5"}
    )
    layer.setRenderer(QgsSingleSymbolRenderer(symbol))
    halo = QgsTextBufferSettings()
    halo.setEnabled(True)
    halo.setSize(0.8)
    halo.setColor(QColor(30, 30, 30))
    text = QgsTextFormat()
    text.setSize(8)
    text.setColor(QColor(255, 255, 255))
    text.setBuffer(halo)
    label = QgsPalLayerSettings()
    label.fieldName = "plot_id"
    # The results' labels, with the coverage, win where both have no room.
    label.priority = 0
    label.setFormat(text)
    layer.setLabeling(QgsVectorLayerSimpleLabeling(label))
    layer.setLabelsEnabled(True)


def _title(key: str) -> str:
    return {"INPUT": tr("Orthomosaic"), "DSM": tr("Surface height"), "DTM": tr("Terrain height")}[key]


def _add_heights(group: QgsLayerTreeGroup, layers: list[QgsMapLayer]) -> None:
    """Heights are there for the algorithms; on the map they would hide the field."""
    for layer in layers:
        group.addLayer(layer)
    group.setExpanded(False)
    group.setItemVisibilityChecked(False)
