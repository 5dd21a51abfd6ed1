"""Memory that a run does not need any more goes back to the system.

Each of a run's threads has a heap of its own, and glibc keeps what was freed in it for the next thread. Runs
that follow each other in one process would hold more and more of such leftovers, though nothing is lost.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any


@contextmanager
def memory_returned() -> Iterator[None]:
    """What was freed within the block is given back at its end, where the C library can do that (glibc)."""
    try:
        yield
    finally:
        trim = _trim()
        if trim is not None:
            trim(0)


@cache
def _trim() -> Any:  # Any: a function of the C library
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):  # another C library, or another system
        return None
