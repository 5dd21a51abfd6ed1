"""One tile from picture and height to a label with its verdict: the steps of this folder in their order."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from training.labels.agreement import compare_labels, green_label
from training.labels.clean import UNKNOWN, Label, clean_label
from training.labels.colour import Pixels, learn_colours, refine_with_colour
from training.labels.height import Heights
from training.labels.screen import Evidence, Limits, Verdict, judge, weigh_evidence
from training.labels.threshold import HeightMask, Rule, Soil, threshold_heights

REACH_M = 0.15
"""From a leaf's or a row's outline to its top; half a row of most crops."""

SMALLEST_M2 = 0.0015
"""Smallest patch and smallest hole, 4 cm across: a pixel of a good height model."""


@dataclass(frozen=True)
class Sizes:
    """Lengths and areas of the field in pixels of the picture.

    ``reach_px``: from a plant's outline to its top. ``blur_px``: of the heights. Patches of vegetation below
    ``min_area_px`` are noise, holes below ``max_hole_px`` are closed.
    """

    reach_px: float
    blur_px: float
    min_area_px: float
    max_hole_px: float

    @classmethod
    def on_ground(cls, *, gsd_m: float, height_gsd_m: float) -> Sizes:
        """Sizes for a picture and a height model of these GSDs.

        Outlines are blurred by a pixel of the height model, or by two of the picture where that is more: a
        dense matcher compares patches, not pixels.
        """
        return cls(
            reach_px=REACH_M / gsd_m,
            blur_px=max(height_gsd_m / gsd_m, 2.0),
            min_area_px=SMALLEST_M2 / gsd_m**2,
            max_hole_px=SMALLEST_M2 / gsd_m**2,
        )


@dataclass(frozen=True, eq=False)
class TileLabel:
    """``label`` (H, W) uint8 of 0, 1, 255; what height saw; the evidence and the verdict on it."""

    label: Label
    seen: HeightMask
    evidence: Evidence
    verdict: Verdict


def label_tile(
    image: Pixels,
    height: Heights,
    *,
    sizes: Sizes,
    valid: npt.NDArray[np.bool_] | None = None,
    soil: Soil | None = None,
    limits: Limits | None = None,
    colour: bool = True,
    rule: Rule = "steepest",
) -> TileLabel:
    """Label a picture by the heights above ground, and judge the label.

    Parameters
    ----------
    image
        RGB (H, W, 3) uint8.
    height
        (H, W) float32 above ground, any unit, NaN where unknown.
    sizes
        Lengths in pixels.
    valid
        (H, W), False where the picture has no data.
    soil
        Level and noise of the soil, from more than this tile.
    limits
        What is kept.
    colour
        Let colour decide what height leaves open.
    rule
        How the cut is chosen.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if image.shape[:2] != height.shape:
        raise InputError(f"the picture is {image.shape[:2]}, its heights {height.shape}")
    valid = np.ones(height.shape, dtype=bool) if valid is None else valid
    seen = threshold_heights(np.where(valid, height, np.nan), reach_px=sizes.reach_px, soil=soil, rule=rule)
    by_height = clean_label(
        seen, blur_px=sizes.blur_px, min_area_px=sizes.min_area_px, max_hole_px=sizes.max_hole_px
    )
    model = learn_colours(image, by_height)
    label = refine_with_colour(by_height, image, model, valid=valid) if colour else by_height
    decided = np.where(seen.known, seen.vegetation, UNKNOWN).astype(np.uint8)
    agreement = compare_labels(decided, green_label(image, valid))
    if model is not None and model.is_useful:
        # Yellow crops fail the index, not the label: the colours of this picture's own plants speak as well.
        own = np.where(valid, model.probability(image) > 0.5, UNKNOWN).astype(np.uint8)
        agreement = max(agreement, compare_labels(decided, own), key=lambda found: found.kappa)
    evidence = weigh_evidence(label, seen.known, seen.relief, agreement)
    return TileLabel(label, seen, evidence, judge(evidence, limits))
