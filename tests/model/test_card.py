"""The model card: a strict round trip, and a refusal for every field that cannot be."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from cropseg_geo.errors import ModelError
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_arguments, freeze_scores
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model


def make_card(**changes: object) -> ModelCard:
    card = ModelCard(
        name="tiny-1",
        version="0.1.0",
        summary="A card for tests.",
        architecture="canopy",
        network=freeze_arguments({"width": 8, "encoder": "mobilenetv2_050", "fold_norms": True, "rate": 0.5}),
        mean=(0.5, 0.5, 0.5),
        std=(0.25, 0.25, 0.25),
        classes=("background", "crop"),
        colours=("#000000", "#2e8b57"),
        gsd_m=0.005,
        gsd_range_m=(0.001, 0.03),
        weights_digest="0" * 64,
        licence="CC0-1.0",
        training_data=("made up",),
        scores=freeze_scores({"soybean": {"miou": 0.91, "boundary_iou": 0.5}}),
    )
    return replace(card, **changes)  # type: ignore[arg-type]


def test_a_card_read_back_from_its_json_equals_itself():
    card = make_card()
    again = ModelCard.from_json(card.to_json())
    assert again == card
    assert hash(again) == hash(card)
    assert again.digest == card.digest


def test_a_card_with_a_temperature_comes_back_with_it():
    card = make_card(temperature=1.37)
    again = ModelCard.from_json(card.to_json())
    assert again == card
    assert again.temperature == 1.37
    assert again.digest == card.digest != make_card().digest


@pytest.mark.parametrize(
    ("agreement", "keeps"), [(None, False), (0.99899, False), (0.999, True), (1.0, True)]
)
def test_masks_are_kept_in_bf16_where_it_was_measured_so(agreement, keeps):
    card = make_card(bf16_agreement=agreement)
    assert ModelCard.from_json(card.to_json()) == card
    assert card.keeps_masks_in_bf16 is keeps


def test_a_card_from_before_there_were_temperatures_loads_and_keeps_its_digest():
    card = make_card()
    assert "temperature" not in json.loads(card.to_json())
    again = ModelCard.from_json(card.to_json())
    assert again.temperature is None
    assert again.to_json() == card.to_json()


def test_the_model_that_was_published_first_still_loads():
    card = read_card(find_model("canopy-s"))
    assert card.name == "canopy-s"
    assert ModelCard.from_json(card.to_json()) == card


def test_the_digest_names_the_whole_card():
    card = make_card()
    assert card.digest != replace(card, threshold=0.4).digest
    assert card.digest != replace(card, weights_digest="1" * 64).digest


def test_arguments_come_back_with_their_types():
    arguments = ModelCard.from_json(make_card().to_json()).network_arguments
    assert arguments == {"encoder": "mobilenetv2_050", "fold_norms": True, "rate": 0.5, "width": 8}
    assert type(arguments["width"]) is int
    assert type(arguments["fold_norms"]) is bool


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Tiny 1"),
        ("name", ""),
        ("version", " "),
        ("summary", ""),
        ("architecture", ""),
        ("licence", ""),
        ("training_data", ()),
        ("training_data", ("",)),
        ("bands", ()),
        ("bands", ("red", "red", "blue")),
        ("mean", (0.5, 0.5)),
        ("mean", (0.5, 0.5, float("nan"))),
        ("std", (0.25, 0.25, 0.0)),
        ("std", (0.25,) * 4),
        ("classes", ("crop",)),
        ("classes", ("crop", "crop")),
        ("colours", ("#000000",)),
        ("colours", ("#000000", "green")),
        ("gsd_range_m", (0.03, 0.001)),
        ("gsd_range_m", (0.0, 0.03)),
        ("gsd_m", 0.05),
        ("stride_px", 0),
        ("tile_px", 500),
        ("tile_px", 0),
        ("overlap_px", 257),
        ("overlap_px", -1),
        ("threshold", 0.0),
        ("threshold", 1.0),
        ("temperature", 0.0),
        ("temperature", -1.0),
        ("temperature", float("inf")),
        ("temperature", float("nan")),
        ("bf16_agreement", -0.1),
        ("bf16_agreement", 1.1),
        ("bf16_agreement", float("nan")),
        ("weights_digest", "0" * 63),
        ("weights_digest", "G" * 64),
    ],
)
def test_a_field_that_cannot_be_is_refused_by_name(field, value):
    with pytest.raises(ModelError, match=field) as caught:
        make_card(**{field: value})
    assert "expected" in caught.value.message
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 3),
        ("tile_px", 512.0),
        ("tile_px", True),
        ("threshold", "0.5"),
        ("threshold", True),
        ("temperature", "hot"),
        ("temperature", None),
        ("bf16_agreement", "most"),
        ("bf16_agreement", None),
        ("bands", "red"),
        ("bands", ["red", 2, "blue"]),
        ("mean", 0.5),
        ("gsd_range_m", [0.001]),
        ("network", ["mobilenet"]),
        ("network", {"encoder": None}),
        ("scores", {"soybean": 0.9}),
        ("scores", {"soybean": {"miou": "high"}}),
    ],
)
def test_json_of_the_wrong_type_is_refused_by_field(field, value):
    document = json.loads(make_card().to_json())
    document[field] = value
    with pytest.raises(ModelError, match=field):
        ModelCard.from_json(json.dumps(document))


@pytest.mark.parametrize("text", ["", "no json", "[]", "{}", '{"format": "cropseg-card/99"}'])
def test_other_text_is_refused(text):
    with pytest.raises(ModelError):
        ModelCard.from_json(text)


def test_missing_and_unknown_fields_are_named():
    document = json.loads(make_card().to_json())
    with pytest.raises(ModelError, match="unknown fields: flavour"):
        ModelCard.from_json(json.dumps({**document, "flavour": "mint"}))
    del document["licence"]
    with pytest.raises(ModelError, match="lacks licence"):
        ModelCard.from_json(json.dumps(document))


def test_cards_zoo_and_predictors_are_imported_without_torch():
    code = (
        "import sys, cropseg_geo, cropseg_geo.model.card, cropseg_geo.model.weights, cropseg_geo.model.zoo, "
        "cropseg_geo.model.predictor; sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
