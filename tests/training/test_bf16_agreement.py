"""How many pixels keep their class in bf16: counted pixel by pixel, and not where bf16 is not to be had."""

import numpy as np
import pytest

from cropseg_geo.errors import ResourceError
from cropseg_geo.model import openvino_runtime
from cropseg_geo.model.predictor import OnnxPredictor
from cropseg_geo.model.zoo import find_model
from training.evaluation import precision
from training.evaluation.precision import bf16_agreement
from training.evaluation.sets import Sample, TestSet

GRAPH = find_model("canopy-s").with_suffix(".onnx")


def pictures(*sides):
    """A set of noise, of these heights and widths."""
    rng = np.random.default_rng(3)
    samples = [
        Sample(rng.integers(0, 256, (*side, 3), dtype=np.uint8), np.zeros(side, np.uint8)) for side in sides
    ]
    return TestSet("noise", tuple(lambda s=s: s for s in samples))


@pytest.fixture
def everywhere(monkeypatch):
    """As if this processor had bf16: these tests compute nothing in it."""
    monkeypatch.setattr(precision, "require_bf16", lambda _: None)


def test_it_is_the_share_of_all_pixels_of_all_pictures(everywhere, monkeypatch):
    def predict(self, batch):
        logits = np.zeros((1, 2, *batch.shape[2:]), np.float32)
        # 32 rows of every picture change their class in bf16.
        logits[:, 1, : 32 if self.precision == "bf16" else 0] = 1.0
        return logits

    monkeypatch.setattr(OnnxPredictor, "predict", predict)
    share = bf16_agreement(GRAPH, [pictures((64, 64)), pictures((320, 64), (128, 32))])
    different, pixels = 32 * (64 + 64 + 32), 64 * 64 + 320 * 64 + 128 * 32
    assert share == pytest.approx(1 - different / pixels, abs=1e-5)
    assert share <= 1 - different / pixels


def test_nothing_is_said_where_bf16_is_not_to_be_had(monkeypatch):
    def refuse(_):
        raise ResourceError("no bf16", remedy="buy another processor")

    monkeypatch.setattr(precision, "require_bf16", refuse)
    assert bf16_agreement(GRAPH, [pictures((64, 64))]) is None


def test_on_a_processor_that_has_it_most_pixels_keep_their_class():
    if not openvino_runtime.computes_bf16():
        pytest.skip("this processor does not compute in bf16")
    # From soil to leaf in the smallest steps that there are: many pixels are of neither class for sure.
    green = np.linspace(95, 125, 256)[None, :, None] * (0, 1, 0)
    blocks = np.random.default_rng(3).normal(0, 2, (4, 64, 64, 3)).repeat(4, axis=1).repeat(4, axis=2)
    ramps = [
        Sample(image, np.zeros((256, 256), np.uint8))
        for image in (green + blocks + (100, 0, 80)).astype(np.uint8)
    ]
    share = bf16_agreement(GRAPH, [TestSet("ramps", tuple(lambda s=s: s for s in ramps))])
    assert 0.95 < share < 1.0
