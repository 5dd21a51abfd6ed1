"""Calibration: the error of predictors whose error is known, and a temperature that is found again."""

from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from fakes import fake_card
from scipy.special import expit

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks import build_network
from training.data import Decoded
from training.evaluation.calibration import (
    BINS,
    CLASSIFIER,
    Reliability,
    calibrate,
    fit_temperature,
    fold_temperature,
    reliability,
)
from training.evaluation.pictures import vegetation_probability
from training.scores import IGNORE, Truth


def measured(probability, plants):
    return reliability(probability.astype(np.float32), Truth.of(plants.astype(np.uint8)))


def drawn(probability, rng):
    """A truth in which a pixel of probability p is vegetation with probability p."""
    return rng.random(probability.shape) < probability


def true_logits(n, rng):
    """Logits (n, 2) and classes (n,) that these logits describe rightly."""
    margin = rng.normal(0.0, 2.0, n)
    logits = np.stack([np.zeros(n), margin], axis=1) + rng.normal(0.0, 1.0, (n, 1))
    return logits.astype(np.float32), drawn(expit(margin), rng).astype(np.uint8)


def test_a_predictor_that_is_right_about_itself_has_no_calibration_error():
    rng = np.random.default_rng(0)
    probability = rng.random((600, 700))
    assert measured(probability, drawn(probability, rng)).ece < 0.004


def test_an_overconfident_predictor_has_the_error_that_it_was_given():
    # Says 0.1 and 0.9 where 0.3 and 0.7 are true: off by 0.2 everywhere.
    probability = np.repeat([[0.1], [0.9]], 1000, axis=1)
    plants = np.zeros((2, 1000))
    plants[0, :300] = plants[1, :700] = 1
    assert measured(probability, plants).ece == pytest.approx(0.2, abs=1e-6)


def test_errors_of_the_two_classes_do_not_cancel():
    # Its winning class is right in 80 % of pixels at a certainty of 0.8, yet both probabilities are off.
    probability = np.repeat([[0.2], [0.8]], 100, axis=1)
    plants = np.zeros((2, 100))
    plants[1, :60] = 1
    assert measured(probability, plants).ece == pytest.approx(0.2, abs=1e-6)


def test_histograms_of_two_pictures_add_up_to_those_of_both():
    rng = np.random.default_rng(1)
    probability = rng.random((2, 40, 50))
    plants = drawn(probability**2, rng)
    apart = measured(probability[0], plants[0]) + measured(probability[1], plants[1])
    whole = measured(probability.reshape(80, 50), plants.reshape(80, 50))
    assert apart.pixels == whole.pixels
    assert apart.ece == pytest.approx(whole.ece)
    assert Reliability().ece == 0.0


def test_unknown_pixels_are_in_no_bin_and_certainty_is_in_the_last():
    truth = np.array([[1, 0, IGNORE, IGNORE]], np.uint8)
    found = reliability(np.array([[1.0, 0.0, 0.5, 1.0]], np.float32), Truth.of(truth))
    assert sum(found.pixels) == 2
    assert found.pixels[0] == found.pixels[BINS - 1] == 1
    assert found.ece == 0.0
    assert found.curve() == ((0.0, 0.0, 1), (1.0, 1.0, 1))


@pytest.mark.parametrize("probability", [0.06, 0.34, 0.5, 0.93, 0.99])
def test_a_pixel_is_in_the_bin_whose_bounds_it_lies_between(probability):
    (place,) = np.flatnonzero(measured(np.array([[probability]]), np.ones((1, 1))).pixels)
    assert place / BINS <= probability < (place + 1) / BINS


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_temperature_is_found_again(temperature):
    logits, classes = true_logits(200_000, np.random.default_rng(2))
    found = fit_temperature(logits * np.float32(temperature), classes)
    assert found == pytest.approx(temperature, rel=0.02)


def test_samples_that_say_nothing_of_a_temperature_are_refused():
    logits = np.array([[0.0, 4.0], [4.0, 0.0]], np.float32)
    with pytest.raises(InputError, match="right on all 2"):
        fit_temperature(logits, np.array([1, 0]))
    with pytest.raises(InputError, match="end of the range"):
        fit_temperature(logits, np.array([0, 1]))
    with pytest.raises(InputError, match="no pixels"):
        fit_temperature(logits[:0], np.array([], np.uint8))
    with pytest.raises(InputError, match="no pictures"):
        calibrate(MarginPredictor(), [], rng=np.random.default_rng(0))


@dataclass(frozen=True)
class MarginPredictor:
    """Reads the margin of its logits off the first band: overconfident by ``factor``."""

    factor: float = 1.0
    card: object = field(default_factory=lambda: fake_card(stride_px=8))

    def predict(self, batch):
        margin = (batch[:, 0] - np.float32(0.5)) * np.float32(8.0 * self.factor)
        return np.stack([np.zeros_like(margin), margin], axis=1)


def pictures(n, rng):
    """Pictures whose first band, read as that predictor reads it, gives the probability of the truth."""
    for _ in range(n):
        values = rng.integers(0, 256, (60, 75))
        plants = drawn(expit((values / 255.0 - 0.5) * 8.0), rng)
        mask = np.where(rng.random(plants.shape) < 0.1, IGNORE, plants).astype(np.uint8)
        yield Decoded(np.repeat(values[..., None], 3, axis=2).astype(np.uint8), mask)


def test_calibrating_an_overconfident_model_makes_it_true():
    rng = np.random.default_rng(5)
    found = calibrate(MarginPredictor(factor=3.0), list(pictures(10, rng)), rng=rng)
    assert found.temperature == pytest.approx(3.0, rel=0.05)
    assert found.ece_before > 0.04
    assert found.ece_after < 0.015
    assert found.pixels < 10 * 60 * 75


def test_the_same_generator_state_draws_the_same_pixels():
    shown = list(pictures(2, np.random.default_rng(6)))
    runs = [
        calibrate(MarginPredictor(2.0), shown, rng=np.random.default_rng(7), pixels_a_picture=500)
        for _ in "ab"
    ]
    assert runs[0] == runs[1]
    assert runs[0].pixels == 1000


def test_a_folded_temperature_divides_the_logits_and_leaves_the_mask():
    torch.manual_seed(0)
    network = build_network("canopy", classes=2, encoder="mobilenetv2_050", width=8, fine_width=4).eval()
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        before = network(images)
        network.load_state_dict(fold_temperature(network.state_dict(), 2.5))
        after = network(images)
    torch.testing.assert_close(after, before / 2.5)
    masks = [vegetation_probability(logits.numpy()) >= 0.5 for logits in (before, after)]
    np.testing.assert_array_equal(*masks)


def test_a_temperature_that_cannot_be_folded_is_refused():
    state = {f"{CLASSIFIER}.weight": torch.ones(2)}
    with pytest.raises(InputError, match=r"no classifier\.bias"):
        fold_temperature(state, 2.0)
    for temperature in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="not a number above 0"):
            fold_temperature(state, temperature)
