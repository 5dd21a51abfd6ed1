"""One sun for the whole field; x right, y down, z up."""

from __future__ import annotations

import math

import numpy as np

from sample_tiles.noise import Floats

SUN_ELEVATION_DEG = 56.0
SUN_AZIMUTH_DEG = 150.0  # clockwise from north: a late morning in the northern hemisphere

_ELEVATION, _AZIMUTH = math.radians(SUN_ELEVATION_DEG), math.radians(SUN_AZIMUTH_DEG)
SUN = np.array(
    [
        math.cos(_ELEVATION) * math.sin(_AZIMUTH),
        -math.cos(_ELEVATION) * math.cos(_AZIMUTH),
        math.sin(_ELEVATION),
    ]
)
# where the shadow of a point falls, in cm per cm of its height
SHADOW_STEP = -SUN[:2] / SUN[2]


def _shifted(array: Floats, down: int, right: int) -> Floats:
    """``result[r, c] = array[r + down, c + right]``, 0 beyond the edge."""
    result = np.zeros_like(array)
    h, w = array.shape
    result[max(0, -down) : h - max(0, down), max(0, -right) : w - max(0, right)] = array[
        max(0, down) : h - max(0, -down), max(0, right) : w - max(0, -right)
    ]
    return result


def taller(height: Floats, *, reach: int = 6) -> Floats:
    """Height up to which the neighbours toward the sun keep a pixel in shadow; heights in pixels.

    The ray is followed over ``2**reach - 1`` pixels, in ``reach`` doubling steps.
    """
    length = float(np.hypot(*SHADOW_STEP))
    toward = -SHADOW_STEP / length
    ray = height
    for k in range(reach):
        step = 2**k
        further = _shifted(ray, round(toward[1] * step), round(toward[0] * step))
        ray = np.maximum(ray, further - np.float32(step / length))
    return ray
