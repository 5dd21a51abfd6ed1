"""The torch predictor: a recipe that pickles, a tile whose logits depend on nothing but the tile."""

import pickle
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest
import torch
from fakes import fake_card
from torch import nn

from cropseg_geo.errors import InferenceError, InputError, ModelError
from cropseg_geo.model import predictor as predictor_module
from cropseg_geo.model import runtime
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_arguments
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.networks.fusion import fuse_batch_norms, pad_symmetrically
from cropseg_geo.model.predictor import Predictor, TorchPredictor, warm_up
from cropseg_geo.model.weights import save_weights

ARGUMENTS = {"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, "fold_norms": True}
CARD = ModelCard(
    name="tiny",
    version="1",
    summary="A card for tests.",
    architecture="canopy",
    network=freeze_arguments(ARGUMENTS),
    mean=(0.4, 0.5, 0.6),
    std=(0.2, 0.25, 0.3),
    classes=("background", "crop"),
    colours=("#000000", "#2e8b57"),
    gsd_m=0.005,
    gsd_range_m=(0.001, 0.03),
    tile_px=96,
    overlap_px=32,
    weights_digest="0" * 64,
    licence="CC0-1.0",
    training_data=("made up",),
)


def random_network(**changes):
    """A tiny network whose batch norms have statistics, so that folding them is no empty exercise."""
    torch.manual_seed(5)
    network = build_network("canopy", classes=2, **{**ARGUMENTS, **changes})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            nn.init.uniform_(module.weight, 0.8, 1.2)
    return network.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    save_weights(path, random_network().state_dict(), CARD)
    return path


@pytest.fixture
def tiles():
    return np.random.default_rng(0).random((3, 3, 96, 64), dtype=np.float32)


def test_a_torch_predictor_is_a_predictor(weights):
    assert isinstance(TorchPredictor(weights), Predictor)


def test_logits_have_the_size_of_the_tiles(weights, tiles):
    logits = TorchPredictor(weights, device="cpu").predict(tiles)
    assert logits.shape == (3, 2, 96, 64)
    assert logits.dtype == np.float32
    assert np.isfinite(logits).all()


def test_a_tile_has_the_same_logits_in_any_batch(weights, tiles):
    predictor = TorchPredictor(weights, device="cpu", precision="fp32")
    together = predictor.predict(tiles)
    alone = np.concatenate([predictor.predict(tile[None]) for tile in tiles])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(predictor.predict(tiles[::-1])[::-1], together)


def test_the_prepared_network_computes_what_the_card_says(weights, tiles):
    mean, std = (np.array(v, np.float32).reshape(1, 3, 1, 1) for v in (CARD.mean, CARD.std))
    with torch.no_grad():
        expected = random_network()(torch.from_numpy((tiles - mean) / std)).numpy()
    result = TorchPredictor(weights, device="cpu", precision="fp32").predict(tiles)
    np.testing.assert_allclose(result, expected, atol=2e-4)


@pytest.mark.parametrize("fold_norms", [True, False])
def test_folding_batch_norms_changes_no_result(fold_norms, tiles):
    network = random_network(fold_norms=fold_norms)
    with torch.no_grad():
        before = network(torch.from_numpy(tiles))
        fuse_batch_norms(network)
        after = network(torch.from_numpy(tiles))
    assert not any(isinstance(module, nn.BatchNorm2d) for module in network.modules())
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("encoder", ["mobilenetv2_050", "tf_efficientnet_lite0"])
def test_symmetric_padding_changes_no_result(encoder, tiles):
    network = random_network(encoder=encoder, pad_type="same")
    with torch.no_grad():
        before = network(torch.from_numpy(tiles))
        pad_symmetrically(network)
        after = network(torch.from_numpy(tiles))
    assert not any(type(module).__name__ == "Conv2dSame" for module in network.modules())
    torch.testing.assert_close(after, before, atol=1e-4, rtol=1e-4)


def test_a_pickled_predictor_is_its_recipe(weights, tiles):
    predictor = TorchPredictor(weights, device="cpu", precision="fp32")
    logits = predictor.predict(tiles[:1])
    raw = pickle.dumps(predictor)
    assert len(raw) < 1_000
    again = pickle.loads(raw)
    assert again == predictor
    assert "card" not in vars(again)
    np.testing.assert_array_equal(again.predict(tiles[:1]), logits)


def test_a_recipe_cannot_be_changed(weights):
    with pytest.raises(FrozenInstanceError):
        TorchPredictor(weights).device = "cuda"


def test_threads_share_one_network(weights, tiles, monkeypatch):
    monkeypatch.setattr(predictor_module, "_RUNTIMES", {})
    loads = []
    load = runtime.load_runtime
    monkeypatch.setattr(runtime, "load_runtime", lambda *a, **k: (loads.append(a), load(*a, **k))[1])
    predictor = TorchPredictor(weights, device="cpu")
    threads = [threading.Thread(target=predictor.predict, args=(tiles[:1],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(loads) == 1


@pytest.mark.parametrize(("device", "alone"), [("cpu", False), ("mps", True)])
def test_only_one_thread_at_a_time_uses_apples_graphics(weights, tiles, monkeypatch, device, alone):
    loaded = runtime.load_runtime(weights, device="cpu", precision="fp32")
    inside, most = [], []

    def forward(self, batch):
        inside.append(self)
        most.append(len(inside))
        time.sleep(0.2)
        inside.pop()
        return batch

    monkeypatch.setattr(runtime.Runtime, "_forward", forward)
    networks = [replace(loaded, device=torch.device(device)) for _ in range(3)]
    with ThreadPoolExecutor(3) as threads:
        list(threads.map(lambda network: network.predict(tiles[:1]), networks))
    assert (max(most) == 1) == alone


def test_a_file_that_was_replaced_is_another_model(tmp_path, tiles):
    path, network = tmp_path / "tiny.safetensors", random_network()
    save_weights(path, network.state_dict(), CARD)
    before = TorchPredictor(path, device="cpu").predict(tiles[:1])
    with torch.no_grad():
        network.get_parameter(next(name for name, _ in network.named_parameters())).mul_(2)
    save_weights(path, network.state_dict(), CARD)
    assert not np.allclose(TorchPredictor(path, device="cpu").predict(tiles[:1]), before)


def test_the_modes_of_torch_are_left_as_they_were(weights, tiles):
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        TorchPredictor(weights, device="cpu").predict(tiles[:1])
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_thread_that_is_done_first_has_its_cores_back():
    within, leave, after = threading.Event(), threading.Event(), []

    def predict_for_longer():
        with predictor_module._one_torch_thread():
            within.set()
            leave.wait(60)
        after.append(torch.get_num_threads())

    before = torch.get_num_threads()
    torch.set_num_threads(3)
    other = threading.Thread(target=predict_for_longer)
    try:
        with predictor_module._one_torch_thread():
            assert torch.get_num_threads() == 1
            other.start()
            assert within.wait(60)
        assert torch.get_num_threads() == 3
        leave.set()
        other.join()
        assert (after, torch.get_num_threads()) == ([3], 3)
    finally:
        leave.set()
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((3, 96, 64), np.float32),
        np.zeros((1, 4, 96, 64), np.float32),
        np.zeros((1, 3, 96, 60), np.float32),
        np.zeros((1, 3, 0, 64), np.float32),
        np.zeros((0, 3, 96, 64), np.float32),
        np.zeros((1, 3, 96, 64), np.float64),
        np.zeros((1, 3, 96, 64), np.uint8),
    ],
)
def test_a_batch_that_does_not_fit_is_refused(weights, batch):
    with pytest.raises(InferenceError, match="expected"):
        TorchPredictor(weights, device="cpu").predict(batch)


def test_a_failure_of_torch_names_the_batch(weights, tiles, monkeypatch):
    predictor = TorchPredictor(weights, device="cpu")
    predictor.predict(tiles[:1])

    def fail(self, batch):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(runtime.Runtime, "_forward", fail)
    with pytest.raises(InferenceError, match="3×3×96×64 on cpu: out of memory"):
        predictor.predict(tiles)


def test_unknown_precisions_and_devices_are_refused(weights, tiles):
    with pytest.raises(InputError, match="precision 'fp8'"):
        TorchPredictor(weights, precision="fp8")
    with pytest.raises(InputError, match="unknown device 'abacus'"):
        TorchPredictor(weights, device="abacus").predict(tiles)
    with pytest.raises(InputError, match="no device 'cuda:99'"):
        TorchPredictor(weights, device="cuda:99").describe()


def test_bf16_can_be_asked_for_and_is_close(weights, tiles):
    exact = TorchPredictor(weights, device="cpu", precision="fp32").predict(tiles[:1])
    rough = TorchPredictor(weights, device="cpu", precision="bf16").predict(tiles[:1])
    assert rough.dtype == np.float32
    assert np.abs(rough - exact).mean() < 0.05 * np.abs(exact).max()


def test_it_says_where_and_how_it_computes(weights):
    text = TorchPredictor(weights, device="cpu", precision="auto").describe()
    assert text.startswith("cpu, fp32, torch ")


def test_an_unknown_network_is_refused(tmp_path, tiles):
    path = tmp_path / "odd.safetensors"
    save_weights(path, random_network().state_dict(), replace(CARD, architecture="oracle"))
    with pytest.raises(ModelError, match="unknown network 'oracle'; this version has: canopy"):
        TorchPredictor(path).predict(tiles)


@pytest.mark.parametrize("network", [{"encoder": "no_such_net"}, {"colour": "red"}, {"encoder": "vit_tiny"}])
def test_arguments_that_build_nothing_are_refused(tmp_path, tiles, network):
    path = tmp_path / "odd.safetensors"
    card = replace(CARD, network=freeze_arguments({**ARGUMENTS, **network}))
    save_weights(path, random_network().state_dict(), card)
    with pytest.raises(ModelError, match="cannot be built"):
        TorchPredictor(path).predict(tiles)


def test_weights_of_another_network_are_refused(tmp_path, tiles):
    path = tmp_path / "odd.safetensors"
    save_weights(path, random_network(width=16).state_dict(), CARD)
    with pytest.raises(ModelError, match="do not fit"):
        TorchPredictor(path).predict(tiles)


def test_far_pixels_do_not_matter():
    """No position code, and without a colour prior no global pooling: a far change leaves logits alone."""
    network = random_network()
    image = torch.rand(1, 3, 64, 1536)
    changed = image.clone()
    changed[..., 1472:] = 0.0
    with torch.no_grad():
        before, after = network(image), network(changed)
    assert torch.equal(before[..., :64], after[..., :64])
    assert not torch.equal(before, after)


@pytest.mark.parametrize(("tile_px", "sides"), [(512, [512]), (70, [64]), (100_000, []), (0, []), (-32, [])])
def test_a_network_is_made_ready_only_for_tiles_that_any_memory_holds(tile_px, sides):
    seen = []

    class Noting:
        card = fake_card(stride_px=32)

        def predict(self, batch):
            seen.append(batch.shape[-1])

    warm_up(Noting(), tile_px)
    _wait_for_warm_ups()
    assert seen == sides


def test_a_network_is_made_ready_once_for_each_lane():
    seen = []

    class Noting:
        card = fake_card(stride_px=32)

        def predict(self, batch):
            seen.append(batch.shape[-1])

    predictor = Noting()
    warm_up(predictor, 64, lanes=3)
    warm_up(predictor, 64, lanes=3)
    _wait_for_warm_ups()
    assert seen == [64, 64, 64]


def _wait_for_warm_ups():
    for thread in threading.enumerate():
        if thread.name == "cropseg-warm-up":
            thread.join()
