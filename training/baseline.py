"""What any model must beat: excess green, cut by Otsu's threshold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]

_BINS = 256


def exg_otsu(image: Pixels) -> Pixels:
    """Vegetation mask (H, W) of 0 and 1 of an RGB picture (H, W, 3) uint8."""
    index = excess_green(image)
    return (index > otsu_threshold(index)).astype(np.uint8)


def excess_green(image: Pixels) -> Floats:
    """2G − R − B of the values themselves, (H, W), −510 to 510.

    Not of the chromatic coordinates, R / (R + G + B) …, for which the index was first proposed: those of
    dark pixels are noise, and Otsu's threshold then parts noise from the rest. On the two development test
    sets that form reaches mIoU 0.85 and 0.47, this one 0.88 and 0.89: a model has to beat the better.

    Source: D. M. Woebbecke et al., "Color indices for weed identification" (1995), Trans. ASAE 38(1).
    """
    values = image.astype(np.float64)
    return 2.0 * values[..., 1] - values[..., 0] - values[..., 2]


def otsu_threshold(values: Floats) -> float:
    """The threshold that best separates two classes of a histogram of 256 bins; the value if all are equal.

    Source: N. Otsu, "A threshold selection method from gray-level histograms" (1979), IEEE SMC 9(1).
    """
    if values.min() == values.max():
        return float(values.flat[0])
    counts, edges = np.histogram(values, bins=_BINS)
    centres = (edges[:-1] + edges[1:]) / 2.0
    below, mass = np.cumsum(counts), np.cumsum(counts * centres)
    above = below[-1] - below
    # Between-class variance for a cut after each bin but the last.
    gap = mass[:-1] / below[:-1] - (mass[-1] - mass[:-1]) / np.maximum(above[:-1], 1)
    variance = below[:-1] * above[:-1] * gap**2
    # Between two heaps every cut is as good: take the middle one.
    best = np.flatnonzero(variance == variance.max())
    return float(edges[1 + best[len(best) // 2]])
