"""One error root. Every message says what was found and what was expected; ``remedy`` says what to do."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from cropseg_geo.addresses import without_secrets


class CropsegError(Exception):
    """Root of every error that this package raises on purpose; keeps no secrets of the addresses in it.

    Parameters
    ----------
    message
        What was found and what was expected.
    remedy
        What the user can do about it; empty where nothing sensible can be said.
    """

    def __init__(self, message: str, *, remedy: str = "") -> None:
        self.message = without_secrets(message)
        self.remedy = without_secrets(remedy)
        super().__init__(self.message)

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.remedy}" if self.remedy else self.message

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.message, self.remedy))


def _rebuild(cls: type[CropsegError], message: str, remedy: str) -> CropsegError:
    return cls(message, remedy=remedy)


class InputError(CropsegError, ValueError):
    """A raster, a plots file or an option that cannot be used as it is."""


class ReadError(CropsegError, OSError):
    """Pixels that could not be read; names the file and the window."""

    __str__ = CropsegError.__str__


class ModelError(CropsegError, ValueError):
    """An unknown model, damaged weights, or a card that does not match its network."""


class InferenceError(CropsegError, RuntimeError):
    """A model that failed on a tile or returned something other than finite logits; names the tile."""


class OutputError(CropsegError, OSError):
    """An output that exists already, cannot be written, or would not fit on the disk."""

    __str__ = CropsegError.__str__


class InUseError(OutputError):
    """A file that another run is writing."""


class ResourceError(CropsegError, RuntimeError):
    """Too little memory or disk for the work that was planned."""


def gone(folder: Path) -> OutputError:
    """What to say where a folder is missing that was there: of its files each library says something else."""
    return OutputError(
        f"{folder}: is gone: it was deleted or renamed during the work, or its disk was taken away",
        remedy="see that the disk is there, then run the same command again",
    )


def listed(values: Iterable[object], most: int = 10) -> str:
    """The first few, for a message, and how many more.

    >>> listed("abcd", 2)
    'a, b and 2 more'
    """
    texts = [str(value) for value in values]
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
