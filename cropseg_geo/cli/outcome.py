"""What a command has done, in a line on standard output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console


def tell(text: str, *files: Path | None, as_json: bool, quiet: bool) -> None:
    """``text → files``; nothing where JSON lines tell it, or where nobody wants to know."""
    if as_json or quiet:
        return
    names = ", ".join(str(file) for file in files if file is not None)
    Console(highlight=False).print(f"{text} → {names}", soft_wrap=True, markup=False)


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
