"""The ONNX form of a model: the card comes back without any ONNX library, and what was damaged is refused."""

import json
from dataclasses import replace

import onnx
import pytest
from fakes import fake_card

from cropseg_geo.errors import ModelError, OutputError
from cropseg_geo.model.card import CARD_KEY, ModelCard
from cropseg_geo.model.onnx_file import (
    DIGEST_KEY,
    copy_onnx,
    load_graph,
    read_graph_digest,
    read_onnx_card,
    save_onnx,
)
from cropseg_geo.model.weights import load_state, read_card
from cropseg_geo.model.zoo import find_model, model_names

CARD = fake_card(bands=("red", "green", "blue"), mean=(0.5,) * 3, std=(0.25,) * 3, summary="Grün, ≥ 1 cm")


def graph(value=1.0):
    """A serialised network that adds a number to its images."""
    ends = [
        onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, ["n", 3, "h", "w"])
        for name in ("images", "logits")
    ]
    number = onnx.helper.make_tensor("number", onnx.TensorProto.FLOAT, [1], [value])
    node = onnx.helper.make_node("Add", ["images", "number"], ["logits"])
    built = onnx.helper.make_graph([node], "adds", ends[:1], ends[1:], [number])
    return onnx.helper.make_model(built).SerializeToString()


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "adds.onnx"
    save_onnx(path, graph(), CARD)
    return path


def test_the_card_comes_back_and_the_file_is_plain_onnx(model):
    assert read_card(model) == read_onnx_card(model) == CARD
    loaded = onnx.load(model)
    onnx.checker.check_model(loaded)
    metadata = {entry.key: entry.value for entry in loaded.metadata_props}
    assert ModelCard.from_json(metadata[CARD_KEY]) == CARD
    assert metadata[DIGEST_KEY] == read_graph_digest(model)


def test_the_metadata_hold_what_deepness_reads(model):
    metadata = {entry.key: json.loads(entry.value) for entry in onnx.load(model).metadata_props[2:]}
    assert metadata == {
        "model_type": "Segmentor",
        "class_names": {"0": "background", "1": "crop"},
        "resolution": 1.0,
        "tile_size": 32,
        "tiles_size": 32,
        "tiles_overlap": 25.0,
        "standardization_mean": [0.5, 0.5, 0.5],
        "standardization_std": [0.25, 0.25, 0.25],
        "seg_thresh": 0.5,
        "seg_small_segment": 0,
    }


def test_the_digest_is_of_the_graph_and_not_of_the_card(tmp_path, model):
    assert load_graph(model) == model.read_bytes()
    other_card, other_graph = tmp_path / "card.onnx", tmp_path / "graph.onnx"
    save_onnx(other_card, graph(), replace(CARD, version="2"))
    save_onnx(other_graph, graph(2.0), CARD)
    assert read_graph_digest(other_card) == read_graph_digest(model) != read_graph_digest(other_graph)


def test_a_copy_under_another_card_is_the_file_that_would_have_been_written(tmp_path, model):
    other, written, copied = replace(CARD, version="2"), tmp_path / "written.onnx", tmp_path / "copied.onnx"
    save_onnx(written, graph(), other)
    copy_onnx(model, copied, other)
    assert copied.read_bytes() == written.read_bytes()
    assert read_onnx_card(model) == CARD


def test_a_changed_graph_is_found(model):
    content = bytearray(model.read_bytes())
    content[content.index(b"adds")] ^= 1
    model.write_bytes(content)
    assert read_card(model) == CARD
    with pytest.raises(ModelError, match="digest mismatch") as refused:
        load_graph(model)
    assert refused.value.remedy


@pytest.mark.parametrize("kept", [0, 1, 3, 40, 120, -1])
def test_a_truncated_file_is_refused(model, kept):
    model.write_bytes(model.read_bytes()[:kept])
    with pytest.raises(ModelError):
        read_card(model)


@pytest.mark.parametrize("content", [b"PK\x03\x04 a zip file", b"\xff" * 40, b"{}", b"\x72\x02\x0a\x09"])
def test_a_foreign_file_is_refused(tmp_path, content):
    path = tmp_path / "foreign.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="no ONNX file"):
        read_card(path)


def test_a_network_without_a_card_and_a_missing_file_are_refused(tmp_path):
    path = tmp_path / "bare.onnx"
    path.write_bytes(graph())
    with pytest.raises(ModelError, match="no model card"):
        read_card(path)
    with pytest.raises(ModelError, match="digest mismatch"):
        load_graph(path)
    with pytest.raises(ModelError, match="cannot read"):
        read_card(tmp_path / "none.onnx")


def test_a_file_that_cannot_be_written_is_an_output_error(tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(OutputError, match="cannot be written"):
        save_onnx(tmp_path / "taken" / "adds.onnx", graph(), CARD)


@pytest.mark.parametrize("name", model_names())
def test_every_embedded_model_has_both_forms_with_one_card(name):
    weights = find_model(name)
    form = weights.with_suffix(".onnx")
    assert read_card(form) == read_card(weights)
    assert form.stat().st_size < 10_000_000
    assert load_graph(form)
    assert load_state(weights)
