"""Backends: decided once, whatever was asked for; all give the same mask, and a tile is computed alone."""

import pickle
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from test_onnx_file import CARD, graph

from cropseg_geo.errors import InferenceError, InputError, ModelError, ResourceError
from cropseg_geo.model import backends, openvino_runtime
from cropseg_geo.model.backends import choose_predictor, onnx_form
from cropseg_geo.model.card import SAME_MASK
from cropseg_geo.model.onnx_file import save_onnx
from cropseg_geo.model.predictor import OnnxPredictor, TorchPredictor
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model

FIELD = Path(__file__).resolve().parents[2] / "sample_tiles" / "field.tif"
WITHOUT_TORCH = ("openvino", "onnxruntime")


@pytest.fixture(autouse=True)
def without_gpu(monkeypatch):
    """These tests are about CPUs; on a machine with a GPU, "auto" means torch."""
    monkeypatch.setattr(backends, "has_gpu", lambda: False)


@pytest.fixture(scope="module")
def tiles():
    """Four tiles of the sample field, 256 px."""
    with rasterio.open(FIELD) as dataset:
        corners = [(1200, 1500), (1800, 2200), (2400, 1300), (2000, 3000)]
        read = [dataset.read((1, 2, 3), window=((r, r + 256), (c, c + 256))) for r, c in corners]
    return np.stack(read).astype(np.float32) / 255


@pytest.fixture
def adding(tmp_path):
    """A network that adds 1."""
    path = tmp_path / "adds.onnx"
    save_onnx(path, graph(), CARD)
    return path


@pytest.fixture(params=[("openvino", "fp32"), ("openvino", "bf16"), ("onnxruntime", "fp32")], ids="-".join)
def predictor(request):
    backend, precision = request.param
    if precision == "bf16" and not openvino_runtime.computes_bf16():
        pytest.skip("this processor does not compute in bf16")
    return choose_predictor("canopy-s", backend=backend, precision=precision)


def test_auto_is_settled_without_torch_where_there_is_no_gpu():
    chosen = choose_predictor("canopy-s")
    assert (chosen.weights, chosen.backend) == (find_model("canopy-s").with_suffix(".onnx"), "openvino")
    assert "auto" not in chosen.identity.values()
    assert chosen.card == read_card(find_model("canopy-s"))


def test_auto_takes_the_next_backend_where_one_does_not_work(monkeypatch):
    works = backends._works
    monkeypatch.setattr(backends, "_works", lambda name: name != "openvino" and works(name))
    assert choose_predictor("canopy-s").backend == "onnxruntime"
    monkeypatch.setattr(backends, "_works", lambda _: False)
    assert choose_predictor("canopy-s") == TorchPredictor(find_model("canopy-s"), "cpu", "fp32")


def test_a_graph_alone_computes_on_the_cpu_beside_a_gpu(adding, monkeypatch):
    monkeypatch.setattr(backends, "has_gpu", lambda: True)
    assert choose_predictor(adding).backend in WITHOUT_TORCH
    with pytest.raises(ModelError, match="torch does not compute"):
        choose_predictor(adding, device="cuda")


def test_auto_is_torch_for_a_gpu_and_for_weights_without_another_form(monkeypatch, tmp_path):
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes(find_model("canopy-s").read_bytes())
    assert choose_predictor(lonely) == TorchPredictor(lonely, "cpu", "fp32")
    monkeypatch.setattr(backends, "has_gpu", lambda: True)
    assert choose_predictor("canopy-s").backend == "torch"
    assert choose_predictor("canopy-s", device="cpu").backend == "openvino"


@pytest.mark.parametrize(
    ("agreement", "there", "precision"),
    [(0.9990, True, "bf16"), (0.9989, True, "fp32"), (None, True, "fp32"), (1.0, False, "fp32")],
)
def test_auto_is_bf16_where_the_processor_has_it_and_masks_stay_the_same(
    monkeypatch, tmp_path, agreement, there, precision
):
    path = tmp_path / "adds.onnx"
    save_onnx(path, graph(), replace(CARD, bf16_agreement=agreement))
    monkeypatch.setattr(openvino_runtime, "computes_bf16", lambda: there)
    assert choose_predictor(path) == OnnxPredictor(path, "openvino", precision)
    assert choose_predictor(path, precision="fp32").precision == "fp32"
    assert choose_predictor(path, backend="onnxruntime").precision == "fp32"


def test_bf16_is_torchs_where_no_other_backend_computes_in_it(monkeypatch):
    monkeypatch.setattr(openvino_runtime, "computes_bf16", lambda: False)
    weights = find_model("canopy-s")
    assert choose_predictor("canopy-s", precision="bf16") == TorchPredictor(weights, "cpu", "bf16")
    with pytest.raises(ResourceError, match="does not compute in bf16") as refused:
        choose_predictor("canopy-s", backend="openvino", precision="bf16")
    assert "--precision fp32" in refused.value.remedy
    # A recipe from a machine that has it, on a worker that has not.
    with pytest.raises(ResourceError, match="does not compute in bf16"):
        backends.load_onnx_runtime(weights.with_suffix(".onnx"), backend="openvino", precision="bf16")


def test_a_form_with_another_card_is_not_taken(tmp_path, adding):
    weights = adding.with_suffix(".safetensors")
    weights.write_bytes(find_model("canopy-s").read_bytes())
    assert onnx_form(weights) is None
    assert onnx_form(adding) == adding


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"backend": "abacus"}, InputError, "unknown backend 'abacus'"),
        ({"precision": "fp8"}, InputError, "unknown precision 'fp8'"),
        ({"backend": "openvino", "device": "cuda"}, InputError, "on the CPU, not on 'cuda'"),
        ({"backend": "onnxruntime", "precision": "bf16"}, ResourceError, "does not compute in bf16"),
        ({"device": "abacus"}, InputError, "unknown device 'abacus'"),
    ],
)
def test_what_does_not_go_together_is_refused_with_a_remedy(options, error, match):
    with pytest.raises(error, match=match) as refused:
        choose_predictor("canopy-s", **options)
    assert refused.value.remedy


def test_a_model_without_a_form_for_the_backend_is_refused(tmp_path, adding):
    lonely = tmp_path / "lonely.safetensors"
    lonely.write_bytes(find_model("canopy-s").read_bytes())
    with pytest.raises(ModelError, match="no ONNX form") as refused:
        choose_predictor(lonely, backend="openvino")
    assert "training onnx" in refused.value.remedy
    with pytest.raises(ModelError, match="torch does not compute"):
        choose_predictor(adding, backend="torch")


@pytest.mark.parametrize("backend", WITHOUT_TORCH)
def test_a_worker_without_the_backend_refuses_and_says_what_to_install(backend, adding, monkeypatch):
    predictor = pickle.loads(pickle.dumps(choose_predictor(adding, backend=backend)))
    monkeypatch.setitem(sys.modules, backend, None)
    with pytest.raises(ResourceError, match=f"--backend {backend} cannot be used here") as refused:
        predictor.predict(np.zeros((1, 3, 32, 32), np.float32))
    assert f"pip install {backend}" in refused.value.remedy


def test_an_onnx_file_given_by_its_path_is_a_model(adding, tiles):
    for backend in WITHOUT_TORCH:
        logits = choose_predictor(adding, backend=backend).predict(tiles)
        np.testing.assert_allclose(logits, (tiles - 0.5) / 0.25 + 1, atol=1e-5)


def test_a_pickled_recipe_is_small_and_gives_the_same_bytes(predictor, tiles):
    raw = pickle.dumps(predictor)
    assert len(raw) < 1_000
    again = pickle.loads(raw)
    assert again == predictor
    np.testing.assert_array_equal(again.predict(tiles[:1]), predictor.predict(tiles[:1]))


def test_a_tile_has_the_same_logits_in_any_batch_thread_and_order(predictor, tiles):
    """What law 3 asks of a backend: more calls at a time than cores, twice, in another order."""
    together = predictor.predict(tiles)
    barrier = threading.Barrier(3)

    def alone(order):
        barrier.wait()
        return {k: predictor.predict(tiles[k : k + 1])[0] for k in order}

    with ThreadPoolExecutor(3) as pool:
        results = list(pool.map(alone, [(0, 1, 2, 3), (3, 2, 1, 0), (2, 0, 3, 1)]))
    for result in results:
        for k, logits in result.items():
            np.testing.assert_array_equal(logits, together[k])


def test_another_shape_in_between_changes_nothing(predictor, tiles):
    before = predictor.predict(tiles[:1])
    assert predictor.predict(np.ascontiguousarray(tiles[:1, :, :96, :128])).shape == (1, 2, 96, 128)
    np.testing.assert_array_equal(predictor.predict(tiles[:1]), before)


@pytest.mark.parametrize("name", ["canopy-s", "canopy-m"])
def test_the_mask_is_that_of_torch(name, tiles):
    expected = TorchPredictor(find_model(name), "cpu", "fp32").predict(tiles).argmax(axis=1)
    for backend in WITHOUT_TORCH:
        found = choose_predictor(name, backend=backend, precision="fp32").predict(tiles).argmax(axis=1)
        assert (found == expected).mean() >= 0.9999


@pytest.mark.parametrize("name", ["canopy-s", "canopy-m"])
def test_bf16_keeps_the_mask_where_the_card_says_so(name, tiles):
    chosen = choose_predictor(name)
    if chosen.precision != "bf16":
        pytest.skip("this processor does not compute in bf16, or the model is not known to keep its masks")
    exact = choose_predictor(name, precision="fp32").predict(tiles).argmax(axis=1)
    assert (chosen.predict(tiles).argmax(axis=1) == exact).mean() >= SAME_MASK


@pytest.mark.parametrize("shape", [(3, 96, 64), (1, 4, 96, 64), (1, 3, 96, 60), (0, 3, 96, 64)])
def test_a_batch_that_does_not_fit_is_refused(predictor, shape):
    with pytest.raises(InferenceError, match="expected"):
        predictor.predict(np.zeros(shape, np.float32))


def test_a_failure_of_a_backend_is_an_inference_error_with_a_remedy(predictor, tiles, monkeypatch):
    def fail(self, *_):
        raise RuntimeError("not enough memory")

    monkeypatch.setattr(type(predictor._runtime()), "_forward", fail)
    with pytest.raises(InferenceError, match=r"256×256 px: not enough memory") as failed:
        predictor.predict(tiles)
    assert "--backend torch" in failed.value.remedy


def test_they_say_where_and_how_they_compute(predictor):
    label = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}[predictor.backend]
    assert predictor.describe().startswith(f"cpu, {predictor.precision}, {label} ")


def test_openvinos_converter_and_telemetry_are_never_imported():
    choose_predictor("canopy-s", backend="openvino")
    assert not [name for name in sys.modules if name.startswith(("openvino_telemetry", "openvino.tools.ovc"))]


def test_openvinos_first_call_in_a_process_is_made_alone_and_later_ones_side_by_side(monkeypatch):
    """Its bindings' set-up deadlocks when two threads are in it."""
    calls, together = [], threading.Barrier(3)

    class Request:
        def infer(self, values, **_):
            calls.append("in")
            if calls == ["in"]:
                threading.Event().wait(0.1)
            else:
                together.wait(30)
            calls.append("out")
            return {0: values[0]}

    monkeypatch.setattr(openvino_runtime, "_called", threading.Event())
    monkeypatch.setattr(openvino_runtime.OpenvinoRuntime, "_compile", lambda self, shape: Request())
    band = np.zeros((1, 1, 1), np.float32)
    runtime = openvino_runtime.OpenvinoRuntime(b"", band, band + 1, "none")
    tile = np.zeros((1, 1, 8, 8), np.float32)
    with ThreadPoolExecutor(4) as pool:
        assert all(out.shape == tile.shape for out in pool.map(lambda _: runtime.predict(tile), range(4)))
    assert calls[:2] == ["in", "out"]
    assert calls[2:5] == ["in"] * 3
