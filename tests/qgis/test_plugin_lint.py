"""The plugin's own lint finds what the site, Qt 6 or our design forbid, and finds nothing in the plugin."""

from __future__ import annotations

from pathlib import Path

import pytest

from qgis_plugin.lint import lint_folder, lint_source

PLUGIN = Path(__file__).resolve().parents[2] / "qgis_plugin" / "cropseg"


@pytest.mark.parametrize(
    ("source", "part"),
    [
        ("eval('1')", "eval()"),
        ("exec(code)", "exec()"),
        ("import pickle", "pickle"),
        ("from pickle import loads", "pickle"),
        ("run(command, shell=True)", "shell=True"),
        ("run(command, shell=flag)", "shell=True"),
        ("import os\nos.system('ls')", "starts a shell"),
        ("try:\n    f()\nexcept:\n    g()", "bare except"),
        ("try:\n    f()\nexcept Exception:\n    pass", "swallowed"),
        ("assert x", "assert"),
        ("import torch", "neither Python's own nor QGIS's"),
        ("from cropseg_geo import segment", "neither Python's own nor QGIS's"),
        ("from PyQt5.QtCore import Qt", "import from qgis.PyQt"),
        ("dialog.exec_()", "gone in Qt 6"),
        ("a = Qt.AlignTop", "lacks the name of its enum"),
        ("a = QgsTask.CanCancel | 1", "lacks the name of its enum"),
        ("f(QMessageBox.Yes)", "lacks the name of its enum"),
        ("match x:\n    case 1: pass", "Python 3.9 cannot read"),
        ("raise InstallError(f'{folder} is full')", "cannot be translated"),
        ("raise EngineError(tr('It broke.'), 'mend it')", "cannot be translated"),
    ],
)
def test_each_forbidden_thing_is_found(source, part):
    assert any(part in message for _, message in lint_source(source))


@pytest.mark.parametrize(
    "source",
    [
        "a = Qt.AlignmentFlag.AlignTop",
        "a = QgsProcessing.TEMPORARY_OUTPUT",
        "x = QLabel.tr",
        "def f(details: QgsProcessingContext.LayerDetails): ...",
        "dialog.exec()",
        "run(command, shell=False)",
        "from ..translation import tr",
        "raise InstallError(tr('{} is full').format(folder), kind='Full') from err",
        "raise Cancelled",
        "import processing\nfrom qgis.core import Qgis",
    ],
)
def test_what_is_allowed_is_left_alone(source):
    assert lint_source(source) == []


def test_code_of_the_engine_side_must_do_without_qgis():
    assert lint_source("from qgis.core import QgsTask", without_qgis=True)
    assert not lint_source("import json", without_qgis=True)


def test_the_plugin_breaks_no_rule():
    assert [str(found) for found in lint_folder(PLUGIN)] == []
