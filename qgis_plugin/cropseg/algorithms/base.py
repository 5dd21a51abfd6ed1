"""What every algorithm shares: the engine check before the work, and a job with progress, log and cancel.

An algorithm reads its parameters in ``read``, which runs in the main thread where layers live, and keeps
one job; ``processAlgorithm`` gives the job to the engine and needs no layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osgeo import gdal
from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingUtils,
    QgsRasterLayer,
    QgsSettings,
)
from qgis.PyQt.QtCore import QUrl
from qgis.PyQt.QtGui import QIcon

from ..engine.environment import Engine, look, new_log
from ..engine.process import Cancelled, EngineError, run
from ..engine.progress import LABELS, Progress
from ..engine.protocol import Job, Unknown, Warned, Written
from ..engine.words import in_toolbox_words
from ..engine.workspace import PlaceError
from ..moved import ADVANCED
from ..results import file_of, reload_layers
from ..translation import tr
from .sources import input_files

ENGINE_KEY = "cropseg/engine_python"
DEVICE_KEY = "cropseg/device"

_INTEGER = QgsProcessingParameterNumber.Type.Integer
_DOUBLE = QgsProcessingParameterNumber.Type.Double
_SHOWN = frozenset({"outputRaster", "outputVector", "outputFile"})
"""Outputs that a layer may show."""
_FOLDER = Path(__file__).resolve().parents[1]


class EngineAlgorithm(QgsProcessingAlgorithm):
    """An algorithm of the provider. Subclasses say their names and parameters and build a job."""

    def createInstance(self) -> QgsProcessingAlgorithm:  # noqa: N802
        return type(self)()

    def icon(self) -> QIcon:
        return QIcon(self.svgIconPath())

    def svgIconPath(self) -> str:  # noqa: N802
        return str(_FOLDER / "icon.svg")

    def helpUrl(self) -> str:  # noqa: N802
        page = _FOLDER / "help" / f"{self.name()}.html"
        return QUrl.fromLocalFile(str(page)).toString() if page.is_file() else ""

    def add(
        self, parameter: QgsProcessingParameterDefinition, text: str, *, is_advanced: bool = False
    ) -> None:
        """Add a parameter with its help; advanced ones are folded."""
        parameter.setHelp(text)
        if is_advanced:
            parameter.setFlags(parameter.flags() | ADVANCED)
        self.addParameter(parameter)

    def add_number(
        self,
        name: str,
        label: str,
        text: str,
        default: float | None = None,
        *,
        lowest: float | None = 0,
        highest: float | None = None,
        is_whole: bool = False,
        is_advanced: bool = False,
    ) -> None:
        """Add a number; one without a default may be left empty."""
        limits = {"minValue": lowest, "maxValue": highest}
        number = QgsProcessingParameterNumber(
            name,
            label,
            _INTEGER if is_whole else _DOUBLE,
            default,
            optional=default is None,
            **{key: value for key, value in limits.items() if value is not None},
        )
        self.add(number, text, is_advanced=is_advanced)

    def add_choice(
        self,
        name: str,
        label: str,
        choices: list[str],
        text: str,
        *,
        default: str | None = None,
        is_advanced: bool = False,
    ) -> None:
        """Add a choice of one word; the first one unless there is another default."""
        parameter = QgsProcessingParameterEnum(
            name, label, choices, defaultValue=default or choices[0], usesStaticStrings=True
        )
        self.add(parameter, text, is_advanced=is_advanced)

    def given(self, parameters: Mapping[str, Any], name: str) -> bool:
        """True if a parameter has a value; an optional number that is left empty has none."""
        return parameters.get(name) not in (None, "")

    def number(self, parameters: dict, name: str, context: QgsProcessingContext) -> float | None:
        """An optional number; None where it is left empty."""
        return self.parameterAsDouble(parameters, name, context) if self.given(parameters, name) else None

    def whole(self, parameters: dict, name: str, context: QgsProcessingContext) -> int | None:
        """An optional whole number; None where it is left empty."""
        return self.parameterAsInt(parameters, name, context) if self.given(parameters, name) else None

    def text(self, parameters: dict, name: str, context: QgsProcessingContext) -> str | None:
        """An optional text; None where it is left empty."""
        return self.parameterAsString(parameters, name, context).strip() or None

    def needs_engine(self) -> bool:
        """False for what works without one."""
        return True

    def checkParameterValues(  # noqa: N802
        self, parameters: dict, context: QgsProcessingContext
    ) -> tuple[bool, str]:
        is_fine, message = super().checkParameterValues(parameters, context)
        if not is_fine or not self.needs_engine():
            return is_fine, message
        try:
            usable_engine()
        except QgsProcessingException as err:
            return False, str(err)
        return True, ""

    def prepareAlgorithm(  # noqa: N802
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        self.inputs = input_files(self, parameters, context)
        self.targets: set[str] = set()  # where outputs go
        self.read(parameters, context, feedback)
        return True

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        """Read the parameters; called in the main thread, before the work."""

    def processAlgorithm(  # noqa: N802
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        self._written: list[str] = []
        try:
            results = self.work(parameters, context, feedback)
        except Cancelled as stopped:
            feedback.pushInfo(
                tr("Stopped. The blocks that were finished are kept for the next run.")
                if stopped.keeps_blocks
                else tr("Stopped.")
            )
            return {}
        except (EngineError, PlaceError, OSError) as err:
            raise QgsProcessingException(in_toolbox_words(str(err))) from err
        kinds = {output.name(): output.type() for output in self.outputDefinitions()}
        self._written = [str(value) for name, value in results.items() if kinds.get(name) in _SHOWN]
        return results

    def postProcessAlgorithm(  # noqa: N802
        self, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        # Layers live in the main thread, and so does this; the run itself does not.
        if (project := context.project()) is not None:
            for name in reload_layers(project, self._written):
                feedback.pushWarning(
                    tr("The file of the layer {} was replaced by one that does not hold it.").format(name)
                )
        return {}

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """What the algorithm does; the results by name."""
        raise NotImplementedError

    def run_job(self, job: Job, feedback: QgsProcessingFeedback, *, rounds: int = 1) -> Mapping[str, Any]:
        """Do a job, which goes through its stages several times, with progress.

        Raises Cancelled, EngineError and QgsProcessingException.
        """
        engine = usable_engine()
        feedback.pushInfo(tr("Engine {} ({})").format(engine.version, engine.python))
        feedback.pushDebugInfo(job.to_json())
        progress, shown = Progress(job.task, rounds=rounds), ""
        warned: set[str] = set()

        def show(event: object) -> None:
            nonlocal shown
            feedback.setProgress(100 * progress.take(event))
            if progress.stage not in ("", shown):
                shown = progress.stage
                feedback.setProgressText(tr(LABELS.get(shown, shown)))
            if isinstance(event, Warned):
                # Its report reads what the run has read, and says the same of it.
                if event.message not in warned:
                    feedback.pushWarning(in_toolbox_words(event.message))
                warned.add(event.message)
            elif isinstance(event, Unknown):
                feedback.pushConsoleInfo(event.line)
            elif isinstance(event, Written):
                feedback.pushDebugInfo(Path(event.path).name)

        return run(engine.python, job, on_event=show, is_cancelled=feedback.isCanceled, log=new_log(job.task))


def usable_engine() -> Engine:
    """The engine that the settings or this machine offer. Raises QgsProcessingException where none fits."""
    chosen = str(QgsSettings().value(ENGINE_KEY, "") or "")
    engine, fit = look(chosen)
    if engine is None or not fit.is_ok:
        raise QgsProcessingException(str(fit))
    return engine


def origin_of(layer: QgsRasterLayer) -> str:
    """What the results of a raster are called after: its name, or what a temporary mask was made of.

    Within a model, a mask has the name of the parameter that it was the result of.
    """
    path = file_of(layer)
    if not is_temporary(path) or (mask := gdal.OpenEx(path)) is None:
        return layer.name()
    source = mask.GetMetadataItem("CROPSEG_SOURCE")
    return Path(source).stem if source else layer.name()


def is_temporary(path: str) -> bool:
    """True for a destination that QGIS deletes when it ends."""
    return Path(QgsProcessingUtils.tempFolder()) in Path(path).parents
