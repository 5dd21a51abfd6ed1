"""What ``python -m training tune`` and ``labels`` say on standard error while they work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer


def note(text: str) -> None:
    """Something that was decided, or that a person should know."""
    typer.echo(f"note: {text}", err=True)


@contextmanager
def counting(what: str) -> Iterator[Callable[[], None]]:
    """A counter on standard error that appears with the first call."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed} {task.description}"))
    progress = Progress(*columns, console=Console(stderr=True), transient=True)
    bar = progress.add_task(what, total=None)

    def advance() -> None:
        progress.start()
        progress.advance(bar)

    try:
        yield advance
    finally:
        # Stopping what never started would print an empty line.
        if progress.live.is_started:
            progress.stop()


@contextmanager
def status_line() -> Iterator[Callable[[str], None]]:
    """A line on standard error that appears with the first call: what is being done."""
    from rich.console import Console

    status = Console(stderr=True).status("")

    def tell(doing: str) -> None:
        status.update(doing)
        status.start()

    try:
        yield tell
    finally:
        status.stop()
