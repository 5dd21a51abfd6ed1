"""The figures of a whole mask, exact: counted over every pixel, window by window."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted
from cropseg_geo.grid import Window
from cropseg_geo.plots.measuring.quantities import near_threshold
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.raster.mask import MaskFiles
from cropseg_geo.raster.pyramid import NODATA

STAGE = "report"

_WINDOW_PX = 2048


@dataclass(frozen=True)
class Figures:
    """A mask in figures; areas are m² on the ground.

    ``mean_prob`` and ``uncertain_fraction`` are over the valid area, None where no probability was given.
    """

    class_areas_m2: tuple[float, ...]  # by class id, the background first
    total_area_m2: float
    mean_prob: float | None = None
    uncertain_fraction: float | None = None

    @property
    def valid_area_m2(self) -> float:
        return sum(self.class_areas_m2)

    @property
    def canopy_area_m2(self) -> float:
        return sum(self.class_areas_m2[1:])

    @property
    def canopy_cover(self) -> float:
        """Canopy ÷ valid area (0–1); NaN without a valid pixel."""
        return self.canopy_area_m2 / self.valid_area_m2 if self.valid_area_m2 else math.nan

    @property
    def valid_fraction(self) -> float:
        """Valid ÷ whole area of the raster (0–1)."""
        return self.valid_area_m2 / self.total_area_m2


def count_mask(mask: MaskFiles, *, n_classes: int, listener: Listener) -> Figures:
    """Count every pixel of a mask, and of its probability where that is open.

    Uncertain is a probability near the threshold, as in the statistics of plots; of several classes there is
    no one threshold, and it is not counted.
    """
    ground, threshold = mask.info.ground, mask.threshold or StatsOptions.threshold
    areas, total = np.zeros(n_classes), 0.0
    prob_sum, uncertain, n_prob = 0.0, 0, 0
    listener(StageStarted(STAGE, mask.height * mask.width, "px"))
    for window in Window(0, 0, mask.height, mask.width).split(_WINDOW_PX):
        pixel_m2 = ground.pixel_area_m2(window)
        classes = mask.read_mask(window)
        total += classes.size * pixel_m2
        areas += [np.count_nonzero(classes == k) * pixel_m2 for k in range(n_classes)]
        if mask.prob is not None and (classes != NODATA).any():
            prob = mask.read_prob(window)
            if prob is not None:
                known = prob[np.isfinite(prob)]
                prob_sum += float(known.sum(dtype=np.float64))
                uncertain += int(np.count_nonzero(near_threshold(known, threshold)))
                n_prob += known.size
        listener(StageAdvanced(STAGE, classes.size))
    listener(StageFinished(STAGE))
    binary = mask.prob is not None and mask.prob.count == 1
    return Figures(
        tuple(float(area) for area in areas),
        total,
        prob_sum / n_prob if n_prob else None,
        uncertain / n_prob if n_prob and binary else None,
    )
