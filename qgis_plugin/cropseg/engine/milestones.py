"""How far an installation has come, as far as pip and uv let it be known."""

from __future__ import annotations

import re
from collections.abc import Callable

from .language import tr

Tell = Callable[[float, str], None]
"""Told the share of an installation that is behind, 0–1, and in words what comes now."""

_MADE, _ADDED = 0.05, 0.95
_COLLECTED = 0.7
"""Of what a command adds: on an ordinary connection, libraries take longer to arrive than to be unpacked."""

_UNPACKS = re.compile(r"Installing collected packages|Prepared \d+ package")
"""What pip and uv say once everything is there."""


class Milestones:
    """Tells each step of an installation as it begins.

    Between two of them nothing is told: neither pip nor uv says how much of the libraries has come.

    Parameters
    ----------
    n_additions
        Number of commands that install into the environment.
    """

    def __init__(self, n_additions: int, tell: Tell) -> None:
        self._part = (_ADDED - _MADE) / n_additions
        self._begun = 0
        self._tell = tell
        tell(0.0, tr("Making the environment"))

    def add(self) -> None:
        """The next command that installs begins."""
        self._tell(_MADE + self._begun * self._part, tr("Collecting the libraries"))
        self._begun += 1

    def hear(self, line: str) -> None:
        """A line that pip or uv printed."""
        if _UNPACKS.match(line):
            share = _MADE + (self._begun - 1 + _COLLECTED) * self._part
            self._tell(share, tr("Installing the libraries"))

    def check(self) -> None:
        """Everything is installed."""
        self._tell(_ADDED, tr("Checking the engine"))
