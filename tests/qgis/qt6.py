"""Import the whole plugin and go through its windows in the real Qt 6, with stand-ins for QGIS's own classes.

Usage: python qt6.py FOLDER_OF_CROPSEG TRANSLATION.qm PICTURES_FOLDER

Prints what was seen as JSON. ``qgis.PyQt`` is what QGIS 4 makes of it: PyQt6, with ``QAction`` in QtWidgets.
"""

import importlib
import json
import pkgutil
import sys
import types
from enum import Enum
from pathlib import Path

from PyQt6 import QtCore, QtGui, QtWidgets


class Settings:
    kept: dict = {}  # noqa: RUF012 - one for all, as QGIS's are

    def value(self, key, default=None, type=None):
        return self.kept.get(key, default)

    def setValue(self, key, value):  # noqa: N802
        self.kept[key] = value


class Task(QtCore.QObject):
    def __init__(self, title):
        super().__init__()

    def isCanceled(self):  # noqa: N802
        return False

    def setProgress(self, percent):  # noqa: N802
        self.percent = percent

    def cancel(self):
        pass


class Application:
    """Its task manager does a task as soon as it is given one."""

    @staticmethod
    def taskManager():  # noqa: N802
        return types.SimpleNamespace(addTask=lambda task: task.finished(task.run()))


class FileWidget(QtWidgets.QWidget):
    fileChanged = QtCore.pyqtSignal(str)  # noqa: N815
    StorageMode = Enum("StorageMode", ["GetFile", "GetDirectory"])

    def __init__(self, parent=None):
        super().__init__(parent)
        self._line = QtWidgets.QLineEdit(self)
        self._line.textChanged.connect(self.fileChanged)
        QtWidgets.QHBoxLayout(self).addWidget(self._line)

    lineEdit = property(lambda self: lambda: self._line)  # noqa: N815
    filePath = property(lambda self: self._line.text)  # noqa: N815
    setFilePath = property(lambda self: self._line.setText)  # noqa: N815

    def setStorageMode(self, mode):  # noqa: N802
        self.StorageMode(mode)

    def setDialogTitle(self, title):  # noqa: N802
        str(title)


class OptionsFactory:
    def __init__(self, title, icon):
        self.title, self.made_icon = title, icon


class AnyEnum(type):
    """Classes of QGIS that the windows do not touch: anything may be asked of them."""

    def __getattr__(cls, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return AnyEnum(name, (), {})


KNOWN = {
    "QgsSettings": Settings,
    "QgsTask": Task,
    "QgsApplication": Application,
    "QgsFileWidget": FileWidget,
    "QgsOptionsPageWidget": QtWidgets.QWidget,
    "QgsOptionsWidgetFactory": OptionsFactory,
}


class Stand(types.ModuleType):
    """A module of QGIS's: the classes above, and a class of its own for every other name."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        base = (Exception,) if name.endswith("Exception") else ()
        made = KNOWN.get(name) or (type(name, base, {}) if base else AnyEnum(name, base, {}))
        setattr(self, name, made)
        return made


def put_in_place():
    QtWidgets.QAction = QtGui.QAction
    qt = types.ModuleType("qgis.PyQt")
    modules = {"qgis": types.ModuleType("qgis"), "qgis.PyQt": qt, "osgeo": Stand("osgeo")}
    modules |= {f"qgis.PyQt.{m.__name__[6:]}": m for m in (QtCore, QtGui, QtWidgets)}
    modules |= {f"qgis.{name}": Stand(f"qgis.{name}") for name in ("core", "gui")}
    sys.modules.update(modules)


def import_all(package):
    names = [name for _, name, _ in pkgutil.walk_packages(package.__path__, "cropseg.")]
    for name in names:
        importlib.import_module(name)
    return names


def welcome(pictures):
    from cropseg.ui.welcome import WelcomeDialog
    from cropseg.ui.welcome_pages import WelcomeActions

    called = []
    actions = WelcomeActions(
        lambda folder: called.append("sample") is None,
        lambda: called.append("pipeline"),
        lambda: called.append("toolbox"),
        lambda: called.append("help"),
    )
    dialog = WelcomeDialog(None, QtGui.QIcon(), actions)
    dialog.show()
    steps = [dialog.pages.currentIndex()]
    picture(dialog, pictures / "welcome-1.png")
    dialog.engine_page.show_ways()
    dialog.engine_page.panel.wheels.setFilePath(str(pictures))
    dialog.engine_page.panel.install_button.click()
    note = dialog.engine_page.panel.note.text()
    dialog.next_button.click()
    steps.append(dialog.pages.currentIndex())
    picture(dialog, pictures / "welcome-2.png")
    dialog.sample_page.open_button.click()
    steps.append(dialog.pages.currentIndex())
    picture(dialog, pictures / "welcome-3.png")
    for button in dialog.next_page.buttons[::-1]:
        button.click()
    return {"steps": steps, "called": called, "note": note, "engine": dialog.engine_page.state.text(),
            "closed": not dialog.isVisible()}  # fmt: skip


def installing():
    """What the panel shows when a third of an installation is behind, and after it."""
    from cropseg.ui import install_panel

    panel, shown = install_panel.InstallPanel(), []

    def install(target, *, on_milestone, **_more):
        on_milestone(1 / 3, "Collecting")
        shown.append((panel.progress.value(), panel.progress.maximum(), panel.note.text()))

    before, install_panel.install = install_panel.install, install
    panel.start()
    install_panel.install = before
    return {"shown": shown, "after": panel.note.text()}


def options(pictures):
    from cropseg.ui.options import OptionsFactory as Factory

    page = Factory(QtGui.QIcon(), lambda: None).createWidget(None)
    page.show()
    page.device.setCurrentIndex(page.device.findData("cpu"))
    page.copy_diagnostics()
    page.apply()
    picture(page, pictures / "options.png")
    return {"device": Settings.kept["cropseg/device"], "diagnostics": page.copied.text()}


def picture(widget, path):
    QtWidgets.QApplication.processEvents()
    widget.grab().save(str(path))


def main(place, translation, pictures):
    put_in_place()
    application = QtWidgets.QApplication([])
    sys.path.insert(0, place)
    import cropseg

    seen = {"modules": import_all(cropseg), "qt": QtCore.qVersion()}
    seen["welcome"] = welcome(Path(pictures))
    seen["installing"] = installing()
    seen["options"] = options(Path(pictures))
    translator = QtCore.QTranslator()
    loaded = translator.load(translation) and application.installTranslator(translator)
    from cropseg.translation import tr

    seen["german"] = tr("Make plots") if loaded else ""
    print(json.dumps(seen))


if __name__ == "__main__":
    main(*sys.argv[1:])
