"""The first-run dialog: engine, sample field, what next."""

from __future__ import annotations

from qgis.PyQt.QtCore import QSize, Qt
from qgis.PyQt.QtGui import QIcon
from qgis.PyQt.QtWidgets import (
    QDialog,
    QFrame,
    QHBoxLayout,
    QLabel,
    QListWidget,
    QMessageBox,
    QPushButton,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from ..engine.environment import Engine
from ..engine.versions import Fit
from ..translation import tr
from . import settings
from .welcome_pages import EnginePage, NextPage, SamplePage, WelcomeActions

ICON_PX = 48


class WelcomeDialog(QDialog):
    """Three steps from an installed plugin to coloured plots."""

    def __init__(self, parent: QWidget | None, icon: QIcon, actions: WelcomeActions):
        super().__init__(parent)
        self.setObjectName("CropsegWelcome")
        self.setWindowTitle(tr("Welcome to CropSeg"))
        self.setWindowIcon(icon)
        self.setModal(False)
        self._actions = actions
        self._has_engine = True
        self.pages = QStackedWidget()
        self.engine_page = EnginePage()
        self.sample_page = SamplePage(actions.open_sample)
        self.next_page = NextPage(actions, self.accept)
        for page in (self.engine_page, self.sample_page, self.next_page):
            self.pages.addWidget(page)
        self._build(icon)
        self.engine_page.state.found.connect(self._on_engine)
        self.sample_page.opened.connect(self.go_on)
        self.show_step(0)
        self.engine_page.state.look()

    def show_step(self, step: int) -> None:
        """Show one of the steps, counted from 0."""
        last = self.pages.count() - 1
        step = min(max(step, 0), last)
        self.pages.setCurrentIndex(step)
        self.steps.setCurrentRow(step)
        self.back_button.setEnabled(step > 0)
        self.next_button.setVisible(step < last)
        self.close_button.setText(tr("Close") if step < last else tr("Finish"))
        self._mark_next_deed()

    def go_on(self) -> None:
        """To the next step."""
        self.show_step(self.pages.currentIndex() + 1)

    def go_back(self) -> None:
        """To the step before."""
        self.show_step(self.pages.currentIndex() - 1)

    def done(self, result: int) -> None:
        """Called by Qt at every way to close: an installation under way is not left running unseen."""
        if self.engine_page.panel.is_running:
            question = tr("The engine is being installed. Stop the installation?")
            if QMessageBox.question(self, self.windowTitle(), question) != QMessageBox.StandardButton.Yes:
                return
            self.engine_page.panel.cancel()
        settings.finish_first_run()
        super().done(result)

    def _on_engine(self, engine: Engine | None, fit: Fit) -> None:
        self.engine_page.show_engine(engine, fit)
        self._has_engine = fit.is_ok
        self._mark_next_deed()

    def _mark_next_deed(self) -> None:
        """What is to be done next answers to the return key, and looks like it."""
        deeds = {
            self.engine_page: self.next_button if self._has_engine else self.engine_page.panel.install_button,
            self.sample_page: self.sample_page.open_button,
            self.next_page: self.next_page.buttons[0],
        }
        deeds[self.pages.currentWidget()].setDefault(True)

    def _build(self, icon: QIcon) -> None:
        self.steps = QListWidget()
        self.steps.addItems([tr("1  The engine"), tr("2  A sample field"), tr("3  What next")])
        self.steps.setFixedWidth(self.steps.sizeHintForColumn(0) + 36)
        self.steps.setFrameShape(QFrame.Shape.NoFrame)
        self.steps.setStyleSheet("QListWidget { background: transparent; }")
        self.steps.setSpacing(4)
        self.steps.currentRowChanged.connect(self.show_step)
        self.back_button = QPushButton(tr("Back"))
        self.back_button.clicked.connect(self.go_back)
        self.next_button = QPushButton(tr("Next"))
        self.next_button.clicked.connect(self.go_on)
        self.close_button = QPushButton(tr("Close"))
        self.close_button.clicked.connect(self.accept)
        body = QHBoxLayout()
        body.addWidget(self.steps)
        body.addSpacing(12)
        body.addWidget(self.pages, 1)
        buttons = QHBoxLayout()
        buttons.addWidget(self.back_button)
        buttons.addStretch()
        buttons.addWidget(self.next_button)
        buttons.addWidget(self.close_button)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(18, 18, 18, 14)
        layout.setSpacing(14)
        layout.addLayout(_header(icon))
        layout.addLayout(body, 1)
        layout.addLayout(buttons)
        self.resize(760, 560)


def _header(icon: QIcon) -> QHBoxLayout:
    picture = QLabel()
    picture.setPixmap(icon.pixmap(QSize(ICON_PX, ICON_PX)))
    words = QLabel(
        f'<span style="font-size:16pt; font-weight:600">{tr("Welcome to CropSeg")}</span><br>'
        + tr("Canopy and plot coverage from drone orthomosaics. Three steps to the first result.")
    )
    words.setTextFormat(Qt.TextFormat.RichText)
    row = QHBoxLayout()
    row.addWidget(picture)
    row.addSpacing(10)
    row.addWidget(words, 1)
    return row
