"""A temporary file for what is too much to hold: appended to, and read where somebody asks."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from cropseg_geo.errors import OutputError


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
            raise OutputError(
                f"the temporary folder {tempfile.gettempdir()} cannot hold the {self._what} "
                f"({err.strerror or err})",
                remedy="free some space there, or name another folder in TMPDIR",
            ) from err
