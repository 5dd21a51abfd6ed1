"""Networks rewritten for export compute what they computed before."""

import pytest
import torch
from torch import nn

from cropseg_geo.model.networks.prior import ColourPrior
from cropseg_geo.model.networks.threshold import LearnedThreshold, histogram
from training.onnx_network import PlanarPrior, SpelledConvolution, rewrite_for_onnx


def test_a_convolution_spelled_out_is_the_convolution():
    torch.manual_seed(0)
    for taps in (1, 9):
        convolution = nn.Conv1d(5, 7, taps, padding=taps // 2)
        values = torch.randn(3, 5, 20)
        torch.testing.assert_close(SpelledConvolution(convolution)(values), convolution(values))


def test_a_threshold_without_convolutions_gives_the_same_votes():
    torch.manual_seed(0)
    holder = nn.Sequential(LearnedThreshold())
    nn.init.normal_(holder[0].score.weight)
    shares = histogram(torch.rand(2, 400))
    with torch.no_grad():
        before = holder[0].votes(shares)
        after = rewrite_for_onnx(holder)[0].votes(shares)
    assert not [part for part in holder.modules() if isinstance(part, nn.Conv1d)]
    torch.testing.assert_close(after, before)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize(("doubted", "grey"), [(0.0, 0.0), (2.0, 0.0), (2.0, 0.3)])
def test_a_colour_index_on_flattened_maps_is_the_same_to_the_bit(classes: int, doubted: float, grey: float):
    torch.manual_seed(0)
    prior = ColourPrior(9.0, classes, shift=0.1, doubted=doubted, grey=grey)
    prior.temperature.fill_(1.3)
    images, logits = torch.rand(2, 3, 16, 24) * 2.0 - 1.0, 4.0 * torch.randn(2, classes, 16, 24)
    with torch.no_grad():
        expected = prior(images, logits)
        assert torch.equal(PlanarPrior(prior)(images, logits), expected)
    assert not torch.equal(expected, logits / 1.3)


def test_the_colour_index_of_a_network_is_rewritten():
    holder = nn.ModuleDict({"prior": ColourPrior(9.0, 2)})
    assert isinstance(rewrite_for_onnx(holder)["prior"], PlanarPrior)
    assert not [part for part in holder.modules() if isinstance(part, nn.Conv1d)]
