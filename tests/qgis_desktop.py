"""A QGIS with a profile of its own, for tests: how to make one, and how to start it apart from the user's."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEM_PATH = "/usr/local/bin:/usr/bin:/bin"
SETTINGS = """\
[locale]
overrideFlag=true
userLocale={locale}
[qgis]
checkVersion=false
showTips=false
[PythonPlugins]
processing=true
"""


def program(name: str) -> str:
    """A system program's path; the test is skipped where it is not installed."""
    # Debian puts a wrapper before the program, which hands it options that not every program of QGIS knows.
    path = shutil.which(f"{name}.bin", path=SYSTEM_PATH) or shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path


def make_profile(folder: Path, *, locale: str = "en_GB", enabled: bool = False) -> Path:
    """A clean profile; returns its folder of plugins."""
    profile = folder / "profiles" / "default"
    (profile / "QGIS").mkdir(parents=True)
    settings = SETTINGS.format(locale=locale) + ("cropseg=true\n" if enabled else "")
    (profile / "QGIS" / "QGIS3.ini").write_text(settings)
    plugins = profile / "python" / "plugins"
    plugins.mkdir(parents=True)
    return plugins


def environment(folder: Path, **more: str) -> dict[str, str]:
    """What QGIS sees of its surroundings: its own home and profile, nothing of ours."""
    runtime = folder / "runtime"
    runtime.mkdir(mode=0o700, exist_ok=True)
    return {
        "PATH": SYSTEM_PATH,
        "HOME": str(folder),
        "LANG": "C.UTF-8",
        "XDG_RUNTIME_DIR": str(runtime),
        "QGIS_CUSTOM_CONFIG_PATH": str(folder),
        **{name: os.environ[name] for name in ("OMP_NUM_THREADS", "OMP_WAIT_POLICY") if name in os.environ},
        **more,
    }


def visit_window(folder: Path, order: dict[str, object], *, timeout_s: float = 400) -> dict:
    """What ``qgis/window.py`` sees in a real window with a clean profile; see there what is ordered."""
    programs = program("xvfb-run"), program("qgis")
    out, temporary = folder / "out", folder / "temporary"
    out.mkdir()
    temporary.mkdir()
    make_profile(folder)
    (folder / "order.json").write_text(json.dumps({**order, "out": str(out)}))
    screen = [programs[0], "-a", "-s", "-screen 0 1440x960x24"]
    # QGIS asks before it closes layers that lie where temporary files do, and so do those of a test. Not for
    # the screen, which knows no spaces.
    command = [*screen, "env", f"TMPDIR={temporary}", programs[1], "--nologo", "--noversioncheck"]
    done = subprocess.run(
        [*command, "--code", str(Path(__file__).parent / "qgis" / "window.py")],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env=environment(folder, CROPSEG_WINDOW=str(folder / "order.json")),
    )
    answer = out / "seen.json"
    if not answer.is_file():
        raise RuntimeError(f"QGIS ended before it was through:\n{done.stdout}{done.stderr}")
    seen = json.loads(answer.read_text())
    if "error" in seen:
        raise RuntimeError(seen["error"])
    return {**seen, "pictures": out}


def qgis_process(folder: Path, *arguments: str, timeout_s: float = 120) -> str:
    """What ``qgis_process`` says with the profile in a folder."""
    done = subprocess.run(
        [program("qgis_process"), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env=environment(folder, QT_QPA_PLATFORM="offscreen"),
    )
    return done.stdout + done.stderr
