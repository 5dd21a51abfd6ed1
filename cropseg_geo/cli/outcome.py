"""How a command ends: what it has done, in a line for people or in one of JSON for programs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from cropseg_geo.answers import Values
from cropseg_geo.console import print_event
from cropseg_geo.events import Result


def conclude(task: str, values: Values, show: Callable[[], None], *, as_json: bool, quiet: bool) -> None:
    """The last event where JSON lines are wanted, else what ``show`` prints; nothing where nobody asks."""
    if as_json:
        print_event(Result(task, values))
    elif not quiet:
        show()


def print_files(text: str, *files: Path | None) -> None:
    """``text → files``."""
    names = ", ".join(str(file) for file in files if file is not None)
    Console(highlight=False).print(f"{text} → {names}", soft_wrap=True, markup=False)
