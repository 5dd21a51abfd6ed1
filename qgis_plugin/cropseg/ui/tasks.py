"""Work that takes seconds, off the main thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qgis.core import QgsApplication, QgsTask
from qgis.PyQt.QtCore import pyqtSignal


class Background(QgsTask):
    """A function run by QGIS's task manager; its answer or its failure comes back on the main thread.

    The function is given this task: ``task.isCanceled()``, ``task.line.emit(text)`` and ``task.tell`` are for
    its use.
    """

    answered = pyqtSignal(object)
    failed = pyqtSignal(str)
    line = pyqtSignal(str)
    told = pyqtSignal(float, str)

    def __init__(self, title: str, work: Callable[[Background], Any]):
        super().__init__(title)
        self._work = work
        self._answer: Any = None
        self._failure = ""

    def tell(self, share: float, step: str) -> None:
        """How much is done, 0–1, and what comes now; QGIS shows it in its list of tasks as well."""
        self.setProgress(100 * share)
        self.told.emit(share, step)

    def run(self) -> bool:
        """Called by QGIS on another thread."""
        try:
            self._answer = self._work(self)
        except Exception as error:  # noqa: BLE001 (a border: an exception on this thread would end QGIS)
            self._failure = str(error) or type(error).__name__
        return not self._failure

    def finished(self, ok: bool) -> None:
        """Called by QGIS on the main thread."""
        if self._failure:
            self.failed.emit(self._failure)
        elif ok:
            self.answered.emit(self._answer)
        else:
            self.answered.emit(None)

    def begin(self) -> None:
        """Hand the task to QGIS; its signals are connected by now."""
        QgsApplication.taskManager().addTask(self)
