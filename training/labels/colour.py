"""Colour as a helper of height: it decides where height cannot, never against a plant that height is sure of.

What plants look like is learned from the very picture: the colours of what stands high, against those of what
lies low. So yellow, red and grey plants keep their place, which a fixed index for green would deny them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from training.excess_green import excess_green
from training.labels.clean import BACKGROUND, UNKNOWN, VEGETATION, Label

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SURE = 0.9
"""Odds of 9 : 1 let colour decide a pixel that height left open."""

CONTRADICTS = 0.9
"""Odds of 9 : 1 for plant colour on what height calls soil: plants too low for it, which become unknown."""

MIN_ACCURACY = 0.8
"""Colour has a say where it tells height's sure pixels apart this well (balanced accuracy)."""

_BINS = 32
_SMOOTHING_BINS = 1.0
_MIN_PIXELS = 200
_TRUST_ROUNDS = 2


@dataclass(frozen=True, eq=False)
class ColourModel:
    """Probability of vegetation by colour.

    Parameters
    ----------
    table
        (32, 32, 32) float32 over excess green, red − blue and brightness; 0.5 where a colour was not seen.
    accuracy
        Balanced accuracy on the sure pixels of the label that it was learned from.
    """

    table: Floats
    accuracy: float

    @property
    def is_useful(self) -> bool:
        return self.accuracy >= MIN_ACCURACY

    def probability(self, image: Pixels) -> Floats:
        """Probability of vegetation (H, W) of an RGB picture (H, W, 3)."""
        return np.asarray(self.table.ravel()[_cells(image)], dtype=np.float32)


def learn_colours(image: Pixels, label: Label) -> ColourModel | None:
    """Colours of what the label is sure of; None with fewer than 200 pixels of either class.

    Soil pixels that look like plants are left out in a second round: plants lower than height can see.
    """
    cells = _cells(image)
    plant, soil = label == VEGETATION, label == BACKGROUND
    if min(plant.sum(), soil.sum()) < _MIN_PIXELS:
        return None
    trusted = soil
    table = _table(cells[plant], cells[trusted])
    for _ in range(_TRUST_ROUNDS):
        trusted = soil & (table.ravel()[cells] < CONTRADICTS)
        if trusted.sum() < _MIN_PIXELS:
            break
        table = _table(cells[plant], cells[trusted])
    probability = table.ravel()[cells]
    accuracy = (float((probability[plant] > 0.5).mean()) + float((probability[soil] < 0.5).mean())) / 2.0
    return ColourModel(table, accuracy)


def refine_with_colour(
    label: Label,
    image: Pixels,
    model: ColourModel | None,
    *,
    valid: npt.NDArray[np.bool_] | None = None,
) -> Label:
    """The label with its unknown pixels decided by colour where colour is clear.

    Where height and colour disagree in general (the model of this picture's colours is no better than 80 %),
    the label comes back as it is. Vegetation of the label stays vegetation in every case.

    Parameters
    ----------
    label
        (H, W) uint8 of 0, 1 and 255.
    image
        RGB (H, W, 3) uint8.
    model
        What :func:`learn_colours` made of the two.
    valid
        (H, W), False where the picture has no data; there the label stays unknown.
    """
    if model is None or not model.is_useful:
        return label.copy()
    probability = model.probability(image)
    refined = label.copy()
    is_open = label == UNKNOWN
    if valid is not None:
        is_open &= valid
    refined[is_open & (probability >= SURE)] = VEGETATION
    refined[is_open & (probability <= 1.0 - SURE)] = BACKGROUND
    refined[(label == BACKGROUND) & (probability >= CONTRADICTS)] = UNKNOWN
    return refined


def _cells(image: Pixels) -> npt.NDArray[np.intp]:
    """Index of each pixel's colour cell: excess green is spread widest, it tells most."""
    values = image.astype(np.float32)
    green = np.clip(excess_green(image) + 80.0, 0.0, 239.0) / 240.0
    warm = np.clip(values[..., 0] - values[..., 2] + 64.0, 0.0, 191.0) / 192.0
    bright = values.sum(axis=-1) / 766.0
    index = [(axis * _BINS).astype(np.intp) for axis in (green, warm, bright)]
    return np.asarray((index[0] * _BINS + index[1]) * _BINS + index[2])


def _table(plant: npt.NDArray[np.intp], soil: npt.NDArray[np.intp]) -> Floats:
    """Smoothed share of plants in each cell, both classes weighing the same."""
    densities = []
    for cells in (plant, soil):
        counts = np.bincount(cells, minlength=_BINS**3).reshape(_BINS, _BINS, _BINS) / len(cells)
        densities.append(ndimage.gaussian_filter(counts, _SMOOTHING_BINS, mode="constant"))
    # A millionth in each cell keeps colours that were not seen at 1/2.
    table: Floats = ((densities[0] + 1e-6) / (densities[0] + densities[1] + 2e-6)).astype(np.float32)
    return table
