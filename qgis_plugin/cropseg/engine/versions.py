"""The handshake: does the engine that was found speak the same language as this plugin?"""

from __future__ import annotations

import configparser
import re
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

PROTOCOL = 1
"""Version of the job and of the event lines; the engine refuses a job of another one."""


class Verdict(Enum):
    """How an engine fits the plugin."""

    OK = "ok"
    TOO_OLD = "too old"
    TOO_NEW = "too new"
    MISSING = "missing"


@dataclass(frozen=True)
class Fit:
    """A verdict in words: what was found, and what to do about it (empty where all is well)."""

    verdict: Verdict
    message: str
    remedy: str = ""

    @property
    def is_ok(self) -> bool:
        """True if the engine can be used."""
        return self.verdict is Verdict.OK

    def __str__(self) -> str:
        return f"{self.message}\n→ {self.remedy}" if self.remedy else self.message


def plugin_version() -> str:
    """Version of this plugin, as ``metadata.txt`` says it."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(Path(__file__).resolve().parents[1] / "metadata.txt", encoding="utf-8")
    return metadata.get("general", "version", fallback="0.1.0")


def compare(engine_version: str | None, plugin_version: str) -> Fit:
    """Does an engine of one version fit a plugin of another?

    Before 1.0 the minor number has to be the same, from 1.0 on the major number: what comes after may differ.

    Parameters
    ----------
    engine_version
        As the engine says it; None where no engine was found.
    plugin_version
        As :func:`plugin_version` says it.
    """
    install = "open the toolbox and run CropSeg › Install the engine"
    if engine_version is None:
        return Fit(Verdict.MISSING, "The CropSeg engine is not installed.", install)
    engine, plugin = _series(engine_version), _series(plugin_version)
    if engine == plugin:
        return Fit(Verdict.OK, f"Engine {engine_version} fits this plugin ({plugin_version}).")
    if engine < plugin:
        return Fit(
            Verdict.TOO_OLD,
            f"The engine is version {engine_version}, too old for version {plugin_version} of this plugin.",
            f"{install} again: it brings the engine up to date",
        )
    return Fit(
        Verdict.TOO_NEW,
        f"The engine is version {engine_version}, newer than version {plugin_version} of this plugin knows.",
        "update the plugin in Plugins › Manage and Install Plugins › Upgradeable",
    )


def _series(version: str) -> tuple[int, int]:
    """The part of a version that has to agree: ``0.3.1`` → (0, 3), ``2.5`` → (2, 0)."""
    numbers = [int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:2]]
    major, minor = (*numbers, 0, 0)[:2]
    return (major, minor) if major == 0 else (major, 0)
