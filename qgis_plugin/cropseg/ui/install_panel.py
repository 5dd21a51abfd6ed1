"""Installing the engine from a window: choices, progress, log, cancel."""

from __future__ import annotations

from pathlib import Path

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtGui import QFontDatabase
from qgis.PyQt.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QPlainTextEdit,
    QProgressBar,
    QPushButton,
    QSizePolicy,
    QVBoxLayout,
    QWidget,
)

from ..engine.environment import Engine, managed_folder
from ..engine.install import install
from ..translation import tr
from .tasks import Background

LOG_LINES = 2000
BUTTON_PX = 150


class InstallPanel(QWidget):
    """Makes the engine's environment without holding up QGIS; ``installed`` carries the new engine,
    ``running`` whether one is being made."""

    installed = pyqtSignal(object)
    running = pyqtSignal(bool)

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self._task: Background | None = None
        self._build()
        self._show_running(running=False)

    @property
    def is_running(self) -> bool:
        """True while an installation is under way."""
        return self._task is not None

    def start(self) -> None:
        """Begin with the choices as they stand."""
        accelerator = str(self.accelerator.currentData())
        folder = self.wheels.filePath().strip()
        wheels = Path(folder) if folder else None
        self.log.clear()
        self._note("")
        self.progress.setValue(0)
        self._task = Background(
            tr("Installing the CropSeg engine"),
            lambda task: install(
                managed_folder(),
                accelerator=accelerator,
                wheels=wheels,
                on_line=task.line.emit,
                on_milestone=task.tell,
                is_cancelled=task.isCanceled,
            ),
        )
        self._task.line.connect(self.log.appendPlainText)
        self._task.told.connect(self._show_step)
        self._task.answered.connect(self._done)
        self._task.failed.connect(self._failed)
        self._show_running(running=True)
        self._task.begin()

    def cancel(self) -> None:
        """Stop an installation; what it had written is removed by the engine's side."""
        if self._task is not None:
            self.cancel_button.setEnabled(False)
            self._note(tr("Stopping …"))
            self._task.cancel()

    def _show_step(self, share: float, step: str) -> None:
        self.progress.setValue(round(100 * share))
        # What was said when it was cancelled stays.
        if self.cancel_button.isEnabled():
            self._note(f"{step} …")

    def _done(self, engine: Engine | None) -> None:
        self._task = None
        self._show_running(running=False)
        self._note(
            tr("Stopped. Nothing was installed.") if engine is None else tr("The engine is installed.")
        )
        if engine is not None:
            self.installed.emit(engine)

    def _failed(self, reason: str) -> None:
        self._task = None
        self._show_running(running=False)
        self._note(reason)

    def _note(self, text: str) -> None:
        self.note.setText(text)
        self.note.setVisible(bool(text))

    def _show_running(self, *, running: bool) -> None:
        for widget in (self.accelerator, self.wheels, self.install_button):
            widget.setEnabled(not running)
        self.cancel_button.setEnabled(running)
        self.cancel_button.setVisible(running)
        self.progress.setVisible(running)
        has_log = running or bool(self.log.toPlainText())
        self.log.setVisible(has_log)
        height = QSizePolicy.Policy.Expanding if has_log else QSizePolicy.Policy.Maximum
        self.setSizePolicy(QSizePolicy.Policy.Preferred, height)
        self.running.emit(running)

    def _build(self) -> None:
        self.accelerator = QComboBox()
        self.accelerator.addItem(tr("Processor: small, works everywhere"), "cpu")
        self.accelerator.addItem(tr("NVIDIA graphics card (CUDA): with PyTorch, much larger"), "cuda")
        self.accelerator.addItem(
            tr("Processor or Apple graphics with PyTorch: for models of your own"), "torch"
        )
        self.accelerator.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.wheels = QgsFileWidget()
        self.wheels.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.wheels.setDialogTitle(tr("Folder of wheels"))
        self.wheels.lineEdit().setPlaceholderText(tr("Only without internet: a folder of wheels"))
        self.install_button = QPushButton(tr("Install the engine"))
        self.install_button.setMinimumWidth(BUTTON_PX)
        self.install_button.clicked.connect(self.start)
        self.cancel_button = QPushButton(tr("Cancel"))
        self.cancel_button.clicked.connect(self.cancel)
        self.progress = QProgressBar()
        self.progress.setRange(0, 100)
        self.note = QLabel()
        self.note.setWordWrap(True)
        self.note.hide()
        self.log = QPlainTextEdit()
        self.log.setReadOnly(True)
        self.log.setMaximumBlockCount(LOG_LINES)
        self.log.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.log.setMinimumHeight(90)
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.addRow(tr("Computes on"), self.accelerator)
        form.addRow(tr("Wheels"), self.wheels)
        row = QHBoxLayout()
        row.addWidget(self.install_button)
        row.addWidget(self.progress, 1)
        row.addWidget(self.cancel_button)
        row.addStretch()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(form)
        layout.addLayout(row)
        layout.addWidget(self.note)
        layout.addWidget(self.log)
