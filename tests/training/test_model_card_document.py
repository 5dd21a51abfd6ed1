"""The model card as a document says what the card and the scores say."""

from dataclasses import replace

import pytest

from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model
from training.cards import render_model_card, write_model_card
from training.export import make_card, training_data_of
from training.recipe import find_recipe

SCORES = {
    "soy": {"ExG + Otsu": {"miou": 0.8}, "canopy-s": {"miou": 0.9123, "ece": 0.021}},
    "soy / dry": {"canopy-s": {"miou": 0.7, "ece": 0.5}},
    "peanut": {"ExG + Otsu": {"miou": 0.7}, "canopy-s": {"miou": 0.9, "ece": 0.011}},
}
BEFORE = {
    row: {name: {**found, "ece": 0.08} for name, found in methods.items()} for row, methods in SCORES.items()
}


@pytest.fixture
def card():
    return replace(read_card(find_model("canopy-s")), temperature=None)


def test_the_document_holds_the_card_and_the_scores(card, tmp_path):
    path = tmp_path / "docs" / "model-card-canopy-s.md"
    write_model_card(card, SCORES, path, weights=find_model("canopy-s"), notes=("soy is dry",))
    text = path.read_text(encoding="utf-8")
    for fact in (card.name, card.version, card.summary, card.licence, *card.training_data):
        assert fact in text
    assert "0.0003–0.016 m/px" in text
    assert "**91.23**" in text
    assert "| soy / dry | canopy-s |" in text
    assert "- soy is dry" in text
    assert "MB" in text


def test_it_says_how_many_pixels_keep_their_class_in_bf16(card):
    assert "| In bf16 | 99.912 % of" in render_model_card(replace(card, bf16_agreement=0.99912), SCORES)
    assert "bf16" not in render_model_card(replace(card, bf16_agreement=None), SCORES)


def test_without_a_temperature_it_says_so(card):
    assert "not calibrated" in render_model_card(card, SCORES)


def test_with_a_temperature_it_says_the_error_before_and_after(card):
    text = render_model_card(replace(card, temperature=1.25), SCORES, uncalibrated=BEFORE)
    assert "temperature of 1.250" in text
    assert "| soy | 8.00 | 2.10 |" in text
    assert "| mean of the sets | 8.00 | 1.60 |" in text
    assert "| soy / dry | 8.00" not in text
    assert "| soy | – | 2.10 |" in render_model_card(replace(card, temperature=1.25), SCORES)


@pytest.mark.parametrize("name", ["canopy-s", "canopy-m"])
def test_a_shipped_card_is_the_one_its_recipe_makes(name):
    shipped, made = read_card(find_model(name)), make_card(find_recipe(name), scores={})
    facts = ("training_data", "tile_px", "overlap_px", "network", "version", "licence", "gsd_range_m")
    assert {fact: getattr(shipped, fact) for fact in facts} == {fact: getattr(made, fact) for fact in facts}


def test_a_card_names_the_encoder_and_what_the_stages_saw():
    first, second = (training_data_of(find_recipe(f"depthcropseg-pp-l{stage}")) for stage in ("", "-2"))
    assert first[-1] == second[-1]
    assert "beitv2_large_patch16_224 of timm's hub" in first[-1]
    assert any("900 unlabelled" in line for line in second)
    assert not any("unlabelled" in line for line in first)


def test_the_limits_are_those_of_the_kind_of_network(card):
    attention = make_card(find_recipe("depthcropseg-pp-l"), scores={})
    assert "no position code" in render_model_card(card, SCORES)
    assert "no position code" not in render_model_card(attention, SCORES)
    assert "all of its tile" in render_model_card(attention, SCORES)
