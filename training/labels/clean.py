"""From the height mask to a label: no specks, no pinholes, and "unknown" where height cannot tell."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.labels.threshold import HeightMask, Mask

Label = npt.NDArray[np.uint8]

BACKGROUND, VEGETATION, UNKNOWN = 0, 1, 255


def clean_label(seen: HeightMask, *, blur_px: float, min_area_px: float, max_hole_px: float) -> Label:
    """Label (H, W) uint8: 0 background, 1 vegetation, 255 unknown.

    Parameters
    ----------
    seen
        What the heights say.
    blur_px
        Reach of the height model's blur: outlines are uncertain by this much to both sides.
    min_area_px
        Smaller patches of vegetation are noise of the matcher; they become background.
    max_hole_px
        Smaller holes in vegetation are closed; a gap in a crop row is larger.
    """
    vegetation = remove_small(seen.vegetation, min_area_px)
    vegetation = ~remove_small(~vegetation, max_hole_px)
    label = vegetation.astype(np.uint8)
    label[seen.doubtful | near_outline(vegetation, blur_px) | ~seen.known] = UNKNOWN
    return label


def remove_small(mask: Mask, min_area_px: float) -> Mask:
    """The mask without 8-connected patches below ``min_area_px``; those at the rim go on outside and stay."""
    patches, count = ndimage.label(mask, structure=np.ones((3, 3), dtype=bool))
    if count == 0:
        return mask.copy()
    keep = np.bincount(patches.ravel()) >= min_area_px
    rim = (patches[0], patches[-1], patches[:, 0], patches[:, -1])
    keep[np.concatenate(rim)] = True
    keep[0] = False
    return np.asarray(keep[patches])


def near_outline(mask: Mask, reach_px: float) -> Mask:
    """Pixels whose centre lies within ``reach_px`` of the other class; the picture's rim is no outline."""
    if reach_px <= 0 or mask.all() or not mask.any():
        return np.zeros(mask.shape, dtype=bool)
    inside = ndimage.distance_transform_edt(mask)
    outside = ndimage.distance_transform_edt(~mask)
    # Distances run from centre to centre: a pixel at the outline is 1 from the other class, half its own.
    return np.asarray((inside + outside) - 0.5 <= reach_px)
