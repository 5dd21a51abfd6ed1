"""uv and Pythons are found where installers put them, and what only looks like one is left alone."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from qgis_plugin.cropseg.engine import programs, tools
from qgis_plugin.cropseg.engine.programs import pythons, usual_folders
from qgis_plugin.cropseg.engine.tools import InstallError, Tool, find_tools

pytestmark = pytest.mark.skipif(os.name == "nt", reason="paths are POSIX")

BUNDLE = "/Applications/QGIS.app/Contents/MacOS"
FRAMEWORK = "/Library/Frameworks/Python.framework/Versions/3.12/bin/python3.12"
WINDOWS_LIST = r"""
 -V:3.15 *        C:\Program Files\Python315\python.exe
 -V:3.13          C:\Users\Jörg B\AppData\Local\Python\pythoncore-3.13-64\python.exe
 -3.7-64        C:\Python37\python.exe *
"""


class Computer:
    """A computer with some programs: path → the Python it is, or what it is else."""

    def __init__(self, monkeypatch, there: dict[str, object], *, path: str = "/usr/bin:/bin") -> None:
        self.there, self.asked = there, []
        monkeypatch.setenv("PATH", path)
        monkeypatch.setattr("shutil.which", self.which)
        monkeypatch.setattr("sys.base_prefix", BUNDLE)
        monkeypatch.setattr("pathlib.Path.is_file", lambda file: str(file) in there)
        monkeypatch.setattr(programs, "_said", self.answer)

    def which(self, name: str, path: str | None = None) -> str | None:
        folders = (os.environ["PATH"] if path is None else str(path)).split(":")
        return next((f"{folder}/{name}" for folder in folders if f"{folder}/{name}" in self.there), None)

    def answer(self, command: list[str]) -> str | None:
        self.asked.append(command[0])
        what = self.there.get(command[0])
        if isinstance(what, tuple):
            numbers = re.findall(r"\((\d+), (\d+)\)", command[-1])
            return "" if what in [(int(a), int(b)) for a, b in numbers] else None
        return what


@pytest.fixture
def on_mac(monkeypatch):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")


@pytest.mark.usefixtures("on_mac")
@pytest.mark.parametrize(
    "program",
    [FRAMEWORK, "/usr/local/bin/python3.12", "/opt/homebrew/bin/python3.13", "/opt/homebrew/bin/uv"],
)
def test_what_is_installed_is_found_though_the_finder_knows_nothing_of_it(monkeypatch, program):
    kind = "uv" if program.endswith("uv") else "venv"
    Computer(monkeypatch, {program: "uv 0.9" if kind == "uv" else (3, 12), "/usr/bin/python3": (3, 12)})
    assert list(find_tools()) == [Tool(kind, program)]


@pytest.mark.usefixtures("on_mac")
@pytest.mark.parametrize("has_xcode", [False, True])
def test_apples_stub_is_asked_only_where_it_opens_no_window(monkeypatch, has_xcode):
    there = {"/usr/bin/python3": (3, 11)} | ({"/usr/bin/xcode-select": "/Library"} if has_xcode else {})
    computer = Computer(monkeypatch, there)
    assert list(pythons([11])) == (["/usr/bin/python3"] if has_xcode else [])
    assert "/usr/bin/python3" not in computer.asked


@pytest.mark.usefixtures("on_mac")
def test_on_macos_the_python_within_qgis_comes_last(monkeypatch):
    inside = [f"{BUNDLE}/bin/python3", f"{BUNDLE}/bin/python3.12"]
    there = dict.fromkeys([*inside, FRAMEWORK, "/usr/local/bin/python3.11"], (3, 12))
    Computer(monkeypatch, there, path=f"{BUNDLE}/bin:/usr/bin")
    assert list(pythons([11, 12])) == [FRAMEWORK, "/usr/local/bin/python3.11", *inside]
    monkeypatch.setattr("sys.platform", "linux")
    assert next(pythons([11, 12])) == inside[0]


def test_a_python_that_is_too_new_or_too_old_is_refused_with_both_bounds(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    there: dict[str, object] = {"/usr/bin/python3": (3, 15), "/usr/bin/python": (3, 10)}
    Computer(monkeypatch, there)
    with pytest.raises(InstallError, match=r"from 3\.11 to 3\.14"):
        list(find_tools())
    there["/usr/bin/python3.14"] = (3, 14)
    assert list(find_tools()) == [Tool("venv", "/usr/bin/python3.14")]
    monkeypatch.setattr(tools, "minors_that_do", lambda: tools.PYTHONS_OF_INTEL_MACS)
    with pytest.raises(InstallError, match=r"from 3\.11 to 3\.13"):
        list(find_tools())


def test_on_windows_installers_folders_and_the_launchers_list_are_looked_at(monkeypatch):
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    folders = [str(folder) for folder in usual_folders(range(11, 13), is_windows=True)]
    assert folders[-2:] == ["/local/Programs/Python/Python312", "/local/Programs/Python/Python311"]
    assert str(Path.home() / ".local" / "bin") in folders
    computer = Computer(monkeypatch, {"/usr/bin/py": WINDOWS_LIST, "/usr/bin/python": (3, 9)})
    assert list(pythons([11], is_windows=True)) == [
        "/usr/bin/python",
        r"C:\Program Files\Python315\python.exe",
        r"C:\Users\Jörg B\AppData\Local\Python\pythoncore-3.13-64\python.exe",
        r"C:\Python37\python.exe",
    ]
    assert computer.asked == ["/usr/bin/py"]
