"""Learning the colour index's threshold: what a crop's histograms are, their scores, and runs."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from cropseg_geo.errors import InputError
from cropseg_geo.model.networks.threshold import BINS, HIGHEST, LOWEST, LearnedThreshold
from training.augment import Augmentation
from training.data import MANIFEST, read_pairs
from training.threshold import WEIGHTS, Plan, Seen, fit_threshold, learn, look_at, scores

PLAN = Plan(
    sources=("pairs",),
    shares={"beds": 1.0},
    augmentation=Augmentation(crop_px=64),
    crops=12,
    steps=5,
    batch=4,
)


def image_of(colours):
    """(H, W, 3) colours on 0–1 → (1, 3, H, W) on −1–1."""
    return torch.from_numpy(np.asarray(colours, dtype=np.float32)).permute(2, 0, 1)[None] * 2 - 1


def test_a_crops_histograms_are_shares_and_unknown_pixels_belong_to_no_class():
    colours = np.full((32, 32, 3), (0.4, 0.3, 0.2))
    colours[:, :8] = (0.2, 0.5, 0.2)
    target = np.zeros((32, 32), np.uint8)
    target[:, :8] = 200
    target[:4] = 255
    seen = look_at(image_of(colours), torch.from_numpy(target))
    assert seen.shares.sum() == pytest.approx(1.0)
    assert seen.plants.sum() == pytest.approx(0.25 * 28 / 32)
    assert seen.ground.sum() == pytest.approx(0.75 * 28 / 32)
    assert seen.plants.argmax() > seen.ground.argmax()


def slow_score(plants, ground, candidate, accuracy_share):
    right, wrong = plants[candidate:].sum(), ground[candidate:].sum()
    missed, left = plants[:candidate].sum(), ground[:candidate].sum()
    rare = 1e-3
    of_plants = (right + rare) / (right + wrong + missed + rare)
    of_ground = (left + rare) / (left + wrong + missed + rare)
    accuracy = (right + left) / (plants.sum() + ground.sum())
    return (1 - accuracy_share) * (of_plants + of_ground) / 2 + accuracy_share * accuracy


def test_scores_are_what_a_slow_direct_computation_gives():
    rng = np.random.default_rng(0)
    plants, ground = (rng.random((2, BINS)) * scale / BINS for scale in (0.2, 1.2))
    seen = Seen(*(torch.from_numpy(part) for part in (plants + ground, plants, ground)))
    found = scores(seen, accuracy_share=0.8).numpy()
    for crop in range(2):
        expected = [slow_score(plants[crop], ground[crop], k, 0.8) for k in range(BINS)]
        np.testing.assert_allclose(found[crop], expected, rtol=1e-9)


def groups(rng, count):
    """Histograms of soil at a random place and plants somewhere above it, one in four without plants."""
    middles = LOWEST + (HIGHEST - LOWEST) / BINS * (np.arange(BINS) + 0.5)
    parts = []
    for _ in range(count):
        soil, gap = rng.uniform(-0.1, 0.2), rng.uniform(0.12, 0.3)
        cover = rng.choice((0.0, 0.02, 0.3, 0.9))
        ground, plants = (
            share * shape / shape.sum()
            for share, place in ((1 - cover, soil), (cover, soil + gap))
            for shape in (np.exp(-(((middles - place) / 0.03) ** 2) / 2),)
        )
        parts.append((ground + plants, plants, ground))
    return Seen(*(torch.tensor(np.array(part), dtype=torch.float32) for part in zip(*parts, strict=True)))


def test_what_it_learned_holds_for_histograms_that_it_never_saw():
    rng = np.random.default_rng(2)
    plan = replace(PLAN, steps=150, batch=64)
    taught, unseen = learn(groups(rng, 400), plan), groups(rng, 100)
    habitual = LearnedThreshold()
    table = scores(unseen, accuracy_share=0.5)

    def reached(network):
        with torch.no_grad():
            cut = (network.votes(unseen.shares) * network.candidates).sum(1)
        index = ((cut - LOWEST) / (HIGHEST - LOWEST) * BINS).round().long()
        return table.gather(1, index[:, None]).mean().item()

    assert reached(habitual) < 0.9
    assert reached(taught) > 0.97


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    with (tmp_path / MANIFEST).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("split", "dataset", "image", "mask", "group", "licence", "source", "sha256_16"))
        for index in range(3):
            plants = np.zeros((80, 80), np.uint8)
            plants[20:50, 10 : 40 + index] = 1
            image = np.where(plants[..., None], (60, 150, 50), (120, 90, 70)) + rng.integers(
                0, 9, (80, 80, 3)
            )
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{index}.png")
            Image.fromarray(plants).save(tmp_path / f"{index}m.png")
            line = ("train", "beds", f"{index}.png", f"{index}m.png", "monday", "CC0", "made up", f"{index}")
            writer.writerow(line)
    return tmp_path


def test_a_threshold_is_learned_once_and_another_plan_is_refused(data):
    pairs, run = read_pairs(data, split="train"), data / "runs" / "threshold"
    weights = fit_threshold(PLAN, pairs, run, workers=0)
    assert weights == run / WEIGHTS
    about = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert 0.0 < about["scores"]["votes"] <= about["scores"]["best"] <= 1.0
    made = weights.stat().st_mtime_ns
    assert fit_threshold(PLAN, pairs, run, workers=0).stat().st_mtime_ns == made
    with pytest.raises(InputError, match="another plan"):
        fit_threshold(replace(PLAN, steps=6), pairs, run, workers=0)


def test_equal_plans_on_equal_pictures_give_equal_weights_whoever_makes_the_crops(data):
    pairs = read_pairs(data, split="train")
    one, two = (
        fit_threshold(PLAN, pairs, data / name, workers=workers).read_bytes()
        for name, workers in (("one", 0), ("two", 2))
    )
    assert one == two


def test_data_without_the_datasets_of_the_plan_are_refused(data):
    with pytest.raises(InputError, match="no training pairs"):
        fit_threshold(replace(PLAN, shares={"pots": 1.0}), read_pairs(data, split="train"), data, workers=0)
