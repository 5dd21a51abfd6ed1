"""The plugin as QGIS starts and stops it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from qgis.core import Qgis, QgsApplication, QgsProject
from qgis.PyQt.QtCore import QCoreApplication, QUrl
from qgis.PyQt.QtGui import QDesktopServices, QIcon
from qgis.PyQt.QtWidgets import QAction, QDialog, QDockWidget, QPushButton

from . import sample_project
from .provider import CropSegProvider
from .translation import load_translator, tr
from .ui import settings

if TYPE_CHECKING:
    from qgis.gui import QgisInterface, QgsMessageBarItem

    from .ui.options import OptionsFactory
    from .ui.welcome import WelcomeDialog

MENU = "CropSeg"
FOLDER = Path(__file__).resolve().parent
ICON = FOLDER / "icon.svg"


class CropSegPlugin:
    """Registers the algorithms and, where there is a window, the menu, the options and the welcome.

    ``iface`` is None in ``qgis_process``: then only :meth:`initProcessing` is called.
    """

    def __init__(self, iface: QgisInterface | None):
        self.iface = iface
        self.provider: CropSegProvider | None = None
        self.actions: list[QAction] = []
        self.options: OptionsFactory | None = None
        self.welcome: WelcomeDialog | None = None
        self.invitation: QgsMessageBarItem | None = None
        self.dialogs: list[QDialog] = []
        self.translator = load_translator(QgsApplication.locale())

    def initProcessing(self) -> None:  # noqa: N802 (QGIS's name)
        """Register the algorithms; all that ``qgis_process`` needs."""
        self.provider = CropSegProvider()
        QgsApplication.processingRegistry().addProvider(self.provider)

    def initGui(self) -> None:  # noqa: N802 (QGIS's name)
        """Register the algorithms and everything that is seen."""
        from .ui.options import OptionsFactory

        self.initProcessing()
        icon = QIcon(str(ICON))
        self._add_action(tr("Orthomosaic to plot coverage …"), self.open_pipeline, icon, on_toolbar=True)
        self._add_action(tr("Check before a run …"), lambda: self.open_algorithm("check", _sample()))
        self._add_action(tr("Open the sample field"), self.open_default_sample)
        self._add_action(tr("Welcome and installation …"), self.show_welcome)
        self._add_action(tr("Settings …"), self.show_options)
        self._add_action(tr("Help"), self.open_help)
        self.options = OptionsFactory(icon, self.show_welcome)
        self.iface.registerOptionsWidgetFactory(self.options)
        if settings.is_first_run():
            self._invite()

    def unload(self) -> None:
        """Take everything back."""
        if self.welcome is not None:
            self.welcome.close()
        for dialog in list(self.dialogs):
            dialog.close()
        self._withdraw_invitation()
        for action in self.actions:
            self.iface.removePluginRasterMenu(MENU, action)
            self.iface.removeToolBarIcon(action)
            action.deleteLater()
        self.actions = []
        if self.options is not None:
            self.iface.unregisterOptionsWidgetFactory(self.options)
            self.options = None
        if self.provider is not None:
            QgsApplication.processingRegistry().removeProvider(self.provider)
            self.provider = None
        if self.translator is not None:
            QCoreApplication.removeTranslator(self.translator)
            self.translator = None

    def open_algorithm(self, name: str, parameters: dict[str, str] | None = None) -> None:
        """Open the dialog of one of the plugin's algorithms."""
        import processing

        dialog = processing.createAlgorithmDialog(f"{self.provider.id()}:{name}", parameters or {})
        # QGIS does not keep it, and without its Python half it opens, but its buttons do nothing.
        self.dialogs.append(dialog)
        dialog.destroyed.connect(lambda: self.dialogs.remove(dialog))
        dialog.show()

    def open_pipeline(self) -> None:
        """Open the dialog of the whole job; with the sample field open, it is filled in."""
        self.open_algorithm("pipeline", _sample())

    def open_sample(self, folder: Path) -> bool:
        """Open the sample field as a project; False if the user wants to keep the present one.

        One that was saved in the folder is opened as it was left.

        Raises
        ------
        OSError
            If its files cannot be copied to the folder.
        """
        sample_project.copy_sample(folder)
        if not self.iface.newProject(True):
            return False
        saved = folder / sample_project.PROJECT
        if saved.exists():
            return self.iface.addProject(str(saved))
        project, canvas = QgsProject.instance(), self.iface.mapCanvas()
        field = sample_project.fill_project(project, folder)
        canvas.setDestinationCrs(field.crs())
        # Left to itself, QGIS does it when the project is saved already, and zooms: that would be a change.
        self.iface.layerTreeCanvasBridge().setCanvasLayers()
        canvas.setExtent(field)
        canvas.refresh()
        # Now, for it is saved with what the map shows.
        project.write(str(saved))
        return True

    def open_default_sample(self) -> None:
        """Open the sample field from its usual folder; a failure is told above the map."""
        try:
            self.open_sample(sample_project.default_folder())
        except OSError as error:
            text = tr("The sample could not be copied: {reason}").format(reason=error)
            self.iface.messageBar().pushMessage(MENU, text, Qgis.MessageLevel.Warning)

    def show_welcome(self) -> None:
        """Open the first-run dialog, or bring it to the front."""
        from .ui.welcome import WelcomeDialog
        from .ui.welcome_pages import WelcomeActions

        self._withdraw_invitation()
        if self.welcome is None:
            actions = WelcomeActions(self.open_sample, self.open_pipeline, self.open_toolbox, self.open_help)
            self.welcome = WelcomeDialog(self.iface.mainWindow(), QIcon(str(ICON)), actions)
            self.welcome.finished.connect(self._forget_welcome)
        self.welcome.show()
        self.welcome.raise_()
        self.welcome.activateWindow()

    def show_options(self) -> None:
        """Open the options at the plugin's page."""
        self.iface.showOptionsDialog(self.iface.mainWindow(), "CropsegOptions")

    def open_toolbox(self) -> None:
        """Show the Processing toolbox."""
        dock = self.iface.mainWindow().findChild(QDockWidget, "ProcessingToolbox")
        if dock is not None:
            dock.show()
            dock.raise_()

    def open_help(self) -> None:
        """Open the first page of the help in the browser."""
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(FOLDER / "help" / "index.html")))

    def _add_action(
        self, text: str, act: Callable[[], object], icon: QIcon | None = None, *, on_toolbar: bool = False
    ) -> None:
        action = QAction(icon or QIcon(), text, self.iface.mainWindow())
        action.setObjectName(f"cropseg_action_{len(self.actions)}")
        action.triggered.connect(lambda _checked=False: act())
        self.iface.addPluginToRasterMenu(MENU, action)
        if on_toolbar:
            action.setToolTip(tr("CropSeg: mask, canopy outlines and plot coverage of an orthomosaic"))
            self.iface.addToolBarIcon(action)
        self.actions.append(action)

    def _invite(self) -> None:
        bar = self.iface.messageBar()
        self.invitation = bar.createMessage(
            MENU, tr("Welcome. Three short steps lead to the first coloured plots.")
        )
        button = QPushButton(tr("Show me"))
        button.clicked.connect(lambda _checked=False: self.show_welcome())
        self.invitation.layout().addWidget(button)
        bar.pushWidget(self.invitation, Qgis.MessageLevel.Info)
        self.invitation.destroyed.connect(self._forget_invitation)

    def _withdraw_invitation(self) -> None:
        if self.invitation is not None:
            self.iface.messageBar().popWidget(self.invitation)
            self.invitation = None

    def _forget_invitation(self) -> None:
        self.invitation = None

    def _forget_welcome(self) -> None:
        if self.welcome is not None:
            self.welcome.deleteLater()
            self.welcome = None


def _sample() -> dict[str, str]:
    """The sample's layers, as long as they are in the project."""
    return sample_project.find_layers(QgsProject.instance())
