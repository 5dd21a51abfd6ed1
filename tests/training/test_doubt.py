"""Outlines drawn by hand: doubted where colour contradicts them, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from training.data import CERTAIN, UNKNOWN
from training.doubt import ODDS, doubt_outline
from training.labels.colour import learn_colours

GREEN, BROWN, STRAW = (60, 140, 50), (120, 95, 70), (220, 200, 120)


def _picture(plant: np.ndarray) -> np.ndarray:
    """Green plants on brown soil, with the noise of a camera."""
    image = np.where(plant[..., None], GREEN, BROWN).astype(np.float64)
    noise = np.random.default_rng(7).normal(0.0, 4.0, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture
def plant() -> np.ndarray:
    mask = np.zeros((96, 96), bool)
    mask[20:70, 20:70] = True
    return mask


def _target(mask: np.ndarray) -> np.ndarray:
    return np.where(mask, np.uint8(CERTAIN), np.uint8(0))


def test_soil_inside_an_outline_drawn_too_wide_teaches_nothing(plant: np.ndarray) -> None:
    drawn = np.zeros_like(plant)
    drawn[18:72, 18:72] = True
    doubted = doubt_outline(_picture(plant), _target(drawn), reach_px=6)
    # The pixel beside a leaf is half leaf in any real picture: it is left to the mask.
    slack = drawn & ~ndimage.binary_dilation(plant)
    assert (doubted[slack] == UNKNOWN).mean() > 0.9
    assert (doubted[plant] == CERTAIN).mean() > 0.9
    assert (doubted[~drawn] == 0).all()


def test_a_leaf_outside_its_outline_teaches_nothing(plant: np.ndarray) -> None:
    drawn = np.zeros_like(plant)
    drawn[23:70, 20:70] = True
    doubted = doubt_outline(_picture(plant), _target(drawn), reach_px=6)
    assert (doubted[20:22, 22:68] == UNKNOWN).mean() > 0.9


def test_masks_are_believed_far_from_their_outlines(plant: np.ndarray) -> None:
    seen = plant.copy()
    seen[43:47, 43:47] = False  # a brown leaf in the middle of the plant
    seen[5:10, 80:90] = True  # something green on the soil
    doubted = doubt_outline(_picture(seen), _target(plant), reach_px=6)
    np.testing.assert_array_equal(doubted[43:47, 43:47], CERTAIN)
    np.testing.assert_array_equal(doubted[5:10, 80:90], 0)


def test_a_colour_that_soil_has_a_little_more_often_speaks_not_against_the_mask(plant: np.ndarray) -> None:
    # A seventh of the plant and a quarter of the soil are straw: odds of 2 : 1, and 4 : 1 are needed.
    image = np.where(plant[..., None], GREEN, BROWN).astype(np.uint8)
    image[20:27, 20:70] = image[78:96] = STRAW
    colours = learn_colours(image, plant.astype(np.uint8))
    assert 1 - ODDS < colours.probability(image)[20, 20] < 0.45
    np.testing.assert_array_equal(doubt_outline(image, _target(plant), reach_px=6), _target(plant))


def test_colours_that_tell_nothing_change_nothing(plant: np.ndarray) -> None:
    grey = np.random.default_rng(3).integers(0, 256, (96, 96, 3), dtype=np.uint8)
    target = _target(plant)
    np.testing.assert_array_equal(doubt_outline(grey, target, reach_px=6), target)


def test_what_was_unknown_stays_unknown(plant: np.ndarray) -> None:
    target = _target(plant)
    target[:10] = UNKNOWN
    np.testing.assert_array_equal(doubt_outline(_picture(plant), target, reach_px=6)[:10], UNKNOWN)
