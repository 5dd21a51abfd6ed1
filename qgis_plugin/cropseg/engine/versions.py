"""The handshake: does the engine that was found speak the same language as this plugin?"""

from __future__ import annotations

import configparser
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from .language import tr

PROTOCOL = 1
"""Version of the job and of the event lines; the engine refuses a job of another one."""


_MOST_NAMED = 5


class Verdict(Enum):
    """How an engine fits the plugin."""

    OK = "ok"
    TOO_OLD = "too old"
    TOO_NEW = "too new"
    INCOMPLETE = "incomplete"
    SILENT = "silent"
    MISSING = "missing"


LABELS = {
    "ok": "Ready: engine {engine} in {place}",
    "too old": "The engine in {place} is version {engine}, too old for version {plugin} of this plugin.",
    "too new": "The engine in {place} is version {engine}, newer than version {plugin} of this plugin knows.",
    "incomplete": "The engine in {place} lacks parts that it needs: {detail}.",
    "silent": "{place} does not answer as an engine: {detail}",
    "missing": "The engine is not installed yet.",
}

REMEDIES = {
    "too old": "run CropSeg › Install the engine: it brings the engine up to date",
    "too new": "update the plugin in Plugins › Manage and Install Plugins › Upgradeable",
    "incomplete": "run CropSeg › Install the engine again; where a virus scanner removes files, "
    "except that folder first",
    "silent": "run CropSeg › Install the engine, or choose another Python in Settings › Options › CropSeg; "
    "where a virus scanner removes files, except that folder first",
    "missing": "open the toolbox and run CropSeg › Install the engine",
}


@dataclass(frozen=True)
class Fit:
    """A verdict and what it is about; ``str()`` says it in words, with what to do about it."""

    verdict: Verdict
    place: str = ""
    engine: str = ""
    plugin: str = ""
    detail: str = ""

    @property
    def is_ok(self) -> bool:
        """True if the engine can be used."""
        return self.verdict is Verdict.OK

    def in_words(self, translate: Callable[[str], str] = tr) -> tuple[str, str]:
        """Message and remedy in the user's language or another; the remedy is empty where all is well."""
        name = self.verdict.value
        values = {"place": self.place, "engine": self.engine, "plugin": self.plugin, "detail": self.detail}
        remedy = translate(REMEDIES[name]) if name in REMEDIES else ""
        return translate(LABELS[name]).format(**values), remedy

    def __str__(self) -> str:
        message, remedy = self.in_words()
        return f"{message}\n→ {remedy}" if remedy else message


def plugin_version() -> str:
    """Version of this plugin, as ``metadata.txt`` says it."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(Path(__file__).resolve().parents[1] / "metadata.txt", encoding="utf-8")
    return metadata.get("general", "version", fallback="0.1.0")


def compare(engine_version: str, plugin_version: str, *, place: str = "", lacks: Sequence[str] = ()) -> Fit:
    """Does an engine of one version fit a plugin of another?

    Before 1.0 the minor number has to be the same, from 1.0 on the major number: what comes after may differ.

    Parameters
    ----------
    engine_version
        As the engine says it.
    plugin_version
        As :func:`plugin_version` says it.
    place
        The engine's Python, for the words.
    lacks
        Packages and files that the engine needs and does not find.
    """
    engine, plugin = _series(engine_version), _series(plugin_version)
    if engine != plugin:
        verdict = Verdict.TOO_OLD if engine < plugin else Verdict.TOO_NEW
    else:
        verdict = Verdict.INCOMPLETE if lacks else Verdict.OK
    detail = ", ".join([*lacks[:_MOST_NAMED], *(["…"] if len(lacks) > _MOST_NAMED else [])])
    return Fit(verdict, place, engine_version, plugin_version, detail)


def _series(version: str) -> tuple[int, int]:
    """The part of a version that has to agree: ``0.3.1`` → (0, 3), ``2.5`` → (2, 0)."""
    numbers = [int(n) for n in re.findall(r"\d+", version.partition("+")[0])[:2]]
    major, minor = (*numbers, 0, 0)[:2]
    return (major, minor) if major == 0 else (major, 0)
