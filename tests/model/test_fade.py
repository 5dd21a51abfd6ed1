"""FADE against its equations, computed slowly, pixel by pixel, in float64."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from cropseg_geo.errors import InferenceError
from cropseg_geo.model.networks.fade import Fade, FadeLite, reassemble, semi_shift

SIZES = [(1, 1), (1, 3), (3, 2), (5, 7)]


def random(*shape, seed=0):
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def slow_reassembly(decoder, kernels):
    """Σ_{|u|,|v| ≤ 2} K[(u,v), 2i+a, 2j+b] · D[c, i+u, j+v], as it is written."""
    n, c, height, width = decoder.shape
    out = np.zeros((n, c, 2 * height, 2 * width))
    for row in range(2 * height):
        for col in range(2 * width):
            for tap in range(25):
                i, j = row // 2 + tap // 5 - 2, col // 2 + tap % 5 - 2
                if 0 <= i < height and 0 <= j < width:
                    out[:, :, row, col] += (
                        kernels[:, tap, row, col, None].numpy() * decoder[:, :, i, j].numpy()
                    )
    return torch.from_numpy(out)


def slow_fade(module, encoder, decoder):
    """The six steps, with the semi-shift on an upsampled map: the shift steps over whole decoder pixels."""
    coarse = F.conv2d(
        module.compress_decoder(decoder), module.shift.weight, padding=1, groups=module.shift.groups
    )
    logits = module.shift(module.compress_encoder(encoder))
    logits = logits + coarse.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    gate = torch.sigmoid(module.gate(decoder)).repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    upsampled = slow_reassembly(decoder, torch.softmax(logits, dim=1).detach())
    return gate * encoder + (1 - gate) * upsampled


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_reassembly_is_the_sum_over_25_neighbours(size, layout):
    decoder = random(2, 3, *size).contiguous(memory_format=layout)
    kernels = random(2, 25, 2 * size[0], 2 * size[1], seed=1).contiguous(memory_format=layout)
    torch.testing.assert_close(reassemble(decoder, kernels), slow_reassembly(decoder, kernels))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("kind", [Fade, FadeLite])
def test_both_kinds_follow_the_equations(kind, size):
    torch.manual_seed(3)
    module = kind(4).double()
    for name, bias in module.named_parameters():
        if name.endswith("bias"):  # they start at 0, where one that counts twice is not seen
            torch.nn.init.normal_(bias)
    encoder, decoder = random(1, 4, 2 * size[0], 2 * size[1]), random(1, 4, *size, seed=1)
    with torch.no_grad():
        torch.testing.assert_close(module(encoder, decoder), slow_fade(module, encoder, decoder))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_the_written_out_gradient_is_the_numerical_one(layout):
    decoder = random(1, 2, 2, 3).contiguous(memory_format=layout).requires_grad_()
    kernels = random(1, 25, 4, 6, seed=1).contiguous(memory_format=layout).requires_grad_()
    assert torch.autograd.gradcheck(reassemble, (decoder, kernels))


@pytest.mark.parametrize("make", [FadeLite, lambda channels: Fade(channels, compressed=3)])
def test_the_gradient_of_the_whole_module_is_the_numerical_one(make):
    torch.manual_seed(0)
    module = make(2).double()
    encoder, decoder = random(1, 2, 4, 6).requires_grad_(), random(1, 2, 2, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(module, (encoder, decoder))


def test_with_and_without_gradients_the_result_is_the_same():
    decoder, kernels = random(1, 3, 4, 4), random(1, 25, 8, 8, seed=1)
    tracked = reassemble(decoder.clone().requires_grad_(), kernels)
    assert torch.equal(tracked.detach(), reassemble(decoder, kernels))


def test_a_constant_map_stays_constant_away_from_the_rim():
    decoder = torch.full((1, 2, 9, 9), 3.0, dtype=torch.float64)
    result = reassemble(decoder, torch.softmax(random(1, 25, 18, 18), dim=1))
    torch.testing.assert_close(result[:, :, 4:-4, 4:-4], torch.full((1, 2, 10, 10), 3.0, dtype=torch.float64))
    assert (result[:, :, 0, 0] < 3.0).all()


def test_a_kernel_with_one_tap_is_a_shift():
    decoder = random(1, 1, 6, 6)
    kernels = torch.zeros(1, 25, 12, 12, dtype=torch.float64)
    kernels[:, 3 * 5 + 1] = 1.0  # one row down, one column left
    result = reassemble(decoder, kernels)
    assert torch.equal(result[0, 0, 2:8:2, 2:8:2], decoder[0, 0, 2:5, 0:3])


def test_an_open_gate_passes_the_encoder_and_a_shut_one_the_decoder():
    module = FadeLite(3).double()
    encoder, decoder = random(1, 3, 8, 8), random(1, 3, 4, 4, seed=1)
    with torch.no_grad():
        module.gate.weight.zero_()
        module.gate.bias.fill_(50.0)
        torch.testing.assert_close(module(encoder, decoder), encoder)
        module.gate.bias.fill_(-50.0)
        kernels = semi_shift(module.shift, module.compress_encoder(encoder), module.compress_decoder(decoder))
        upsampled = reassemble(decoder, kernels.softmax(dim=1))
        torch.testing.assert_close(module(encoder, decoder), upsampled)


@pytest.mark.parametrize(("kind", "expected"), [(Fade, 47_514), (FadeLite, 13_332)])
def test_the_number_of_parameters_is_the_published_one(kind, expected):
    assert sum(parameter.numel() for parameter in kind(256).parameters()) == expected


@pytest.mark.parametrize("shape", [(3, 8, 9), (3, 7, 10), (3, 4, 5), (2, 8, 10), (3, 16, 20)])
def test_maps_that_are_not_two_to_one_are_refused(shape):
    with pytest.raises(InferenceError, match="expected 3×8×10, twice the decoder's"):
        FadeLite(3)(torch.zeros(1, *shape), torch.zeros(1, 3, 4, 5))


class LargestTensor(TorchDispatchMode):
    """Notes the size of the largest storage that any operation gave back."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, torch.Tensor):
                self.bytes = max(self.bytes, value.untyped_storage().nbytes())
        return result


@pytest.mark.parametrize("trained", [False, True])
def test_no_map_is_unfolded_to_25_times_its_size(trained):
    decoder, kernels = torch.randn(1, 64, 16, 16), torch.randn(1, 25, 32, 32)
    output_bytes = 64 * 32 * 32 * 4
    with LargestTensor() as largest:
        result = reassemble(decoder.requires_grad_(trained), kernels.requires_grad_(trained))
        if trained:
            result.sum().backward()
    # Twice the four pixels of padding on each side are the only excess: (32 + 8)² / 32².
    assert output_bytes <= largest.bytes <= 1.6 * output_bytes


def test_training_keeps_the_two_maps_and_nothing_of_the_25_products():
    kept = []
    decoder = torch.randn(1, 4, 8, 8, requires_grad=True)
    kernels = torch.randn(1, 25, 16, 16, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(
        lambda value: kept.append(value) or value, lambda value: value
    ):
        reassemble(decoder, kernels)
    assert sorted(value.numel() for value in kept) == [decoder.numel(), kernels.numel()]
