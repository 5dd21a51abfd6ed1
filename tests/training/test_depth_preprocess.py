"""Pictures into the depth network and depth out of it, against the rules of the published code."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cropseg_geo.errors import InferenceError, InputError
from training.depth.network import DepthNet
from training.depth.pictures import estimate_depth, input_shape, prepare
from training.depth.sizes import DepthSize

TINY = DepthSize("tiny", 16, 4, 2, 8, (4, 6, 8, 10), (0, 1, 2, 3), "Apache-2.0")
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])

LENGTHS = st.integers(1, 6000)


class Seen(torch.nn.Module):
    """A depth network that returns one channel of its input, standardisation undone."""

    def __init__(self, channel=0, factor=1.0):
        super().__init__()
        self.channel = channel
        self.factor = torch.nn.Parameter(torch.tensor(factor))

    def forward(self, images):
        return (images[:, self.channel] * STD[self.channel] + MEAN[self.channel]) * self.factor


def random_picture(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def cubic(values, target, a):
    """Rows of ``values`` resampled to ``target`` of them, four taps each, edges repeated."""
    source = len(values)
    result = np.zeros((target, *values.shape[1:]))
    for i in range(target):
        at = (i + 0.5) * source / target - 0.5
        first = math.floor(at) - 1
        for j in range(first, first + 4):
            t = abs(at - j)
            near = (a + 2) * t**3 - (a + 3) * t**2 + 1
            far = a * t**3 - 5 * a * t**2 + 8 * a * t - 4 * a
            result[i] += (near if t <= 1 else far) * values[min(max(j, 0), source - 1)]
    return result


def reference_input(image, rows, cols, a=-0.75):
    values = cubic(image / 255.0, rows, a)
    values = cubic(values.swapaxes(0, 1), cols, a).swapaxes(0, 1)
    return ((values - MEAN) / STD).transpose(2, 0, 1)


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (518, 518, (518, 518)),
        (100, 100, (518, 518)),
        (480, 640, (518, 686)),  # 690.7 = 49.3 patches
        (1080, 1920, (518, 924)),  # 920.9 = 65.8 patches
        (4000, 3000, (686, 518)),
        (600, 599, (518, 518)),  # 518.9 = 37.1 patches
        (518, 525, (518, 532)),  # 37.5 patches: to the even 38
        (518, 539, (518, 532)),  # 38.5 patches: to the even 38
    ],
)
def test_pictures_are_seen_at_the_published_size(height, width, expected):
    assert input_shape(height, width) == expected


@given(LENGTHS, LENGTHS)
def test_sides_are_multiples_of_a_patch_the_shorter_518(height, width):
    if max(height, width) > 8 * min(height, width):
        with pytest.raises(InputError, match="at most 8 times"):
            input_shape(height, width)
        return
    rows, cols = input_shape(height, width)
    assert rows % 14 == cols % 14 == 0
    assert min(rows, cols) == 518
    assert input_shape(width, height) == (cols, rows)
    longer, exact = max(rows, cols), 518 * max(height, width) / min(height, width)
    assert abs(longer - exact) <= 7.0 + 1e-6


@pytest.mark.parametrize("shape", [(37, 53), (700, 560), (1300, 1100)])
def test_pictures_are_resampled_by_opencv_s_cubic(shape):
    image = random_picture(*shape)
    found = prepare(image)
    assert found.dtype == torch.float32
    expected = reference_input(image, *input_shape(*shape))
    # Coordinates in float32: up to 1e-3 of a standard deviation, on noise.
    np.testing.assert_allclose(found[0].numpy(), expected, atol=2e-3)


def test_pillow_s_cubic_would_be_another():
    image = random_picture(700, 700)
    theirs = np.asarray(Image.fromarray(image).resize((518, 518), Image.Resampling.BICUBIC)) / 255.0
    ours = prepare(image)[0].permute(1, 2, 0).numpy() * STD + MEAN
    assert np.abs(ours - theirs).mean() > 0.05


def test_overshoot_of_the_cubic_is_kept():
    image = np.zeros((100, 150, 3), np.uint8)
    image[:, 75:] = 255
    values = prepare(image)[0].permute(1, 2, 0).numpy() * STD + MEAN
    # OpenCV resamples floats and clips nothing.
    assert values.min() < -0.01
    assert values.max() > 1.01


def test_a_plain_colour_is_standardised_channel_by_channel():
    image = np.full((20, 30, 3), (255, 0, 51), np.uint8)
    expected = (np.array([1.0, 0.0, 0.2]) - MEAN) / STD
    found = prepare(image)[0]
    for channel in range(3):
        np.testing.assert_allclose(found[channel].numpy(), expected[channel], atol=1e-5)


def test_any_memory_layout_is_taken_and_the_picture_is_left_as_it_is():
    image = random_picture(40, 60)
    before = image.copy()
    mirrored = image[:, ::-1]
    mirrored.flags.writeable = False
    assert torch.equal(prepare(mirrored), prepare(np.ascontiguousarray(image[:, ::-1])))
    assert np.array_equal(image, before)


@pytest.mark.parametrize("image", [np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32)])
def test_what_is_no_rgb_picture_is_refused(image):
    with pytest.raises(InputError, match=r"expected \(H, W, 3\) uint8"):
        prepare(image)


def test_empty_and_stretched_pictures_are_refused():
    for shape in ((0, 5, 3), (10, 81, 3)):
        with pytest.raises(InputError, match="cut it into pieces"):
            prepare(np.zeros(shape, np.uint8))


@pytest.mark.parametrize("shape", [(333, 401), (620, 529)])
def test_depth_has_the_picture_s_size_and_corners(shape):
    # Smooth along both axes, so that resampling there and back changes little.
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    ramp = 40 + 160 * (rows / shape[0] + cols / shape[1]) / 2
    image = np.stack([ramp, ramp, ramp], axis=2).astype(np.uint8)
    depth = estimate_depth(Seen(channel=1), image)
    assert depth.shape == shape
    assert depth.dtype == np.float32
    np.testing.assert_allclose(depth, image[..., 1] / 255.0, atol=0.01)
    # Corners lie on corners: each is the network's own value.
    seen = Seen(channel=1)(prepare(image))[0].detach().numpy()
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert depth[corner] == pytest.approx(seen[corner], abs=1e-6)


def test_a_real_network_s_depth_is_finite_not_negative_and_repeatable():
    torch.manual_seed(0)
    network = DepthNet(TINY).eval()
    image = random_picture(90, 120)
    depth = estimate_depth(network, image)
    assert depth.shape == (90, 120)
    assert (depth >= 0).all()
    assert np.array_equal(depth, estimate_depth(network, image))


def test_depth_that_is_not_finite_is_refused():
    with pytest.raises(InferenceError, match="not finite on a picture of 30×40 px"):
        estimate_depth(Seen(factor=math.nan), random_picture(30, 40))
