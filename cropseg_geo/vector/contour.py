"""Where outlines cross between the pixels' centres: marching squares, as a shift of each pixel edge.

Between the centre of a pixel inside and its neighbour outside, the probability falls through the mask's
threshold; the outline is drawn through that place on the line between the two centres. Joining these
places in the order of the pixel outline is marching squares, with saddles resolved as the mask's
4-connected regions are. Two outlines never cross: around a lattice vertex each of them is a chord of the
square of the four centres, and the chords' ends do not interleave.

Source: W. E. Lorensen and H. E. Cline, "Marching cubes" (1987), in two dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cropseg_geo.vector.arrays import Bools, Bytes, Floats, Singles
from cropseg_geo.vector.blocks import PaddedBlock
from cropseg_geo.vector.marks import Places

CLEARANCE = 0.05
"""Nearest an outline comes to a pixel's centre (px): outlines of different plants stay apart."""

STEP = 0.00197
"""Half a step of a stored probability, 1/508, rounded up: how far it may lie on the wrong side."""

LEVELLED = 1
"""The class that the probability is of."""


@dataclass(frozen=True)
class Edges:
    """Outline edges of a padded block of (Hp, Wp) pixels, and which of them follow the pixels.

    ``lying`` (Hp − 1, Wp) are between a pixel and the one below, ``standing`` (Hp, Wp − 1) between a
    pixel and the one to its right; ``on_pixels`` says for both which are not moved to the level line.
    """

    lying: Bools
    standing: Bools
    lying_on_pixels: Bools
    standing_on_pixels: Bools
    moved: Places


def edges_of(block: PaddedBlock, threshold: float | None) -> Edges:
    """The block's outline edges; without a threshold all of them follow the pixels.

    An edge is moved where it parts class 1 from the background and the probability falls through the
    threshold there. At nodata, at the raster's rim, between classes and where the mask does not follow
    the probability the outline stays on the pixels.
    """
    pixels, prob = block.pixels, block.padded_prob
    lying, standing = pixels[:-1] != pixels[1:], pixels[:, :-1] != pixels[:, 1:]
    if threshold is None or prob is None:
        return Edges(lying, standing, lying, standing, Places.concatenated([]))
    classes = block.class_id
    is_down, down = _crossings(lying, classes[:-1], classes[1:], prob[:-1], prob[1:], threshold)
    is_right, right = _crossings(
        standing, classes[:, :-1], classes[:, 1:], prob[:, :-1], prob[:, 1:], threshold
    )
    i, j = np.nonzero(is_down)
    k, m = np.nonzero(is_right)
    moved = Places.concatenated(
        [Places(2 * i + 2, 2 * j + 1, down), Places(2 * k + 1, 2 * m + 2, right)],
    )
    return Edges(lying, standing, lying & ~is_down, standing & ~is_right, moved)


def _crossings(
    is_edge: Bools,
    before: Bytes,
    after: Bytes,
    prob_before: Singles,
    prob_after: Singles,
    threshold: float,
) -> tuple[Bools, Floats]:
    """Which edges the level line crosses beside, and its shift (px) from each, towards ``after``."""
    at = np.nonzero(is_edge)
    one, other = before[at], after[at]
    p_one, p_other = prob_before[at].astype(np.float64), prob_after[at].astype(np.float64)
    is_one_inside = one == LEVELLED
    inside, outside = np.where(is_one_inside, p_one, p_other), np.where(is_one_inside, p_other, p_one)
    is_level = one.astype(np.int16) + other == LEVELLED  # the background is 0
    is_level &= (inside >= threshold - STEP) & (outside <= threshold + STEP)  # false where NaN
    crossed = np.zeros(is_edge.shape, np.bool_)
    crossed[at] = is_level
    inside, outside = inside[is_level], outside[is_level]
    above, below = np.maximum(inside - threshold, 0.0), np.maximum(threshold - outside, 0.0)
    span = above + below
    share = np.divide(above, span, out=np.full(len(span), 0.5), where=span > 0)
    shift = np.clip(share, CLEARANCE, 1.0 - CLEARANCE) - 0.5
    return crossed, np.where(is_one_inside[is_level], shift, -shift)


def places_of(edges: Edges) -> Places:
    """Every place of the padded block that outlines are drawn through before simplification.

    On the pixels these are the vertices where an outline turns, ends at another, or leaves the level line.
    """
    up, down = edges.standing[:-1], edges.standing[1:]
    left, right = edges.lying[:, :-1], edges.lying[:, 1:]
    px_up, px_down = edges.standing_on_pixels[:-1], edges.standing_on_pixels[1:]
    px_left, px_right = edges.lying_on_pixels[:, :-1], edges.lying_on_pixels[:, 1:]
    is_straight = (px_up & px_down & ~(left | right)) | (px_left & px_right & ~(up | down))
    i, j = np.nonzero((px_up | px_down | px_left | px_right) & ~is_straight)
    return Places.concatenated([Places.at_rest(2 * i + 2, 2 * j + 2), edges.moved])
