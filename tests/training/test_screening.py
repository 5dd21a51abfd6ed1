"""Verdicts: flat, bare, closed and contradictory tiles go, each with its reason."""

from dataclasses import replace

import numpy as np
import pytest

from training.labels.agreement import Agreement, compare_labels, green_label
from training.labels.screen import Evidence, judge, score_evidence
from training.labels.threshold import CLEAR_CONTRAST, Relief

GOOD = Evidence(0.9, 0.3, 0.05, Relief(0.8, 0.4, 60.0), Agreement(0.8, 0.85))


def test_a_good_tile_is_kept_without_a_word_against_it():
    verdict = judge(GOOD)
    assert verdict.kept
    assert verdict.reasons == ()
    assert 0.5 < verdict.score < 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"known": 0.1}, "little data"),
        ({"relief": Relief(0.6, 0.01, 3.0)}, "flat"),
        ({"cover": 0.96}, "full canopy"),
        ({"cover": 0.002}, "almost bare"),
        ({"unknown": 0.7}, "mostly open"),
        ({"relief": Relief(0.3, 0.4, 60.0)}, "one heap"),
        ({"agreement": Agreement(0.3, 0.2)}, "disagree"),
    ],
)
def test_each_fault_drops_a_tile_and_is_named(change, reason):
    verdict = judge(replace(GOOD, **change))
    assert not verdict.kept
    assert reason in verdict.reasons[0]


def test_the_score_rises_with_agreement_and_with_relief():
    assert score_evidence(replace(GOOD, agreement=Agreement(0.5, 0.6))) < score_evidence(GOOD)
    assert score_evidence(replace(GOOD, relief=Relief(0.8, 0.1, 9.0))) < score_evidence(GOOD)


def test_agreement_weighs_three_times_as_much_as_relief():
    half = Relief(0.8, 0.4, 2.0 * CLEAR_CONTRAST * np.log(2.0))
    score = score_evidence(replace(GOOD, agreement=Agreement(0.8, 0.9), relief=half))
    assert score == pytest.approx((0.8**3 * 0.5) ** (1 / 4), rel=1e-12)


def test_agreement_counts_only_what_both_decide():
    first = np.array([[1, 1, 0, 0, 255, 1]], np.uint8)
    second = np.array([[1, 0, 0, 0, 1, 255]], np.uint8)
    found = compare_labels(first, second)
    assert found.iou == pytest.approx(0.5)
    # 3 of 4 agree; by chance 1/2 · 1/4 + 1/2 · 3/4 = 1/2 would.
    assert found.kappa == pytest.approx(0.5)


def test_a_reddish_brown_picture_has_nothing_green():
    brown = np.random.default_rng(0).normal((135, 85, 75), 5, (20, 20, 3)).clip(0, 255).astype(np.uint8)
    assert green_label(brown, np.ones((20, 20), dtype=bool)).sum() <= 20
