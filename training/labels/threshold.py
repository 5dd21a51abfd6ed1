"""From heights to vegetation: soil level and noise, relief, and the cut that parts plants from soil.

A plant's outline is where its height, blurred by the matcher or by the depth network, has fallen to a certain
share of the plant's own height, whatever that is. So the cut is made on the share of the local top, not on
metres: one cut serves seedlings and maize in the same picture, and heights without a unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.labels.height import Heights

Mask = npt.NDArray[np.bool_]
Rule = Literal["otsu", "steepest", "stable"]

FLOOR = 5.0
"""Heights below soil + 5 × noise are soil: of a million bare pixels, none in theory, clods in the field."""

CLEAR_CONTRAST = 8.0
"""Relief below 8 × noise shows no plants: tops that clods reach as well."""

_UNSURE_FLOOR = 3.0  # between 3 and 5 × noise: unknown
_AS_GOOD = 0.95  # cuts with this part of the best between-class variance are as good as the best
_BINS = 128
_PEAK = 0.25  # a heap of the histogram counts as soil from this part of the highest one
_SHARE_MAX = 1.5


@dataclass(frozen=True)
class Soil:
    """Height of bare soil and its noise (standard deviation), both in the unit of the heights."""

    level: float
    noise: float


@dataclass(frozen=True)
class Relief:
    """Is there anything to see?

    Parameters
    ----------
    separability
        Otsu's eta of the heights, 0–1: part of their variance that two classes explain. 0.64 for noise alone.
    span
        98th percentile of the heights above soil, in their unit.
    contrast
        The span in units of the soil's noise.
    """

    separability: float
    span: float
    contrast: float

    @property
    def is_clear(self) -> bool:
        return self.contrast >= CLEAR_CONTRAST


@dataclass(frozen=True)
class Cut:
    """Shares of the local top: vegetation above ``value``, in doubt between ``low`` and ``high``."""

    low: float
    value: float
    high: float


@dataclass(frozen=True)
class HeightMask:
    """What heights say of each pixel.

    ``vegetation`` is decided everywhere; ``doubtful`` marks pixels between the two thresholds; ``known``
    those with a height.  # (H, W) each
    """

    vegetation: Mask
    doubtful: Mask
    known: Mask
    soil: Soil
    cut: Cut
    relief: Relief


def find_soil(height: Heights) -> Soil:
    """The lowest heap of the heights, and its spread, taken from its lower side where no plant stands.

    Parameters
    ----------
    height
        (H, W) or any shape, NaN where unknown. Without any known height, level and noise are NaN.
    """
    values = height[np.isfinite(height)].astype(np.float64)
    if values.size == 0:
        return Soil(float("nan"), float("nan"))
    low, high = np.percentile(values, [0.5, 99.5])
    if high <= low:
        return Soil(float(low), 0.0)
    counts, edges = np.histogram(values, bins=4 * _BINS, range=(low, high))
    smooth = ndimage.gaussian_filter1d(counts.astype(np.float64), 2.0, mode="constant")
    peaks = np.flatnonzero((smooth >= np.roll(smooth, 1)) & (smooth >= np.roll(smooth, -1)))
    tall = peaks[smooth[peaks] >= _PEAK * smooth.max()]
    level = float((edges[tall[0]] + edges[tall[0] + 1]) / 2.0)
    below = level - values[values <= level]
    bin_width = float(edges[1] - edges[0])
    # 1.4826 × the median of |x| is the standard deviation of a normal x, also of its lower half alone.
    noise = 1.4826 * float(np.median(below)) if below.size else bin_width
    return Soil(level, max(noise, bin_width / 2.0))


def measure_relief(height: Heights, soil: Soil) -> Relief:
    """Separability, span and contrast of heights over soil; all 0 where nothing is known."""
    values = height[np.isfinite(height)].astype(np.float64)
    if values.size == 0 or not np.isfinite(soil.level):
        return Relief(0.0, 0.0, 0.0)
    low, high = np.percentile(values, [0.5, 98.0])
    span = max(float(high) - soil.level, 0.0)
    variances, _, total = between_variances(np.clip(values, low, high), _BINS)
    separability = float(variances.max() / total) if total > 0 else 0.0
    return Relief(separability, span, span / soil.noise if soil.noise > 0 else 0.0)


def share_of_top(height: Heights, soil: Soil, *, reach_px: float) -> Heights:
    """Height above soil as a share of the highest within ``reach_px``, smoothed; NaN where unknown.

    Where nothing near stands above the floor, the floor takes the place of the top: bare soil stays near 0.
    """
    known = np.isfinite(height)
    above = np.where(known, height - np.float32(soil.level), np.float32(0.0))
    side = 2 * max(1, round(reach_px)) + 1
    top = ndimage.maximum_filter(above, size=side)
    top = ndimage.gaussian_filter(top, max(1.0, reach_px / 2.0))
    least = np.float32(max((FLOOR + 1.0) * soil.noise, 1e-9))
    return np.where(known, above / np.maximum(top, least), np.nan).astype(np.float32)


def find_cut(shares: Heights, where: Mask, *, rule: Rule = "steepest") -> Cut:
    """The cut among those that Otsu's criterion cannot tell apart.

    Parameters
    ----------
    shares
        Shares of the local top (H, W).
    where
        Pixels near plants: bare fields far from any would outweigh them.
    rule
        ``otsu`` takes the best between-class variance, ``steepest`` the level where heights fall fastest (the
        outline of a blurred step), ``stable`` the one whose mask changes least with the cut.

    Source: N. Otsu (1979), IEEE SMC 9(1); the sweep and its rules are this project's.
    """
    values = np.clip(shares[where & np.isfinite(shares)], 0.0, _SHARE_MAX).astype(np.float64)
    if values.size < 2 or values.min() == values.max():
        return Cut(0.5, 0.5, 0.5)
    variances, cuts, _ = between_variances(values, _BINS)
    good = cuts[variances >= _AS_GOOD * variances.max()]
    low, high = float(good.min()), float(good.max())
    if rule == "otsu":
        best = cuts[variances == variances.max()]
        return Cut(low, float(best[len(best) // 2]), high)
    candidates = np.linspace(low, high, 9)
    merit = steepness(shares, where, candidates) if rule == "steepest" else stability(values, candidates)
    return Cut(low, float(candidates[int(np.argmax(merit))]), high)


def between_variances(
    values: npt.NDArray[np.float64], bins: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], float]:
    """Between-class variance of a cut after each bin but the last, the cuts, and the total variance."""
    counts, edges = np.histogram(values, bins=bins)
    centres = (edges[:-1] + edges[1:]) / 2.0
    share = counts / max(counts.sum(), 1)
    below, moment = np.cumsum(share)[:-1], np.cumsum(share * centres)[:-1]
    mean = float((share * centres).sum())
    spread = below * (1.0 - below)
    variances = np.where(spread > 0, (mean * below - moment) ** 2 / np.maximum(spread, 1e-12), 0.0)
    return variances, edges[1:-1], float((share * (centres - mean) ** 2).sum())


def steepness(
    shares: Heights, where: Mask, cuts: npt.NDArray[np.float64], *, width: float = 0.04
) -> npt.NDArray[np.float64]:
    """Mean gradient of the shares along each cut's outline: over pixels within ``width`` of the cut."""
    rows, cols = np.gradient(shares)
    gradient = np.hypot(rows, cols)
    usable = where & np.isfinite(gradient)
    near = [usable & (np.abs(shares - cut) < width) for cut in cuts]
    return np.array([float(gradient[at].mean()) if at.any() else 0.0 for at in near])


def stability(values: npt.NDArray[np.float64], cuts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Minus the relative change of the mask's area from cut to cut."""
    areas = np.array([float((values > cut).sum()) for cut in cuts])
    change: npt.NDArray[np.float64] = np.abs(np.gradient(areas)) / np.maximum(areas, 1.0)
    return -change


def threshold_heights(
    height: Heights, *, reach_px: float, soil: Soil | None = None, rule: Rule = "steepest"
) -> HeightMask:
    """Vegetation from heights above ground.

    Parameters
    ----------
    height
        (H, W) float32, higher = nearer to the sky, NaN where unknown; any unit, or none. Slopes taken out.
    reach_px
        How far a plant's top may be from its outline.
    soil
        Level and noise of the soil where more is known than this picture shows (a tile of an orthomosaic).
    rule
        See :func:`find_cut`.
    """
    known = np.isfinite(height)
    soil = soil if soil is not None else find_soil(height)
    relief = measure_relief(height, soil)
    nothing = np.zeros(height.shape, dtype=bool)
    if not relief.is_clear:
        return HeightMask(nothing, nothing.copy(), known, soil, Cut(0.5, 0.5, 0.5), relief)
    shares = share_of_top(height, soil, reach_px=reach_px)
    above = np.where(known, height - soil.level, 0.0)
    near = ndimage.maximum_filter(above, size=2 * max(1, round(reach_px)) + 1) > (FLOOR + 1.0) * soil.noise
    cut = find_cut(shares, near & known, rule=rule)
    filled = np.where(known, shares, 0.0)
    vegetation = (filled > cut.value) & (above > FLOOR * soil.noise)
    maybe = (filled > cut.low) & (above > _UNSURE_FLOOR * soil.noise)
    sure = (filled > cut.high) & (above > FLOOR * soil.noise)
    return HeightMask(vegetation, maybe & ~sure, known, soil, cut, relief)
