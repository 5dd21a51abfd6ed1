"""Paths as callers and files give them: of any type that has a path, one or several, there or not."""

from __future__ import annotations

import glob
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from typing import Any

from cropseg_geo.errors import InputError, OutputError

_PATIENCE_S = 1.0
"""How long virus scanners, and programs that synchronise folders, are waited for."""


def is_there(path: str | Path) -> bool:
    """True where a path leads to something; False too for names that no file system can hold.

    >>> is_there("a" * 5000), is_there("."), is_there("a\\0b")
    (False, True, False)
    """
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def patiently(action: Callable[[], object]) -> None:
    """Move or delete a file, which Windows forbids for the moment that another program has it open.

    Raises
    ------
    PermissionError
        If it stays forbidden for a second.
    """
    end = time.monotonic() + _PATIENCE_S
    while True:
        try:
            action()
            return
        except PermissionError:
            if time.monotonic() > end:
                raise
        time.sleep(0.05)


@contextmanager
def replacing(path: Path, *, suffix: str = ".part") -> Iterator[Path]:
    """A new file beside ``path``, for the block to write; becomes ``path`` if that ends well, else it goes.

    A reader sees the old file or the new one, never a part; no other process or thread has the same file.

    Raises
    ------
    OSError
        If the folder is missing or the file cannot be made.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=suffix)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.chmod(0o644)  # mkstemp makes it private
        patiently(lambda: part.replace(path))
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def replace_file(path: Path, content: bytes) -> None:
    """Write a file as :func:`replacing` does, and its folder where that is missing.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as part:
            part.write_bytes(content)
    except OSError as err:
        raise OutputError(
            f"{path}: cannot be written ({err.strerror or err})", remedy="check the folder and the free space"
        ) from err


def longest_path() -> int | None:
    """Letters (in UTF-16) of the longest path that this system finds; None where no path is too long.

    Source: learn.microsoft.com/windows/win32/fileio/maximum-file-path-limitation.
    """
    if sys.platform == "win32":
        import winreg

        folder = r"SYSTEM\CurrentControlSet\Control\FileSystem"
        try:
            with winreg.OpenKey(winreg.HKEY_LOCAL_MACHINE, folder) as key:
                is_unlimited = winreg.QueryValueEx(key, "LongPathsEnabled")[0] == 1
        except OSError:
            is_unlimited = False
        return None if is_unlimited else 259
    return None


def is_remote(path: str) -> bool:
    """True for paths that GDAL's virtual file systems serve (URLs, /vsicurl/, /vsis3/, …)."""
    return "://" in path or path.startswith("/vsi")


def without_query(path: str) -> str:
    """A path without what a server is asked besides it: of those that are no URL nothing is cut.

    >>> without_query("https://host/field.tif?token=1#x"), without_query("field#2.tif")
    ('https://host/field.tif', 'field#2.tif')
    """
    if not is_remote(path):
        return path
    return re.split(r"[?#]" if "://" in path else r"\?", path, maxsplit=1)[0]


def file_name(path: str | Path) -> str:
    """The last part of a path, for files that say what they were made of.

    >>> file_name("a/field.tif"), file_name("https://host/field.tif?token=1")
    ('field.tif', 'field.tif')
    """
    return Path(without_query(str(path))).name


def names_several(given: str) -> bool:
    """True where a folder or a pattern of files is given, not one file, URL or other name.

    >>> names_several("."), names_several("2024/*.tif"), names_several("https://host/x.tif?token=1")
    (True, True, False)
    """
    if is_remote(given):
        return False
    return Path(given).is_dir() if is_there(given) else glob.has_magic(given)


def existing_parent(folder: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    folder = folder.resolve()
    return next(p for p in (folder, *folder.parents) if is_there(p))


def is_pipe(path: str | Path) -> bool:
    """True for pipes and devices, which GDAL would wait for as long as nobody writes to them.

    >>> is_pipe("."), is_pipe("nothing")
    (False, False)
    """
    return is_there(path) and not (Path(path).is_file() or Path(path).is_dir())


def path_text(path: Any) -> str:
    """A path of any type as text.

    >>> from pathlib import Path
    >>> path_text(Path("a.tif"))
    'a.tif'

    Raises
    ------
    InputError
        For what is neither a text nor a path, such as an open dataset.
    """
    if not isinstance(path, str | PathLike):
        raise InputError(
            f"a path is expected, and {type(path).__name__} is given",
            remedy="give the path of the file, as text or as pathlib.Path",
        )
    return os.fsdecode(path)


def several_paths(paths: Any) -> list[str]:
    """One path, or any iterable of paths, as a list of texts.

    >>> several_paths("a.tif"), several_paths(name for name in ("a", "b"))
    (['a.tif'], ['a', 'b'])

    Raises
    ------
    InputError
        As :func:`path_text`.
    """
    is_many = isinstance(paths, Iterable) and not isinstance(paths, str)
    return [path_text(path) for path in (paths if is_many else (paths,))]
