"""The weights file: what was written comes back, and what was damaged is refused."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from cropseg_geo.errors import ModelError, OutputError
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_arguments
from cropseg_geo.model.weights import CARD_KEY, digest_tensors, load_state, read_card, save_weights
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model, model_names

CARD = ModelCard(
    name="tiny",
    version="1",
    summary="A card for tests.",
    architecture="canopy",
    network=freeze_arguments({"encoder": "mobilenetv2_050"}),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    classes=("background", "crop"),
    colours=("#000000", "#2e8b57"),
    gsd_m=0.005,
    gsd_range_m=(0.001, 0.03),
    weights_digest="0" * 64,
    licence="CC0-1.0",
    training_data=("made up",),
)


@pytest.fixture
def state():
    generator = torch.Generator().manual_seed(1)
    return {
        "b.weight": torch.randn(4, 3, generator=generator),
        "a.bias": torch.randn(4, generator=generator).half(),
    }


@pytest.fixture
def weights(tmp_path, state):
    path = tmp_path / "tiny.safetensors"
    save_weights(path, state, CARD)
    return path


def test_tensors_and_card_come_back(weights, state):
    loaded = load_state(weights)
    assert loaded.keys() == state.keys()
    assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert replace(read_card(weights), weights_digest="0" * 64) == CARD


def test_the_card_is_in_the_header_of_a_plain_safetensors_file(weights, state):
    assert load_file(weights).keys() == state.keys()
    raw = weights.read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert ModelCard.from_json(header["__metadata__"][CARD_KEY]) == read_card(weights)


def test_the_digest_depends_on_names_types_shapes_and_values_only(tmp_path, state):
    def digest(tensors, **metadata):
        path = tmp_path / "any.safetensors"
        save_file(tensors, path, metadata=metadata or None)
        return digest_tensors(path.read_bytes())

    reference = digest(state)
    assert digest(dict(reversed(state.items())), note="other") == reference
    assert digest({**state, "a.bias": state["a.bias"].float()}) != reference
    assert digest({**state, "b.weight": state["b.weight"].reshape(3, 4)}) != reference
    assert digest({"c.weight": state["b.weight"], "a.bias": state["a.bias"]}) != reference
    assert digest({**state, "a.bias": state["a.bias"] + 1}) != reference


def test_one_flipped_bit_is_found(weights):
    raw = bytearray(weights.read_bytes())
    raw[-1] ^= 1
    weights.write_bytes(raw)
    with pytest.raises(ModelError, match=r"damaged weights.*digest mismatch") as caught:
        load_state(weights)
    assert caught.value.remedy


@pytest.mark.parametrize("kept", [0, 4, 9, 300, -1])
def test_a_truncated_file_is_refused_before_torch_is_asked(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(ModelError):
        read_card(weights)


@pytest.mark.parametrize(
    "content",
    [b"PK\x03\x04 a zip file of some length", b"\x08\0\0\0\0\0\0\0{not it}", b"\x02" + b"\0" * 7 + b"{}"],
)
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError):
        read_card(path)


def test_weights_without_a_card_are_refused(tmp_path, state):
    path = tmp_path / "bare.safetensors"
    save_file(state, path)
    with pytest.raises(ModelError, match="no model card"):
        read_card(path)


def test_a_missing_file_is_a_model_error(tmp_path):
    with pytest.raises(ModelError, match="cannot read"):
        read_card(tmp_path / "none.safetensors")


def test_a_failed_write_leaves_the_old_file_and_no_part(weights, state, monkeypatch):
    before = weights.read_bytes()
    monkeypatch.setattr("pathlib.Path.replace", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
    with pytest.raises(OutputError, match="disk full"):
        save_weights(weights, {name: tensor * 2 for name, tensor in state.items()}, CARD)
    assert weights.read_bytes() == before
    assert list(weights.parent.iterdir()) == [weights]


def test_an_unknown_model_is_answered_with_the_known_ones_and_a_hint():
    with pytest.raises(ModelError, match="unknown model 'canopy-x'") as caught:
        find_model("canopy-x")
    assert DEFAULT_MODEL in caught.value.message
    assert f"did you mean '{DEFAULT_MODEL}'" in caught.value.remedy


def test_a_missing_path_is_answered_as_a_path(tmp_path):
    with pytest.raises(ModelError, match="no model file"):
        find_model(tmp_path / "mine.safetensors")


def test_a_model_is_found_by_path(weights):
    assert find_model(weights) == weights
    assert find_model(str(weights)) == weights


def test_a_model_found_by_its_name_alone_is_still_found_from_another_folder(weights, monkeypatch):
    monkeypatch.chdir(weights.parent)
    assert find_model(weights.name) == weights
    with pytest.raises(ModelError, match=r"no model file mine\.onnx"):
        find_model("mine.onnx")


@pytest.mark.parametrize("name", model_names())
def test_every_embedded_model_is_small_whole_and_licensed(name):
    path = find_model(name)
    card = read_card(path)
    assert card.name == name
    assert path.stat().st_size < 10_000_000
    assert load_state(path)
    assert card.licence
    assert card.training_data


def test_the_default_model_is_embedded():
    assert DEFAULT_MODEL in model_names()
