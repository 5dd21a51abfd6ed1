"""Where a computer has uv and Pythons, beyond what is on the PATH that QGIS was started with."""

from __future__ import annotations

import os
import re
import shutil
import subprocess  # nosec B404 # asks programs for their versions; no shell
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from .command import environment, without_window

_IS_WINDOWS = os.name == "nt"

_LISTED = re.compile(r"[A-Za-z]:\\.*?\.exe", re.IGNORECASE)
"""A program's path in a line of Windows's launcher: `` -V:3.12 *        C:\\Python312\\python.exe``."""


def usual_folders(minors: Iterable[int], *, is_windows: bool = _IS_WINDOWS) -> list[Path]:
    """Where installers put uv and Pythons 3 of some minor versions, the newest first.

    What the Finder starts has none of them on its PATH. Sources: docs.astral.sh/uv,
    docs.brew.sh/Installation, docs.python.org/3/using/mac and …/windows.
    """
    folders = [Path.home() / ".local" / "bin", Path.home() / ".cargo" / "bin"]
    if is_windows:
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local", "Programs", "Python")
        return folders + [base / f"Python3{minor}" for minor in sorted(minors, reverse=True)]
    framework = Path("/Library/Frameworks/Python.framework/Versions")
    folders += [Path("/opt/homebrew/bin"), Path("/usr/local/bin")]
    return folders + [framework / f"3.{minor}" / "bin" for minor in sorted(minors, reverse=True)]


def programs(name: str, minors: Iterable[int] = ()) -> Iterator[str]:
    """Programs of a name: the first one on the PATH, then those in the usual folders."""
    for folder in (None, *usual_folders(minors)):
        if found := shutil.which(name, path=folder):
            yield found


def pythons(minors: Iterable[int], *, is_windows: bool = _IS_WINDOWS) -> Iterator[str]:
    """Pythons to try for an environment, each once.

    QGIS's own comes first, then the newest; on macOS those within applications come last, since they are not
    made to have environments.

    Parameters
    ----------
    minors
        The minor versions of Python 3 that are looked for; what is found may be another one.
    """
    # In QGIS on Windows and macOS sys.executable is QGIS; its Python lies under the prefix.
    own = Path(sys.base_prefix, *(("python.exe",) if is_windows else ("bin", "python3")))
    names = [*(f"python3.{minor}" for minor in sorted(minors, reverse=True)), "python3", "python"]
    found = [str(own)] if own.is_file() else []
    found += [python for name in names for python in programs(name, minors)]
    if is_windows:
        found += _of_launcher()
    if sys.platform == "darwin":
        found.sort(key=lambda python: ".app/" in python)
    asked = set()
    for python in found:
        real = os.path.realpath(python)
        if real not in asked and not _is_apples_stub(python):
            yield python
        asked.add(real)


def _is_apples_stub(python: str) -> bool:
    """True for a Python that does nothing but offer Apple's developer tools in a window, to be installed."""
    is_apples = sys.platform == "darwin" and python == "/usr/bin/python3"
    return is_apples and not answers(["/usr/bin/xcode-select", "-p"])


def _of_launcher() -> list[str]:
    """The Pythons that Windows's launcher knows; to be asked for a list, it installs none."""
    launcher = next(programs("py"), None)
    return _LISTED.findall(_said([launcher, "--list-paths"]) or "") if launcher else []


def answers(command: list[str]) -> bool:
    """True if a program can be started and is content with what it was asked."""
    return _said(command) is not None


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(  # nosec B603
            command,
            capture_output=True,
            check=False,
            timeout=30,
            env=environment(os.environ),
            **without_window(),
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return None if done.returncode else done.stdout.decode("utf-8", errors="replace")
