"""The plugin against QGIS 4, as far as it can be had without it: its type stubs, and the real Qt 6."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from qgis_plugin import package, translations

PLUGIN = package.PLUGIN


def test_every_name_and_call_of_the_plugin_fits_the_interfaces_of_qgis_4(tmp_path):
    options = ("--config-file=", f"--cache-dir={tmp_path}", "--check-untyped-defs", "--no-strict-optional",
               "--ignore-missing-imports")  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "cropseg"],
        capture_output=True, text=True, check=False, cwd=PLUGIN.parent,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What ``qt6.py`` saw; its pictures lie in ``seen["pictures"]``."""
    # It needs libraries of the system, which come with QGIS.
    pytest.importorskip("PyQt6.QtWidgets", exc_type=ImportError)
    folder = tmp_path_factory.mktemp("qt6")
    translation = folder / "de.qm"
    translation.write_bytes(translations.compile_qm(translations.read_ts(PLUGIN / "i18n/cropseg_de.ts")))
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("qt6.py"), PLUGIN.parent, translation, folder],
        capture_output=True, text=True, check=False, timeout=120,
        env={**os.environ, "QT_QPA_PLATFORM": "offscreen", "HOME": str(folder), "XDG_DATA_HOME": str(folder),
             "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {**json.loads(done.stdout), "pictures": folder}


def test_every_module_is_imported_under_qt_6(seen):
    files = [path for path in PLUGIN.rglob("*.py") if path != PLUGIN / "__init__.py"]
    assert seen["qt"].startswith("6.")
    assert len(seen["modules"]) == len(files)


def test_the_welcome_leads_through_its_steps_under_qt_6(seen):
    welcome = seen["welcome"]
    assert welcome["steps"] == [0, 1, 2]
    assert welcome["called"] == ["sample", "help", "toolbox", "pipeline"]
    assert welcome["closed"]
    assert "not installed yet" in welcome["engine"]
    assert "holds no wheels" in welcome["note"]


def test_an_installation_shows_how_far_it_is(seen):
    assert seen["installing"]["shown"] == [[33, 100, "Collecting …"]]
    assert "Nothing was installed" in seen["installing"]["after"]


def test_the_options_are_kept_under_qt_6(seen):
    assert seen["options"]["device"] == "cpu"
    assert "Copied" in seen["options"]["diagnostics"]


def test_qt_6_reads_the_translation(seen):
    assert seen["german"] == "Parzellen anlegen"


@pytest.mark.parametrize("name", ["welcome-1", "welcome-2", "welcome-3", "options"])
def test_the_windows_are_drawn_by_qt_6(seen, name):
    assert (seen["pictures"] / f"{name}.png").stat().st_size > 5_000
