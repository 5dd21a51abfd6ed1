"""A user's first minutes in a real QGIS window: installs the package, opens what it shows, takes pictures.

Run inside QGIS by ``qgis --code``; ``CROPSEG_WINDOW`` names a JSON file with ``package``, ``out`` (folder),
``engine`` (a Python; empty: it is installed from ``wheels``, a folder), ``sample`` (folder of the sample's
copy), ``dialogs`` (names of algorithms) and ``job`` (parameters of ``cropseg:pipeline``, or null). What was
seen is written to ``seen.json`` in ``out``.
"""

import gc
import json
import os
import time
import traceback
from pathlib import Path

import qgis.utils
from qgis.core import QgsApplication, QgsProject, QgsRasterLayer, QgsRectangle, QgsSettings
from qgis.gui import QgsProcessingAlgorithmDialogBase
from qgis.PyQt.QtCore import QCoreApplication, QTimer
from qgis.PyQt.QtWidgets import QApplication, QDialogButtonBox, QDockWidget, QPushButton, QToolButton, QWidget
from qgis.utils import iface

ORDER = json.loads(Path(os.environ["CROPSEG_WINDOW"]).read_text())
OUT = Path(ORDER["out"])


def main():
    seen = {}
    try:
        visit(seen)
    except Exception:  # noqa: BLE001 (whatever it is, the test has to read it)
        seen["error"] = traceback.format_exc()
        picture(iface.mainWindow(), "error")
    (OUT / "seen.json").write_text(json.dumps(seen))
    os._exit(0)  # QGIS 3.22 may crash while its Python objects are torn down.


def visit(seen):
    plugin = install(seen)
    welcome(plugin, seen)
    seen["sample layers"] = layer_names()
    open_saved_sample(seen)
    options(plugin, seen)
    algorithm_dialogs(seen)
    run_job(plugin, seen)
    sample_again(plugin, seen)
    unload(plugin, seen)


def install(seen):
    """From the zip, by QGIS's own installer, into a clean profile."""
    import pyplugin_installer

    QgsSettings().setValue("cropseg/engine_python", ORDER["engine"])
    iface.mainWindow().resize(1400, 900)
    iface.mainWindow().findChild(QDockWidget, "Browser").hide()
    pyplugin_installer.instance().installFromZipFile(ORDER["package"])
    wait(1)
    plugin = qgis.utils.plugins["cropseg"]
    seen["place"] = str(Path(__import__("cropseg").__file__).parent)
    seen["algorithms"] = sorted(algorithm.name() for algorithm in plugin.provider.algorithms())
    seen["menu"] = [action.text() for action in plugin.actions]
    seen["invited"] = plugin.invitation is not None
    picture(iface.mainWindow(), "installed")
    return plugin


def welcome(plugin, seen):
    """Through the first-run dialog, to the open sample."""
    plugin.show_welcome()
    dialog = plugin.welcome
    until(lambda: dialog.engine_page.state._task is None)
    seen["engine line"] = dialog.engine_page.state.text()
    picture(dialog, "welcome-1")
    if ORDER.get("wheels"):
        installation(dialog.engine_page, seen)
    else:
        refused_installation(dialog.engine_page, seen)
    dialog.next_button.click()
    dialog.sample_page.folder.setFilePath(ORDER["sample"])
    picture(dialog, "welcome-2")
    dialog.sample_page.open_button.click()
    seen["step after the sample"] = dialog.pages.currentIndex()
    seen["return key"] = [b.text() for b in dialog.findChildren(QPushButton) if b.isDefault()]
    picture(dialog, "welcome-3")
    dialog.close()
    drawn()
    picture(iface.mainWindow(), "sample")
    seen["first run done"] = QgsSettings().value("cropseg/first_run_done", defaultValue=False, type=bool)


def refused_installation(page, seen):
    """An installation from a folder without wheels says so, and the page stays usable."""
    page.show_ways()
    page.panel.wheels.setFilePath(str(OUT))
    page.panel.start()
    seen["cancel is offered"] = page.panel.cancel_button.isEnabled()
    until(lambda: not page.panel.is_running)
    seen["install note"] = page.panel.note.text()
    seen["can install again"] = page.panel.install_button.isEnabled()
    picture(page.window(), "welcome-refused")


def installation(page, seen):
    """The engine is installed from a folder of wheels."""
    start = time.monotonic()
    page.panel.wheels.setFilePath(ORDER["wheels"])
    page.panel.install_button.click()
    wait(5)
    picture(page.window(), "welcome-installing")
    until(lambda: not page.panel.is_running and page.state._task is None, seconds=600)
    seen["installed"] = page.state.text()
    seen["installation took"] = time.monotonic() - start
    picture(page.window(), "welcome-installed")


def open_saved_sample(seen):
    """The project as the sample was saved, opened as a file."""
    seen["changed by opening"] = QgsProject.instance().isDirty()
    path = QgsProject.instance().fileName()
    iface.newProject(promptToSaveFlag=False)
    iface.mapCanvas().setExtent(QgsRectangle(0, 0, 1, 1))
    iface.addProject(path)
    drawn()
    seen["dialog is filled in with"] = sorted(sample())
    field = QgsProject.instance().mapLayer(sample()["INPUT"]).extent()
    seen["field in view"] = iface.mapCanvas().extent().contains(field.center())
    seen["view to field"] = iface.mapCanvas().extent().width() / field.width()
    picture(iface.mainWindow(), "sample-saved")


def sample_again(plugin, seen):
    """The sample is opened anew after the user added a layer and saved."""
    project = QgsProject.instance()
    folder = Path(ORDER["sample"])
    project.addMapLayer(QgsRasterLayer(str(folder / "field_dtm.tif"), "mine"))
    project.write()
    seen["opened again"] = plugin.open_sample(folder)
    seen["layers again"] = layer_names()


def options(plugin, seen):
    """The options page as QGIS shows it; the dialog is modal, so that the visit is a timer's."""

    def look():
        dialog = QgsApplication.activeModalWidget()
        # Since QGIS 3.44 the scroll area around a page has the page's name, too.
        found = dialog.findChildren(QWidget, "CropsegOptions")
        page = next(widget for widget in found if hasattr(widget, "copy_diagnostics"))
        until(lambda: page.state._task is None)
        seen["options line"] = page.state.text()
        seen["options devices"] = [page.device.itemData(i) for i in range(page.device.count())]
        picture(dialog, "options")
        page.device.setCurrentIndex(page.device.findData("cpu"))
        page.copy_diagnostics()
        until(lambda: page._diagnosis is None or QgsApplication.clipboard().text() != "")
        wait(0.5)
        seen["diagnostics"] = QgsApplication.clipboard().text()
        buttons = dialog.findChild(QDialogButtonBox, "buttonBox")
        buttons.button(QDialogButtonBox.StandardButton.Ok).click()

    QgsApplication.clipboard().clear()
    QTimer.singleShot(1500, lambda: guarded(look, seen))
    plugin.show_options()
    seen["device setting"] = QgsSettings().value("cropseg/device", "")


def guarded(act, seen):
    try:
        act()
    except Exception:  # noqa: BLE001 (as above)
        seen["error"] = traceback.format_exc()
        modal = QgsApplication.activeModalWidget()
        if modal is not None:
            picture(modal, "error-modal")
            modal.close()


def algorithm_dialogs(seen):
    """The dialogs of the algorithms, filled in from the sample."""
    import processing

    for name in ORDER["dialogs"]:
        parameters = sample() if name == "pipeline" else {}
        dialog = processing.createAlgorithmDialog(f"cropseg:{name}", parameters)
        dialog.show()
        dialog.resize(980, 760)
        wait(1)
        picture(dialog, f"dialog-{name}")
        seen[f"dialog {name}"] = dialog.windowTitle()
        dialog.close()


def run_job(plugin, seen):
    """The whole job on the sample by the plugin's own button, its results on the canvas."""
    if not ORDER["job"]:
        return
    plugin.actions[0].trigger()
    # Nobody but the plugin may hold the dialog: QGIS does not, and a user presses what is on the screen.
    gc.collect()
    pipeline_dialog().setParameters({**sample(), **ORDER["job"]})
    wait(0.5)
    seen["run button"] = pipeline_dialog().runButton().text()
    pipeline_dialog().runButton().click()
    until(lambda: QgsProject.instance().layerTreeRoot().findGroup("CropSeg: Orthomosaic"), seconds=300)
    until(lambda: pipeline_dialog().runButton().isEnabled())
    picture(pipeline_dialog(), "dialog-ran")
    seen["dialogs held"] = len(plugin.dialogs)
    pipeline_dialog().close()
    wait(0.5)
    seen["dialogs held after"] = len(plugin.dialogs)
    drawn()
    seen["layers"] = {
        layer.name(): getattr(layer.renderer(), "type", lambda: "")()
        for layer in QgsProject.instance().mapLayers().values()
    }
    group = QgsProject.instance().layerTreeRoot().findGroup("CropSeg: Orthomosaic")
    seen["in the group"] = [node.name() for node in group.children()]
    seen["groups"] = [group.name() for group in QgsProject.instance().layerTreeRoot().findGroups()]
    picture(iface.mainWindow(), "result")


def pipeline_dialog():
    """The dialog of the whole job that is on the screen."""
    windows = QApplication.topLevelWidgets()
    return next(w for w in windows if isinstance(w, QgsProcessingAlgorithmDialogBase) and w.isVisible())


def sample():
    """The sample's layers by the parameters that they are for."""
    from cropseg import sample_project

    return sample_project.find_layers(QgsProject.instance())


def layer_names():
    return sorted(layer.name() for layer in QgsProject.instance().mapLayers().values())


def unload(plugin, seen):
    """Nothing of the plugin is left."""
    qgis.utils.unloadPlugin("cropseg")
    wait(0.5)
    window = iface.mainWindow()
    seen["left"] = {
        "provider": QgsApplication.processingRegistry().providerById("cropseg") is not None,
        "menu": [a.text() for a in iface.rasterMenu().actions() if "CropSeg" in a.text()],
        "buttons": [
            b.toolTip() for b in window.findChildren(QToolButton) if b.toolTip().startswith("CropSeg")
        ],
        "messages": [item.text() for item in iface.messageBar().items() if "CropSeg" in item.title()],
    }


def picture(widget, name):
    wait(0.3)
    widget.grab().save(str(OUT / f"{name}.png"))


def drawn():
    """Wait for the map; a drawing begins a moment after its cause."""
    iface.mapCanvas().refreshAllLayers()
    wait(2)
    until(lambda: not iface.mapCanvas().isDrawing())


def wait(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        QCoreApplication.processEvents()
        time.sleep(0.02)


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("what was waited for did not happen")
        wait(0.1)


QTimer.singleShot(1000, main)
