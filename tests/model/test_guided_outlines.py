"""Outlines that follow the image: what the guided filter moves, and what it leaves alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.outlines import _SURE, CONTRAST, GuidedOutlines

NETWORK = {"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, "output": "shuffle", "guide_radius": 4}


def _scene(width: int = 64, *, light: float = 1.0) -> tuple[Tensor, Tensor]:
    """Green beside brown with a sharp edge, and logits that cross zero softly, two pixels beside it."""
    column = torch.arange(width, dtype=torch.float32)
    green, brown = torch.tensor([0.25, 0.55, 0.2]), torch.tensor([0.5, 0.4, 0.3])
    is_leaf = column < width / 2
    colours = torch.where(is_leaf, green[:, None], brown[:, None]) * light
    image = (2.0 * colours - 1.0).view(1, 3, 1, width).expand(1, 3, width, width)
    soft = 2.0 * torch.tanh((width / 2 + 2.0 - column) / 4.0)
    return image, torch.stack([-soft, soft]).view(1, 2, 1, width).expand(1, 2, width, width)


@pytest.mark.parametrize("light", [1.0, 0.15])
def test_a_soft_outline_moves_to_the_images_edge_by_day_and_in_the_dusk(light: float) -> None:
    image, logits = _scene(light=light)
    truth = torch.arange(64).expand(64, 64) < 32
    before = ((logits[0, 1] > logits[0, 0]) != truth).sum()
    sharp = GuidedOutlines(4)(image, logits)
    after = ((sharp[0, 1] > sharp[0, 0]) != truth).sum()
    assert after == 0 < before


def test_a_flat_image_keeps_the_mean_of_what_was_said() -> None:
    logits = torch.tensor([-0.7, 0.7]).view(1, 2, 1, 1).expand(1, 2, 64, 64)
    probability = GuidedOutlines(4)(torch.full((1, 3, 64, 64), 0.3), logits).softmax(1)
    torch.testing.assert_close(probability, logits.softmax(1), atol=1e-4, rtol=0)


def test_probabilities_of_several_classes_stay_probabilities() -> None:
    torch.manual_seed(2)
    logits = GuidedOutlines(3)(torch.rand(2, 3, 32, 48) * 2 - 1, 4 * torch.randn(2, 3, 32, 48))
    assert torch.isfinite(logits).all()
    assert logits.softmax(1).min() >= _SURE / 4


def test_it_is_the_guided_filter_of_the_paper() -> None:
    """Against a slow one in float64, window by window, on an image of even 2 × 2 blocks."""
    rng = np.random.default_rng(3)
    radius, side = 2, 12
    blocks = rng.uniform(-0.8, 0.9, (3, side, side))
    said = rng.normal(0.0, 1.0, (side, side))
    image = torch.tensor(np.kron(blocks, np.ones((1, 2, 2))), dtype=torch.float32)[None]
    logit = torch.tensor(np.kron(said, np.ones((2, 2))), dtype=torch.float32)
    logits = torch.stack([torch.zeros_like(logit), logit])[None]

    colours, told = (blocks + 1.0) / 2.0, 1.0 / (1.0 + np.exp(-said))
    lines = np.zeros((4, side, side))
    for i in range(side):
        for j in range(side):
            window = np.s_[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]
            seen, wanted = colours[:, *window].reshape(3, -1), told[window].ravel()
            flat = CONTRAST * (seen.mean() + 0.02) ** 2
            spread = np.cov(seen, bias=True) + flat * np.eye(3)
            slope = np.linalg.solve(spread, (seen * wanted).mean(1) - seen.mean(1) * wanted.mean())
            lines[:, i, j] = *slope, wanted.mean() - slope @ seen.mean(1)
    mean = np.zeros_like(lines)
    for i in range(side):
        for j in range(side):
            window = np.s_[max(0, i - radius) : i + radius + 1, max(0, j - radius) : j + radius + 1]
            mean[:, i, j] = lines[:, *window].reshape(4, -1).mean(1)
    fine = torch.nn.functional.interpolate(torch.tensor(mean)[None], scale_factor=2.0, mode="bilinear")[
        0
    ].numpy()
    expected = (fine[:3] * np.kron(colours, np.ones((1, 2, 2)))).sum(0) + fine[3]
    found = GuidedOutlines(radius)(image, logits).softmax(1)[0, 1].numpy()
    np.testing.assert_allclose(found, expected.clip(_SURE, 1 - _SURE), atol=2e-3)


def test_a_crop_gives_what_the_whole_gives_away_from_its_rim() -> None:
    torch.manual_seed(4)
    image, logits = torch.rand(1, 3, 96, 96) * 2 - 1, torch.randn(1, 2, 96, 96)
    layer = GuidedOutlines(3)
    whole = layer(image, logits)[..., 32:64, 32:64]
    part = layer(image[..., 16:80, 16:80], logits[..., 16:80, 16:80])[..., 16:48, 16:48]
    torch.testing.assert_close(part, whole, atol=1e-4, rtol=1e-4)


def test_a_network_in_training_goes_without_it_and_a_finished_one_has_it() -> None:
    torch.manual_seed(6)
    network = build_network("canopy", classes=2, **NETWORK).eval()
    image = torch.rand(1, 3, 64, 64) * 2 - 1
    with torch.no_grad():
        finished = network(image)
        network.outlines = None
        assert not torch.allclose(network(image), finished)
    learned = [name for name, _ in build_network("canopy", classes=2, **NETWORK).named_parameters()]
    assert not [name for name in learned if name.startswith("outlines")]


def test_its_temperature_divides_the_logits() -> None:
    image, logits = _scene()
    layer = GuidedOutlines(4)
    plain = layer(image, logits)
    layer.temperature.fill_(2.0)
    torch.testing.assert_close(layer(image, logits), plain / 2.0)
