"""Making the engine's environment: with uv where it is to be had, else with a Python's own venv and pip.

The overall strategy is one installation into a fresh environment, from wherever pip is configured to look, so
that pip's own settings and proxy variables count as they always do. Only where torch is wanted, it is put
there first, from the index that holds it for the wanted hardware: so no index has to be mixed with another.
With a folder of wheels everything comes from there and nothing from the network. A plugin that was packed
with the engine brings its wheel, and only what that needs comes from elsewhere.
"""

from __future__ import annotations

import os
import platform
import queue
import re
import shutil
import subprocess  # nosec B404 # runs uv, python and pip; no shell
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .command import environment, in_own_group, without_window
from .environment import Engine, forget, judge, probe, python_in
from .language import tr
from .milestones import Milestones, Tell
from .pip_settings import for_uv
from .process import kill_tree
from .versions import plugin_version

ACCELERATORS = ("cpu", "cuda", "torch")
"""``cpu``: without torch, small, and the fastest on a processor; ``cuda``: with torch for NVIDIA cards;
``torch``: with torch for the processor and for Apple's graphics, which runs any model of the user's own."""

TORCH_INDEXES = {
    "torch": "https://download.pytorch.org/whl/cpu",
    "cuda": "https://download.pytorch.org/whl/cu128",
}
"""Source: pytorch.org/get-started/locally."""

OLDEST_PYTHON = (3, 11)

OWN_WHEELS = Path(__file__).resolve().parent.parent / "wheels"
"""Holds the engine's wheel if the plugin was packed with it."""

_ENGINE_WHEEL = "cropseg_geo-*.whl"

_NOT_FOUND = re.compile(
    r"No matching distribution found for cropseg-geo|cropseg-geo\S* was not found|no versions? of cropseg-geo"
    r"|only cropseg-geo\S* is available"
)
"""What pip and uv say of an index or a folder that holds no such engine."""

_POLL_S = 0.1


class InstallError(Exception):
    """The environment could not be made; ``str()`` says why and what to do."""


@dataclass(frozen=True)
class Tool:
    """What makes environments: ``kind`` is ``"uv"`` or ``"venv"``, ``program`` uv itself or a Python."""

    kind: str
    program: str

    def make(self, target: Path) -> list[str]:
        """Command that makes an empty environment."""
        if self.kind == "uv":
            return [self.program, "venv", "--python", f">={'.'.join(map(str, OLDEST_PYTHON))}", str(target)]
        return [self.program, "-m", "venv", str(target)]

    def add(self, target: Path, *what: str) -> list[str]:
        """Command that installs into it."""
        python = str(python_in(target))
        if self.kind == "uv":
            return [self.program, "pip", "install", "--python", python, *what]
        return [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *what]


def requirement(*, with_torch: bool = False, own: Path | None = None) -> str:
    """The engine that fits this plugin, as pip understands it; ``own`` is a wheel that it is to be taken
    from."""
    name = f"cropseg-geo{'[torch]' if with_torch else ''}"
    if own is not None:
        return f"{name} @ {own.as_uri()}"
    major, minor = [*plugin_version().split("."), "0"][:2]
    series = f"{major}.{minor}" if major == "0" else major
    return f"{name}=={series}.*"


def own_wheel(wheels: Path | None) -> Path | None:
    """The engine's wheel that came with the plugin, unless the user's folder of wheels holds one."""
    if wheels is not None and any(wheels.glob(_ENGINE_WHEEL)):
        return None
    return next(iter(OWN_WHEELS.glob(_ENGINE_WHEEL)), None)


def steps(
    tool: Tool, target: Path, *, accelerator: str, wheels: Path | None, own: Path | None = None
) -> list[list[str]]:
    """The commands of an installation, in their order; ``own`` as in :func:`requirement`.

    Raises
    ------
    InstallError
        For an accelerator that does not exist.
    """
    if accelerator not in ACCELERATORS:
        raise InstallError(
            tr("unknown accelerator {}; choose one of {}").format(accelerator, ", ".join(ACCELERATORS))
        )
    with_torch = accelerator in TORCH_INDEXES or _has_nothing_else()
    engine = requirement(with_torch=with_torch, own=own)
    if wheels is not None:
        return [tool.make(target), tool.add(target, "--no-index", "--find-links", str(wheels), engine)]
    commands = [tool.make(target)]
    # On macOS there is one torch, and the usual index holds it.
    if with_torch and sys.platform != "darwin":
        commands.append(tool.add(target, "--index-url", TORCH_INDEXES[accelerator], "torch", "torchvision"))
    return [*commands, tool.add(target, engine)]


def _has_nothing_else() -> bool:
    """True where neither OpenVINO nor ONNX Runtime is to be had: Macs with Intel's processors."""
    return sys.platform == "darwin" and platform.machine() != "arm64"


def find_tool() -> Tool:
    """uv, else a Python that is new enough and has venv.

    Raises
    ------
    InstallError
        If there is neither; says where to get one.
    """
    home = Path.home()
    name = "uv.exe" if os.name == "nt" else "uv"
    usual = [home / ".local" / "bin" / name, home / ".cargo" / "bin" / name, Path("/opt/homebrew/bin") / name]
    uv = shutil.which("uv") or next((str(path) for path in usual if path.is_file()), None)
    if uv and _answers([uv, "--version"]):
        return Tool("uv", uv)
    for python in _pythons():
        check = f"import sys, venv, ensurepip; sys.exit(sys.version_info < {OLDEST_PYTHON})"
        if _answers([python, "-c", check]):
            return Tool("venv", python)
    wanted = ".".join(map(str, OLDEST_PYTHON))
    raise InstallError(
        tr(
            "Neither uv nor a Python {} or newer with venv was found.\n"
            "→ install uv (docs.astral.sh/uv) or Python (python.org), restart QGIS and try again"
        ).format(wanted)
    )


def _pythons() -> Iterator[str]:
    """Pythons to try: QGIS's own, then those on the PATH, the newest of the tested ones first."""
    # In QGIS on Windows and macOS sys.executable is QGIS; its Python lies under the prefix.
    inside = ("python.exe",) if os.name == "nt" else ("bin/python3",)
    for candidate in inside:
        if (Path(sys.base_prefix) / candidate).is_file():
            yield str(Path(sys.base_prefix) / candidate)
    for name in ("python3.14", "python3.13", "python3.12", "python3.11", "python3", "python"):
        if found := shutil.which(name):
            yield found


def _answers(command: list[str]) -> bool:
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
        return False
    return done.returncode == 0


def install(
    target: Path,
    *,
    accelerator: str,
    wheels: Path | None,
    on_line: Callable[[str], None],
    on_milestone: Tell,
    is_cancelled: Callable[[], bool],
) -> Engine | None:
    """Make an environment with the engine; an earlier one in its place is kept until the new one works.

    Parameters
    ----------
    target
        Folder of the environment.
    accelerator
        One of :data:`ACCELERATORS`.
    wheels
        Folder with the wheels of the engine and all that it needs; None takes them from the network, but the
        engine from the plugin if that brings it.
    on_line
        Called in this thread with each line that the tools print.
    on_milestone
        Called in this thread as each step begins, with the share that is behind, 0–1, and its name.
    is_cancelled
        Asked ten times a second.

    Returns
    -------
    Engine or None
        The new engine; None if the installation was cancelled, and then everything is as it was before.

    Raises
    ------
    InstallError
        If it could not be made; everything is as it was before.
    """
    if target.exists() and any(target.iterdir()) and not (target / "pyvenv.cfg").is_file():
        raise InstallError(
            tr("{} holds other files.\n→ choose an empty folder for the engine").format(target)
        )
    if wheels is not None and not any(wheels.glob("*.whl")):
        raise InstallError(tr("{} holds no wheels (*.whl).\n→ choose the folder that does").format(wheels))
    commands = steps(find_tool(), target, accelerator=accelerator, wheels=wheels, own=own_wheel(wheels))
    before = _set_aside(target)
    try:
        milestones = Milestones(len(commands) - 1, on_milestone)
        is_complete = _do_all(commands, milestones, on_line, is_cancelled)
        engine = _proven(target) if is_complete else None
    except BaseException:
        _put_back(target, before)
        raise
    finally:
        forget()
    if engine is None:
        _put_back(target, before)
    elif before is not None:
        shutil.rmtree(before, ignore_errors=True)
    return engine


def _set_aside(target: Path) -> Path | None:
    """Rename what is there; None if nothing is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        return None
    aside = target.with_name(f"{target.name}.before")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        return target.rename(aside)
    except OSError as err:
        raise InstallError(
            tr("{} cannot be replaced ({}).\n→ end jobs that still run, and try again").format(
                target, err.strerror
            )
        ) from err


def _put_back(target: Path, before: Path | None) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if before is not None:
        before.rename(target)


def _proven(target: Path) -> Engine:
    engine = probe(python_in(target), "managed")
    fit = judge(engine, python_in(target))
    if engine is None or not fit.is_ok:
        raise InstallError(tr("The engine was installed, but cannot be used.\n{}").format(fit))
    return engine


def _do_all(
    commands: list[list[str]],
    milestones: Milestones,
    on_line: Callable[[str], None],
    is_cancelled: Callable[[], bool],
) -> bool:
    """Run the commands of an installation; False if it was cancelled. Raises InstallError."""

    def hear(line: str) -> None:
        on_line(line)
        milestones.hear(line)

    make, *additions = commands
    if not _do(make, on_line, is_cancelled):
        return False
    for command in additions:
        milestones.add()
        if not _do(command, hear, is_cancelled):
            return False
    milestones.check()
    return True


def _do(command: list[str], on_line: Callable[[str], None], is_cancelled: Callable[[], bool]) -> bool:
    """Run one command; False if it was cancelled. Raises InstallError."""
    if is_cancelled():
        return False
    on_line("$ " + " ".join(command))
    child = subprocess.Popen(  # nosec B603 # a list, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # pip reads its own settings; uv has to be told them.
        env=environment(os.environ) | for_uv(os.environ),
        cwd=Path.home(),
        **in_own_group(),
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read_all, args=(child, lines), daemon=True)
    reader.start()
    tail: list[str] = []
    while reader.is_alive() or not lines.empty() or child.poll() is None:
        if is_cancelled():
            kill_tree(child)
            child.wait()
            return False
        try:
            tail = [*tail[-9:], lines.get(timeout=_POLL_S)]
        except queue.Empty:
            continue
        on_line(tail[-1])
    if child.returncode:
        said = "\n".join(tail)
        raise InstallError(
            tr("The installation failed (exit code {}):\n{}\n→ {}").format(
                child.returncode, said, remedy(said)
            )
        )
    return True


def remedy(said: str) -> str:
    """What to do after an installation failed, by what pip or uv said last."""
    if _NOT_FOUND.search(said):
        return tr(
            "no engine for this plugin is to be had from there: take the plugin's package with the engine in "
            "it, or a folder of wheels that holds cropseg-geo; or check the connection and the proxy"
        )
    return tr("check the connection and the proxy, or install from a folder of wheels")


def _read_all(child: subprocess.Popen[bytes], lines: queue.Queue[str]) -> None:
    with child.stdout:
        for line in child.stdout:
            if text := line.decode("utf-8", errors="replace").rstrip():
                lines.put(text)
