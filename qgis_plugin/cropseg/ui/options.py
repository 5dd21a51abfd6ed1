"""The page under Settings › Options."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qgis.gui import QgsFileWidget, QgsOptionsPageWidget, QgsOptionsWidgetFactory
from qgis.PyQt.QtCore import QTimer, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QIcon
from qgis.PyQt.QtWidgets import (
    QApplication,
    QComboBox,
    QFormLayout,
    QGroupBox,
    QHBoxLayout,
    QLabel,
    QPushButton,
    QVBoxLayout,
    QWidget,
)

from ..engine.diagnostics import report
from ..engine.environment import log_folder, look
from ..translation import tr
from . import settings
from .engine_state import EngineState
from .tasks import Background
from .welcome_pages import left

TITLE = "CropSeg"
TYPING_PAUSE_MS = 700
"""A path is looked at when its typing pauses, not at every letter."""


class OptionsFactory(QgsOptionsWidgetFactory):
    """Makes the options page; ``on_install`` opens the installation."""

    def __init__(self, icon: QIcon, on_install: Callable[[], None]):
        super().__init__(TITLE, icon)
        self._icon = icon
        self._on_install = on_install

    def icon(self) -> QIcon:
        """The plugin's icon."""
        return self._icon

    def createWidget(self, parent: QWidget | None = None) -> OptionsPage:  # noqa: N802 (QGIS's name)
        """Called by QGIS each time the options open."""
        return OptionsPage(parent, self._on_install)


class OptionsPage(QgsOptionsPageWidget):
    """The engine's Python, the device, the logs, the diagnostics."""

    def __init__(self, parent: QWidget | None, on_install: Callable[[], None]):
        super().__init__(parent)
        self.setObjectName("CropsegOptions")
        self._on_install = on_install
        self._diagnosis: Background | None = None
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self._engine_box())
        layout.addWidget(self._runs_box())
        layout.addWidget(self._help_box())
        layout.addStretch()
        self.state.look()

    def apply(self) -> None:
        """Called by QGIS when the options are accepted."""
        settings.set_engine_python(self.python.filePath())
        settings.set_device(str(self.device.currentData()))

    def search(self) -> None:
        """Look for an engine by itself, as with an empty field."""
        self.python.setFilePath("")
        self.state.look("")

    def copy_diagnostics(self) -> None:
        """Put a report about machine, plugin and engine on the clipboard."""
        chosen = self.python.filePath().strip() or None
        self.copied.setText(tr("Collecting …"))
        self._diagnosis = Background(
            tr("Collecting CropSeg diagnostics"), lambda _task: report(*look(chosen))
        )
        self._diagnosis.answered.connect(self._put_on_clipboard)
        self._diagnosis.failed.connect(self.copied.setText)
        self._diagnosis.begin()

    def _put_on_clipboard(self, text: str) -> None:
        QApplication.clipboard().setText(text)
        self.copied.setText(tr("Copied: paste it into your question or bug report."))

    def _engine_box(self) -> QGroupBox:
        box = QGroupBox(tr("Engine"))
        self.python = QgsFileWidget()
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setDialogTitle(tr("Python of the engine's environment"))
        self.python.lineEdit().setPlaceholderText(tr("Found by itself"))
        self.python.setFilePath(settings.engine_python())
        self._typed = QTimer(self)
        self._typed.setSingleShot(True)
        self._typed.setInterval(TYPING_PAUSE_MS)
        self._typed.timeout.connect(self._look_again)
        self.python.fileChanged.connect(lambda _path: self._typed.start())
        find = QPushButton(tr("Find"))
        find.setToolTip(tr("Empty the field and look in the usual places"))
        find.clicked.connect(self.search)
        install = QPushButton(tr("Install or update …"))
        install.clicked.connect(self._on_install)
        self.state = EngineState()
        # A label that wraps asks for the height that it would have if it were narrow.
        self.state.setMinimumWidth(420)
        row = QHBoxLayout()
        row.addWidget(self.python, 1)
        row.addWidget(find)
        form = QFormLayout(box)
        form.addRow(tr("Python"), row)
        form.addRow("", self.state)
        form.addRow("", left(install))
        return box

    def _look_again(self) -> None:
        self.state.look(self.python.filePath())

    def _runs_box(self) -> QGroupBox:
        box = QGroupBox(tr("Runs"))
        self.device = QComboBox()
        words = {
            "auto": tr("Automatic: a graphics card if there is one"),
            "cpu": tr("Processor (CPU)"),
            "cuda": tr("NVIDIA graphics card (CUDA)"),
            "mps": tr("Apple graphics (MPS)"),
        }
        for name in settings.DEVICES:
            self.device.addItem(words[name], name)
        self.device.setCurrentIndex(self.device.findData(settings.device()))
        folder = log_folder()
        place = QLabel(str(folder))
        place.setWordWrap(True)
        show = QPushButton(tr("Open the folder"))
        show.clicked.connect(lambda: _open_folder(folder))
        form = QFormLayout(box)
        form.addRow(tr("Computes on"), left(self.device))
        form.addRow(tr("Logs"), place)
        form.addRow("", left(show))
        return box

    def _help_box(self) -> QGroupBox:
        box = QGroupBox(tr("If something does not work"))
        copy = QPushButton(tr("Copy diagnostics"))
        copy.clicked.connect(self.copy_diagnostics)
        self.copied = QLabel(
            tr("Versions, memory, disk and the end of the last log; look through it before you post it.")
        )
        self.copied.setWordWrap(True)
        row = QHBoxLayout(box)
        row.addWidget(copy)
        row.addWidget(self.copied, 1)
        return box


def _open_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(folder)))
