"""The toolbox's group of algorithms."""

from __future__ import annotations

from pathlib import Path

from qgis.core import QgsProcessingProvider
from qgis.PyQt.QtGui import QIcon

from .algorithms import ALGORITHMS
from .engine.versions import plugin_version


class CropSegProvider(QgsProcessingProvider):
    """Provider ``cropseg``; its id and those of its algorithms are a published contract."""

    def id(self) -> str:
        return "cropseg"

    def name(self) -> str:
        return "CropSeg"

    def longName(self) -> str:  # noqa: N802
        return "CropSeg: crop segmentation for drone orthomosaics"

    def versionInfo(self) -> str:  # noqa: N802
        return plugin_version()

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:  # noqa: N802
        return str(Path(__file__).with_name("icon.svg"))

    def supportsNonFileBasedOutput(self) -> bool:  # noqa: N802
        return False

    def supportedOutputRasterLayerExtensions(self) -> list[str]:  # noqa: N802
        return ["tif"]

    def loadAlgorithms(self) -> None:  # noqa: N802
        for algorithm in ALGORITHMS:
            self.addAlgorithm(algorithm())
