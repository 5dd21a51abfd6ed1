"""A temporary file for what is too much to hold: appended to, and read where somebody asks."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cropseg_geo.errors import OutputError

_OPEN_OUTLINES = 1 / 8
"""Bytes a pixel that outlines may have to wait on disk: a field's take a quarter of that, a maze's 1."""

_FEW_BYTES = 16_000_000
"""What outlines may take without a file, or with one that every disk has room for."""


def shortage(n_px: int) -> str | None:
    """What may go wrong with outlines over so many pixels for want of temporary space; None if nothing."""
    needed = n_px * _OPEN_OUTLINES
    if needed <= _FEW_BYTES:
        return None
    try:
        folder = tempfile.gettempdir()
        free = shutil.disk_usage(folder).free
    except OSError:
        return "no temporary folder can be written, and outlines may have to wait in one: name one in TMPDIR"
    if free >= needed:
        return None
    return (
        f"the temporary folder {folder} has {free / 1e6:,.0f} MB free; outlines that are open for long "
        f"may need about {needed / 1e6:,.0f} MB there: free some space, or name another folder in TMPDIR"
    )


class Scratch:
    """A file without a name in the temporary folder, gone when it is closed; for one thread at a time.

    Parameters
    ----------
    what
        What it holds, for the message where it cannot: "holes that are filled".

    Raises
    ------
    OutputError
        Here and in the methods: the temporary folder cannot be written to or is full.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        with self._reported():
            self._file = tempfile.TemporaryFile(prefix="cropseg-")  # noqa: SIM115 (see close)

    def append(self, data: bytes | memoryview) -> int:
        """Write at the end; returns where that was (bytes from the beginning)."""
        with self._reported():
            at = self._file.seek(0, 2)
            self._file.write(data)
        return at

    def read(self, at: int, n_bytes: int) -> bytes:
        """What was written there."""
        with self._reported():
            self._file.seek(at)
            return self._file.read(n_bytes)

    def clear(self) -> None:
        """Forget everything; its space is free again."""
        with self._reported():
            self._file.truncate(0)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _reported(self) -> Iterator[None]:
        try:
            yield
        except OSError as err:
            folder = tempfile.tempdir or "(there is none)"  # gettempdir would fail again
            raise OutputError(
                f"the temporary folder {folder} cannot hold the {self._what} ({err.strerror or err})",
                remedy="free some space there, or name another folder in TMPDIR",
            ) from err
