"""Masks from depth alone: the baseline that any use of colour or learning must beat."""

from __future__ import annotations

import numpy as np

from cropseg_geo.errors import InputError
from training.labels.clean import Label
from training.labels.colour import Pixels
from training.labels.ground import estimate_ground
from training.labels.height import Heights
from training.labels.threshold import HeightMask, threshold_heights

_REACH_SHARE = 1 / 32  # of the longer side: a leaf's half width in a picture of a few plants
_REACH_PX = 16.0  # and no more than this: orthomosaics have plants by the thousand
_REACH_M = 0.15
_WIDEST_SHARE = 0.5  # of the longer side: wider stands of plants count as ground
_SLOPE = 0.5  # of the depth's range from one side of the picture to the other
_ROUGHNESS = 0.05  # of the depth's range
_RANGE = (1.0, 99.0)  # percentiles that become 0 and 1
_WORKING_PX = 384  # longer side of the grid on which the ground is estimated; depth networks see no finer


def depth_only(
    image: Pixels, height: Heights, *, unit: str | None = "m", gsd_m: float | None = None
) -> Label:
    """Vegetation (H, W) uint8 of 0 and 1 from height alone.

    Parameters
    ----------
    image
        RGB (H, W, 3) uint8; its colours are not looked at.
    height
        (H, W) float32, higher = nearer to the camera, NaN where unknown (0 in the mask).
    unit
        ``"m"`` for heights above ground. None for relative inverse depth: it is normalised, and the ground,
        which may lie askew to the camera, is estimated and taken away.
    gsd_m
        Side of a pixel in metres, where it is known.

    Raises
    ------
    InputError
        If the shapes differ.
    """
    if image.shape[:2] != height.shape:
        raise InputError(f"the picture is {image.shape[:2]}, its heights {height.shape}")
    return see_depth(height, unit=unit, gsd_m=gsd_m).vegetation.astype(np.uint8)


def see_depth(height: Heights, *, unit: str | None = "m", gsd_m: float | None = None) -> HeightMask:
    """What heights of any unit say of vegetation; see :func:`depth_only`."""
    above = height if unit is not None else above_ground(normalise(height))
    reach_px = min(max(height.shape) * _REACH_SHARE, _REACH_PX) if gsd_m is None else _REACH_M / gsd_m
    return threshold_heights(above, reach_px=reach_px)


def normalise(height: Heights) -> Heights:
    """Heights (H, W), their 1st percentile at 0 and the 99th at 1; NaN stays; all 0 where they are equal."""
    known = np.isfinite(height)
    if not known.any():
        return height.astype(np.float32)
    low, high = np.percentile(height[known].astype(np.float64), _RANGE)
    if high <= low:
        return np.where(known, 0.0, np.nan).astype(np.float32)
    return np.asarray((height.astype(np.float64) - low) / (high - low), dtype=np.float32)


def above_ground(height: Heights) -> Heights:
    """Normalised heights (H, W) less the ground below them, estimated as for a surface model."""
    step = max(1, -(-max(height.shape) // _WORKING_PX))
    longer = -(-max(height.shape) // step)
    # The picture's longer side is the unit of length.
    coarse = estimate_ground(
        height[::step, ::step],
        gsd_m=1.0 / longer,
        max_plant_width_m=_WIDEST_SHARE,
        slope=_SLOPE,
        roughness_m=_ROUGHNESS,
    )
    ground = _enlarged(coarse, step, height.shape)
    return (height - ground).astype(np.float32)


def _enlarged(values: Heights, step: int, shape: tuple[int, ...]) -> Heights:
    if step == 1:
        return values
    rows, cols = (
        np.minimum(np.arange(side) // step, n - 1) for side, n in zip(shape, values.shape, strict=True)
    )
    return np.asarray(values[np.ix_(rows, cols)])
