"""A clean user of QGIS for the tests: a home of its own, the plugin enabled, the engine of this checkout."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shutil.which("python3", path="/usr/bin") or ""
PROCESS = shutil.which("qgis_process.bin", path="/usr/bin") or shutil.which("qgis_process") or ""


def environment(home: Path) -> dict[str, str]:
    """As QGIS starts on a desktop: with variables that must not reach the engine."""
    names = ("LANG", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")
    return {n: os.environ[n] for n in names if n in os.environ} | {
        # QGIS's embedded Python takes its libraries from the first python3 here: never from ours.
        "PATH": "/usr/bin:/bin:/usr/local/bin",
        "HOME": str(home),
        "QT_QPA_PLATFORM": "offscreen",
        "QGIS_PLUGINPATH": str(ROOT / "qgis_plugin"),
        "XDG_RUNTIME_DIR": str(home),
        "PYTHONWARNINGS": "ignore",
        "PROJ_NETWORK": "OFF",
    }


@cache
def qgis_version() -> str:
    """QGIS's version as its own Python sees it, or an empty string."""
    if not PYTHON:
        return ""
    code = "from qgis.core import Qgis; print(Qgis.QGIS_VERSION)"
    done = subprocess.run(
        [PYTHON, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "QT_QPA_PLATFORM": "offscreen"},
    )
    return done.stdout.strip()


def new_home(home: Path, *, engine: str | None = sys.executable) -> Path:
    """A user's home with the plugin enabled."""
    profile = home / ".local/share/QGIS/QGIS3/profiles/default/QGIS"
    profile.mkdir(parents=True)
    lines = ["[PythonPlugins]", "cropseg=true"]
    if engine:
        lines += ["[cropseg]", f"engine_python={engine}"]
    (profile / "QGIS3.ini").write_text("\n".join([*lines, ""]))
    return home


def ask_toolbox(home: Path, scenarios: list[tuple[str, str, list]]) -> dict[str, dict]:
    """Answers of toolbox.py by name."""
    asked, told = home / "scenarios.json", home / "answers.json"
    asked.write_text(json.dumps(scenarios))
    done = subprocess.run(
        [PYTHON, str(Path(__file__).with_name("toolbox.py")), str(asked), str(told), sys.executable],
        capture_output=True,
        text=True,
        check=False,
        env=environment(home),
        timeout=900,
    )
    if not told.is_file():
        raise RuntimeError(f"QGIS ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    (home / "times.txt").write_text(done.stdout)
    return json.loads(told.read_text())


def qgis_process(
    home: Path, *arguments: str, cwd: Path | None = None, **extra: str
) -> subprocess.CompletedProcess[str]:
    """Run qgis_process, in a folder if one is given; its answer is JSON."""
    return subprocess.run(
        [PROCESS, "--json", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment(home) | extra,
        cwd=cwd,
        timeout=600,
    )


def write_engine(path: Path, code: str) -> Path:
    """A program in place of an engine's Python."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport json, os, signal, subprocess, sys, time\n{code}\n")
    path.chmod(0o755)
    return path


def answering(version: str, **more: object) -> str:
    """Code of an engine that says its version."""
    facts = {"event": "result", "task": "version", "version": version, "python": "3.13.1", **more}
    return f"print(json.dumps({facts}))"


def repeating(warning: str) -> str:
    """Code of an engine that says its version, and does a check with the same warning twice."""
    forecast = {"tiles": 1, "memory_bytes": 1, "disk_bytes": 1, "seconds": 1, "notes": []}
    told = {"event": "warning", "message": warning}
    done = {"event": "result", "task": "check", "forecast": forecast, "lines": [["Tiles", "1"]]}
    return (
        "job = json.loads(sys.stdin.readline())\n"
        f"if job['task'] == 'version':\n    {answering('0.1.0')}\n    sys.exit()\n"
        f"for event in ({told}, {told}, {done}):\n    print(json.dumps(event))"
    )


def dying(name: str) -> str:
    """Code of an engine that says its version, and ends every other job by a signal."""
    return (
        "job = json.loads(sys.stdin.readline())\n"
        f"if job['task'] == 'version':\n    {answering('0.1.0')}\n    sys.exit()\n"
        "print('out of luck', file=sys.stderr, flush=True)\n"
        f"os.kill(os.getpid(), signal.{name})"
    )


def _digest(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def write_wheel(folder: Path, version: str) -> None:
    """A wheel of an engine that does nothing but say its version."""
    facts = f"cropseg_geo-{version}.dist-info"
    files = {
        "cropseg_geo/__init__.py": "",
        "cropseg_geo/worker.py": "import json\n"
        f"print(json.dumps({{'event': 'result', 'task': 'version', 'version': '{version}'}}))\n",
        f"{facts}/METADATA": f"Metadata-Version: 2.1\nName: cropseg-geo\nVersion: {version}\n",
        f"{facts}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{name},sha256={_digest(text)},\n" for name, text in files.items())
    files[f"{facts}/RECORD"] = f"{record}{facts}/RECORD,,\n"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / f"cropseg_geo-{version}-py3-none-any.whl", "w") as wheel:
        for name, text in files.items():
            wheel.writestr(name, text)
