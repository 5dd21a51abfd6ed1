"""Scoring methods on test sets: pictures side by side in threads, sums in the order of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from cropseg_geo.model.predictor import Predictor
from training.data import Pair
from training.evaluation.calibration import Reliability, reliability
from training.evaluation.methods import Method, baselines, models
from training.evaluation.pictures import THREADS
from training.evaluation.sets import Sample, TestSet, pair_sets
from training.scores import Counts, Truth, count

Scores = dict[str, dict[str, dict[str, float]]]
"""Row → method → measure → value. A row is a test set, or ``"set / part"`` within one of several parts."""

PART = " / "


@dataclass(frozen=True)
class Tally:
    """What a method got right and wrong, how sure it was (None: it has no probabilities), at which GSDs."""

    counts: Counts
    reliability: Reliability | None = None
    gsds_m: tuple[float, ...] = ()

    def __add__(self, other: Tally) -> Tally:
        mine, others = self.reliability, other.reliability
        both = mine + others if mine and others else mine or others
        return Tally(self.counts + other.counts, both, self.gsds_m + other.gsds_m)

    def as_scores(self) -> dict[str, float]:
        """The measures by name; ``ece`` only for probabilities, the mean ``gsd_m`` only for orthomosaics."""
        calibration = {} if self.reliability is None else {"ece": self.reliability.ece}
        resolution = {"gsd_m": sum(self.gsds_m) / len(self.gsds_m)} if self.gsds_m else {}
        return self.counts.as_scores() | calibration | resolution


Tallies = dict[str, dict[str, Tally]]
"""Row → method → tally."""


def evaluate(
    methods: Mapping[str, Method],
    sets: Sequence[TestSet],
    *,
    threads: int = THREADS,
    on_picture: Callable[[], None] = lambda: None,
) -> Scores:
    """Score every method on every set; see :func:`tally`."""
    tallies = tally(methods, sets, threads=threads, on_picture=on_picture)
    return {row: {name: t.as_scores() for name, t in found.items()} for row, found in tallies.items()}


def evaluate_pairs(
    predictors: Mapping[str, Predictor],
    pairs: Sequence[Pair],
    *,
    on_picture: Callable[[], None] = lambda: None,
) -> Scores:
    """Score models and baselines on pairs, a set for each dataset."""
    return evaluate(models(predictors) | baselines(), pair_sets(pairs), on_picture=on_picture)


def tally(
    methods: Mapping[str, Method],
    sets: Sequence[TestSet],
    *,
    threads: int = THREADS,
    on_picture: Callable[[], None] = lambda: None,
) -> Tallies:
    """Count every method's pixels on every set, and on every part of a set that has several.

    Parameters
    ----------
    methods
        Methods by the name to print.
    sets
        Test sets; their samples are read one for each thread at a time.
    threads
        Samples that are worked on at once.
    on_picture
        Called when a sample is done.

    Returns
    -------
    Tallies
        In the order of the sets and methods. A method that says nothing about a set is not in its row.
    """
    tallies: Tallies = {}
    with ThreadPoolExecutor(threads, thread_name_prefix="evaluate") as pool:
        for test_set in sets:

            def score(reader: Callable[[], Sample]) -> tuple[str, dict[str, Tally]]:
                return _score(reader(), methods)

            done = []
            for result in pool.map(score, test_set.readers):
                done.append(result)
                on_picture()
            parts = sorted({part for part, _ in done})
            tallies[test_set.name] = _sum(found for _, found in done)
            for part in parts if len(parts) > 1 else ():
                tallies[f"{test_set.name}{PART}{part}"] = _sum(found for p, found in done if p == part)
    return tallies


def whole_sets(scores: Scores) -> Scores:
    """The rows of whole sets, without those of their parts."""
    return {row: methods for row, methods in scores.items() if PART not in row}


def scores_of(method: str, scores: Scores) -> dict[str, dict[str, float]]:
    """One method's measures by set: what goes into a model's card."""
    return {row: methods[method] for row, methods in whole_sets(scores).items() if method in methods}


def _score(sample: Sample, methods: Mapping[str, Method]) -> tuple[str, dict[str, Tally]]:
    truth = Truth.of(sample.truth)
    found: dict[str, Tally] = {}
    for name, method in methods.items():
        prediction = method(sample)
        if prediction is None:
            continue
        sure = None if prediction.probability is None else reliability(prediction.probability, truth)
        gsds_m = () if prediction.gsd_m is None else (prediction.gsd_m,)
        found[name] = Tally(count(prediction.mask, truth), sure, gsds_m)
    return sample.part, found


def _sum(found: Iterable[dict[str, Tally]]) -> dict[str, Tally]:
    total: dict[str, Tally] = {}
    for tallies in found:
        for name, one in tallies.items():
            total[name] = total[name] + one if name in total else one
    return total
