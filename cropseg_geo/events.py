"""Progress as values: the library emits events, the front ends (bar, JSON lines, QGIS) render them."""

from __future__ import annotations

import json
import math
import sys
import threading
import warnings
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cropseg_geo.addresses import without_secrets


@dataclass(frozen=True)
class StageStarted:
    """A stage of work begins.

    ``total`` counts ``unit`` (``"px"``, ``"plot"``, ``"setting"`` or ``"B"``), 0 if not known.
    """

    stage: str
    total: int
    unit: str


@dataclass(frozen=True)
class StageAdvanced:
    """``amount`` more units of the stage are done."""

    stage: str
    amount: int


@dataclass(frozen=True)
class StageFinished:
    """The stage is complete."""

    stage: str


@dataclass(frozen=True)
class Warned:
    """Something the user should know that does not stop the work; keeps no secrets of addresses in it."""

    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", without_secrets(self.message))


@dataclass(frozen=True)
class WarnedOfOutlines(Warned):
    """A warning about plots or areas as they were given: the same on every raster."""


@dataclass(frozen=True)
class Noted:
    """Something that was found out, and is no reason to worry."""

    message: str


@dataclass(frozen=True)
class Written:
    """An output file is complete under its final name."""

    kind: str
    path: str


@dataclass(frozen=True)
class RasterStarted:
    """Of several rasters, the next one begins: number ``number`` of ``of``."""

    raster: str
    number: int
    of: int


@dataclass(frozen=True)
class RasterFinished:
    """Of several rasters, one is through: ``done``, ``kept``, ``failed`` or ``refused``, and why.

    The message keeps no secrets of addresses in it, whoever raised it.
    """

    raster: str
    state: str
    message: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", without_secrets(self.message))


Event = (
    RasterStarted | RasterFinished | StageStarted | StageAdvanced | StageFinished | Noted | Warned | Written
)


@dataclass(frozen=True)
class Result:
    """What a job or a command gave; the last line where it succeeds. ``values`` are values of JSON."""

    task: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Failed:
    """Why a job or a command gave nothing; the last line where it fails."""

    kind: str
    message: str
    remedy: str


Ending = Result | Failed
Listener = Callable[[Event], None]

_NOT_THE_USERS = frozenset({"cropseg_geo", "contextlib"})

_NAMES = {
    RasterStarted: "raster_started",
    RasterFinished: "raster_finished",
    StageStarted: "stage_started",
    StageAdvanced: "stage_advanced",
    StageFinished: "stage_finished",
    Noted: "note",
    Warned: "warning",
    WarnedOfOutlines: "warning",
    Written: "written",
    Result: "result",
    Failed: "error",
}


class CropsegWarning(UserWarning):
    """Something the user should know that does not stop the work; see :func:`warn`."""


def warn(event: Event) -> None:
    """The listener where none was given: what a front end would show as a warning is one of Python's."""
    if isinstance(event, Warned):
        warnings.warn(event.message, CropsegWarning, stacklevel=_callers_level())


def _callers_level() -> int:
    """How far above :func:`warn` the first frame is that is the user's, as ``warnings.warn`` counts."""
    level, frame = 2, sys._getframe(2)
    while frame.f_back and frame.f_globals.get("__name__", "").partition(".")[0] in _NOT_THE_USERS:
        level, frame = level + 1, frame.f_back
    return level


def ignore(event: Event) -> None:
    """The listener that does nothing."""


def told_of_outlines_once(listener: Listener) -> Listener:
    """The listener for several rasters: what is wrong with plots or areas themselves it hears once."""
    heard: set[Event] = set()

    def tell(event: Event) -> None:
        if event in heard:
            return
        if isinstance(event, WarnedOfOutlines):
            heard.add(event)
        listener(event)

    return tell


def one_at_a_time(listener: Listener) -> Listener:
    """The listener for stages that run side by side: it never hears two events at once."""
    lock = threading.Lock()

    def listen(event: Event) -> None:
        with lock:
            listener(event)

    return listen


def to_json(event: Event | Ending) -> str:
    """One event as one line of JSON, in ASCII: whoever reads it need not know the encoding of a pipe.

    The values of a result stand beside its task; NaN and infinities, which JSON does not know, become null.

    >>> to_json(StageAdvanced("segment", 512))
    '{"event": "stage_advanced", "stage": "segment", "amount": 512}'
    >>> to_json(Result("vectorize", {"n_polygons": 7}))
    '{"event": "result", "task": "vectorize", "n_polygons": 7}'
    """
    entries = {"task": event.task, **event.values} if isinstance(event, Result) else asdict(event)
    return json.dumps({"event": _NAMES[type(event)], **_plain(entries)})


def _plain(value: Any) -> Any:  # Any: values of JSON
    """The value without what JSON does not know."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return value
