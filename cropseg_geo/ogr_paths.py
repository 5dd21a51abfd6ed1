"""Local paths for pyogrio, which takes every path for a URL and would cut some names.

What follows a ``!`` is a file in an archive to it, what follows a ``;`` parameters, and what follows a ``//``
at the start a server, as in QGIS's names of files on Windows' shares; line ends it drops.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cropseg_geo.paths import is_remote

_CUT = re.compile(r"[!;\t\r\n]|^//")


class _Verbatim:
    """A path that pyogrio hands to GDAL as it is: of what it can read from, it takes what it is given."""

    def __init__(self, path: str) -> None:
        self._path = path

    def read(self) -> str:
        return self._path


def to_read(path: str | Path) -> Any:  # Any: what pyogrio's functions that read take for a path
    """A file that pyogrio shall open to read; remote ones as they are."""
    text = str(path)
    if is_remote(text) or not _CUT.search(text):
        return text
    if text.lower().endswith(".zip"):
        return f"/vsizip/{Path(text).absolute()}"
    return _Verbatim(text)


@contextmanager
def to_write(path: Path) -> Iterator[Path]:
    """A file that pyogrio shall write, under a name of its folder that it does not cut.

    The file's own name is the caller's care: :func:`uncut`.
    """
    path = path.absolute()
    if os.name == "nt" or not _CUT.search(str(path.parent)):  # what starts with a drive is no URL
        yield path
        return
    with TemporaryDirectory(prefix="cropseg-") as place:
        link = Path(place) / "folder"
        link.symlink_to(path.parent, target_is_directory=True)
        yield link / path.name


def uncut(name: str) -> str:
    """A file's name without what pyogrio cuts at.

    >>> uncut("field.tif"), uncut("Field!;1")
    ('field.tif', 'Field%21%3b1')
    """
    return _CUT.sub(lambda found: f"%{ord(found[0]):02x}", name)
