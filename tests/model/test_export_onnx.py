"""Both networks leave torch: the exported program and ONNX Runtime give the same logits, for any batch."""

import numpy as np
import onnxruntime
import pytest
import torch

from cropseg_geo.model.networks import build_network

NETWORKS = {
    "canopy": {
        "encoder": "test_resnet",
        "width": 8,
        "fine_width": 4,
        "upsampler": "fade-lite",
        "output": "shuffle",
        "detail_width": 8,
        "colour_prior": 5.0,
    },
    "depthcropseg": {
        "encoder": "test_vit2",
        "img_size": 64,
        "heads": 2,
        "value_ratio": 0.5,
        "width": 8,
        "upsampler": "fade",
    },
}


def images(count):
    return torch.rand(count, 3, 64, 64, generator=torch.Generator().manual_seed(count))


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def exported(request):
    """The network and its exported program; images of 64 × 64, any number of them."""
    torch.manual_seed(0)
    network = build_network(request.param, classes=2, **NETWORKS[request.param]).eval()
    shapes = ({0: torch.export.Dim("n")},)
    return network, torch.export.export(network, (images(2),), dynamic_shapes=shapes)


@pytest.mark.parametrize("count", [1, 3])
def test_the_exported_program_gives_the_same_logits(exported, count):
    network, program = exported
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images(count)), network(images(count)))


@pytest.mark.slow
def test_onnx_runtime_gives_the_same_logits(exported, tmp_path):
    network, program = exported
    path = tmp_path / "network.onnx"
    torch.onnx.export(
        program, f=path, dynamo=True, input_names=["images"], output_names=["logits"], verbose=False
    )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, 3):
        with torch.no_grad():
            expected = network(images(count)).numpy()
        (logits,) = session.run(["logits"], {"images": images(count).numpy()})
        np.testing.assert_allclose(logits, expected, atol=1e-4, rtol=0)
