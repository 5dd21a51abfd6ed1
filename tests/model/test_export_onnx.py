"""Both networks leave torch: their ONNX form gives the same logits, for any batch and size that they take."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_beit import NETWORK as BEIT
from tiny_beit import use_tiny_beit

from cropseg_geo.model.networks import build_network
from cropseg_geo.model.predictor import OnnxPredictor, TorchPredictor
from cropseg_geo.model.weights import read_card, save_weights
from training.export import make_card
from training.onnx_form import export_onnx
from training.recipe import CANOPY_S

CANOPY = {
    "encoder": "test_resnet",
    "width": 8,
    "fine_width": 4,
    "upsampler": "fade-lite",
    "output": "shuffle",
    "detail_width": 8,
    "colour_prior": 18.0,
    "colour_doubted": 5.0,
    "colour_grey": 0.03,
}
FADE = {**BEIT, "upsampler": "fade"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("architecture", "network", "shapes"),
    [
        ("canopy", CANOPY, [(1, 3, 64, 64), (3, 3, 96, 160)]),
        ("depthcropseg", FADE, [(1, 3, 64, 64), (3, 3, 64, 64)]),
    ],
    ids=["canopy", "depthcropseg"],
)
def test_onnx_runtime_gives_the_same_logits(architecture, network, shapes, tmp_path, monkeypatch):
    if architecture == "depthcropseg":
        use_tiny_beit(monkeypatch)
    torch.manual_seed(0)
    recipe = replace(CANOPY_S, name="one", architecture=architecture, network=network, finish={})
    weights = tmp_path / "one.safetensors"
    state = build_network(architecture, classes=2, **network).state_dict()
    save_weights(weights, state, make_card(recipe, scores={}))

    form = export_onnx(weights)

    onnx, ours = OnnxPredictor(form, "onnxruntime"), TorchPredictor(weights, device="cpu")
    assert onnx.card == read_card(weights)
    rng = np.random.default_rng(1)
    for shape in shapes:
        tiles = rng.random(shape, dtype=np.float32)
        np.testing.assert_allclose(onnx.predict(tiles), ours.predict(tiles), atol=1e-4, rtol=0)
