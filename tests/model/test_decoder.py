"""The pixel decoder: every upsampler fits, and the shipped weights mean what they meant."""

import pytest
import torch
from torch.nn import functional as F

from cropseg_geo.errors import ModelError
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.decoder import UPSAMPLERS, BilinearSum, PixelDecoder
from cropseg_geo.model.networks.fade import Fade, FadeLite
from cropseg_geo.model.runtime import load_network
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model

KINDS = {"bilinear": BilinearSum, "fade-lite": FadeLite, "fade": Fade}


def pyramid(sizes=((16, 24), (8, 12), (4, 6)), channels=(3, 5, 7)):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(2, c, *size, generator=generator) for c, size in zip(channels, sizes, strict=True)]


def canopy(**changes):
    torch.manual_seed(0)
    arguments = {"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, **changes}
    return build_network("canopy", classes=2, **arguments).eval()


@pytest.mark.parametrize("upsampler", sorted(UPSAMPLERS))
def test_the_decoder_ends_at_the_finest_map(upsampler):
    decoder = PixelDecoder([3, 5, 7], [4, 8, 8], upsampler=upsampler)
    assert decoder(pyramid()).shape == (2, 4, 16, 24)
    assert all(type(step) is KINDS[upsampler] for step in decoder.upsamplers)


@pytest.mark.parametrize("upsampler", sorted(UPSAMPLERS))
def test_every_map_and_every_parameter_gets_a_gradient(upsampler):
    torch.manual_seed(0)
    decoder = PixelDecoder([3, 5, 7], [4, 8, 8], upsampler=upsampler)
    maps = [level.requires_grad_() for level in pyramid()]
    decoder(maps).square().sum().backward()
    assert all(level.grad.abs().sum() > 0 for level in maps)
    assert all(parameter.grad is not None for parameter in decoder.parameters())


def test_the_bilinear_step_is_the_sum_of_a_feature_pyramid():
    guide, values = torch.randn(1, 3, 6, 8), torch.randn(1, 3, 3, 4)
    expected = guide + F.interpolate(values, size=(6, 8), mode="bilinear", align_corners=False)
    torch.testing.assert_close(BilinearSum(3)(guide, values), expected)
    assert not list(BilinearSum(3).parameters())


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(
        ModelError, match="unknown upsampler 'carafe'; this version has: bilinear, fade, fade-"
    ):
        canopy(upsampler="carafe")
    with pytest.raises(ModelError, match="unknown output 'cubic'"):
        canopy(output="cubic")


def test_fade_lite_is_the_default():
    default, named = canopy(), canopy(upsampler="fade-lite", output="bilinear")
    assert default.state_dict().keys() == named.state_dict().keys()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(default(images), named(images))


def test_a_shuffled_output_gives_each_pixel_its_own_logit():
    images = torch.rand(1, 3, 64, 96)
    network = canopy(output="shuffle")
    with torch.no_grad():
        logits = network(images)
        network.classifier.weight[1::4].zero_()  # class 0 and 1, upper right of each 2 × 2
        network.classifier.bias[1::4].fill_(7.0)
        changed = network(images)
    assert logits.shape == (1, 2, 64, 96)
    assert (changed[..., ::2, 1::2] == 7.0).all()
    assert torch.equal(changed[..., 1::2, :], logits[..., 1::2, :])


def test_the_detail_branch_sees_single_pixels_of_the_image():
    network = canopy(output="shuffle", detail_width=8)
    images = torch.rand(1, 3, 64, 96, requires_grad=True)
    with torch.no_grad():
        for parameter in network.decoder.parameters():
            parameter.zero_()
    logits = network(images)
    assert logits.shape == (1, 2, 64, 96)
    logits[0, 1, 32, 48].backward()
    reached = images.grad[0].abs().sum(0) > 0
    rows, cols = torch.nonzero(reached, as_tuple=True)
    assert reached[32, 48]
    # Three 3 × 3 steps on 2 × 2 pixels each: no farther than 7 pixels, though the encoder sees hundreds.
    assert (rows - 32).abs().max() <= 7
    assert (cols - 48).abs().max() <= 7


NOTED = {
    "1.10.0": [
        [[5.64567, 0.15222], [3.70675, 1.37204], [1.78651, 1.48665]],
        [[-6.40705, -0.04424], [-4.61206, -0.99446], [-2.68542, -1.07347]],
    ],
}
"""Version of canopy-s → its logits at every 32nd pixel of the ramps below, when that version was exported."""


def test_the_shipped_weights_give_the_logits_they_were_shipped_with():
    path = find_model("canopy-s")
    version = read_card(path).version
    if version not in NOTED:
        pytest.skip(f"no logits were noted for canopy-s {version}")
    row, col = torch.linspace(-2, 2, 96)[:, None], torch.linspace(-1, 3, 64)[None]
    ramps = torch.stack([row * col, row + col, row - col])[None]
    with torch.no_grad():
        logits = load_network(path).eval()(ramps)
    torch.testing.assert_close(logits[0, :, ::32, ::32], torch.tensor(NOTED[version]), atol=1e-3, rtol=1e-3)
