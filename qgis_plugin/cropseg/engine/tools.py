"""What installs the engine and by which commands: uv where it is to be had, else a Python's venv and pip.

All comes from wherever pip is configured to look, so that its own settings and proxy variables count as they
always do. Only where torch is wanted, it is put there first, from the index that holds it for the wanted
hardware: so no index has to be mixed with another. With a folder of wheels everything comes from there and
nothing from the network. A plugin that was packed with the engine brings its wheel, and only what that needs
comes from elsewhere.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .environment import python_in
from .language import tr
from .programs import answers, programs, pythons
from .versions import plugin_version

ACCELERATORS = ("cpu", "cuda", "torch")
"""``cpu``: without torch, small, and the fastest on a processor; ``cuda``: with torch for NVIDIA cards;
``torch``: with torch for the processor and for Apple's graphics, which runs any model of the user's own."""

TORCH_INDEXES = {
    "torch": "https://download.pytorch.org/whl/cpu",
    "cuda": "https://download.pytorch.org/whl/cu128",
}
"""Source: pytorch.org/get-started/locally."""

PYTHONS, PYTHONS_OF_INTEL_MACS = range(11, 15), range(11, 14)
"""Minor versions of Python 3 for which there are wheels of all that the engine needs."""

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
            minors = minors_that_do()
            wanted = f">=3.{minors.start},<3.{minors.stop}"
            return [self.program, "venv", "--python", wanted, str(target)]
        return [self.program, "-m", "venv", str(target)]

    def add(self, target: Path, *what: str) -> list[str]:
        """Command that installs into it."""
        python = str(python_in(target))
        if self.kind == "uv":
            return [self.program, "pip", "install", "--python", python, *what]
        return [python, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", *what]


def minors_that_do() -> range:
    """The minor versions of Python 3 that the engine can be installed into here."""
    is_intel_mac = sys.platform == "darwin" and platform.machine() != "arm64"
    return PYTHONS_OF_INTEL_MACS if is_intel_mac else PYTHONS


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
    with_torch = accelerator in TORCH_INDEXES
    engine = requirement(with_torch=with_torch, own=own)
    if wheels is not None:
        return [tool.make(target), tool.add(target, "--no-index", "--find-links", str(wheels), engine)]
    commands = [tool.make(target)]
    # On macOS there is one torch, and the usual index holds it.
    if with_torch and sys.platform != "darwin":
        commands.append(tool.add(target, "--index-url", TORCH_INDEXES[accelerator], "torch", "torchvision"))
    return [*commands, tool.add(target, engine)]


def find_tools() -> Iterator[Tool]:
    """What can make an environment here, the best first; any of them may turn out to be broken.

    Raises
    ------
    InstallError
        If there is nothing; says where to get it.
    """
    tool = None
    for tool in _candidates():
        yield tool
    if tool is None:
        raise InstallError(
            tr(
                "Neither uv nor a Python from {} to {} with venv was found.\n"
                "→ install uv (docs.astral.sh/uv) or Python (python.org), restart QGIS and try again"
            ).format(*bounds())
        )


def bounds() -> tuple[str, str]:
    """The oldest and the newest Python that will do."""
    minors = minors_that_do()
    return f"3.{minors[0]}", f"3.{minors[-1]}"


def _candidates() -> Iterator[Tool]:
    """uv, then every Python that will do and has venv."""
    if uv := next((uv for uv in programs("uv") if answers([uv, "--version"])), None):
        yield Tool("uv", uv)
    minors = minors_that_do()
    check = f"import sys, venv, ensurepip; sys.exit(sys.version_info[:2] not in {[(3, n) for n in minors]})"
    for python in pythons(minors):
        if answers([python, "-c", check]):
            yield Tool("venv", python)
