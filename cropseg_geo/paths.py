"""Paths as users and files give them."""

from __future__ import annotations

from pathlib import Path


def is_there(path: str | Path) -> bool:
    """True where a path leads to something; False too for names that no file system can hold.

    >>> is_there("a" * 5000), is_there("."), is_there("a\\0b")
    (False, True, False)
    """
    try:
        return Path(path).exists()
    except (OSError, ValueError):
        return False


def is_pipe(path: str | Path) -> bool:
    """True for pipes and devices, which GDAL would wait for as long as nobody writes to them.

    >>> is_pipe("."), is_pipe("nothing")
    (False, False)
    """
    return is_there(path) and not (Path(path).is_file() or Path(path).is_dir())
