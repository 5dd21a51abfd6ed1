"""Scores as a table on the terminal and as Markdown. Both are drawn from the same cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.table import Table

from training.evaluation.run import Scores, whole_sets

MEASURES = {
    "miou": "mIoU",
    "vegetation_iou": "vegetation IoU",
    "boundary_iou": "boundary IoU",
    "ece": "ECE",
}
LOWER_IS_BETTER = frozenset({"ece"})

MEAN = "mean of the sets"

_NONE = "–"


@dataclass(frozen=True)
class Line:
    """A method's line in a row: percentages as text, and which of them are the row's best."""

    row: str
    method: str
    cells: tuple[str, ...]
    best: tuple[bool, ...]


def with_mean(scores: Scores) -> Scores:
    """The scores, and a row with the mean over the whole sets.

    Every set counts once, whatever its number of pixels. A measure that a method lacks on one of them has
    no mean: another set of sets would be another scale.
    """
    rows = whole_sets(scores)
    methods = {name: None for methods in rows.values() for name in methods}
    mean = {name: _mean([methods.get(name, {}) for methods in rows.values()]) for name in methods}
    return {**scores, MEAN: {name: measures for name, measures in mean.items() if measures}}


def table_lines(scores: Scores) -> Iterator[Line]:
    """One line for each row and method, in the scores' order."""
    for row, methods in scores.items():
        best = {
            measure: (min if measure in LOWER_IS_BETTER else max)(values)
            for measure in MEASURES
            if (values := [found[measure] for found in methods.values() if measure in found])
        }
        for name, found in methods.items():
            cells = tuple(f"{100.0 * found[m]:.2f}" if m in found else _NONE for m in MEASURES)
            yield Line(row, name, cells, tuple(m in found and found[m] == best[m] for m in MEASURES))


def scores_table(scores: Scores) -> Table:
    """In percent; the best of each row and measure in bold."""
    table = Table("test set", "method", *MEASURES.values(), title="Scores (%)")
    for column in table.columns[2:]:
        column.justify = "right"
    last = None
    for line in table_lines(scores):
        if last is not None and line.row != last:
            table.add_section()
        shown = "" if line.row == last else line.row
        last = line.row
        table.add_row(shown, line.method, *_marked(line, "[bold]", "[/bold]"))
    return table


def markdown_table(scores: Scores) -> str:
    """As :func:`scores_table`, in Markdown."""
    lines = [_markdown_row(("Test set", "Method", *MEASURES.values()))]
    lines.append("|---|---|" + "---:|" * len(MEASURES))
    last = None
    for line in table_lines(scores):
        lines.append(
            _markdown_row(("" if line.row == last else line.row, line.method, *_marked(line, "**", "**")))
        )
        last = line.row
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _marked(line: Line, before: str, after: str) -> list[str]:
    return [
        f"{before}{cell}{after}" if best else cell for cell, best in zip(line.cells, line.best, strict=True)
    ]


def _mean(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {
        measure: sum(one[measure] for one in found) / len(found)
        for measure in MEASURES
        if all(measure in one for one in found)
    }
