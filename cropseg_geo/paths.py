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
