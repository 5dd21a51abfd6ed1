"""The colour index under a network's logits: against a slow computation, and where it must keep quiet.

Its threshold is the one that ships with canopy-s.
"""

from functools import cache

import numpy as np
import pytest
import torch

from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.greenness import REACH, look_at
from cropseg_geo.model.networks.prior import ColourPrior
from cropseg_geo.model.networks.threshold import BINS, HIGHEST, LOWEST
from cropseg_geo.model.runtime import load_network
from cropseg_geo.model.zoo import find_model

SOIL, LEAF = (0.45, 0.35, 0.25), (0.25, 0.5, 0.2)


def image_of(colours):
    """(H, W, 3) colours on 0–1 → (1, 3, H, W) on −1–1."""
    return torch.from_numpy(np.asarray(colours, dtype=np.float32)).permute(2, 0, 1)[None] * 2 - 1


def field(*, leaf=LEAF, soil=SOIL, noise=0.0, side=64, gain=1.0):
    """The left quarter leaf, the rest soil."""
    colours = np.empty((side, side, 3))
    colours[:] = soil
    colours[:, : side // 4] = leaf
    colours += np.random.default_rng(1).normal(0, noise, colours.shape) if noise else 0
    return image_of(np.clip(colours * gain, 0, 1))


@cache
def shipped():
    """The threshold within canopy-s."""
    return load_network(find_model("canopy-s")).get_submodule("prior.threshold")


@torch.no_grad()
def indices_of(images):
    """The images' indices, (N, 1, H, W)."""
    seen = look_at(images)
    return seen.parted_at(shipped()(seen.relative)).index(seen.green)


def index_of(image):
    """The image's index, (H, W)."""
    return indices_of(image)[0, 0]


def slow(image):
    """The definition, in float64: the threshold is the votes' mean for a histogram of 2 × 2 means."""
    colours = (image[0].double().numpy() + 1) / 2
    green = 2 * colours[1] - colours[0] - colours[2]
    h, w = green.shape
    seen = green.reshape(h // 2, 2, w // 2, 2).mean(axis=(1, 3))
    brightness = colours.mean() + 0.02
    shares = np.histogram(seen / (3 * brightness), BINS, (LOWEST, HIGHEST))[0] / seen.size
    votes = shipped().votes(torch.from_numpy(shares[None]).float())[0].double().numpy()
    edges = LOWEST + (HIGHEST - LOWEST) / BINS * np.arange(BINS)
    cut = 3 * brightness * (votes * edges).sum()
    distance = seen[seen > cut].mean() - seen[seen <= cut].mean()
    return np.clip((green - cut) / max(distance, 0.1 * brightness), -REACH, REACH)


def test_two_colours_lie_to_either_side_of_the_threshold_a_distance_apart():
    found = index_of(field())
    leaf, soil = found[:, :16], found[:, 16:]
    assert (leaf > 0.3).all()
    assert (soil < -0.3).all()
    assert torch.allclose(leaf - soil.mean(), torch.tensor(1.0), atol=1e-3)


def test_it_is_what_a_slow_direct_computation_gives():
    image = field(noise=0.05)
    np.testing.assert_allclose(index_of(image), slow(image), atol=2e-3)


def rare_plants():
    """Grey stones on brown soil, half and half, and some plants: 1 % of the picture."""
    colours = np.empty((160, 160, 3))
    colours[:] = SOIL
    colours[:, 80:] = (0.5, 0.53, 0.5)
    colours += np.random.default_rng(3).normal(0, 0.01, colours.shape)
    colours[40:56, 20:36] = LEAF
    return colours


def test_rare_plants_are_parted_from_the_ground_and_not_soil_from_stones():
    image = image_of(rare_plants())
    found = index_of(image)
    is_plant = np.zeros((160, 160), bool)
    is_plant[40:56, 20:36] = True
    assert (found[is_plant] > 0.0).all()
    assert (found[~is_plant] < 0.0).float().mean() > 0.99


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_a_picture_of_plants_alone_is_plants(noise):
    assert (index_of(field(soil=LEAF, noise=noise)) > 0.3).all()


@pytest.mark.parametrize("colour", [(0.0, 0.0, 0.0), (0.5, 0.5, 0.5), (1.0, 1.0, 1.0), SOIL])
def test_a_picture_without_plants_has_none(colour):
    assert (index_of(field(leaf=colour, soil=colour)) < 0.0).all()


def test_noise_on_soil_is_not_stretched_to_vegetation():
    assert (index_of(field(leaf=SOIL, noise=0.004)) < 0.0).float().mean() > 0.95


@pytest.mark.parametrize("gain", [0.25, 0.5, 1.5])
def test_dusk_is_treated_as_noon(gain):
    # But for the floor that is put under the brightness, for pictures of noise alone.
    torch.testing.assert_close(index_of(field(gain=gain)), index_of(field()), atol=0.05, rtol=0.0)


def test_each_image_of_a_batch_has_its_own_threshold():
    first, second = field(noise=0.05), field(leaf=SOIL, soil=LEAF, noise=0.05, gain=0.5)
    together = indices_of(torch.cat([first, second]))
    alone = torch.cat([indices_of(image) for image in (first, second)])
    torch.testing.assert_close(together, alone)


def test_every_class_but_the_first_rises_alike():
    logits = torch.randn(1, 4, 64, 64)
    moved = ColourPrior(4.0, 4)(field(), logits) - logits
    torch.testing.assert_close(moved[:, 1], -moved[:, 0])
    assert all(torch.allclose(moved[:, k], moved[:, 1], atol=1e-5) for k in (2, 3))


def test_a_shift_lets_paler_green_pass_by_as_much():
    plain, shifted, logits = ColourPrior(4.0, 2), ColourPrior(4.0, 2, 0.25), torch.randn(1, 2, 64, 64)
    moved = shifted(field(), logits) - plain(field(), logits)
    torch.testing.assert_close(moved[:, 1], torch.full((1, 64, 64), 0.5))
    torch.testing.assert_close(moved[:, 0], torch.full((1, 64, 64), -0.5))


def test_a_temperature_divides_network_and_index_alike():
    prior, logits = ColourPrior(4.0, 2), torch.randn(1, 2, 64, 64)
    before = prior(field(), logits)
    prior.temperature.fill_(2.5)
    torch.testing.assert_close(prior(field(), logits), before / 2.5)


def test_a_network_that_says_nothing_gives_the_index():
    network = build_network("canopy", classes=2, encoder="mobilenetv2_100", colour_prior=5.0).eval()
    for parameter in network.get_submodule("classifier").parameters():
        parameter.data.zero_()
    with torch.no_grad():
        vegetation = network(field()).argmax(dim=1)[0]
    assert vegetation[:, :16].all()
    assert not vegetation[:, 16:].any()
