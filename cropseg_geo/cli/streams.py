"""What is printed, in encodings that lack some of its letters: redirected output on Windows, for one."""

from __future__ import annotations

import codecs
import io
import sys

_PLAIN = {
    "→": "->",
    "←": "<-",
    "×": "x",
    "÷": "/",
    "–": "-",
    "−": "-",
    "…": "...",
    "·": "*",
    "²": "2",
    "³": "3",
    "°": " deg",
    "≤": "<=",
    "≥": ">=",
    "±": "+-",
}
"""What stands for a letter of ours where an encoding lacks it; as wide, where there is such a one."""


def make_printable() -> None:
    """Let standard output and error write what they can: an arrow is no reason to fail after the work."""
    codecs.register_error("cropseg", _plain)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # None where it was closed
            stream.reconfigure(errors="cropseg")


def _plain(err: UnicodeError) -> tuple[str, int]:
    """Plain letters for those that an encoding lacks, escapes for others."""
    if not isinstance(err, UnicodeEncodeError):
        raise err
    lacking = err.object[err.start : err.end]
    plain = "".join(_PLAIN.get(letter, letter) for letter in lacking)
    return plain.encode("ascii", "backslashreplace").decode("ascii"), err.end
