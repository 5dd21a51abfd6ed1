"""Events → one share of the whole job. A stage counts by the time that it takes on an ordinary machine."""

from __future__ import annotations

from collections.abc import Mapping

from .protocol import StageAdvanced, StageFinished, StageStarted

STAGES = {
    "segment": {"gsd": 5, "segment": 78, "write": 8, "plots": 2, "vectorize": 5, "report": 2},
    "vectorize": {"vectorize": 100},
    "plots_stats": {"vectorize": 40, "plots": 60},
    "plots_series": {"vectorize": 40, "plots": 60},
}
"""Task → stage → weight; a task that is not listed shows the stages as they come."""

LABELS = {
    "fetch": "Fetching the model",
    "gsd": "Choosing the resolution",
    "segment": "Segmenting",
    "write": "Writing rasters",
    "vectorize": "Tracing the canopy",
    "plots": "Measuring plots",
    "report": "Writing the report",
}


class Progress:
    """The share of a task that is done, 0–1; it never falls.

    A task of several ``rounds``, one for each date, goes through its stages in each of them.
    """

    def __init__(self, task: str, *, rounds: int = 1) -> None:
        self._rounds, self._behind = rounds, 0
        self._weights: Mapping[str, int] = STAGES.get(task, {})
        self._totals: dict[str, int] = {}
        self._done: dict[str, float] = {}
        self._share = 0.0

    def take(self, event: object) -> float:
        """The share after an event."""
        if isinstance(event, StageStarted):
            if self._done.get(event.stage) == 1.0 and self._behind + 1 < self._rounds:
                self._behind += 1
                self._totals.clear()
                self._done.clear()
            self._totals[event.stage] = max(event.total, 1)
            self._skip_to(event.stage)
            self._done[event.stage] = 0.0
        elif isinstance(event, StageAdvanced):
            total = self._totals.get(event.stage, 1)
            self._done[event.stage] = min(1.0, self._done.get(event.stage, 0.0) + event.amount / total)
        elif isinstance(event, StageFinished):
            self._done[event.stage] = 1.0
        whole = sum(self._weights.values()) or len(self._done) or 1
        share = (
            sum(self._weights.get(s, 0 if self._weights else 1) * d for s, d in self._done.items()) / whole
        )
        self._share = max(self._share, (self._behind + min(share, 1.0)) / self._rounds)
        return self._share

    def _skip_to(self, stage: str) -> None:
        """Stages listed before one that starts, and not begun, do not take place; others may go on."""
        if stage in self._weights:
            for earlier in list(self._weights)[: list(self._weights).index(stage)]:
                self._done.setdefault(earlier, 1.0)

    @property
    def stage(self) -> str:
        """Of the stages that go on, the one that is listed first: what the user waits for."""
        going = [stage for stage in self._totals if self._done.get(stage, 0.0) < 1.0]
        order = list(self._weights)
        return min(going, key=lambda s: order.index(s) if s in order else len(order), default="")
