"""Finding the engine: the Python that holds ``cropseg_geo``."""

from __future__ import annotations

import os
import shutil
import subprocess  # nosec B404 # asks a Python for its version; no shell
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from .command import command, environment, without_window
from .language import tr
from .protocol import Job, Result, parse
from .versions import Fit, Verdict, compare, plugin_version

_ANSWER_S = 30
_KEEP_S = 60.0


@dataclass(frozen=True)
class Engine:
    """An engine that answered: its Python, its version, and where it comes from.

    ``kind`` is ``"chosen"`` (in the settings), ``"managed"`` (made by this plugin) or ``"path"``;
    ``packages`` are the versions of the libraries in it, ``missing`` those that it needs and does not find.
    """

    python: Path
    version: str
    kind: str
    python_version: str = ""
    packages: tuple[tuple[str, str], ...] = ()
    missing: tuple[str, ...] = ()


def data_folder() -> Path:
    """The user's folder for what this plugin keeps between sessions."""
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "cropseg"


def managed_folder() -> Path:
    """Where this plugin makes its own environment."""
    return data_folder() / "engine"


def log_folder() -> Path:
    """Where the logs of the engine's runs are kept."""
    return data_folder() / "logs"


def new_log(task: str, *, keep: int = 30) -> Path:
    """A name for the log of a run that starts now; the oldest of more than ``keep`` logs are deleted."""
    folder = log_folder()
    folder.mkdir(parents=True, exist_ok=True)
    for old in sorted(folder.glob("*.log"))[: -keep + 1]:
        old.unlink(missing_ok=True)
    return folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{task}-{os.getpid()}-{time.monotonic_ns() % 10**6}.log"


def python_in(environment_folder: Path) -> Path:
    """The Python of a virtual environment."""
    inside = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
    return environment_folder.joinpath(*inside)


def find_engine(chosen: str | None) -> Engine | None:
    """The engine that jobs are given to.

    Parameters
    ----------
    chosen
        What the settings say (``cropseg/engine_python``): a Python, the folder of an environment or of its
        programs, or the ``cropseg`` in it. Where it says something, nothing else is tried: a user who chose
        one does not want another.

    Returns
    -------
    Engine or None
        The chosen one, else the plugin's own, else that of a ``cropseg`` on the PATH; None if none answers.
    """
    if python := _chosen_python(chosen):
        return probe(python, "chosen")
    if (python := expected_python(None)) and (engine := probe(python, "managed")):
        return engine
    beside = _python_beside_script()
    return probe(beside, "path") if beside else None


def expected_python(chosen: str | None) -> Path | None:
    """The Python that ought to hold the engine: the chosen one, else the plugin's own where that was made."""
    return _chosen_python(chosen) or (python_in(managed_folder()) if managed_folder().exists() else None)


def _chosen_python(chosen: str | None) -> Path | None:
    """The Python that the settings mean; None where they say nothing."""
    # Windows copies paths with quotes around them.
    text = (chosen or "").strip().strip("\"'")
    if not text:
        return None
    # A bare word is a program, not a file of the folder that QGIS happens to run in.
    program = shutil.which(text) if Path(text).name == text else None
    path = Path(program or text).expanduser()
    if path.is_dir():
        return _python_among(path) or python_in(path)
    beside = _python_beside(path) if path.stem == "cropseg" else None
    return beside or path


def judge(engine: Engine | None, expected: Path | None) -> Fit:
    """How an engine fits this plugin; where there is none, why the one that was expected does not answer."""
    if engine is not None:
        return compare(engine.version, plugin_version(), place=str(engine.python), lacks=engine.missing)
    if expected is not None:
        return Fit(Verdict.SILENT, str(expected), detail=_complaints.get(expected, ""))
    return Fit(Verdict.MISSING)


def look(chosen: str | None) -> tuple[Engine | None, Fit]:
    """The engine that jobs are given to, as :func:`find_engine` finds it, and how it fits."""
    engine = find_engine(chosen)
    return engine, judge(engine, expected_python(chosen))


def _python_beside_script() -> Path | None:
    """The Python next to a ``cropseg`` on the PATH."""
    script = shutil.which("cropseg")
    return _python_beside(Path(script)) if script else None


def _python_beside(script: Path) -> Path | None:
    """The Python next to a script of its environment."""
    # It may be a link into the environment (uv tool, pipx); its Python lies beside the target.
    return _python_among(script.parent) or _python_among(script.resolve().parent)


def _python_among(folder: Path) -> Path | None:
    """The Python in a folder of programs."""
    names = ("python.exe", "python", "python3")
    return next((folder / name for name in names if (folder / name).is_file()), None)


_answers: dict[str, tuple[float, Engine | None]] = {}
_complaints: dict[Path, str] = {}
"""What a Python said that was asked last and is no engine."""


def forget() -> None:
    """Ask engines again: something was installed or removed."""
    _answers.clear()


def probe(python: Path, kind: str) -> Engine | None:
    """Ask a Python for the engine in it; None if it has none. An answer counts for a minute."""
    # Not resolved: an environment's Python is a link, and only by its own name is it that environment.
    key = f"{kind}:{python}"
    asked, engine = _answers.get(key, (-_KEEP_S, None))
    if engine is None or time.monotonic() - asked > _KEEP_S:
        engine = _ask(python, kind)
        _answers[key] = (time.monotonic(), engine)
    return engine


def _ask(python: Path, kind: str) -> Engine | None:
    try:
        done = subprocess.run(  # nosec B603 # a list, no shell; the Python is the user's own choice
            command(python, stop_at_eof=False),
            input=Job("version").to_json().encode() + b"\n",
            capture_output=True,
            check=False,
            timeout=_ANSWER_S,
            cwd=Path.home(),
            env=environment(os.environ),
            **without_window(),
        )
    except OSError as err:
        _complaints[python] = err.strerror or str(err)
        return None
    except subprocess.TimeoutExpired:
        _complaints[python] = tr("no answer within {} s").format(_ANSWER_S)
        return None
    events = [parse(line) for line in done.stdout.decode("utf-8", errors="replace").splitlines()]
    for event in events:
        if isinstance(event, Result) and "version" in event.values:
            values = event.values
            packages = tuple(sorted(values.get("packages", {}).items()))
            missing = tuple(values.get("missing", ()))
            return Engine(
                python, str(values["version"]), kind, str(values.get("python", "")), packages, missing
            )
    said = done.stderr.decode("utf-8", errors="replace").split("\n")
    # Underlines of tracebacks say nothing alone.
    last = next((line.strip() for line in reversed(said) if any(map(str.isalpha, line))), "")
    _complaints[python] = last or tr("exit code {}").format(done.returncode)
    return None
