"""The three steps of the first-run dialog."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from qgis.gui import QgsFileWidget
from qgis.PyQt.QtCore import Qt, pyqtSignal
from qgis.PyQt.QtWidgets import QHBoxLayout, QLabel, QPushButton, QVBoxLayout, QWidget

from .. import sample_project
from ..engine.environment import Engine
from ..engine.versions import Fit
from ..translation import tr
from . import settings
from .engine_state import EngineState
from .install_panel import InstallPanel

BUTTON_PX = 190


@dataclass(frozen=True)
class WelcomeActions:
    """What the dialog can ask of the plugin."""

    open_sample: Callable[[Path], bool]
    open_pipeline: Callable[[], None]
    open_toolbox: Callable[[], None]
    open_help: Callable[[], None]


class EnginePage(QWidget):
    """Step 1: an engine is found, chosen or installed."""

    def __init__(self, parent: QWidget | None = None):
        super().__init__(parent)
        self.state = EngineState()
        self.panel = InstallPanel()
        self.panel.installed.connect(self._use_installed)
        self.panel.running.connect(self._show_running)
        self.python = QgsFileWidget()
        self.python.setStorageMode(QgsFileWidget.StorageMode.GetFile)
        self.python.setDialogTitle(tr("Python of the engine's environment"))
        self.python.lineEdit().setPlaceholderText(tr("Python of an environment that holds cropseg-geo"))
        self.python.setFilePath(settings.engine_python())
        use = QPushButton(tr("Use it"))
        use.clicked.connect(self._use_chosen)
        self.other_button = QPushButton(tr("Install or choose another engine …"))
        self.other_button.clicked.connect(self.show_ways)
        self.ways = self._ways(use)
        self.other_button.hide()
        self.ways.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(title(tr("The engine")))
        layout.addWidget(
            paragraph(
                tr(
                    "The neural network runs in a program of its own beside QGIS, in its own Python "
                    "environment. Nothing in QGIS is changed, and your pictures stay on this computer."
                )
            )
        )
        layout.addWidget(self.state)
        layout.addLayout(left(self.other_button))
        layout.addWidget(self.ways, 100)
        layout.addStretch(1)

    def show_engine(self, engine: Engine | None, fit: Fit) -> None:
        """Offer an engine that fits alone, and the ways to one where there is none."""
        words = tr("Install the engine") if engine is None else tr("Install it again")
        self.panel.install_button.setText(words)
        self.other_button.setVisible(fit.is_ok)
        self.ways.setVisible(not fit.is_ok)

    def show_ways(self) -> None:
        """Show how to install or choose an engine, although there is one."""
        self.other_button.hide()
        self.ways.show()

    def _ways(self, use: QPushButton) -> QWidget:
        row = QHBoxLayout()
        row.addWidget(self.python, 1)
        row.addWidget(use)
        ways = QWidget()
        layout = QVBoxLayout(ways)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(heading(tr("Install it")))
        layout.addWidget(self.panel, 100)
        self.choice = QWidget()
        choice = QVBoxLayout(self.choice)
        choice.setContentsMargins(0, 0, 0, 0)
        choice.addWidget(heading(tr("Or use one that is there")))
        choice.addLayout(row)
        layout.addWidget(self.choice)
        layout.addStretch(1)
        return ways

    def _show_running(self, is_running: bool) -> None:
        """While the engine is installed, its log has the room, and nothing else is said about an engine."""
        self.state.setVisible(not is_running)
        self.choice.setVisible(not is_running)

    def _use_installed(self, _engine: Engine) -> None:
        # The new engine is the plugin's own: it is found without being chosen.
        settings.set_engine_python("")
        self.python.setFilePath("")
        self.state.look()

    def _use_chosen(self) -> None:
        settings.set_engine_python(self.python.filePath())
        self.state.look()


class SamplePage(QWidget):
    """Step 2: the sample field in one click; ``opened`` when it is there."""

    opened = pyqtSignal()

    def __init__(self, open_sample: Callable[[Path], bool], parent: QWidget | None = None):
        super().__init__(parent)
        self._open = open_sample
        self.folder = QgsFileWidget()
        self.folder.setStorageMode(QgsFileWidget.StorageMode.GetDirectory)
        self.folder.setFilePath(str(sample_project.default_folder()))
        self.open_button = QPushButton(tr("Open the sample field"))
        self.open_button.setMinimumWidth(BUTTON_PX)
        self.open_button.clicked.connect(self.open)
        self.problem = paragraph("")
        self.problem.hide()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(title(tr("A sample field")))
        layout.addWidget(
            paragraph(
                tr(
                    "A small field trial to try everything with: an orthomosaic at 1 cm, heights, and 32 "
                    "plots of maize, soybean, beet and cabbage sown on four dates. It was generated, so "
                    "that the truth is known, and it may be used freely (CC0)."
                )
            )
        )
        layout.addWidget(heading(tr("Its files are copied to")))
        layout.addWidget(self.folder)
        layout.addLayout(left(self.open_button))
        layout.addWidget(self.problem)
        layout.addStretch()

    def open(self) -> None:
        """Copy the files, open the project, go on; or say what is in the way."""
        try:
            opened = self._open(Path(self.folder.filePath()))
        except OSError as error:
            self.problem.setText(tr("The sample could not be copied: {reason}").format(reason=error))
            self.problem.show()
            return
        if opened:
            self.problem.hide()
            self.opened.emit()


class NextPage(QWidget):
    """Step 3: where to go from here."""

    def __init__(self, actions: WelcomeActions, on_leave: Callable[[], None], parent: QWidget | None = None):
        super().__init__(parent)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(10)
        layout.addWidget(title(tr("What next")))
        rows = (
            (
                tr("Run the whole job"),
                tr(
                    "Mask, canopy outlines, plot coverage and a report in one go. With the sample field "
                    "open, everything is filled in: press Run, and the plots take their colours."
                ),
                actions.open_pipeline,
            ),
            (
                tr("Open the toolbox"),
                tr("Each step is an algorithm under CropSeg: alone, in batch, or in the model designer."),
                actions.open_toolbox,
            ),
            (
                tr("Read the help"),
                tr("A page with pictures for every algorithm, and what to do when something is in the way."),
                actions.open_help,
            ),
        )
        self.buttons = []
        for words, explanation, action in rows:
            button = QPushButton(words)
            button.setMinimumWidth(BUTTON_PX)
            button.clicked.connect(_after(on_leave, action) if action is not actions.open_help else action)
            self.buttons.append(button)
            row = QHBoxLayout()
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignTop)
            row.addSpacing(8)
            row.addWidget(paragraph(explanation), 1)
            layout.addLayout(row)
        layout.addWidget(
            paragraph(
                tr(
                    "You find all this again under Raster › CropSeg, and the settings under "
                    "Settings › Options › CropSeg."
                )
            )
        )
        layout.addStretch()


def _after(first: Callable[[], None], then: Callable[[], None]) -> Callable[[], None]:
    def both() -> None:
        first()
        then()

    return both


def left(widget: QWidget) -> QHBoxLayout:
    """A row in which a widget keeps its own width."""
    row = QHBoxLayout()
    row.addWidget(widget)
    row.addStretch()
    return row


def title(text: str) -> QLabel:
    return QLabel(f'<span style="font-size:13pt; font-weight:600">{text}</span>')


def heading(text: str) -> QLabel:
    return QLabel(f"<b>{text}</b>")


def paragraph(text: str) -> QLabel:
    label = QLabel(text)
    label.setWordWrap(True)
    return label
