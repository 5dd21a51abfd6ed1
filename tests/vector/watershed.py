"""Plants that touch, parted the slow way: pixel by pixel, over the whole mask at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

Pixel = tuple[int, int]


def heights(mask: npt.NDArray[np.uint8], aspect: float, reach_px: int) -> npt.NDArray[np.float32]:
    """Distance (px) of plants' pixels to what is not of their class, or the rim; at most the reach."""
    found = np.zeros(mask.shape, np.float32)
    for k in np.unique(mask[(mask != 0) & (mask != 255)]):
        inside = np.pad(mask == k, 1)
        distance = ndimage.distance_transform_edt(inside, sampling=(aspect, 1.0))[1:-1, 1:-1]
        found[mask == k] = np.minimum(distance, reach_px)[mask == k]
    return found


def cuts(mask: npt.NDArray[np.uint8], aspect: float, reach_px: int) -> tuple[list[int], list[int]]:
    """Edges between pixels of one class that belong to different plants: lying ones by the pixel above them,
    standing ones by the pixel to their left (row × width + column); sorted."""
    height = heights(mask, aspect, reach_px)
    number = np.arange(mask.size).reshape(mask.shape)

    def beside(at: Pixel, steps: tuple[Pixel, ...]) -> list[Pixel]:
        near = [(at[0] + r, at[1] + c) for r, c in steps]
        return [p for p in near if min(p) >= 0 and p in is_plant and mask[p] == mask[at]]

    is_plant = {(int(r), int(c)) for r, c in np.argwhere(height > 0)}
    around = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))
    # The way leads to the highest pixel around, of equal ones to the last; where it ends is the basin's name.
    way = {at: max(beside(at, around), key=lambda p: (height[p], number[p])) for at in is_plant}

    def end(at: Pixel) -> Pixel:
        while way[at] != at:
            at = way[at]
        return at

    basin = {at: end(at) for at in is_plant}
    edges = [(at, other) for at in sorted(is_plant) for other in beside(at, ((0, 1), (1, 0)))]
    necks: dict[tuple[Pixel, Pixel], float] = {}
    for at, other in edges:
        if basin[at] != basin[other]:
            pair = (min(basin[at], basin[other]), max(basin[at], basin[other]))
            necks[pair] = max(necks.get(pair, 0.0), float(min(height[at], height[other])))
    plant = {top: top for top in basin.values()}
    for pair, width in sorted(necks.items(), key=lambda item: (-item[1], item[0])):
        low, high = sorted((plant[top] for top in pair), key=lambda top: height[top])
        # Half a pixel lies between a pixel's centre and the outline; what is narrow throughout is no plant.
        if height[low] <= 3.0 or width - 0.5 >= 0.7 * (float(height[low]) - 0.5):
            plant = {top: high if owner == low else owner for top, owner in plant.items()}
    parted = [(at, other) for at, other in edges if plant[basin[at]] != plant[basin[other]]]
    lying = sorted(int(number[at]) for at, other in parted if at[0] != other[0])
    return lying, sorted(int(number[at]) for at, other in parted if at[0] == other[0])
