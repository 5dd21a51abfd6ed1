"""Keeps labels that can be trusted: one score for each tile, and the named reasons against it.

Height fails where there is no relief to see: bare fields, plants lower than the clods, canopy without a gap.
Colour fails for other reasons. Where both find the same plants, the label is most likely right.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.labels.agreement import Agreement
from training.labels.clean import UNKNOWN, VEGETATION, Label
from training.labels.threshold import CLEAR_CONTRAST, Relief


@dataclass(frozen=True)
class Limits:
    """What a tile must have to be kept.

    Parameters
    ----------
    min_known
        Part of the tile with picture and height.
    min_cover, max_cover
        Vegetation among the decided pixels: below, nothing stands there; above, no soil shows where zero is.
    max_unknown
        Part of the known pixels that the label leaves open.
    min_separability
        Otsu's eta of the heights; 0.64 is what noise alone reaches.
    min_kappa
        Agreement of the height label with excess green, chance taken out.
    min_score
        The score itself.
    """

    min_known: float = 0.25
    min_cover: float = 0.01
    max_cover: float = 0.90
    max_unknown: float = 0.40
    min_separability: float = 0.55
    min_kappa: float = 0.50
    min_score: float = 0.50


@dataclass(frozen=True)
class Evidence:
    """What is known of a tile's label.

    ``known``: part of the tile with picture and height. ``cover`` and ``unknown``: parts of the decided and
    of the known pixels. ``agreement``: of the height label with colour's.
    """

    known: float
    cover: float
    unknown: float
    relief: Relief
    agreement: Agreement


@dataclass(frozen=True)
class Verdict:
    """``score`` on 0–1, higher = more likely right; kept or not; the reasons against, worst first."""

    score: float
    kept: bool
    reasons: tuple[str, ...]


def weigh_evidence(
    label: Label, known: np.ndarray[tuple[int, ...], np.dtype[np.bool_]], relief: Relief, agreement: Agreement
) -> Evidence:
    """Evidence of a label (H, W); ``known`` (H, W) marks pixels with picture and height."""
    n_known = int(known.sum())
    is_decided = known & (label != UNKNOWN)
    n_decided = int(is_decided.sum())
    return Evidence(
        known=n_known / known.size,
        cover=int((is_decided & (label == VEGETATION)).sum()) / n_decided if n_decided else 0.0,
        unknown=1.0 - n_decided / n_known if n_known else 1.0,
        relief=relief,
        agreement=agreement,
    )


def judge(evidence: Evidence, limits: Limits | None = None) -> Verdict:
    """Score and verdict of a tile."""
    limits = limits or Limits()
    score = score_evidence(evidence)
    reasons = tuple(_reasons(evidence, limits))
    if not reasons and score < limits.min_score:
        reasons = (f"low score: {score:.2f}, at least {limits.min_score:.2f}",)
    return Verdict(score, not reasons, reasons)


def score_evidence(evidence: Evidence) -> float:
    """Geometric mean of agreement (IoU, weight 3) and relief (weight 1), each on 0–1.

    A geometric mean is 0 where one of them is: good agreement on a flat scene is agreement by accident.
    """
    relief = 1.0 - float(np.exp(-evidence.relief.contrast / (2.0 * CLEAR_CONTRAST)))
    return float((max(evidence.agreement.iou, 0.0) ** 3 * relief) ** 0.25)


def _reasons(evidence: Evidence, limits: Limits) -> list[str]:
    if evidence.known < limits.min_known:
        return [f"little data: {evidence.known:.0%} of the tile has picture and height"]
    if not evidence.relief.is_clear:
        contrast = evidence.relief.contrast
        reasons = [f"flat: plants stand {contrast:.1f} × the soil's noise high, at least {CLEAR_CONTRAST:g}"]
        if evidence.agreement.kappa < limits.min_kappa:
            reasons.append("colour sees plants where height sees none")
        return reasons
    found = []
    if evidence.cover > limits.max_cover:
        found.append(f"full canopy: {evidence.cover:.0%} vegetation leaves no soil to compare with")
    if evidence.cover < limits.min_cover:
        found.append(f"almost bare: {evidence.cover:.1%} vegetation")
    if evidence.relief.separability < limits.min_separability:
        found.append(f"one heap of heights: separability {evidence.relief.separability:.2f}")
    if evidence.agreement.kappa < limits.min_kappa:
        found.append(f"height and colour disagree: kappa {evidence.agreement.kappa:.2f}")
    if evidence.unknown > limits.max_unknown:
        found.append(f"mostly open: {evidence.unknown:.0%} unknown")
    return found
