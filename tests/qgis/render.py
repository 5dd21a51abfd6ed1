"""Open a run's outputs in QGIS and draw them; prints what QGIS sees as JSON. Run by QGIS's own Python.

Usage: python3 render.py ORTHOMOSAIC OUTPUT_FOLDER PICTURE.png
"""

import json
import os
import sys
from pathlib import Path

from qgis.core import (
    QgsApplication,
    QgsMapRendererParallelJob,
    QgsMapSettings,
    QgsRasterLayer,
    QgsVectorLayer,
)
from qgis.PyQt.QtCore import QSize
from qgis.PyQt.QtGui import QColor


def main(ortho: str, folder: str, picture: str) -> None:
    stem, out = Path(ortho).stem, Path(folder)
    app = QgsApplication([], GUIenabled=False)
    app.initQgis()
    base = QgsRasterLayer(ortho, "orthomosaic")
    mask = QgsRasterLayer(str(out / f"{stem}_mask.tif"), "mask")
    layers = {
        name: QgsVectorLayer(f"{out / f'{stem}.gpkg'}|layername={name}", name, "ogr")
        for name in ("canopy", "plots")
    }
    seen = {
        "mask": {
            "valid": mask.isValid(),
            "renderer": mask.renderer().type(),
            "classes": [c.label for c in mask.renderer().classes()] if mask.isValid() else [],
        }
    }
    for name, layer in layers.items():
        seen[name] = {
            "valid": layer.isValid(),
            "features": layer.featureCount(),
            "crs": layer.crs().authid(),
            "renderer": layer.renderer().type() if layer.isValid() else "",
            "labels": layer.labelsEnabled(),
            "fields": [field.name() for field in layer.fields()],
            "area_m2": sum(f["area_m2"] for f in layer.getFeatures()) if name == "canopy" else None,
        }
    draw([layers["plots"], layers["canopy"], base], picture)
    print(json.dumps(seen))
    sys.stdout.flush()
    os._exit(0)  # QGIS 3.22 may crash while its Python objects are torn down.


def draw(layers, picture: str) -> None:
    settings = QgsMapSettings()
    settings.setLayers([layer for layer in layers if layer.isValid()])
    settings.setDestinationCrs(layers[-1].crs())
    settings.setExtent(layers[-1].extent())
    settings.setOutputSize(QSize(1200, 1067))
    settings.setOutputDpi(110)
    settings.setBackgroundColor(QColor(255, 255, 255))
    job = QgsMapRendererParallelJob(settings)
    job.start()
    job.waitForFinished()
    job.renderedImage().save(picture)


if __name__ == "__main__":
    main(*sys.argv[1:])
