"""Field books: a table of what grows where, joined to plots by their id or by row and column."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import geopandas as gpd
import pandas as pd

from cropseg_geo.errors import InputError, listed
from cropseg_geo.paths import is_there
from cropseg_geo.plots.ids import ID_NAMES, PLOT_ID
from cropseg_geo.plots.naming import as_whole, plainly
from cropseg_geo.plots.tables import making_way

_ID_NAMES = tuple(name for name in ID_NAMES if name not in ("name", "label", "fid", "uid"))
"""Without those that in a book are rather a variety's."""
_ROW_NAMES, _COLUMN_NAMES = ("row", "row_no"), ("column", "col", "column_no")
_MISSING = {"", "NA", "N/A", "NaN", "."}
_INTEGER = re.compile(r"[+-]?(0|[1-9]\d{0,14})")
_DECIMAL = re.compile(r"[+-]?(0|[1-9]\d*)?\.\d+([eE][+-]?\d+)?|[+-]?(0|[1-9]\d{0,14})([eE][+-]?\d+)?")
_SEPARATORS = ";\t,"  # of two that part the header alike, the comma is rather a decimal one
_COMMA_DECIMAL = re.compile(r"[+-]?(\d*|[1-9]\d{0,2}(\.\d{3})+),\d+([eE][+-]?\d+)?")
_DOTTED_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}(\.\d{3})+(,\d+)?")


@dataclass(frozen=True)
class Joined:
    """Plots with their field book; ``unlisted`` plots have no entry, ``unplaced`` entries no plot."""

    frame: gpd.GeoDataFrame
    by: str
    unlisted: tuple[str, ...]
    unplaced: tuple[str, ...]

    def notes(self) -> list[str]:
        """What the user should know, in words."""
        texts = (
            (self.unlisted, "without an entry in the field book", "plot"),
            (self.unplaced, "of the field book without a plot", "entry"),
        )
        return [
            f"{len(keys)} {_plural(kind, len(keys))} {what}: {listed(keys)}"
            for keys, what, kind in texts
            if keys
        ]


def read_fieldbook(path: str | Path) -> pd.DataFrame:
    """A table as text columns, with integers and decimals where a whole column holds them.

    Comma, semicolon or tab between the fields; decimal commas where the fields are not parted by them. In a
    table that has these, 10.450 is ten thousand, or text where other dots of the table are decimal points.
    Numbers with leading zeros stay text. Empty, NA and a lone dot are missing; columns with neither a name
    nor an entry, as spreadsheets leave them at the right, are left out.

    Raises
    ------
    InputError
        The file is missing or cannot be read, is not text, or is not a table with one header.
    """
    file = Path(path)
    if not is_there(file) or not file.is_file():
        raise InputError(f"the field book {file} does not exist", remedy="check the path of --fieldbook")
    if file.suffix.lower() in (".xlsx", ".xls", ".ods"):
        raise InputError(
            f"{file} is a workbook; a field book is read as CSV", remedy="save its sheet as CSV and pass that"
        )
    try:
        rows, separator = _parted(_text(file))
    except (csv.Error, OSError) as err:
        raise InputError(
            f"the field book {file} cannot be read: {err}",
            remedy="check that you may read it and that its quotes are closed; save it as CSV (UTF-8) again",
        ) from err
    rows = _without_empty_columns(rows)
    if len(rows) < 2:
        raise InputError(
            f"the field book {file} has no entry", remedy="give a header and a line for each plot"
        )
    header = [name.strip() for name in rows[0]]
    _check_table(file, header, rows)
    columns = [[row[k].strip() for row in rows[1:]] for k in range(len(header))]
    marks = _decimal_marks([value for column in columns for value in column], separator)
    return pd.DataFrame({name: _typed(column, marks) for name, column in zip(header, columns, strict=True)})


def _text(file: Path) -> str:
    """The text with ``\\n`` at the ends of its lines, of whichever system they are."""
    raw = file.read_bytes()
    if b"\0" in raw:
        raise InputError(f"{file} is not a text file", remedy="save the field book as CSV in UTF-8")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # what spreadsheets on Windows write
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _parted(text: str) -> tuple[list[list[str]], str]:
    """The lines that hold something, as fields, and what parts these."""
    told, _, rest = text.partition("\n")
    if told.strip() in (f"sep={s}" for s in _SEPARATORS):  # spreadsheets on Windows begin so
        separator, text = told.strip()[-1], rest
    else:
        separator = max(_SEPARATORS, key=lambda s: len(next(_rows(text, s), [])))
    return list(_rows(text, separator)), separator


def _rows(text: str, separator: str) -> Iterator[list[str]]:
    """The lines that hold something, as fields."""
    lines = csv.reader(io.StringIO(text), delimiter=separator)
    return (row for row in lines if any(map(str.strip, row)))


def _without_empty_columns(rows: list[list[str]]) -> list[list[str]]:
    header = rows[0] if rows else []
    kept = len(header)
    while kept and not any(field.strip() for row in rows for field in row[kept - 1 : kept]):
        kept -= 1
    # What stands beyond the header is an error still, so it has to stay.
    return [row[:kept] + row[len(header) :] for row in rows]


def _check_table(file: Path, header: list[str], rows: list[list[str]]) -> None:
    folded = [name.casefold() for name in header]
    twice = [name for k, name in enumerate(header) if folded[k] in folded[:k]]
    if twice or "" in header:
        what = f"names the column {twice[0]!r} twice" if twice else "has a column without a name"
        raise InputError(f"the header of {file} {what}", remedy="give each column a name of its own")
    uneven = next((k for k, row in enumerate(rows) if len(row) != len(header)), None)
    if uneven is not None:
        raise InputError(
            f"entry {uneven} of {file} has {len(rows[uneven])} fields, its header {len(header)}",
            remedy="quote fields that hold the separator",
        )


def _decimal_marks(values: list[str], separator: str) -> str:
    """The decimal marks of a whole table: ``"."``, ``","``, or both where people or programs were not one."""
    if separator == "," or not any(_COMMA_DECIMAL.fullmatch(v) for v in values):
        return "."
    has_points = any(
        "." in v and _DECIMAL.fullmatch(v) and not _DOTTED_THOUSANDS.fullmatch(v) for v in values
    )
    return ".," if has_points else ","


def _with_point(value: str, marks: str) -> str:
    """A number with a decimal point, if with any mark; what is no number stays none."""
    if "," in marks and _DOTTED_THOUSANDS.fullmatch(value):
        if "." in marks:
            return ""  # a thousand times as much, or not: not for us to say
        value = value.replace(".", "")
    return value.replace(",", ".") if "," in marks and value.count(",") == 1 else value


def _typed(values: list[str], marks: str) -> pd.Series:
    """Integers, decimals or text: what every value of the column can be read as without loss."""
    numbers = [None if v in _MISSING else _with_point(v, marks) for v in values]
    known = [n for n in numbers if n is not None]
    if known and all(_INTEGER.fullmatch(n) for n in known):
        whole = [None if n is None else int(n) for n in numbers]
        return pd.Series(whole, dtype="Int64" if None in whole else "int64")
    if known and all(_DECIMAL.fullmatch(n) for n in known):
        return pd.Series([None if n is None else float(n) for n in numbers], dtype="float64")
    return pd.Series([None if v in _MISSING else v for v in values], dtype="object")


def join_fieldbook(plots: gpd.GeoDataFrame, book: pd.DataFrame, *, by: str = "auto") -> Joined:
    """Add the columns of a field book to plots.

    Parameters
    ----------
    plots
        With ``plot_id`` and, for a join by place, ``row`` and ``column``.
    by
        ``auto``: by a column named as plot ids usually are, else by ``row`` and ``column``; ``row-column``:
        by these; else the name of the book's column of ids.

    Raises
    ------
    InputError
        The columns are missing, a key is given twice or not at all, or nothing matches.
    """
    own, theirs = _keys(plots, book, by)
    _check_keys(book, theirs)
    mine, key = _text_keys(plots, own), _text_keys(book, theirs)
    placed_keys, listed_keys = set(mine), set(key)
    if not placed_keys & listed_keys:
        raise InputError(
            f"no entry of the field book matches a plot by {' and '.join(theirs)}: "
            f"plots {listed(mine, 3)}; entries {listed(key, 3)}",
            remedy="name the column of ids with --fieldbook-by, or pass --fieldbook-by row-column",
        )
    extra = book.drop(columns=theirs)
    if placed_keys - listed_keys:  # blanks would make decimals of whole numbers
        extra = extra.astype(dict.fromkeys(extra.select_dtypes("integer").columns, "Int64"))
    extra = making_way(extra, plots.columns, "fieldbook")
    aligned = extra.set_axis(pd.Index(key), axis=0).reindex(mine).set_axis(plots.index, axis=0)
    geometry = plots.geometry.name
    frame = pd.concat([plots.drop(columns=geometry), aligned, plots[[geometry]]], axis=1)
    return Joined(
        gpd.GeoDataFrame(frame, geometry=geometry, crs=plots.crs),
        " and ".join(theirs),
        tuple(k for k in mine if k not in listed_keys),
        tuple(k for k in key if k not in placed_keys),
    )


def _keys(plots: gpd.GeoDataFrame, book: pd.DataFrame, by: str) -> tuple[list[str], list[str]]:
    """Columns of the plots and of the book that say the same."""
    names = {plainly(c): str(c) for c in book.columns}
    if by not in ("auto", "row-column"):
        if plainly(by) not in names:
            raise InputError(
                f"the field book has no column {by!r}", remedy=f"choose one of {listed(list(book.columns))}"
            )
        return [PLOT_ID], [names[plainly(by)]]
    ids = next((names[n] for n in _ID_NAMES if n in names), None)
    if by == "auto" and ids is not None:
        return [PLOT_ID], [ids]
    row = next((names[n] for n in _ROW_NAMES if n in names), None)
    column = next((names[n] for n in _COLUMN_NAMES if n in names), None)
    if row is None or column is None:
        raise InputError(
            "the field book has neither a column of plot ids nor row and column; "
            f"it has {listed(list(book.columns))}",
            remedy="name the column of plot ids with --fieldbook-by",
        )
    if not {"row", "column"} <= set(plots.columns):
        raise InputError(
            "the plots have no row and column to join the field book by",
            remedy="name the field book's column of plot ids with --fieldbook-by",
        )
    return ["row", "column"], [row, column]


def _text_keys(frame: pd.DataFrame, columns: list[str]) -> list[str]:
    """What identifies each row, as text: a number and its spelling are the same key, 101.0 is 101."""
    keys = zip(*(as_whole(frame[name]) for name in columns), strict=True)
    return [" / ".join(str(part).strip() for part in key) for key in keys]


def _check_keys(book: pd.DataFrame, columns: list[str]) -> None:
    name = " and ".join(columns)
    blank = book[columns].isna().any(axis=1)
    if blank.any():
        raise InputError(
            f"{int(blank.sum())} entries of the field book have no {name} "
            f"(entries {listed([k + 1 for k, b in enumerate(blank) if b])})",
            remedy="fill them in, or remove these lines",
        )
    twice = sorted(set(_text_keys(book[book.duplicated(columns)], columns)))
    if twice:
        raise InputError(
            f"the field book names {len(twice)} {_plural('plot', len(twice))} more than once by {name}: "
            f"{listed(twice)}",
            remedy="leave one line for each plot",
        )


def _plural(word: str, n: int) -> str:
    return word if n == 1 else "entries" if word == "entry" else f"{word}s"
