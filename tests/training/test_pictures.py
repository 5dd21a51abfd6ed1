"""Whole pictures through networks that take any size, and through those that take one."""

from dataclasses import replace

import numpy as np
import pytest

from training.evaluation.pictures import picture_logits
from training.export import make_card
from training.recipe import CANOPY_S


class Echo:
    """Gives back red and green, whatever the size; notes the sizes that it was shown."""

    def __init__(self, **network):
        self.card = make_card(replace(CANOPY_S, network=network, finish={}), scores={})
        self.seen = []

    def predict(self, batch_nchw):
        self.seen.append(batch_nchw.shape[-2:])
        return batch_nchw[:, :2]


def picture(height, width):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(64, 96), (50, 70), (33, 200)])
def test_a_picture_is_seen_whole_and_keeps_its_size(size):
    echo = Echo()
    image = picture(*size)
    np.testing.assert_array_equal(
        picture_logits(echo, image), (image[..., :2] / np.float32(255)).transpose(2, 0, 1)
    )
    assert echo.seen == [tuple(-(-side // 32) * 32 for side in size)]


@pytest.mark.parametrize(
    ("size", "tiles"), [((64, 64), 1), ((40, 30), 1), ((65, 64), 2), ((106, 64), 2), ((107, 150), 12)]
)
def test_a_network_of_one_size_slides_by_two_thirds_at_most(size, tiles):
    echo = Echo(img_size=64)
    image = picture(*size)
    np.testing.assert_allclose(
        picture_logits(echo, image), (image[..., :2] / np.float32(255)).transpose(2, 0, 1), rtol=1e-6
    )
    assert echo.seen == [(64, 64)] * tiles
