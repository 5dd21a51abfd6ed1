"""Stages: what a recipe needs is made before it, once, and stage 2 learns from what stage 1 labelled."""

import csv
import json
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tiny_beit import NETWORK as BEIT
from tiny_beit import use_tiny_beit

from cropseg_geo.errors import InputError
from cropseg_geo.model.weights import read_card
from training.augment import Augmentation
from training.data import MANIFEST, read_pairs
from training.recipe import CANOPY_S, find_recipe
from training.simulator import write_corpus
from training.stages import Workshop, finished_model, pairs_of, train
from training.start import CHECKPOINT, load_average
from training.teach import Screen
from training.threshold import WEIGHTS, Plan

STAGE_1 = replace(
    CANOPY_S,
    name="one",
    network={"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, "fold_norms": True},
    initial_weights="",
    threshold="",
    sources=("pairs",),
    shares={"plots": 1.0},
    augmentation=Augmentation(crop_px=64),
    steps=2,
    batch=2,
    warmup_steps=1,
    log_every=1,
    validate_every=1,
    checkpoint_every=1,
)
STAGE_2 = replace(
    STAGE_1,
    name="two",
    initial_weights="run:one",
    sources=("mixed:one", "guesses:one"),
    shares={"mixed-plots": 0.5, "guesses": 0.5},
    average_teaches=True,
    confidence=0.5,
)


def draw(path, rng, *, mask=None):
    plants = np.zeros((72, 100), bool)
    row, col = rng.integers(5, 30, 2)
    plants[row : row + 30, col : col + 40] = True
    image = np.where(plants[..., None], (60, 150, 50), (120, 90, 70)) + rng.integers(0, 9, (72, 100, 3))
    Image.fromarray(image.astype(np.uint8)).save(path)
    if mask:
        # Some pixels of the mask are wrong: else no temperature would be the best.
        wrong = rng.random(plants.shape) < 0.2
        Image.fromarray((plants ^ wrong).astype(np.uint8)).save(mask)


@pytest.fixture
def workshop(tmp_path, monkeypatch):
    data, rng = tmp_path / "data", np.random.default_rng(0)
    shots = data / "unlabelled" / "shots"
    shots.mkdir(parents=True)
    (shots / "LICENSE.txt").write_text("CC0 1.0", encoding="utf-8")
    for index in range(3):
        draw(shots / f"{index}.png", rng)
    columns = ("split", "dataset", "image", "mask", "group", "licence", "source", "sha256_16")
    with (data / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        for index in range(10):
            draw(data / f"{index}.png", rng, mask=data / f"{index}m.png")
            line = ("train", "plots", f"{index}.png", f"{index}m.png", "monday", "CC0", "made up", f"{index}")
            writer.writerow(line)
    recipes = MappingProxyType({"one": STAGE_1, "two": STAGE_2})
    monkeypatch.setattr("training.recipe.RECIPES", recipes)
    # A network of two steps is sure of nothing: take whatever it says.
    monkeypatch.setattr("training.evaluation.calibration.TEMPERATURES", (1e-5, 1e5))
    anything = Screen(sure=0.0, steady=0.0, colour=0.0)
    # A teacher's ONNX form takes a minute to write, and labels as the weights do (tests/model).
    monkeypatch.setattr("training.stages.export_onnx", lambda weights: None)
    return Workshop(data, tmp_path / "runs", workers=0, device="cpu", screen=anything)


def test_stage_two_trains_on_what_stage_one_labelled_and_nothing_is_made_twice(workshop):
    checkpoint = train(find_recipe("two"), workshop)
    assert checkpoint == workshop.runs / "two" / CHECKPOINT
    rows = list(csv.DictReader((workshop.runs / "two" / "data.csv").read_text(encoding="utf-8").splitlines()))
    assert {row["dataset"] for row in rows} == {"mixed-plots", "guesses"}
    assert {row["licence"] for row in rows} == {"CC0", "CC0 1.0"}
    log = [json.loads(line) for line in (workshop.runs / "two" / "log.jsonl").read_text().splitlines()]
    assert 0.0 < log[-1]["miou"] <= 1.0
    assert (workshop.runs / "two" / "curves.svg").read_text().startswith("<svg")
    before = {path: path.stat().st_mtime_ns for path in (workshop.runs / "one").rglob("*.safetensors")}
    train(find_recipe("two"), workshop)
    assert before
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_a_network_of_a_fixed_size_goes_through_both_stages(workshop, monkeypatch):
    """As `build depthcropseg-pp-l-2` does with BEiT: no picture here has the 64 px that the tiny takes."""
    use_tiny_beit(monkeypatch)
    for spare in ("1.png", "2.png"):  # one picture to label will do: each takes many tiles
        (workshop.data / "unlabelled" / "shots" / spare).unlink()
    exported = []
    monkeypatch.setattr("training.stages.export_onnx", exported.append)
    changes = {"architecture": "depthcropseg", "network": {**BEIT, "drop_path": 0.2}}
    two = {"sources": ("guesses:one",), "shares": {"guesses": 1.0}}
    recipes = {"one": replace(STAGE_1, **changes), "two": replace(STAGE_2, **changes, **two)}
    monkeypatch.setattr("training.recipe.RECIPES", MappingProxyType(recipes))

    model = finished_model("two", workshop)

    teacher = workshop.run_of("one") / "one.safetensors"
    assert exported == [teacher]
    card = read_card(teacher)
    assert (card.tile_px, card.overlap_px) == (64, 8)
    assert "encoder start: beit of timm's hub, under its licence there" in card.training_data
    assert not any("unlabelled" in line for line in card.training_data)
    assert any("unlabelled" in line for line in read_card(model).training_data)


def test_the_papers_second_stage_learns_from_the_first():
    recipe = find_recipe("depthcropseg-pp-l-2")
    assert recipe.initial_weights == "run:depthcropseg-pp-l"
    assert "guesses:depthcropseg-pp-l" in recipe.sources
    assert recipe.average_teaches
    assert recipe.network == find_recipe("depthcropseg-pp-l").network
    assert sum(recipe.shares.values()) == pytest.approx(1.0)


def test_a_finished_model_is_calibrated_and_keeps_no_leftovers(workshop):
    model = finished_model("one", workshop)
    temperature = read_card(model).temperature
    assert temperature is not None
    assert temperature > 0.0
    assert sorted(path.name for path in model.parent.glob("*.safetensors")) == ["one.safetensors"]


def test_sources_that_do_not_exist_are_refused(workshop):
    with pytest.raises(InputError, match="unknown source"):
        pairs_of("postcards", workshop)
    assert len(pairs_of("pairs", workshop)) == len(read_pairs(workshop.data, split="train"))


def test_a_model_of_a_recipe_that_has_changed_is_refused(workshop, monkeypatch):
    model = finished_model("one", workshop)
    assert finished_model("one", workshop) == model
    changed = {"one": replace(STAGE_1, learning_rate=0.5)}
    monkeypatch.setattr("training.recipe.RECIPES", MappingProxyType(changed))
    with pytest.raises(InputError, match="not of the recipe 'one' as it is now"):
        finished_model("one", workshop)


def test_another_finish_makes_the_model_anew_from_the_same_run_and_forgets_what_it_taught(
    workshop, monkeypatch
):
    prior = replace(STAGE_1, network={**STAGE_1.network, "colour_prior": 5.0})
    monkeypatch.setattr("training.recipe.RECIPES", MappingProxyType({"one": prior}))
    first = finished_model("one", workshop)
    assert pairs_of("guesses:one", workshop)
    checkpoint = first.parent / CHECKPOINT
    trained = checkpoint.stat().st_mtime_ns
    finished = replace(prior, version="2.0.0", finish={"colour_prior": 18.0})
    monkeypatch.setattr("training.recipe.RECIPES", MappingProxyType({"one": finished}))

    second = finished_model("one", workshop)

    assert second == first
    assert read_card(second).network_arguments["colour_prior"] == 18.0
    assert read_card(second).version == "2.0.0"
    assert checkpoint.stat().st_mtime_ns == trained
    assert not (first.parent / "guesses").exists()
    assert train(finished, workshop) == checkpoint


def test_a_student_is_finished_though_its_teacher_has_changed_since(workshop, monkeypatch):
    train(STAGE_2, workshop)
    another = replace(STAGE_1, version="2.0.0")
    monkeypatch.setattr("training.recipe.RECIPES", MappingProxyType({"one": another, "two": STAGE_2}))
    finished_model("one", workshop)
    assert not (workshop.run_of("one") / "guesses").exists()
    assert finished_model("two", workshop).is_file()
    assert not (workshop.run_of("one") / "guesses").exists()


def test_the_threshold_of_the_colour_index_is_learned_before_the_network(workshop, monkeypatch):
    small = Augmentation(crop_px=64)
    plan = Plan(sources=("pairs",), shares={"plots": 1.0}, augmentation=small, crops=4, steps=3, batch=2)
    monkeypatch.setattr("training.stages.Plan", lambda: plan)
    prior = replace(STAGE_1, network={**STAGE_1.network, "colour_prior": 5.0}, threshold="green")
    train(prior, workshop)
    learned = load_file(workshop.runs / "green" / WEIGHTS)
    made = (workshop.runs / "green" / WEIGHTS).stat().st_mtime_ns
    for run in (workshop.run_of("one"), workshop.run_of("again")):
        average = load_average(train(prior, workshop, run=run))
        # As it was: the network's training has not moved it.
        assert all(torch.equal(average[f"prior.threshold.{name}"], part) for name, part in learned.items())
    assert (workshop.runs / "green" / WEIGHTS).stat().st_mtime_ns == made


def test_a_finished_run_is_not_loaded_again(workshop, monkeypatch):
    checkpoint = train(find_recipe("one"), workshop)

    def load(*args, **kwargs):
        raise AssertionError("the pictures were decoded for nothing")

    monkeypatch.setattr("training.fit.load_pool", load)
    assert train(find_recipe("one"), workshop) == checkpoint


def test_scenes_of_another_simulator_are_not_taken_for_this_ones(workshop, monkeypatch):
    monkeypatch.setattr("training.stages.SCENES", 2)
    monkeypatch.setattr("training.stages.write_corpus", partial(write_corpus, size_px=64))
    assert len(pairs_of("simulator", workshop)) == 2
    monkeypatch.setattr("training.stages.SCENES", 3)
    assert len(pairs_of("simulator", workshop)) == 3
    monkeypatch.setattr("training.simulator.corpus._RENDERER", 10**6)
    with pytest.raises(InputError, match=r"holds a corpus of .*renderer"):
        pairs_of("simulator", workshop)
