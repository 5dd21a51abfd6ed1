"""The order in which plots are walked and counted, and the ids that follow from it.

Rows, columns and blocks count from the corner where the walk starts, as they do in a field book.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from string import Formatter

import numpy as np
import pandas as pd

from cropseg_geo.errors import InputError
from cropseg_geo.plots.making.trial import Trial

ORDERS = ("row", "column", "serpentine", "serpentine-column")
STARTS = ("bottom-left", "bottom-right", "top-left", "top-right")
FIELDS = ("number", "block", "row", "column", "in_block")
"""What an id template may name; ``in_block`` counts the plots of a block from 1 as they are walked."""


@dataclass(frozen=True)
class Numbering:
    """How plots are counted.

    Parameters
    ----------
    order
        ``row``: row after row, each from the start's side; ``column``: column after column; ``serpentine``:
        rows, every other one back; ``serpentine-column``: columns, every other one back.
    start
        Corner of plot 1: ``bottom-left``, ``bottom-right``, ``top-left`` or ``top-right``.
    first, step
        Number of the first plot, and from one to the next.
    template
        Text of an id with fields in braces, see :data:`FIELDS`, formatted as Python does:
        ``"{block}-{row:02}-{column:02}"``. Empty: ids are the numbers.
    by_block
        Finish one block before the next.

    Raises
    ------
    InputError
        For an unknown order, corner or field, or a step below 1.
    """

    order: str = "row"
    start: str = "bottom-left"
    first: int = 1
    step: int = 1
    template: str = ""
    by_block: bool = False

    def __post_init__(self) -> None:
        for name, value, choices in (("order", self.order, ORDERS), ("start", self.start, STARTS)):
            if value not in choices:
                flag = "--numbering" if name == "order" else "--start"
                raise InputError(
                    f"the {name} {value!r} of the numbering is not known",
                    remedy=f"pass {flag} as one of {', '.join(choices)}",
                )
        if self.step < 1:
            raise InputError(
                f"a step of {self.step} from plot to plot: at least 1 is needed",
                remedy="pass --step as a whole number from 1 on",
            )
        self._check_template()

    def _check_template(self) -> None:
        remedy = (
            f"use {', '.join(f'{{{f}}}' for f in FIELDS)}, for example '{{block}}-{{row:02}}-{{column:02}}'"
        )
        try:
            fields = [field for _, field, _, _ in Formatter().parse(self.template) if field is not None]
            unknown = [field for field in fields if field not in FIELDS]
            if unknown:
                raise InputError(f"the id template {self.template!r} names {unknown[0]!r}", remedy=remedy)
            self.template.format(**dict.fromkeys(FIELDS, 1))
        except (ValueError, IndexError) as err:
            if isinstance(err, InputError):
                raise
            raise InputError(f"{self.template!r} is not a template: {err}", remedy=remedy) from err


def number_plots(trial: Trial, numbering: Numbering) -> pd.DataFrame:
    """The plots in walking order.

    Returns
    -------
    pandas.DataFrame
        ``plot_id``, ``block``, ``row``, ``column`` (1-based, from the start); as index the row from the
        bottom and the column from the left, from 0, which say where in :meth:`Trial.corners` the plot is.

    Raises
    ------
    InputError
        The template gives two plots the same id.
    """
    vertical, horizontal = numbering.start.split("-")
    bottom, left = (g.ravel() for g in np.mgrid[: trial.rows, : trial.columns])
    i = bottom if vertical == "bottom" else trial.rows - 1 - bottom
    j = left if horizontal == "left" else trial.columns - 1 - left
    by_columns = numbering.order.endswith("column")
    rows, columns = trial.block_rows or trial.rows, trial.block_columns or trial.columns
    if by_columns:
        block = (j // columns) * (trial.rows // rows) + i // rows
    else:
        block = (i // rows) * (trial.columns // columns) + j // columns
    walk = _walk(numbering, i, j, block, (rows, columns))
    table = pd.DataFrame(
        {"block": block + 1, "row": i + 1, "column": j + 1},
        index=pd.MultiIndex.from_arrays([bottom, left], names=["bottom", "left"]),
    ).iloc[walk]
    table.insert(0, "plot_id", _ids(table, numbering))
    _require_unique(table["plot_id"], numbering.template)
    return table


def _walk(
    numbering: Numbering,
    i: np.ndarray,
    j: np.ndarray,
    block: np.ndarray,
    block_shape: tuple[int, int],
) -> np.ndarray:
    """Indices of the plots in walking order: by block where asked, then by lines, then along the line."""
    if numbering.by_block:
        i, j = i % block_shape[0], j % block_shape[1]
    line, along = (j, i) if numbering.order.endswith("column") else (i, j)
    if numbering.order.startswith("serpentine"):
        along = np.where(line % 2 == 1, -along, along)
    keys = (along, line, block) if numbering.by_block else (along, line)
    return np.lexsort(keys)


def _ids(table: pd.DataFrame, numbering: Numbering) -> list[int] | list[str]:
    numbers = [numbering.first + numbering.step * k for k in range(len(table))]
    if not numbering.template:
        return numbers
    in_block = table.groupby("block").cumcount() + 1
    rows = zip(numbers, table["block"], table["row"], table["column"], in_block, strict=True)
    return [numbering.template.format(**dict(zip(FIELDS, map(int, row), strict=True))) for row in rows]


def _require_unique(ids: pd.Series, template: str) -> None:
    repeated = ids[ids.duplicated()].unique()
    if len(repeated):
        raise InputError(
            f"the id template {template!r} gives {len(repeated)} ids to more than one plot, the first "
            f"{repeated[0]!r}",
            remedy="name {number}, or {row} and {column}, in the template",
        )


def text_map(table: pd.DataFrame, trial: Trial, *, most: int = 12) -> str:
    """The ids as they lie in the field, top row first, with the walking direction; long trials are shortened.

    Parameters
    ----------
    table
        As :func:`number_plots` returns it.
    most
        Rows and columns that are drawn, at most.
    """
    ids = table["plot_id"].astype(str).to_dict()
    order = {place: k for k, place in enumerate(table.index)}
    walked = _are_rows_walked(order)
    rows, columns = _shown(trial.rows, most), _shown(trial.columns, most)
    wide = max(len(ids[r, c]) for r in rows if r >= 0 for c in columns if c >= 0)
    lines = []
    for r in reversed(rows):
        if r < 0:
            lines.append("  ⋮")
            continue
        cells = []
        for c in columns:
            if c < 0:
                cells.append("… ")
                continue
            cells.append(f"{ids[r, c]:>{wide}}{'*' if order[r, c] == 0 else ' '}")
            if _is_seam(c, trial.columns, trial.block_columns):
                cells.append("│")
        arrow = _arrow(order, r, trial) if walked else "·"
        lines.append(f"{arrow} {' '.join(cells)}".rstrip())
        if r > 0 and _is_seam(r - 1, trial.rows, trial.block_rows):
            lines.append("")
    return "\n".join(lines)


def _are_rows_walked(order: Mapping[tuple[int, int], int]) -> bool:
    """False where columns are: a serpentine's turns at their ends run along a row as well."""
    aside = sum(abs(order.get((r, c + 1), -9) - k) == 1 for (r, c), k in order.items())
    above = sum(abs(order.get((r + 1, c), -9) - k) == 1 for (r, c), k in order.items())
    return aside > above


def _arrow(order: dict[tuple[int, int], int], row: int, trial: Trial) -> str:
    """Which way a row is walked; a dot where the walk crosses it."""
    if trial.columns == 1 or abs(order[row, 1] - order[row, 0]) != 1:
        return "·"
    return "→" if order[row, 1] > order[row, 0] else "←"


def _shown(count: int, most: int) -> list[int]:
    """Indices that are drawn, −1 where some are left out."""
    if count <= most:
        return list(range(count))
    half = most // 2
    return [*range(half), -1, *range(count - half, count)]


def _is_seam(k: int, count: int, part: int | None) -> bool:
    return part is not None and k + 1 < count and (k + 1) % part == 0
