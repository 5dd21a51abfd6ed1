"""What installs the engine and by which commands: uv where it is to be had, else a Python's venv and pip.

All comes from wherever pip is configured to look, so that its own settings and proxy variables count as they
always do. Only where torch is wanted, it is put there first, from the index that holds it for the wanted
hardware: so no index has to be mixed with another. With a folder of wheels everything comes from there and
nothing from the network. A plugin that was packed with the engine brings its wheel, and only what that needs
comes from elsewhere.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess  # nosec B404 # asks uv and Pythons for their versions; no shell
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .command import environment, without_window
from .environment import python_in
from .language import tr
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
