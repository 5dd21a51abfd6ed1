"""How a program ended that gave no reason: its exit code in words, and what to do."""

from __future__ import annotations

import signal
from dataclasses import dataclass

from .language import tr

_OUT_OF_MEMORY = frozenset({-9, 137, 0xC0000017, 0xC000012D})
"""SIGKILL, by itself or as a shell says it; Windows: no memory, commitment limit."""

_LIBRARY = frozenset({127, 0xC0000135, 0xC0000139, 0xC0000142, 0xC000007B})
"""A library that is missing or damaged: what Linux's loader says, and Windows's."""


@dataclass(frozen=True)
class Death:
    """What happened, what can be done, and a name for it."""

    message: str
    remedy: str
    kind: str


def explain(code: int, said: str) -> Death:
    """The end of an engine in words.

    Parameters
    ----------
    code
        As ``subprocess`` gives it: negative for a signal, on Windows perhaps a large number of either sign.
    said
        The last lines of its standard error.
    """
    # Windows's codes have 32 bits; small negative numbers are signals.
    number = code & 0xFFFFFFFF if code < -255 else code
    if number in _OUT_OF_MEMORY:
        return Death(
            tr("The engine was killed, most likely by the system because memory ran out."),
            tr("close other programs, or set smaller batches, fewer threads or a smaller extent"),
            "Killed",
        )
    if "No module named" in said and "cropseg_geo" in said:
        return Death(
            tr("That Python does not hold the engine."),
            tr("install the engine, or choose another Python in Settings › Options › CropSeg"),
            "Missing",
        )
    tail = " " + tr("It said last:\n{}").format(said) if said else ""
    if number in _LIBRARY:
        return Death(
            tr("A library of the engine is missing or damaged ({}).").format(_in_words(number)) + tail,
            tr("install the engine again; where a virus scanner removes files, except its folder first"),
            "Broken",
        )
    return Death(
        tr("The engine ended without a result ({}).").format(_in_words(number)) + tail,
        tr("run it again with device cpu; if it happens again, report it with the log"),
        "Crash",
    )


def _in_words(number: int) -> str:
    if number < 0:
        known = {member.value for member in signal.Signals}
        return tr("signal {}").format(signal.Signals(-number).name if -number in known else -number)
    return tr("exit code {}").format(f"{number:#x}" if number > 255 else number)
