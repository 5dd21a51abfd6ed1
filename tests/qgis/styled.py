"""Open a GeoPackage's layers in QGIS, say as JSON what arrived, and draw them. Run by QGIS's own Python.

Usage: python3 styled.py FILE.gpkg PICTURE.png
"""

import json
import os
import sqlite3
import sys
import tempfile
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsExpression,
    QgsExpressionContext,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def main(path: str, picture: str) -> None:
    app = QgsApplication([], GUIenabled=False)
    app.initQgis()
    seen, layers = {}, []
    with sqlite3.connect(path) as db:
        slds = dict(db.execute("SELECT f_table_name, styleSLD FROM layer_styles"))
    for name, sld in slds.items():
        layer = QgsVectorLayer(f"{path}|layername={name}", name, "ogr")
        layers.append(layer)
        seen[name] = {
            "valid": layer.isValid(),
            "renderer": layer.renderer().type(),
            "legend": [item.label() for item in layer.renderer().legendSymbolItems()],
            "aliases": {f.name(): f.alias() for f in layer.fields() if f.alias()},
            "abstract": layer.metadata().abstract(),
            "map_tip": layer.mapTipTemplate(),
            "labels": layer.labelsEnabled(),
            "labelled": labelled(layer) if layer.labelsEnabled() else {},
            "indexed": layer.hasSpatialIndex() == 2,
            "sld": by_sld(path, name, sld),
        }
    draw(layers[::-1], picture)
    print(json.dumps(seen))
    sys.stdout.flush()
    os._exit(0)  # QGIS 3.22 may crash while its Python objects are torn down.


def labelled(layer) -> dict:
    """Each plot's label, as QGIS evaluates it."""
    settings = layer.labeling().settings()
    if not settings.isExpression:
        return {f["plot_id"]: f[settings.fieldName] for f in layer.getFeatures()}
    context, texts = QgsExpressionContext(), {}
    for feature in layer.getFeatures():
        context.setFeature(feature)
        context.setFields(layer.fields())
        texts[feature["plot_id"]] = QgsExpression(settings.fieldName).evaluate(context)
    return texts


def by_sld(path: str, name: str, sld: str) -> dict:
    """What QGIS makes of the SLD alone."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "style.sld"
        file.write_text(sld, encoding="utf-8")
        layer = QgsVectorLayer(f"{path}|layername={name}", name, "ogr")
        message, fine = layer.loadSldStyle(str(file))
    rules = [item.label() for item in layer.renderer().legendSymbolItems()]
    return {"fine": fine, "message": message, "renderer": layer.renderer().type(), "rules": rules}


def draw(layers, picture: str) -> None:
    settings = QgsMapSettings()
    settings.setLayers(layers)
    settings.setDestinationCrs(layers[0].crs())
    extent = layers[0].extent()
    extent.combineExtentWith(layers[-1].extent())
    extent.scale(1.05)
    settings.setExtent(extent)
    settings.setOutputSize(QSize(1000, 800))
    settings.setOutputDpi(110)
    settings.setBackgroundColor(QColor(255, 255, 255))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
