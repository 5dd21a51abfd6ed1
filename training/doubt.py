"""Outlines drawn by hand, doubted where the picture's own colours contradict them.

Polygons around plants cut corners, fill the gaps between leaves, and lie some pixels beside the leaf. A
network that learns from them draws blurred outlines everywhere. What plants look like in a picture is learned
from its mask; near the outline, pixels of which their colour says the opposite teach nothing.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from training.data import CERTAIN, UNKNOWN, Pixels
from training.labels.clean import BACKGROUND, VEGETATION
from training.labels.colour import learn_colours

ODDS = 0.8
"""Odds of 4 : 1 against the mask."""


def doubt_outline(image: Pixels, target: Pixels, *, reach_px: int) -> Pixels:
    """The target, unknown where colour contradicts it near its outline.

    Far from an outline the mask is right, whatever colour says: yellow leaves and green algae are what colour
    gets wrong. Where colour cannot tell the mask's plants from its soil, the target comes back as it is.

    Parameters
    ----------
    image
        RGB (H, W, 3) uint8.
    target
        (H, W) uint8, vegetation in half percents, 255 unknown.
    reach_px
        How far from an outline (px) it may be wrong.
    """
    plant, soil = (target >= CERTAIN // 2) & (target != UNKNOWN), target < CERTAIN // 2
    label = np.full(target.shape, UNKNOWN, np.uint8)
    label[plant], label[soil] = VEGETATION, BACKGROUND
    colours = learn_colours(image, label)
    if colours is None or not colours.is_useful:
        return target
    probability = colours.probability(image)
    # Single pixels of another colour are noise, not an outline.
    probability = 0.5 * (probability + ndimage.uniform_filter(probability, 3))
    contradicted = (soil & (probability >= ODDS)) | (plant & (probability <= 1.0 - ODDS))
    near = (ndimage.distance_transform_edt(~plant) <= reach_px) & (
        ndimage.distance_transform_edt(plant) <= reach_px
    )
    return np.where(contradicted & near, np.uint8(UNKNOWN), target)
