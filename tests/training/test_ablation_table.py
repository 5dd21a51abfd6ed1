"""Ablations: variants change what they say, finished trials are not redone, each variant has its lines."""

import json
from dataclasses import replace

import pytest

from cropseg_geo.errors import InputError
from training.evaluation.ablation import (
    RESULT,
    ablation_table,
    make_trials,
    markdown_table,
    run_trials,
    summarise,
)
from training.evaluation.tables import MEAN
from training.evaluation.variants import VARIANTS, find_variants
from training.recipe import CANOPY_S

PLAIN = replace(
    CANOPY_S,
    network={"encoder": "mobilenetv2_050", "colour_prior": 5.0},
    finish={"colour_prior": 9.0, "colour_shift": 0.1},
    initial_weights="start.safetensors",
    shares={"growingsoy": 0.4, "peanut": 0.4, "agir": 0.2},
    average_teaches=False,
)
BASE = replace(
    PLAIN,
    shares={
        "growingsoy": 0.3,
        "mixed-peanut": 0.3,
        "agir": 0.1,
        "simulator": 0.1,
        "heights": 0.1,
        "guesses": 0.1,
    },
    average_teaches=True,
)


class Bench:
    """Trains in no time; the score depends on the seed. Stops at the trial that it is told to fail."""

    def __init__(self, fail_at=None):
        self.trained = []
        self.fail_at = fail_at

    def train(self, recipe, folder):
        if len(self.trained) == self.fail_at:
            raise KeyboardInterrupt
        self.trained.append(folder.name)
        return folder / "last.pt"

    def score(self, recipe, checkpoint, folder):
        assert checkpoint == folder / "last.pt"
        miou = 0.8 + 0.02 * (recipe.seed - BASE.seed)
        return {"soy": {"miou": miou, "ece": 0.05}, "peanut": {"miou": miou - 0.1}}


def run(bench, runs, trials):
    return run_trials(trials, runs, train=bench.train, score=bench.score)


def test_every_variant_changes_one_thing_of_the_recipe_and_keeps_the_rest():
    trials = {trial.variant: trial.recipe for trial in make_trials(BASE, VARIANTS, seeds=1, steps=7)}
    base = trials.pop("base")
    assert base == replace(BASE, steps=7)
    changed = {}
    for variant, recipe in trials.items():
        changed[variant] = {
            key
            for key, value in json.loads(recipe.to_json()).items()
            if value != json.loads(base.to_json())[key]
        }
    assert "plus-heights" not in changed
    assert changed.pop("stage-1") == {"shares", "average_teaches"}
    assert changed.pop("covers") == {"sources", "shares", "augmentation"}
    assert changed.pop("no-prior") == {"network", "finish", "threshold"}
    assert changed.pop("vit-adapter") == {"architecture", "network", "initial_weights"}
    for crop in ("peanut", "soybean"):
        assert changed.pop(f"no-{crop}-prior") == {"network", "finish", "shares", "threshold"}
    assert all(len(keys) == 1 for keys in changed.values())
    assert trials["no-prior"].finish == {}
    assert trials["prior-as-trained"].finish == {}
    assert trials["no-threshold"].threshold == ""
    assert trials["bilinear"].network == {**BASE.network, "upsampler": "bilinear"}
    assert trials["no-imagenet"].initial_weights == trials["vit-adapter"].initial_weights == ""
    assert trials["vit-adapter"].network["colour_prior"] == BASE.network["colour_prior"]
    assert "simulator" not in trials["no-simulator"].shares
    assert trials["covers"].shares["covers"] == trials["covers"].shares["simulator"]
    assert sum(trials["covers"].shares.values()) == pytest.approx(sum(BASE.shares.values()))
    assert trials["no-peanut"].shares == {k: v for k, v in BASE.shares.items() if k != "mixed-peanut"}


def test_a_variant_that_is_the_recipe_itself_is_left_out():
    names = {trial.variant for trial in make_trials(PLAIN, VARIANTS, seeds=1)}
    assert {"base", "bilinear", "no-peanut", "no-soybean"} <= names
    assert "plus-heights" in names
    # It has FADE-Lite already and none of these data.
    assert not names & {"fade-lite", "no-simulator", "no-heights", "stage-1"}


def test_seeds_have_folders_and_recipes_of_their_own():
    trials = make_trials(BASE, find_variants(["base", "fade"]), seeds=2)
    assert [trial.name for trial in trials] == [
        f"{variant}-{BASE.seed + k}" for k in (0, 1) for variant in ("base", "fade")
    ]
    assert all(trial.name.endswith(str(trial.recipe.seed)) for trial in trials)


def test_finished_trials_are_not_done_again(tmp_path):
    trials = make_trials(BASE, find_variants(["base", "fade"]), seeds=2)
    stopped = Bench(fail_at=3)
    with pytest.raises(KeyboardInterrupt):
        run(stopped, tmp_path, trials)
    assert len(stopped.trained) == 3
    resumed, fresh = Bench(), Bench()
    results = run(resumed, tmp_path, trials)
    assert resumed.trained == [trials[3].name]
    assert results == run(fresh, tmp_path / "elsewhere", trials)
    assert run(Bench(fail_at=0), tmp_path, trials) == results


def test_a_result_of_another_recipe_is_refused(tmp_path):
    run(Bench(), tmp_path, make_trials(BASE, find_variants(["base"]), seeds=1, steps=5))
    with pytest.raises(InputError, match="another recipe"):
        run(Bench(), tmp_path, make_trials(BASE, find_variants(["base"]), seeds=1, steps=6))


def test_a_result_is_written_whole_or_not_at_all(tmp_path):
    trials = make_trials(BASE, find_variants(["base"]), seeds=1)
    run(Bench(), tmp_path, trials)
    folder = tmp_path / trials[0].name
    assert [path.name for path in folder.iterdir()] == [RESULT]
    assert json.loads((folder / RESULT).read_text())["recipe"] == json.loads(BASE.to_json())


def test_the_table_has_each_set_and_variant_once_with_its_spread(tmp_path):
    trials = make_trials(BASE, find_variants(["base", "fade"]), seeds=2)
    summary = summarise(run(Bench(), tmp_path, trials))
    assert list(summary) == ["soy", "peanut", MEAN]
    spread = summary["soy"]["base"]["miou"]
    assert (spread.mean, spread.half_range, spread.seeds) == (
        pytest.approx(0.81),
        pytest.approx(0.01),
        2,
    )
    assert summary[MEAN]["fade"]["miou"].mean == pytest.approx(0.76)
    assert "ece" not in summary[MEAN]["fade"]
    assert ablation_table(summary).row_count == 6
    text = markdown_table(summary)
    assert "81.00 ± 1.00" in text
    assert text.count("| base |") == text.count("| fade |") == 3


def test_unknown_variants_are_refused_with_the_known_ones():
    with pytest.raises(InputError, match="unknown variants: fadeout") as caught:
        find_variants(["fadeout", "base"])
    assert "bilinear" in caught.value.remedy
