"""What may happen to a damaged file: one of our errors, or a true answer. Anything else is a finding."""

from __future__ import annotations

import signal
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cropseg_geo.errors import CropsegError

LIMIT_S = 30


class TookTooLong(BaseException):
    """A case that ran past its time."""


@dataclass
class Findings:
    """How the cases of a campaign went."""

    outcomes: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)

    @property
    def n_cases(self) -> int:
        return sum(self.outcomes.values())

    def judge(self, name: str, attempt: Callable[[], None]) -> None:
        """Run a case; ``attempt`` raises AssertionError where its answer is wrong."""
        try:
            with time_limit(LIMIT_S):
                attempt()
        except CropsegError as err:
            if err.message.strip():
                self.outcomes["refused"] += 1
                self.errors[type(err).__name__] += 1
            else:
                self.note(name, "an error of ours without a message")
        except TookTooLong:
            self.note(name, f"took more than {LIMIT_S} s")
        except Exception:  # noqa: BLE001 - that is what the campaign looks for
            self.note(name, traceback.format_exc(limit=-6))
        else:
            self.outcomes["answered"] += 1

    def note(self, name: str, what: str) -> None:
        """Keep what went wrong with a case."""
        self.outcomes["finding"] += 1
        self.problems.append(f"{name}: {what}")

    def add(self, other: Findings) -> None:
        """Take up what another process has found."""
        self.outcomes.update(other.outcomes)
        self.errors.update(other.errors)
        self.problems.extend(other.problems)

    def __str__(self) -> str:
        kinds = ", ".join(f"{name} {n}" for name, n in sorted(self.errors.items()))
        counts = ", ".join(f"{name} {n}" for name, n in sorted(self.outcomes.items()))
        return f"{self.n_cases} cases: {counts} ({kinds})"


@contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    """Raise TookTooLong in the main thread after some seconds, where the system has such an alarm."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def ring(*_: object) -> None:
        raise TookTooLong

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
