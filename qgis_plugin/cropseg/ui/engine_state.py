"""Which engine there is, and whether it fits: found in the background, shown in words."""

from __future__ import annotations

import html

from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QLabel, QSizePolicy, QWidget

from ..engine.environment import Engine, look
from ..engine.versions import Fit, Verdict
from ..translation import tr
from . import settings
from .tasks import Background

_HAS_A_BUTTON = frozenset({Verdict.MISSING, Verdict.TOO_OLD})
"""What is to be done stands on a button wherever this line is shown."""

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
        self._task = Background(tr("Looking for the CropSeg engine"), lambda _task: look(python or None))
        self._task.answered.connect(self._show)
        self._task.failed.connect(self._fail)
        self._task.begin()

    def _show(self, answer: tuple[Engine | None, Fit]) -> None:
        self._task = None
        engine, fit = answer
        message, remedy = fit.in_words()
        if fit.verdict in _HAS_A_BUTTON:
            remedy = ""
        self.setText(_line("good" if fit.is_ok else "bad", html.escape(message), html.escape(remedy)))
        self.found.emit(engine, fit)

    def _fail(self, reason: str) -> None:
        self._task = None
        self.setText(_line("bad", reason))
        self.found.emit(None, Fit(Verdict.MISSING))


def _line(mood: str, text: str, remedy: str = "") -> str:
    mark = {"good": "✓", "bad": "✗", "neutral": "…"}[mood]
    first = f'<span style="color:{COLOURS[mood]}; font-weight:600">{mark}</span>&nbsp; {text}'
    return f"{first}<br>→ {remedy}" if remedy else first
