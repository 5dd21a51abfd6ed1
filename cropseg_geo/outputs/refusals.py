"""What stands in the way of writing a file: told before any work."""

from __future__ import annotations

import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterable
from contextlib import closing
from os import PathLike
from pathlib import Path

from cropseg_geo.errors import OutputError
from cropseg_geo.paths import existing_parent, is_there, path_text, patiently

_ON_WINDOWS = os.name == "nt"


def refuse_existing(paths: tuple[Path, ...], *, overwrite: bool, own: frozenset[str] = frozenset()) -> None:
    """Raise OutputError if an output exists and may not be replaced, or is in use.

    ``own`` are names of files that the same run had put in place when it was stopped: they may be replaced.
    """
    existing = [p for p in paths if is_there(p)]
    foreign = [p for p in existing if p.name not in own]
    if foreign and not overwrite:
        folder = foreign[0].parent
        raise OutputError(
            f"{'this folder' if folder == Path() else folder}: already holds "
            f"{', '.join(p.name for p in foreign)}",
            remedy="pass --overwrite to replace them, or choose another --out",
        )
    for path in existing:
        require_unprotected(path)
    require_replaceable(existing)
    for path in existing:
        require_unused(path)


def refuse_inputs(outputs: Iterable[Path], *inputs: object) -> None:
    """Raise OutputError if an output would replace a file that the work reads.

    ``inputs`` are paths, perhaps with ``|layername=…``; what is none, such as a frame, is passed over.
    """
    files = [path_text(given).partition("|")[0] for given in inputs if isinstance(given, str | PathLike)]
    for path in outputs:
        if is_there(path) and any(is_there(file) and path.samefile(file) for file in files):
            raise OutputError(
                f"{path}: is read by this run, and its result would replace it",
                remedy="give the result another name, or choose another --out",
            )


def require_unprotected(path: Path) -> None:
    """Raise OutputError if a file is marked as read-only.

    Renaming another file over it would work on most systems: who protected it did not mean that.
    """
    if not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise OutputError(
            f"{path}: is read-only", remedy="allow writing to it in its properties, or choose another --out"
        )


def require_replaceable(paths: Iterable[Path]) -> None:
    """Raise OutputError for files that other programs have open, where that keeps them in place; names all.

    Windows forbids it, and with it that the file is renamed, be it to its own name.
    """
    held = [path for path in paths if _ON_WINDOWS and _is_held(path)]
    if held:
        raise OutputError(
            f"{', '.join(map(str, held))}: open in another program, so that nothing can take "
            f"{'its' if len(held) == 1 else 'their'} place",
            remedy="close it there (in QGIS: remove its layers from the project), then try again",
        )


def _is_held(path: Path) -> bool:
    try:
        patiently(lambda: path.replace(path))
    except PermissionError:
        return True
    return False


def require_writable(folder: Path, *, make: bool = True) -> None:
    """Make the output folder. Raises OutputError if that or writing into it is not possible.

    ``make=False`` makes none, and looks at the nearest folder above it that is there.
    """
    require_utf8(folder)
    try:
        if make:
            folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder if make else existing_parent(folder)):
            pass
    except (OSError, ValueError) as err:  # a name with a NUL, for one
        raise OutputError(
            f"{folder}: cannot be written ({getattr(err, 'strerror', err)})",
            remedy="choose another --out folder",
        ) from err


def require_utf8(path: Path) -> None:
    """Raise OutputError for a name that is no text: what writes rasters and layers takes UTF-8 alone."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError as err:
        raise OutputError(
            f"{path}: this name is not text in UTF-8, so that GDAL cannot write there",
            remedy="choose another --out, or rename the folder",
        ) from err


def require_unused(path: Path) -> None:
    """Raise OutputError if another program has a GeoPackage open.

    Replacing it would leave that program with the old file, and a write-ahead log that lies beside it (as
    QGIS keeps one) would be applied to the new one. Source: sqlite.org/howtocorrupt.html, section 1.4.
    """
    if path.suffix.lower() != ".gpkg":
        return
    logs = [f"{path.name}{end}" for end in ("-wal", "-shm", "-journal")]
    found = [name for name in logs if path.with_name(name).exists()]
    if not found and not _is_locked(path):
        return
    why = f"its {found[0]} is there" if found else "it is locked"
    remedy = "close it there (in QGIS: remove its layers from the project), then try again"
    if found:
        remedy += f"; if no program has it open, a crash left {found[0]}: open and close {path.name} once"
    raise OutputError(f"{path}: is open in another program ({why})", remedy=remedy)


def _is_locked(path: Path) -> bool:
    try:
        # By its path: SQLite takes no URI of a file on another machine.
        with closing(sqlite3.connect(path.resolve(), timeout=0)) as db:
            db.execute("BEGIN EXCLUSIVE")
            db.rollback()
    except sqlite3.OperationalError as err:
        return getattr(err, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    except sqlite3.DatabaseError:  # no SQLite file at all: nobody can hold it as one
        return False
    return False
