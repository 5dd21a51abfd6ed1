"""Test sets through the whole evaluation: each set and method once, unknown pixels nowhere."""

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
import typer
from fakes import EchoPredictor, fake_card
from typer.testing import CliRunner

from cropseg_geo.errors import InputError
from cropseg_geo.model.predictor import TorchPredictor
from cropseg_geo.model.zoo import find_model
from training.commands.evaluate import evaluate as evaluate_command
from training.data import default_data_root
from training.evaluation import scale
from training.evaluation.methods import (
    DEPTH_ONLY,
    EXG_FIXED,
    EXG_OTSU,
    Prediction,
    baselines,
    model,
    models,
    segment_as_user,
)
from training.evaluation.run import evaluate, scores_of, tally, whole_sets
from training.evaluation.sets import Sample, TestSet, fields, sample_field, simulated_scenes, soy_trial
from training.evaluation.tables import MEAN, markdown_table, scores_table, table_lines, with_mean
from training.scores import IGNORE, Truth, count
from training.simulator.corpus import kind_at, scene_at
from training.simulator.scenes import KINDS
from training.stages import SCENE_SEED

SOY = default_data_root() / "orthos" / "pliman_soy_dsm"


def plants(seed, shape=(48, 64), part="", **facts):
    """Green squares on brown, with heights; the truth is known but for a corner."""
    rng = np.random.default_rng(seed)
    truth = np.zeros(shape, np.uint8)
    for row, col in rng.integers(0, 40, (4, 2)):
        truth[row : row + 10, col : col + 10] = 1
    colours = np.where(truth[..., None] == 1, (60, 150, 50), (120, 90, 70))
    image = np.clip(colours + rng.normal(0, 6, colours.shape), 0, 255).astype(np.uint8)
    height_m = np.where(truth == 1, 0.4, 0.0).astype(np.float32)
    truth[:6, :6] = IGNORE
    return Sample(image, truth, part, height_m, **facts)


def made_sets():
    return (
        TestSet("one", tuple(lambda seed=seed: replace(plants(seed), height_m=None) for seed in range(3))),
        TestSet(
            "two",
            tuple(lambda seed=seed: plants(seed, part="maize" if seed % 2 else "wheat") for seed in range(4)),
        ),
    )


def red(**changes):
    """A model that reads its probability off the first band."""
    return EchoPredictor(fake_card(stride_px=8, **changes))


METHODS = baselines() | models({"red": red()})


def test_every_set_and_method_has_one_line_and_every_part_its_own():
    scores = evaluate(METHODS, made_sets())
    assert list(scores) == ["one", "two", "two / maize", "two / wheat"]
    assert list(scores["one"]) == [EXG_OTSU, EXG_FIXED, "red"]
    assert list(scores["two"]) == [EXG_OTSU, EXG_FIXED, DEPTH_ONLY, "red"]
    lines = [(line.row, line.method) for line in table_lines(with_mean(scores))]
    assert len(lines) == len(set(lines)) == 3 + 4 + 4 + 4 + 3
    assert scores_table(with_mean(scores)).row_count == len(lines)
    assert whole_sets(scores).keys() == {"one", "two"}
    assert scores_of("red", scores).keys() == {"one", "two"}


def test_only_methods_with_probabilities_have_a_calibration_error():
    scores = evaluate(METHODS, made_sets())["one"]
    assert "ece" in scores["red"]
    assert "ece" not in scores[EXG_OTSU]


def test_the_parts_of_a_set_add_up_to_it():
    tallies = tally(METHODS, made_sets()[1:])
    whole, *parts = (row["red"] for row in tallies.values())
    assert parts[0].counts + parts[1].counts == whole.counts
    assert parts[0].reliability.pixels != parts[1].reliability.pixels
    assert (parts[0] + parts[1]).reliability.ece == pytest.approx(whole.reliability.ece)


def test_the_mean_counts_every_set_once_and_needs_them_all():
    scores = with_mean(evaluate(METHODS, made_sets()))
    expected = (scores["one"][EXG_OTSU]["miou"] + scores["two"][EXG_OTSU]["miou"]) / 2
    assert scores[MEAN][EXG_OTSU]["miou"] == pytest.approx(expected)
    assert DEPTH_ONLY not in scores[MEAN]


def test_what_a_method_says_of_unknown_pixels_changes_no_score():
    def flipped(sample):
        found = METHODS["red"](sample)
        unknown = sample.truth == IGNORE
        return Prediction(
            np.where(unknown, 1 - found.mask, found.mask),
            np.where(unknown, 1 - found.probability, found.probability),
        )

    scores = evaluate({"red": METHODS["red"], "flipped": flipped}, made_sets())
    assert scores["two"]["red"] == scores["two"]["flipped"]


def test_scores_do_not_depend_on_the_number_of_threads():
    assert evaluate(METHODS, made_sets(), threads=1) == evaluate(METHODS, made_sets(), threads=3)


def test_samples_are_read_when_they_are_scored_and_not_before():
    read, done = [], []

    def reader():
        read.append(len(done))
        return plants(0)

    test_set = TestSet("lazy", (reader,) * 3)
    assert not read
    evaluate({EXG_OTSU: METHODS[EXG_OTSU]}, [test_set], threads=1, on_picture=lambda: done.append(1))
    assert len(read) == len(done) == 3


def test_markdown_has_the_same_cells_as_the_terminal():
    scores = with_mean(evaluate(METHODS, made_sets()))
    lines = markdown_table(scores).splitlines()
    assert lines[0] == "| Test set | Method | mIoU | vegetation IoU | boundary IoU | ECE |"
    assert len(lines) == 2 + len(list(table_lines(scores)))
    best = [line for line in lines if "**" in line]
    assert best
    assert all(line.count("|") == 7 for line in lines)


def test_the_lowest_calibration_error_is_the_best():
    scores = {"one": {"a": {"miou": 0.9, "ece": 0.02}, "b": {"miou": 0.8, "ece": 0.1}}}
    assert [line.best for line in table_lines(scores)] == [
        (True, False, False, True),
        (False, False, False, False),
    ]


@dataclass(frozen=True)
class MadeField:
    image: np.ndarray
    mask: np.ndarray
    height_m: np.ndarray
    gsd_m: float


@dataclass(frozen=True)
class StretchedField:
    """A field of squares that is drawn anew at every GSD."""

    calls: list = field(default_factory=list)

    def __call__(self, name, *, gsd_m):
        self.calls.append((name, gsd_m))
        sample = plants(7, shape=(round(0.48 / gsd_m), round(0.64 / gsd_m)))
        truth = np.zeros(sample.truth.shape, np.uint8)
        truth[: len(truth) // 2] = 1
        image = np.where(truth[..., None] == 1, 255, 0).astype(np.uint8).repeat(3, axis=2)
        return MadeField(image, truth, sample.height_m, gsd_m)


def test_generated_fields_are_one_set_with_a_part_for_each_condition():
    made = StretchedField()
    test_set = fields(("day", "night"), made)
    assert not made.calls
    scores = evaluate(METHODS, [test_set])
    assert made.calls == [("day", 0.01), ("night", 0.01)]
    assert list(scores) == ["generated fields", "generated fields / day", "generated fields / night"]
    assert scores["generated fields"]["red"]["miou"] == 1.0


def test_coverage_is_compared_at_every_scale_and_a_refusal_is_said():
    field = scale.generated_field("day", StretchedField())

    def picky(sample):
        if sample.gsd_m > 0.03:
            raise InputError("too coarse")
        return METHODS["red"](sample)

    rows = scale.measure_scale({"picky": picky}, [field])
    assert [row.gsd_m for row in rows] == [0.005, 0.01, 0.02, 0.04]
    assert [row.difference_points for row in rows] == [0.0, 0.0, 0.0, None]
    assert "| day | picky | 1 | 50.0 | +0.0 | +0.0 | +0.0 | – |" in scale.markdown_table(rows)
    assert scale.scale_table(rows).row_count == 1


def test_a_resampled_field_keeps_its_coverage_and_says_its_new_gsd():
    sample = plants(3, shape=(80, 96), gsd_m=0.01)
    field = scale.resampled_field("field", sample)
    for factor in scale.FACTORS:
        scaled = field.at(factor)
        assert scaled.image.shape[:2] == scaled.truth.shape == (round(80 / factor), round(96 / factor))
        assert scaled.gsd_m == pytest.approx(0.01 * factor)
        assert Truth.of(scaled.truth).coverage == pytest.approx(field.truth_coverage, abs=0.03)
    with pytest.raises(InputError, match="without a GSD"):
        scale.resampled_field("picture", plants(0))


def test_an_orthomosaic_is_segmented_as_a_user_would_do_it():
    predictor = TorchPredictor(find_model("canopy-s"), device="cpu")
    sample = plants(1, shape=(70, 90), gsd_m=0.01)
    prediction = model(predictor)(sample)
    assert prediction.mask.shape == prediction.probability.shape == sample.truth.shape
    agreement = (prediction.probability >= 0.5) == (prediction.mask == 1)
    # The product keeps probabilities in steps of 1/254.
    assert agreement[np.abs(prediction.probability - 0.5) > 0.01].all()
    assert prediction.gsd_m == pytest.approx(0.01, rel=0.01)
    with pytest.raises(InputError):
        segment_as_user(predictor, replace(sample, gsd_m=0.2))


def command_line(function):
    app = typer.Typer()
    app.command()(function)
    return app


def test_the_command_prints_one_table_and_writes_the_scores(tmp_path, monkeypatch):
    made = (*made_sets(), TestSet("ortho", (lambda: plants(5, gsd_m=0.01),), about="made up", gsd_m=0.01))
    monkeypatch.setattr("training.evaluation.sets.development_sets", lambda data: made)
    target = tmp_path / "scores.json"
    arguments = ["canopy-s", "--markdown", "--json", str(target), "--device", "cpu"]
    result = CliRunner().invoke(command_line(evaluate_command), arguments)
    assert result.exit_code == 0, result.output
    scores = json.loads(target.read_text())
    assert markdown_table(with_mean(scores)) in result.stdout
    assert "- ortho: made up" in result.stdout
    assert "- ortho: 1 cm/px; read by canopy-s at 1 cm/px" in result.stdout


def test_the_scale_option_compares_coverage(monkeypatch):
    field = scale.resampled_field("made up", plants(3, shape=(80, 96), gsd_m=0.004))
    monkeypatch.setattr("training.evaluation.scale.scale_fields", lambda data: (field,))
    arguments = ["canopy-s", "--scale", "--markdown", "--device", "cpu"]
    result = CliRunner().invoke(command_line(evaluate_command), arguments)
    assert result.exit_code == 0, result.output
    assert "| Field | Method | GSD × 1 (cm) | Truth (%) | × 0.5 | × 1 | × 2 | × 4 |" in result.stdout
    assert result.stdout.count("| made up |") == 4


@pytest.mark.skipif(not Path(SOY).is_dir(), reason="the soybean orthomosaic is not here")
def test_the_soy_trial_has_its_mask_and_heights_on_the_grid_of_its_picture():
    test_set = soy_trial(SOY)
    sample = test_set.readers[0]()
    assert sample.image.shape == (*sample.truth.shape, 3)
    assert sample.height_m.shape == sample.truth.shape
    assert sample.gsd_m == pytest.approx(test_set.gsd_m, rel=0.01)
    assert set(np.unique(sample.truth)) <= {0, 1, IGNORE}
    truth = Truth.of(sample.truth)
    higher = np.nanmedian(sample.height_m[truth.plants]) - np.nanmedian(
        sample.height_m[truth.known & ~truth.plants]
    )
    assert higher > 0.05
    assert count(METHODS[EXG_OTSU](sample).mask, truth).miou > 0.85


def test_the_sample_field_is_known_where_it_was_surveyed_and_nowhere_else():
    (read,) = sample_field().readers
    sample = read()
    with rasterio.open(sample.raster) as dataset:
        surveyed = dataset.dataset_mask() > 0
        assert sample.gsd_m == pytest.approx(abs(dataset.transform.a))
    assert sample.image.shape == (*surveyed.shape, 3)
    np.testing.assert_array_equal(sample.truth != IGNORE, surveyed)
    assert set(np.unique(sample.truth)) == {0, 1, IGNORE}


def test_simulated_scenes_are_of_every_kind_and_none_that_is_trained_on():
    scenes = simulated_scenes(2)
    found = [read() for read in scenes.readers]
    assert [sample.part for sample in found] == [kind_at(0), kind_at(1)]
    for index, sample in enumerate(found):
        assert sample.image.shape[:2] == sample.truth.shape
        assert not np.array_equal(sample.image, scene_at(SCENE_SEED, index).image)
    assert {kind_at(index) for index in range(96)} == set(KINDS)
