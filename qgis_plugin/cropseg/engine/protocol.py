"""What plugin and engine say to each other: a job as one line of JSON, events as many."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .versions import PROTOCOL


@dataclass(frozen=True)
class Job:
    """A task of the engine and its arguments, by the names of its pipeline."""

    task: str
    arguments: Mapping[str, Any] = field(default_factory=dict)  # Any: values of JSON

    def to_json(self) -> str:
        """One line. Arguments that are None are left out: the engine has its own defaults."""
        given = {name: value for name, value in self.arguments.items() if value is not None}
        job = {"protocol": PROTOCOL, "task": self.task, "arguments": given}
        return json.dumps(job, ensure_ascii=False)


@dataclass(frozen=True)
class RasterStarted:
    """Of several rasters, the next one begins: number ``number`` of ``of``."""

    raster: str
    number: int
    of: int


@dataclass(frozen=True)
class RasterFinished:
    """Of several rasters, one is through: its state in a word, and why."""

    raster: str
    state: str
    message: str


@dataclass(frozen=True)
class StageStarted:
    """A stage begins; ``total`` counts ``unit`` (``"px"``, ``"plot"``)."""

    stage: str
    total: int
    unit: str


@dataclass(frozen=True)
class StageAdvanced:
    """``amount`` more units are done."""

    stage: str
    amount: int


@dataclass(frozen=True)
class StageFinished:
    """The stage is complete."""

    stage: str


@dataclass(frozen=True)
class Noted:
    """Something that was found out, and is no reason to worry."""

    message: str


@dataclass(frozen=True)
class Warned:
    """Something the user should know."""

    message: str


@dataclass(frozen=True)
class Written:
    """A file is complete."""

    kind: str
    path: str


@dataclass(frozen=True)
class Result:
    """The job is done; ``values`` is what the task gives."""

    values: Mapping[str, Any]  # Any: values of JSON


@dataclass(frozen=True)
class Failed:
    """The engine refused or failed, and says why."""

    kind: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.message}\n→ {self.remedy}" if self.remedy else self.message


@dataclass(frozen=True)
class Unknown:
    """A line that this plugin does not understand: a newer engine, or something that printed."""

    line: str


_KINDS = {
    "raster_started": RasterStarted,
    "raster_finished": RasterFinished,
    "stage_started": StageStarted,
    "stage_advanced": StageAdvanced,
    "stage_finished": StageFinished,
    "note": Noted,
    "warning": Warned,
    "written": Written,
    "error": Failed,
}


def parse(line: str) -> Any:  # Any: one of the classes above
    """The event in a line; :class:`Unknown` for anything else, never an exception."""
    try:
        entries = json.loads(line)
        name = entries.pop("event")
        if name == "result":
            return Result(entries)
        return _KINDS[name](**entries)
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unknown(line.rstrip("\r\n"))
