"""What the command line shows: bars, or lines in logs, or lines of JSON; tables, errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from cropseg_geo.addresses import without_secrets
from cropseg_geo.errors import CropsegError
from cropseg_geo.events import (
    Ending,
    Event,
    Listener,
    Noted,
    RasterFinished,
    RasterStarted,
    StageAdvanced,
    StageFinished,
    StageStarted,
    Warned,
    Written,
    to_json,
)
from cropseg_geo.progress import Bars, Lines, Progress

if TYPE_CHECKING:
    from cropseg_geo.forecast import Forecast
    from cropseg_geo.pipeline import SegmentResult
    from cropseg_geo.pipeline.turns import Outcome


@contextmanager
def event_listener(*, as_json: bool, quiet: bool) -> Iterator[Listener]:
    """A listener that prints JSON lines, shows progress, or shows only warnings."""
    if as_json:
        yield print_event
        return
    console = Console(stderr=True)
    progress: Progress = Bars(console, quiet=quiet) if quiet or console.is_interactive else Lines(console)
    try:

        def show(event: Event) -> None:
            match event:
                case RasterStarted(raster, number, of):
                    progress.forget()
                    name = escape(without_secrets(raster))
                    console.print(f"[bold]{number}/{of}[/] {name}", highlight=False)
                case RasterFinished(_, state, message):
                    if message:
                        console.print(f"[red]{state}:[/] {escape(message)}", highlight=False)
                case StageStarted(stage, total, unit):
                    progress.start(stage, total, unit)
                case StageAdvanced(stage, amount):
                    progress.advance(stage, amount)
                case StageFinished(stage):
                    progress.finish(stage)
                case Noted(message):
                    console.print(escape(message), highlight=False)
                case Warned(message):
                    console.print(f"[yellow]![/] {escape(message)}", highlight=False)
                case Written():
                    pass

        yield show
    finally:
        progress.stop()


def print_event(event: Event | Ending) -> None:
    """A line of JSON on standard output."""
    print(to_json(event), flush=True)  # noqa: T201 - the machine's interface


def fail(err: CropsegError) -> None:
    """Print an error and its remedy on standard error."""
    console = Console(stderr=True, highlight=False)
    console.print(f"[bold red]Error:[/] {escape(err.message)}", soft_wrap=True)
    if err.remedy:
        console.print(f"  [green]→[/] {escape(err.remedy)}", soft_wrap=True)


def counted(n: int, noun: str) -> str:
    """``"1 plot"``, ``"1,200 plots"``."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def coverage_of(table: Any) -> str:  # Any: a frame, whose library is not imported before a command runs
    """Number of plots, and the range and median of their coverage; that of the latest date in a series."""
    n_plots = table["plot_id"].nunique()
    if "date" in table and "days" in table:
        n_dates = table["date"].nunique()
        start = f"{counted(n_plots, 'plot')} on {counted(n_dates, 'date')}"
        latest = table["date"].max()
        table, where = table[table["date"] == latest], f"coverage on {latest}"
    else:
        start, where = counted(n_plots, "plot"), "coverage"
    coverage = table["coverage"].dropna()
    if not len(coverage):
        return f"{start}, none with valid pixels"
    low, high, median = coverage.min(), coverage.max(), coverage.median()
    return f"{start}: {where} {low:.1%} – {high:.1%}, median {median:.1%}"


def print_result(result: SegmentResult) -> None:
    """Figures and files of a finished run."""
    summary = result.summary
    console = Console(highlight=False)
    console.print(
        f"[bold green]Canopy cover {summary.canopy_cover:.1%}[/] of {summary.valid_area_m2:,.1f} m² "
        f"({summary.canopy_area_m2:,.1f} m² in {counted(summary.n_polygons, 'polygon')})"
    )
    if result.plots is not None and len(result.plots):
        console.print(coverage_of(result.plots))
    for path in result.files.values():
        console.print(f"  {path}", soft_wrap=True)


def print_season(outcomes: list[Outcome]) -> None:
    """What became of each of several rasters."""
    table = Table("raster", "", "canopy cover", "valid m²", "polygons", "time (s)")
    colours = {"done": "green", "kept": "cyan", "failed": "red", "refused": "red"}
    for outcome in outcomes:
        summary = outcome.result.summary if outcome.result else None
        figures = (
            (f"{summary.canopy_cover:.1%}", f"{summary.valid_area_m2:,.1f}", f"{summary.n_polygons:,}")
            if summary
            else ("", "", "")
        )
        state = f"[{colours[outcome.state]}]{outcome.state}[/]"
        took = f"{outcome.seconds:.0f}" if outcome.seconds else ""
        table.add_row(escape(without_secrets(outcome.raster)), state, *figures, took)
    console = Console(highlight=False)
    console.print(table)
    bad = [outcome for outcome in outcomes if not outcome.is_good]
    for outcome in bad:
        raster, error = (escape(without_secrets(str(said))) for said in (outcome.raster, outcome.error))
        console.print(f"[red]{raster}[/]: {error}", soft_wrap=True)
    console.print(f"{len(outcomes) - len(bad)} of {len(outcomes)} rasters are segmented.")


def print_plan(forecast: Forecast) -> None:
    """What a run would do and need."""
    table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, text in forecast.lines():
        table.add_row(name, escape(text))
    console = Console(highlight=False)
    console.print(table)
    for note in forecast.notes:
        console.print(f"[yellow]![/] {escape(note)}")
    console.print("[bold green]Ready.[/] Nothing stands in the way.")


def print_models() -> None:
    """The zoo as a table."""
    from cropseg_geo.model.weights import read_card
    from cropseg_geo.model.zoo import find_model, model_names

    table = Table("model", "what it does", "GSD (cm/px)", "licence", "mIoU on its test sets")
    for name in model_names():
        card = read_card(find_model(name))
        low, high = card.gsd_range_m
        scores = ", ".join(f"{s} {dict(m)['miou']:.3f}" for s, m in card.scores if "miou" in dict(m))
        table.add_row(name, card.summary, f"{low * 100:g}–{high * 100:g}", card.licence, scores)
    Console().print(table)
