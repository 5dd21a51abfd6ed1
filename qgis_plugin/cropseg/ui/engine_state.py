"""Which engine there is, and whether it fits: found in the background, shown in words."""

from __future__ import annotations

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QWidget

from ..engine.environment import Engine, find_engine
from ..engine.versions import Fit, Verdict, compare, plugin_version
from ..translation import tr
from . import settings
from .tasks import Background

# Readable on a light and on a dark palette.
COLOURS = {"good": "#2f9e44", "bad": "#d9480f", "neutral": "#868e96"}


class EngineState(QLabel):
    """A line that says which engine answers; ``found`` tells others, with the engine or None, and its fit."""

    found = pyqtSignal(object, object)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.setWordWrap(True)
        self.setTextFormat(Qt.TextFormat.RichText)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Maximum)
        self._task: Background | None = None

    def look(self, chosen: str | None = None) -> None:
        """Look for the engine; ``chosen`` is a Python that is not applied yet, None means the settings."""
        if self._task is not None:
            self._task.answered.disconnect(self._show)
            self._task.failed.disconnect(self._fail)
        self.setText(_line("neutral", tr("Looking for the engine …")))
        python = settings.engine_python() if chosen is None else chosen
        self._task = Background(
            tr("Looking for the CropSeg engine"), lambda _task: find_engine(python or None)
        )
        self._task.answered.connect(self._show)
        self._task.failed.connect(self._fail)
        self._task.begin()

    def _show(self, engine: Engine | None) -> None:
        self._task = None
        fit = compare(engine.version if engine else None, plugin_version())
        self.setText(_line("good" if fit.is_ok else "bad", sentence(engine, fit)))
        self.found.emit(engine, fit)

    def _fail(self, reason: str) -> None:
        self._task = None
        self.setText(_line("bad", reason))
        self.found.emit(None, compare(None, plugin_version()))


def sentence(engine: Engine | None, fit: Fit) -> str:
    """What was found and what to do about it, in the language of QGIS."""
    if engine is None:
        return tr("No engine was found yet.")
    words = {
        Verdict.OK: tr("Ready: engine {version} in {place}"),
        Verdict.TOO_OLD: tr(
            "The engine in {place} is version {version}, too old for this plugin. Install it again."
        ),
        Verdict.TOO_NEW: tr(
            "The engine in {place} is version {version}, newer than this plugin knows. Update the plugin."
        ),
        Verdict.MISSING: tr("No engine was found yet."),
    }
    return words[fit.verdict].format(version=engine.version, place=engine.python)


def _line(mood: str, text: str) -> str:
    mark = {"good": "✓", "bad": "✗", "neutral": "…"}[mood]
    return f'<span style="color:{COLOURS[mood]}; font-weight:600">{mark}</span>&nbsp; {text}'
