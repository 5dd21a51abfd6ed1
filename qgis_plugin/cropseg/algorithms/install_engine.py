"""``cropseg:installengine``: make the environment that the engine lives in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputString,
    QgsProcessingParameterFile,
    QgsSettings,
)

from ..engine.environment import managed_folder
from ..engine.install import install
from ..engine.tools import ACCELERATORS, InstallError
from ..translation import tr
from .base import ENGINE_KEY, EngineAlgorithm
from .sources import absolute

ACCELERATOR, WHEELS, FOLDER = "ACCELERATOR", "WHEELS", "FOLDER"


class InstallEngineAlgorithm(EngineAlgorithm):
    """Install the engine, or bring it up to date."""

    def name(self) -> str:
        return "installengine"

    def displayName(self) -> str:  # noqa: N802
        return tr("Install the engine")

    def tags(self) -> list[str]:
        return tr("install,update,engine,environment,torch,offline").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Installs what does the work, in an environment of its own.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Installs the engine (Python, the models and what computes them) into a folder of its own; QGIS "
            "is left as it is. Takes about 1 GB of disk and a few minutes; with PyTorch, which graphics "
            "cards and some models of your own need, several times as much.\n\nUses uv where it is "
            "installed, else a Python from 3.11 to 3.14. Proxies and indexes as configured for pip count. "
            "Without a connection, give a folder of wheels. Run it again to update; the old engine is kept "
            "until the new one works."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        self.add_choice(
            ACCELERATOR,
            tr("Engine for"),
            list(ACCELERATORS),
            tr(
                "cpu: small, fastest on a processor. cuda: with PyTorch for NVIDIA graphics cards, "
                "much larger. torch: with PyTorch for processor and Apple graphics, for models "
                "without an ONNX form."
            ),
        )
        self.add(
            QgsProcessingParameterFile(
                WHEELS, tr("Folder of wheels"), QgsProcessingParameterFile.Behavior.Folder, optional=True
            ),
            tr("Install from this folder and not from the network."),
            is_advanced=True,
        )
        self.add(
            QgsProcessingParameterFile(
                FOLDER, tr("Folder for the engine"), QgsProcessingParameterFile.Behavior.Folder, optional=True
            ),
            tr("Empty: a folder of the plugin's own."),
            is_advanced=True,
        )
        self.addOutput(QgsProcessingOutputString("PYTHON", tr("Python of the engine")))
        self.addOutput(QgsProcessingOutputString("VERSION", tr("Version of the engine")))

    def needs_engine(self) -> bool:
        return False

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        wheels = self.parameterAsFile(parameters, WHEELS, context)
        folder = self.parameterAsFile(parameters, FOLDER, context)
        target = Path(absolute(folder)) if folder else managed_folder()

        def show(share: float, step: str) -> None:
            feedback.setProgress(100 * share)
            feedback.setProgressText(step)

        try:
            engine = install(
                target,
                accelerator=self.parameterAsEnumString(parameters, ACCELERATOR, context),
                wheels=Path(absolute(wheels)) if wheels else None,
                on_line=feedback.pushConsoleInfo,
                on_milestone=show,
                is_cancelled=feedback.isCanceled,
            )
        except InstallError as err:
            raise QgsProcessingException(str(err)) from err
        if engine is None:
            return {}
        # The plugin's own is found without a setting; another one that was chosen before would hide it.
        QgsSettings().setValue(ENGINE_KEY, str(engine.python) if folder else "")
        feedback.pushInfo(tr("Engine {} is ready: {}").format(engine.version, engine.python))
        return {"PYTHON": str(engine.python), "VERSION": engine.version}
