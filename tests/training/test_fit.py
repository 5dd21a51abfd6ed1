"""The training loop on made-up pairs: it learns nothing in two steps, but it resumes exactly."""

import csv
import errno
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.fabric import Fabric
from PIL import Image
from safetensors.torch import save_file

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.predictor import TorchPredictor
from cropseg_geo.model.weights import read_card
from training import fit as fitting
from training.augment import Augmentation
from training.data import MANIFEST, by_dataset, default_data_root, manifest_digest, read_pairs
from training.devices import share_statistics
from training.evaluation.methods import EXG_FIXED, EXG_OTSU, baselines, models
from training.evaluation.run import evaluate
from training.evaluation.sets import development_sets
from training.evaluation.tables import scores_table
from training.export import export
from training.fit import fit
from training.losses import segmentation_loss
from training.recipe import CANOPY_S, find_recipe
from training.runs import Places
from training.stages import Workshop
from training.start import CHECKPOINT, load_average
from training.validate import validate

RECIPE = replace(
    CANOPY_S,
    name="tiny",
    network={"encoder": "mobilenetv2_050", "width": 8, "fine_width": 4, "fold_norms": True},
    initial_weights="start.safetensors",
    shares={"plots": 1.0},
    augmentation=Augmentation(crop_px=64),
    steps=2,
    batch=2,
    warmup_steps=1,
    log_every=1,
    checkpoint_every=1,
)


def write_pairs(root, rows):
    columns = ("split", "dataset", "image", "mask", "species", "licence", "source", "group", "sha256_16")
    with (root / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        for index, (split, group) in enumerate(rows):
            rng = np.random.default_rng(index)
            mask = np.zeros((72, 100), np.uint8)
            mask[10:40, 20:70] = rng.integers(1, 3)
            image = np.where(mask[..., None] > 0, (60, 150, 50), (120, 90, 70)) + rng.integers(
                0, 9, (72, 100, 3)
            )
            Image.fromarray(image.astype(np.uint8)).save(root / f"{index}.png")
            Image.fromarray(mask).save(root / f"{index}_mask.png")
            facts = {"split": split, "group": group, "dataset": "plots", "species": "none", "licence": "CC0"}
            names = {"image": f"{index}.png", "mask": f"{index}_mask.png", "sha256_16": f"{index:016x}"}
            writer.writerow({**facts, **names, "source": "made up"})


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    write_pairs(folder, [("train", "monday"), ("train", "tuesday"), ("test", "friday")])
    torch.manual_seed(0)
    network = build_network("canopy", classes=2, encoder="mobilenetv2_050", width=8, fine_width=4)
    save_file(
        {name: t.contiguous() for name, t in network.encoder.state_dict().items()},
        folder / "start.safetensors",
    )
    return folder


def train(root, run, *, recipe=RECIPE):
    return fit(recipe, read_pairs(root, split="train"), Places(root, run), workers=0, device="cpu")


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """The checkpoint of an uninterrupted run."""
    return train(root, tmp_path_factory.mktemp("run") / "whole")


def test_an_interrupted_run_resumes_to_the_same_weights(root, whole, tmp_path, monkeypatch):
    saves = []

    def stop_after_first(fabric, checkpoint, state):
        save(fabric, checkpoint, state)
        saves.append(state["step"])
        raise KeyboardInterrupt

    save = fitting.save_checkpoint
    with monkeypatch.context() as patch:
        patch.setattr("training.fit.save_checkpoint", stop_after_first)
        with pytest.raises(KeyboardInterrupt):
            train(root, tmp_path / "run")
    assert saves == [1]
    resumed, expected = load_average(train(root, tmp_path / "run")), load_average(whole)
    assert resumed.keys() == expected.keys()
    assert all(torch.equal(resumed[name], expected[name]) for name in expected)


def test_stochastic_depth_goes_on_as_it_would_have(root, tmp_path, monkeypatch):
    adapter = {"encoder": "test_vit2", "img_size": 64, "heads": 2, "value_ratio": 0.5, "width": 8}
    recipe = replace(
        RECIPE,
        architecture="depthcropseg",
        network={**adapter, "drop_path": 0.5},
        initial_weights="",
        steps=6,
        checkpoint_every=3,
    )
    expected = torch.load(train(root, tmp_path / "straight", recipe=recipe), weights_only=True)

    def stop_at_the_fifth(average, network, recipe, step):
        if step == 4:
            raise KeyboardInterrupt
        update(average, network, recipe, step)

    update = fitting._update_average
    with monkeypatch.context() as patch:
        patch.setattr("training.fit._update_average", stop_at_the_fifth)
        with pytest.raises(KeyboardInterrupt):
            train(root, tmp_path / "stopped", recipe=recipe)
    resumed = torch.load(train(root, tmp_path / "stopped", recipe=recipe), weights_only=True)
    for part in ("network", "average"):
        assert all(torch.equal(resumed[part][name], value) for name, value in expected[part].items())
    logs = [(tmp_path / run / "log.jsonl").read_text().splitlines() for run in ("straight", "stopped")]
    steps, steps_again = ([json.loads(line)["step"] for line in log] for log in logs)
    assert steps == steps_again == [1, 2, 3, 4, 5, 6]


@pytest.mark.slow
def test_two_devices_share_every_batch_and_the_run_goes_on_with_one(root, tmp_path):
    pairs, places = read_pairs(root, split="train"), Places(root, tmp_path / "run")
    shared = fit(RECIPE, pairs, places, workers=0, device="cpu", devices=2)
    state = torch.load(shared, weights_only=True)
    assert state["step"] == RECIPE.steps
    assert len((tmp_path / "run" / "log.jsonl").read_text().splitlines()) == RECIPE.steps
    assert fit(RECIPE, pairs, places, workers=0, device="cpu") == shared
    with pytest.raises(InputError, match="cannot be shared out to 3 devices"):
        fit(RECIPE, pairs, places, workers=0, device="cpu", devices=3)
    with pytest.raises(InputError, match="another run"):
        fit(replace(RECIPE, seed=1), pairs, places, workers=0, device="cpu", devices=2)


def test_shared_statistics_keep_names_values_and_results():
    network = build_network("canopy", classes=2, encoder="test_resnet", width=8, fine_width=4).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        before, names = network(images), list(network.state_dict())
        shared = share_statistics(network).eval()
        torch.testing.assert_close(shared(images), before)
    assert list(shared.state_dict()) == names
    assert not any(type(part) is torch.nn.BatchNorm2d for part in shared.modules())


class FixedSize(torch.nn.Module):
    """Takes tiles of 96 px alone, as a BEiT does; finds vegetation by its green."""

    def forward(self, images):
        assert images.shape[-2:] == (96, 96)
        return torch.stack([images[:, 0], images[:, 1]], dim=1)


def test_a_network_of_a_fixed_size_is_validated_on_smaller_pictures_too(root):
    recipe = replace(RECIPE, network={"img_size": 96})
    pairs = read_pairs(root, split="train")
    assert validate(FixedSize(), pairs, recipe, device=torch.device("cpu")) == 1.0


def test_a_run_says_what_it_was_trained_on(root, whole):
    run = json.loads((whole.parent / "run.json").read_text())
    assert run["recipe"]["seed"] == RECIPE.seed
    assert run["data"] == manifest_digest(read_pairs(root, split="train"))
    log = [json.loads(line) for line in (whole.parent / "log.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in log] == [1, 2]


def test_a_folder_of_another_run_is_refused(root, whole):
    with pytest.raises(InputError, match=r"holds another run: seed was \d+, is 1\n"):
        train(root, whole.parent, recipe=replace(RECIPE, seed=1))
    nested = replace(RECIPE, augmentation=replace(RECIPE.augmentation, crop_px=96))
    with pytest.raises(InputError, match=r"run: augmentation\.crop_px was \d+, is 96\n"):
        train(root, whole.parent, recipe=nested)


def test_a_run_of_other_pictures_says_so(root, whole):
    pairs = read_pairs(root, split="train")
    with pytest.raises(InputError, match=f"it was of other data \\({len(pairs)} pictures, now 1\\)"):
        fit(RECIPE, pairs[:1], Places(root, whole.parent), workers=0, device="cpu")


def test_a_damaged_checkpoint_is_named_with_what_to_do(root, whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole.parent, run)
    (run / CHECKPOINT).write_bytes(whole.read_bytes()[:5000])
    with pytest.raises(InputError, match="damaged") as caught:
        train(root, run)
    assert "delete this file" in caught.value.remedy
    (run / CHECKPOINT).unlink()
    assert torch.load(train(root, run), weights_only=True)["step"] == RECIPE.steps


def test_a_damaged_record_of_a_run_is_named(root, whole, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(whole.parent, run)
    (run / "run.json").write_text('{"recipe": {')
    with pytest.raises(InputError, match=r"run\.json is damaged"):
        train(root, run)


def test_a_full_disk_leaves_the_checkpoint_before_and_no_part_of_one(root, tmp_path, monkeypatch):
    def fill(fabric, path, state):
        if state["step"] == 2:
            Path(path).write_bytes(b"half")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(fabric, path, state)

    save = Fabric.save
    monkeypatch.setattr(Fabric, "save", fill)
    with pytest.raises(OSError, match="No space"):
        train(root, tmp_path / "run")
    assert torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)["step"] == 1
    assert not (tmp_path / "run" / "last.part").exists()


@pytest.mark.parametrize(("device", "match"), [("gpu0", "unknown"), ("cpu:0", "kind of device")])
def test_devices_that_are_none_are_refused_before_the_data_are_made(device, match):
    with pytest.raises(InputError, match=match):
        Workshop(Path("data"), Path("runs"), device=device)


def test_an_export_predicts_and_is_scored(root, whole, tmp_path):
    target = tmp_path / "tiny.safetensors"
    card = export(RECIPE, whole, target, scores={"plots": {"miou": 0.5}})
    assert read_card(target) == card
    assert dict(card.scores) == {"plots": (("miou", 0.5),)}
    methods = baselines() | models({"tiny": TorchPredictor(target, device="cpu")})
    scores = evaluate(methods, development_sets(root))
    assert scores["plots"].keys() == {"tiny", EXG_OTSU, EXG_FIXED}
    assert scores["plots"][EXG_OTSU]["miou"] > 0.95
    assert scores_table(scores).row_count == 3


def test_there_is_no_average_without_a_checkpoint(tmp_path):
    with pytest.raises(InputError, match="no checkpoint"):
        load_average(tmp_path / CHECKPOINT)
    (tmp_path / CHECKPOINT).write_bytes(b"PK\x03\x04 not a whole file")
    with pytest.raises(InputError, match="is damaged"):
        load_average(tmp_path / CHECKPOINT)


def test_a_group_in_both_splits_is_refused(tmp_path):
    write_pairs(tmp_path, [("train", "monday"), ("test", "monday")])
    with pytest.raises(InputError, match="both the training and the test split"):
        read_pairs(tmp_path, split="train")


def test_missing_data_are_refused_with_a_remedy(tmp_path):
    with pytest.raises(InputError, match="no training data") as caught:
        read_pairs(tmp_path, split="train")
    assert "--data" in caught.value.remedy


def test_unknown_recipes_are_refused():
    with pytest.raises(InputError, match="unknown recipe"):
        find_recipe("canopy-xxl")


def test_certain_and_right_logits_cost_nothing():
    target = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    known = torch.ones_like(target)
    logits = 100.0 * torch.stack([1.0 - target, target], dim=1)
    right = segmentation_loss(logits, target, known, dice_weight=1.0, label_smoothing=0.0)
    wrong = segmentation_loss(-logits, target, known, dice_weight=1.0, label_smoothing=0.0)
    assert float(right) < 1e-6
    assert float(wrong) > 1.0


def test_unknown_pixels_cost_nothing_and_pull_nowhere():
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 4, 4, requires_grad=True)
    target, known = torch.ones(1, 4, 4), torch.ones(1, 4, 4)
    known[:, :, 2:] = 0
    segmentation_loss(logits, target, known, dice_weight=0.5, label_smoothing=0.1).backward()
    assert logits.grad is not None
    assert torch.all(logits.grad[..., 2:] == 0)
    assert torch.all(logits.grad[..., :2] != 0)
    nothing = segmentation_loss(logits, target, 0 * known, dice_weight=0.5, label_smoothing=0.1)
    assert float(nothing.detach()) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.skipif(not (default_data_root() / MANIFEST).is_file(), reason="the training data are not here")
def test_no_group_of_the_real_data_is_in_both_splits():
    train_pairs = read_pairs(default_data_root(), split="train")
    test_pairs = read_pairs(default_data_root(), split="test")
    assert by_dataset(train_pairs).keys() >= by_dataset(test_pairs).keys()
    assert not {pair.sha256_16 for pair in train_pairs} & {pair.sha256_16 for pair in test_pairs}
