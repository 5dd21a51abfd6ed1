"""Plants that touch, parted at their necks: watershed of the distance to the outline.

The overall strategy is to part whole components only, each from its own pixels, so that the blocks do not
matter. From each pixel the way leads up to where the component is widest; pixels that end at one place
are a basin. Basins are merged, the widest necks first, unless the neck between two is narrower than
``NECK`` of the narrower one's width: a rule without a length, so that it serves seedlings and shrubs.

Source: L. Vincent and P. Soille, "Watersheds in digital spaces" (1991); the rule of merging is ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from scipy import ndimage

from cropseg_geo.grid import Window
from cropseg_geo.vector.arrays import Bools, Bytes, Floats, Ints, Longs, Singles
from cropseg_geo.vector.blocks import PaddedBlock
from cropseg_geo.vector.contour import Edges, places_of
from cropseg_geo.vector.corners import Corners, corners_of
from cropseg_geo.vector.marks import Places
from cropseg_geo.vector.rings import painted

NECK = 0.7
"""A neck narrower than this share of the narrower plant's width parts two plants."""

NARROWEST_PX = 3.0
"""Parts whose widest place is no further (px) from the outline are not parted off: that is its noise."""

LARGEST_PX = 2048 * 4096
"""Pixels of the bounding rectangle up to which a component is parted: bounds the memory."""

ProbabilityOf = Callable[[Window], Singles | None]


@dataclass(frozen=True)
class Parts:
    """Components after parting: corners, class and mean probability, and the points of the cuts."""

    corners: Corners
    class_id: Bytes
    mean_prob: Floats
    places: Places

    @staticmethod
    def concatenated(parts: list[Parts]) -> Parts:
        offsets = np.cumsum([0, *(len(p.class_id) for p in parts)])
        return Parts(
            Corners.concatenated(
                [
                    p.corners.owned_by((p.corners.component + o).astype(np.int32))
                    for p, o in zip(parts, offsets, strict=False)
                ]
            ),
            np.concatenate([np.empty(0, np.uint8), *(p.class_id for p in parts)]),
            np.concatenate([np.empty(0), *(p.mean_prob for p in parts)]),
            Places.concatenated([p.places for p in parts]),
        )


def extent_of(corners: Corners) -> Window:
    """The rectangle of pixels around some corners."""
    row, col = int(corners.row.min()), int(corners.col.min())
    return Window(row, col, int(corners.row.max()) - row, int(corners.col.max()) - col)


def plants_of(
    corners: Corners, own: Corners, class_id: Bytes, mean_prob: Floats, prob_of: ProbabilityOf, aspect: float
) -> Parts:
    """Components with their touching plants parted; those above :data:`LARGEST_PX` stay whole.

    Parameters
    ----------
    corners
        All corners of complete components; what they enclose is parted.
    own
        The same before holes were filled: the pixels whose probability counts.
    class_id, mean_prob
        Of the components.
    prob_of
        Reads the probability.
    aspect
        Height of a pixel on the ground ÷ its width.
    """
    if extent_of(corners).size <= LARGEST_PX:
        return _parted(corners, own, class_id, mean_prob, prob_of, aspect)
    n = len(class_id)
    is_small = is_small_enough(corners, n)
    groups = zip(_by_component(corners, n), _by_component(own, n), strict=True)
    found = []
    for k, (one, one_own) in enumerate(groups):
        if not len(one):
            continue
        of_one = (one, one_own, class_id[k : k + 1], mean_prob[k : k + 1])
        if is_small[k] and _may_hold_two(extent_of(one), aspect):
            found.append(_parted(*of_one, prob_of, aspect))
        else:
            found.append(Parts(one, *of_one[2:], Places.concatenated([])))
    return Parts.concatenated(found)


def _by_component(corners: Corners, n: int) -> Iterator[Corners]:
    """The corners of each component, numbered 0, in the order that they had."""
    order = np.argsort(corners.component, kind="stable")
    ends = np.searchsorted(corners.component[order], np.arange(n + 1))
    for begin, end in pairwise(ends):
        one = corners.take(order[begin:end])
        yield one.owned_by(np.zeros(len(one), np.int32))


def _may_hold_two(extent: Window, aspect: float) -> bool:
    """Can a place within lie far enough from the outline? A quick answer for specks."""
    return min((extent.height + 1) / 2 * aspect, (extent.width + 1) / 2) > NARROWEST_PX


def _parted(
    corners: Corners, own: Corners, class_id: Bytes, mean_prob: Floats, prob_of: ProbabilityOf, aspect: float
) -> Parts:
    """All components at once, in one image."""
    window = extent_of(corners)
    image = painted(corners, window)
    plants = _plants(image, class_id, aspect)
    n_whole = np.count_nonzero(np.bincount(image[image > 0]))
    n_parts = int(plants.max(initial=0))
    if n_parts == n_whole:
        return Parts(corners, class_id, mean_prob, Places.concatenated([]))
    padded = np.pad(plants, 1)
    found = corners_of(PaddedBlock(Window(window.row, window.col, *window.shape), padded, None))
    first = np.zeros(len(found.components), np.int64)
    first[found.corners.component[::-1]] = np.arange(len(found.corners) - 1, -1, -1)
    parent = _owner_in(image, found.corners, first, window)
    mean = mean_prob[parent]
    if (prob := prob_of(window)) is not None:
        label = _owner_in(plants, found.corners, first, window) + 1
        is_own = (painted(own, window) > 0) & ~np.isnan(prob)
        mean = _means(plants[is_own], prob[is_own], n_parts)[label]
    return Parts(found.corners, class_id[parent], mean, _cuts(padded, np.pad(image, 1), window))


def _owner_in(image: Ints, corners: Corners, which: Longs, window: Window) -> Longs:
    """The value, less one, at the pixels that own some corners."""
    number = corners.kind[which] & 3
    row = corners.row[which] - window.row - (number < 2)
    col = corners.col[which] - window.col - (number % 2 == 0)
    return np.asarray(image[row, col], np.int64) - 1


def _means(label: Ints, values: Singles, n: int) -> Floats:
    total = np.bincount(label, weights=values, minlength=n + 1)
    count = np.bincount(label, minlength=n + 1)
    mean = np.full(n + 1, np.nan)
    np.divide(total, count, out=mean, where=count > 0)
    return mean


def _cuts(plants: Ints, image: Ints, window: Window) -> Places:
    """The vertices of cuts between plants of one component; both images are padded by one pixel."""
    lying, standing = plants[:-1] != plants[1:], plants[:, :-1] != plants[:, 1:]
    cut_lying = lying & (image[:-1] == image[1:])
    cut_standing = standing & (image[:, :-1] == image[:, 1:])
    places = places_of(Edges(lying, standing, cut_lying, cut_standing, Places.concatenated([])))
    return Places.at_rest(places.row2 + 2 * (window.row - 1), places.col2 + 2 * (window.col - 1))


def _plants(image: Ints, class_id: Bytes, aspect: float) -> Ints:
    """Numbers from 1 for the plants in an image of components (numbered from 1, 0 elsewhere)."""
    distance = np.zeros(image.shape)
    class_image = np.concatenate([np.zeros(1, np.uint8), class_id])[image]
    for k in np.unique(class_id):
        inside = np.pad(class_image == k, 1)
        from_outline = ndimage.distance_transform_edt(inside, sampling=(aspect, 1.0))[1:-1, 1:-1]
        distance = np.where(inside[1:-1, 1:-1], from_outline, distance)
    basin, peak = _basins(image, distance)
    pairs, saddle = _saddles(image, basin, distance)
    group = _merged(peak, pairs, saddle)
    numbers = np.unique(group, return_inverse=True)[1].astype(np.int32) + np.int32(1)
    plants = np.zeros(image.shape, np.int32)
    is_plant = image > 0
    plants[is_plant] = numbers[basin[is_plant]]
    return plants


def _basins(image: Ints, distance: Floats) -> tuple[Longs, Floats]:
    """The basin of each pixel, numbered in scan order of their highest places, and those heights."""
    height, width = image.shape
    label, high = np.pad(image, 1), np.pad(distance, 1)
    best = np.full(image.shape, -1.0)
    way = np.zeros(image.shape, np.int64)
    # In the order of the pixels' indices: of equal heights the last one wins, wherever the image begins.
    for dr, dc in ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0)):
        there = (slice(1 + dr, 1 + dr + height), slice(1 + dc, 1 + dc + width))
        is_better = (label[there] == image) & (high[there] >= best)
        best[is_better] = high[there][is_better]
        way[is_better] = dr * width + dc
    target = np.arange(image.size) + np.where(image > 0, way, 0).ravel()
    while True:
        further = target[target]
        if np.array_equal(further, target):
            break
        target = further
    roots = np.unique(target[image.ravel() > 0])
    basin = np.zeros(image.size, np.int64)
    basin[roots] = np.arange(len(roots))
    return basin[target].reshape(image.shape), distance.ravel()[roots]


def _saddles(image: Ints, basin: Longs, distance: Floats) -> tuple[Longs, Floats]:
    """Pairs of basins (n, 2) that meet, and the height of the widest place between them."""
    ones, others, heights = [], [], []
    below, right = (slice(1, None), slice(None)), (slice(None), slice(1, None))
    above, left = (slice(None, -1), slice(None)), (slice(None), slice(None, -1))
    for here, there in ((above, below), (left, right)):
        meets = (image[here] > 0) & (image[here] == image[there]) & (basin[here] != basin[there])
        one, other = basin[here][meets], basin[there][meets]
        ones.append(np.minimum(one, other))
        others.append(np.maximum(one, other))
        heights.append(np.minimum(distance[here][meets], distance[there][meets]))
    pairs = np.stack([np.concatenate(ones), np.concatenate(others)], axis=1)
    height = np.concatenate(heights)
    order = np.lexsort((-height, pairs[:, 1], pairs[:, 0]))
    pairs, height = pairs[order], height[order]
    is_first = np.ones(len(pairs), np.bool_)
    is_first[1:] = (pairs[1:] != pairs[:-1]).any(axis=1)
    return pairs[is_first], height[is_first]


def _merged(peak: Floats, pairs: Longs, saddle: Floats) -> list[int]:
    """The group of each basin, after merging across all necks that are wide enough."""
    group = list(range(len(peak)))
    top = peak.tolist()

    def root(k: int) -> int:
        while group[k] != k:
            group[k] = group[group[k]]
            k = group[k]
        return k

    order = np.lexsort((pairs[:, 1], pairs[:, 0], -saddle))
    for (one, other), neck in zip(pairs[order].tolist(), saddle[order].tolist(), strict=True):
        a, b = root(one), root(other)
        narrower = min(top[a], top[b])
        # Half a pixel lies between a pixel's centre and the outline.
        if a != b and (narrower <= NARROWEST_PX or neck - 0.5 >= NECK * (narrower - 0.5)):
            a, b = min(a, b), max(a, b)
            group[b] = a
            top[a] = max(top[a], top[b])
    return [root(k) for k in range(len(group))]


def is_small_enough(corners: Corners, n: int) -> Bools:
    """Which of the ``n`` components are parted: their bounding rectangles are within the bound."""
    low, high = np.full((2, n), np.iinfo(np.int64).max), np.full((2, n), -1)
    for axis, place in enumerate((corners.row, corners.col)):
        np.minimum.at(low[axis], corners.component, place)
        np.maximum.at(high[axis], corners.component, place)
    return np.asarray(np.prod(high - low, axis=0) <= LARGEST_PX)
