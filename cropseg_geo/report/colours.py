"""The colour scale of plots: from bare straw to closed canopy, lightness falling all the way.

Lightness alone orders the values, so the scale survives colour blindness and grey prints; the tests hold it
to that. Missing values are a grey that no value has.
"""

from __future__ import annotations

import math

from cropseg_geo.colours import rgb

RAMP = ("#f6e7b0", "#dbd37b", "#abc05e", "#6ea65b", "#35865d", "#14655a", "#0a4350")
MISSING = "#9a9a94"


def ramp_colour(fraction: float) -> tuple[int, int, int]:
    """The colour at ``fraction`` (0–1, clipped) of the scale; the missing colour for NaN.

    >>> ramp_colour(0.0) == rgb(RAMP[0])
    True
    """
    if math.isnan(fraction):
        return rgb(MISSING)
    place = min(max(fraction, 0.0), 1.0) * (len(RAMP) - 1)
    left = min(int(place), len(RAMP) - 2)
    weight = place - left
    low, high = rgb(RAMP[left]), rgb(RAMP[left + 1])
    red, green, blue = (round((1 - weight) * a + weight * b) for a, b in zip(low, high, strict=True))
    return red, green, blue


def nice_range(low: float, high: float) -> tuple[float, float]:
    """The ends of a scale that holds ``low`` … ``high``: round numbers, and 0 where that is near.

    >>> nice_range(0.065, 0.959)
    (0.0, 1.0)
    """
    if low > 0 and low < 0.35 * high:
        low = 0.0
    if not high > low:
        high = low + (abs(low) * 0.1 or 1.0)
    step = 10.0 ** math.floor(math.log10((high - low) / 2))
    step *= next(factor for factor in (5.0, 2.0, 1.0) if factor * step <= (high - low) / 4 or factor == 1.0)
    digits = max(0, 1 - math.floor(math.log10(step)))
    return round(math.floor(low / step) * step, digits), round(math.ceil(high / step - 1e-9) * step, digits)
