"""Networks rewritten for export compute what they computed before."""

import torch
from torch import nn

from cropseg_geo.model.networks.threshold import LearnedThreshold, histogram
from training.onnx_network import SpelledConvolution, rewrite_for_onnx


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
