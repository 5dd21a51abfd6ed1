"""The learned threshold: its histogram, what it says before it was taught, and that it can be."""

import numpy as np
import pytest
import torch

from cropseg_geo.model.networks.threshold import BINS, HIGHEST, LOWEST, LearnedThreshold, bin_of, histogram


def test_the_histogram_is_numpys_and_what_lies_outside_counts_to_the_last_bin_there():
    values = torch.rand(3, 5000, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.5
    found = histogram(values)
    inside = np.clip(values.numpy(), LOWEST + 1e-5, HIGHEST - 1e-5)
    for row, shares in zip(inside, found.numpy(), strict=True):
        expected, _ = np.histogram(row, BINS, (LOWEST, HIGHEST))
        # A value on an edge may fall to either side: float32 here, float64 there.
        assert np.abs(shares - expected / 5000).max() <= 2 / 5000
    torch.testing.assert_close(found.sum(1), torch.ones(3))


def test_bins_and_candidates_are_the_same_edges():
    threshold = LearnedThreshold()
    middles = threshold.candidates + (HIGHEST - LOWEST) / BINS / 2
    torch.testing.assert_close(bin_of(middles), torch.arange(BINS).float())


@pytest.mark.parametrize("greenness", [torch.zeros(1, 100), torch.full((1, 100), 0.5), torch.randn(1, 100)])
def test_before_it_was_taught_it_is_the_habitual_threshold(greenness):
    assert LearnedThreshold()(greenness).item() == pytest.approx(0.1, abs=0.01)


def test_each_picture_has_its_own_threshold():
    threshold = LearnedThreshold()
    torch.nn.init.normal_(threshold.score.weight)
    first, second = torch.randn(1, 500) * 0.1, torch.rand(1, 500)
    together = threshold(torch.cat([first, second]))
    torch.testing.assert_close(together, torch.cat([threshold(first), threshold(second)]))
    assert together[0] != together[1]


def test_votes_are_shares_and_every_weight_learns_from_them():
    threshold = LearnedThreshold()
    torch.nn.init.normal_(threshold.score.weight)
    votes = threshold.votes(histogram(torch.randn(4, 200) * 0.2))
    assert votes.shape == (4, BINS)
    torch.testing.assert_close(votes.sum(1), torch.ones(4))
    votes[:, :40].sum().backward()
    assert all(p.grad is not None for p in threshold.parameters())
    assert all(p.grad.abs().sum() > 0 for name, p in threshold.named_parameters() if name != "score.bias")


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.8, 2.0])
def test_a_picture_of_one_value_gives_numbers(value):
    threshold = LearnedThreshold()
    torch.nn.init.normal_(threshold.score.weight)
    found = threshold(torch.full((1, 64), value))
    assert LOWEST <= found.item() <= HIGHEST
