"""How far the stages of the work are: bars on a terminal, lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.text import Text

EVERY_S = 5
"""Where no bars can be drawn, a stage is spoken of so often at most (s)."""

_MILLIONS = {"px": "MP", "B": "MB"}

_LABELS = {
    "fetch": "Fetching the model",
    "tune": "Measuring settings",
    "gsd": "Choosing GSD",
    "segment": "Segmenting",
    "write": "Writing rasters",
    "vectorize": "Tracing canopy",
    "plots": "Measuring plots",
    "report": "Reading the mask",
}


def rate_text(per_second: float, unit: str) -> str:
    """Megapixels (or megabytes, or plots) per second."""
    if unit in _MILLIONS:
        return f"{per_second / 1e6:.1f} {_MILLIONS[unit]}/s"
    return f"{per_second:.0f} {unit}s/s"


class Rate(ProgressColumn):
    """How fast a stage is."""

    def render(self, task: Task) -> Text:
        return Text(rate_text(task.speed, task.fields["unit"]) if task.speed else "", style="cyan")


class Progress(Protocol):
    """Shows how far the stages of the work are."""

    def start(self, stage: str, total: int, unit: str) -> None: ...

    def advance(self, stage: str, amount: int) -> None: ...

    def finish(self, stage: str) -> None: ...

    def forget(self) -> None:
        """The next raster begins."""

    def stop(self) -> None: ...


class Bars:
    """A bar a stage, on a terminal."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description:<16}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            Rate(),
            TimeRemainingColumn(),
        )
        self._bars = RichProgress(*columns, console=console, disable=quiet)
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}

    def start(self, stage: str, total: int, unit: str) -> None:
        self._bars.start()  # not before: bars without a task are an empty line
        self._totals[stage] = total
        self._tasks[stage] = self._bars.add_task(_LABELS.get(stage, stage), total=total, unit=unit)

    def advance(self, stage: str, amount: int) -> None:
        self._bars.advance(self._tasks[stage], amount)

    def finish(self, stage: str) -> None:
        self._bars.update(self._tasks[stage], completed=self._totals[stage])

    def forget(self) -> None:
        while self._tasks:
            self._bars.remove_task(self._tasks.popitem()[1])

    def stop(self) -> None:
        if self._totals:
            self._bars.stop()


@dataclass
class _Stage:
    """How far a stage is; when it began and was last spoken of (s), and how many tenths were done then."""

    total: int
    unit: str
    began: float
    spoken: float
    done: int = 0
    tenths: int = 0


class Lines:
    """A line as a stage starts and for each tenth of it, ``EVERY_S`` apart: for logs, which keep no bars."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._stages: dict[str, _Stage] = {}

    def start(self, stage: str, total: int, unit: str) -> None:
        now = self._clock()
        self._stages[stage] = _Stage(total, unit, began=now, spoken=now)
        self._print(_LABELS.get(stage, stage))

    def advance(self, stage: str, amount: int) -> None:
        state, now = self._stages[stage], self._clock()
        state.done += amount
        tenths = 10 * state.done // state.total if state.total else 0
        if tenths > state.tenths and now >= state.spoken + EVERY_S:
            state.spoken, state.tenths = now, tenths
            rate = rate_text(state.done / (now - state.began), state.unit)
            self._print(f"{_LABELS.get(stage, stage)}: {state.done / state.total:.0%}, {rate}")

    def finish(self, stage: str) -> None:
        state = self._stages[stage]
        self.advance(stage, state.total - state.done)

    def forget(self) -> None:
        self._stages.clear()

    def stop(self) -> None: ...

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
