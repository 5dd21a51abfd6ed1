"""Settings measured on this machine: the fastest is found, kept, and used where nobody says otherwise."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
import pytest
from fakes import fake_card, logits_of
from rasters import scene, write_raster

from cropseg_geo import pipeline, preflight
from cropseg_geo.engine import tuning
from cropseg_geo.engine.tuning import Setting, Tuned
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InferenceError, OutputError, ResourceError
from cropseg_geo.grid import Window
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.predictor import OnnxPredictor
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare


@dataclass(frozen=True)
class Timed:
    """Takes as long as its table says for a tile side, by the clock of ``timed_by_the_table``."""

    seconds: dict[int, float]
    device_type: str = "cpu"
    identity: dict[str, str] = field(default_factory=lambda: {"backend": "fake"})
    card = fake_card()

    def predict(self, batch):
        return logits_of(np.zeros(batch[:, 0].shape))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(tuning, "user_cache_path", lambda name: tmp_path / "cache" / name)
    return tmp_path / "cache"


@pytest.fixture
def timed_by_the_table(monkeypatch):
    """No clock: machines that test are busy with other things."""
    monkeypatch.setattr(
        tuning,
        "_batches_per_second",
        lambda predictor, batch, lanes: min(lanes, 2) / predictor.seconds[batch.shape[-1]],
    )


@pytest.mark.usefixtures("timed_by_the_table")
def test_the_tile_size_with_most_new_pixels_a_second_wins_and_is_remembered():
    # New pixels of a tile: 24², 40², 56²; the middle one is the fastest for its size.
    predictor = Timed({32: 0.010, 48: 0.011, 64: 0.060})
    events = []
    found = tuning.tune(predictor, events.append)
    assert found.best.tile_px == 48
    assert found.usual.tile_px == 32
    assert found.best.pixels_s > 2 * found.usual.pixels_s
    assert tuning.remembered(predictor) == found
    started, *advanced, finished = events
    assert started.unit == "setting"
    assert sum(event.amount for event in advanced) == started.total
    assert finished.stage == started.stage == "tune"


@pytest.mark.usefixtures("timed_by_the_table")
def test_a_gain_within_the_noise_changes_nothing():
    found = tuning.tune(Timed({32: 0.010, 48: 0.0275, 64: 0.054}))
    assert found.best == found.usual


@pytest.mark.usefixtures("timed_by_the_table")
def test_more_tiles_at_once_where_a_gpu_likes_them():
    found = tuning.tune(Timed({32: 0.010, 48: 0.1, 64: 0.1}, device_type="cuda"))
    assert found.usual.batch_size == 8
    assert found.best.batch_size == 32


@pytest.mark.usefixtures("timed_by_the_table")
def test_what_was_measured_is_of_that_model_library_and_machine(monkeypatch):
    predictor = Timed({32: 0.01, 48: 0.01, 64: 0.01})
    tuning.tune(predictor)
    assert tuning.remembered(Timed(predictor.seconds, identity={"backend": "other"})) is None
    monkeypatch.setattr(tuning, "usable_cores", lambda: 97)
    assert tuning.remembered(predictor) is None


@pytest.mark.usefixtures("timed_by_the_table")
@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"best": 3}', '{"best": {"tile_px": -1, "lanes": 1, "batch_size": 1}}']
)
def test_a_damaged_note_is_as_good_as_none(cache, damage):
    predictor = Timed({32: 0.01, 48: 0.01, 64: 0.01})
    tuning.tune(predictor)
    (note,) = (cache / "cropseg-geo" / "tuning").iterdir()
    note.write_text(damage)
    assert tuning.remembered(predictor) is None


@pytest.mark.usefixtures("timed_by_the_table")
def test_settings_that_the_memory_does_not_hold_are_not_tried(monkeypatch):
    monkeypatch.setattr(tuning, "free_memory_bytes", lambda: 100 << 20)
    assert tuning.tune(Timed({32: 0.005})).best.tile_px == 32  # any other side is a KeyError


def out_of_memory(predictor, batch, lanes):
    """As a GPU that holds as many tiles of 32 px as the predictor's table says."""
    if batch[:, 0].size * lanes > predictor.seconds["tiles"] * 32**2:
        raise InferenceError("the network failed") from RuntimeError("CUDA out of memory. Tried to allocate")
    return 1 / predictor.seconds[batch.shape[-1]]


@pytest.mark.parametrize(
    ("tiles", "batches"), [(100, {"usual": 8, "best": 16}), (48, {"usual": 8}), (12, {"usual": 2})]
)
def test_settings_that_a_gpu_does_not_hold_are_passed_over(monkeypatch, tiles, batches):
    monkeypatch.setattr(tuning, "_batches_per_second", out_of_memory)
    monkeypatch.setattr(tuning, "usual_setting", lambda card, *, on_cpu: Setting(32, 6, 8))
    events = []
    gpu = Timed({32: 0.01, 48: 0.1, 64: 0.1, "tiles": tiles}, device_type="cuda")
    found = tuning.tune(gpu, events.append)
    for name, batch_size in batches.items():
        assert getattr(found, name).batch_size == batch_size
    started, *advanced, _ = events
    assert sum(event.amount for event in advanced) == started.total


def test_lanes_are_fewer_where_tiles_one_at_a_time_are_too_many(monkeypatch):
    monkeypatch.setattr(tuning, "_batches_per_second", out_of_memory)
    monkeypatch.setattr(tuning, "usual_setting", lambda card, *, on_cpu: Setting(32, 6, 8))
    found = tuning.tune(Timed({32: 0.01, "tiles": 3}, device_type="cuda"))
    assert (found.best, found.best.batch_size, found.best.lanes) == (found.usual, 1, 3)
    with pytest.raises(ResourceError, match="does not hold one tile of 32 × 32 px") as refused:
        tuning.tune(Timed({32: 0.01, "tiles": 0}, device_type="cuda"))
    assert "--device cpu" in refused.value.remedy


def test_an_error_of_a_lane_is_the_callers():
    class Broken(Timed):
        def predict(self, batch):
            if threading.current_thread() is not threading.main_thread():
                raise InferenceError("no luck")
            return super().predict(batch)

    with pytest.raises(InferenceError, match="no luck"):
        tuning.tune(Broken({}))


@pytest.mark.usefixtures("timed_by_the_table")
def test_a_cache_that_cannot_be_written_is_told_with_a_remedy_before_anything_is_measured(cache):
    cache.write_text("a file where a folder should be")
    told = []
    with pytest.raises(OutputError, match="cannot be kept") as caught:
        tuning.tune(Timed({32: 0.005, 48: 0.005, 64: 0.005}), told.append)
    assert not told
    assert "XDG_CACHE_HOME" in caught.value.remedy


def remember(tile_px, lanes, batch_size=1):
    """As if that had been measured for the model that ships."""
    usual = Setting(512, 8, 1, 1e6)
    tuning._remember(choose_predictor("canopy-s"), Tuned(Setting(tile_px, lanes, batch_size, 2e6), usual))


@pytest.fixture(scope="module")
def field_of_two_tiles(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("tuned") / "field.tif", scene(700, 700))


def test_runs_use_it_where_nobody_says_otherwise(field_of_two_tiles):
    remember(128, 3, 2)
    ready = prepare(field_of_two_tiles)
    assert ready.plan.tiles.tile_px == 128
    assert ready.batch_size == 2
    assert ready.tuned_workers(None).lane_count == 3
    assert any("tiles of 128 px" in note for note in ready.notes)

    told = prepare(field_of_two_tiles, Options(tile_px=256, batch_size=1))
    assert told.plan.tiles.tile_px == 256
    assert told.batch_size == 1
    assert told.tuned_workers(Workers(lanes=1)).lane_count == 1
    assert told.tuned_workers(Workers(processes=2)).lane_count == 1


def test_the_memory_of_the_batch_that_will_run_is_planned(field_of_two_tiles):
    one = prepare(field_of_two_tiles).memory_bytes(2)
    remember(512, 2, 32)
    tuned, told = prepare(field_of_two_tiles), prepare(field_of_two_tiles, Options(batch_size=32))
    values_and_logits = 32 * 512**2 * 4 * (3 + 2)
    assert tuned.memory_bytes(2) == told.memory_bytes(2) > one + 2 * values_and_logits
    # A processor computes the tiles of a batch one by one: their activations are not in memory together.
    assert tuned.memory_bytes(2) < 2 * one


def test_a_gpu_that_shares_the_machines_memory_needs_it_for_a_whole_batch(field_of_two_tiles, monkeypatch):
    on_cpu = prepare(field_of_two_tiles)
    monkeypatch.setattr(OnnxPredictor, "device_type", "cuda")
    assert on_cpu.batch_size == tuning.GPU_BATCH
    assert on_cpu.memory_bytes(1) < 2**30
    monkeypatch.setattr(OnnxPredictor, "device_type", "mps")
    assert on_cpu.memory_bytes(1) > 2**31


def test_a_small_raster_keeps_the_models_own_tiles(field_of_two_tiles):
    remember(256, 3)
    assert prepare(field_of_two_tiles).plan.tiles.tile_px == 512
    assert not tuning.fits_extent(Setting(256, 1, 1), Window(0, 0, 5000, 1000))


def test_the_measured_lanes_change_no_byte(field_of_two_tiles, tmp_path):
    plain = pipeline.segment(field_of_two_tiles, tmp_path / "plain")
    remember(512, 5)
    tuned = pipeline.segment(field_of_two_tiles, tmp_path / "tuned")
    assert plain.outputs.prob.read_bytes() == tuned.outputs.prob.read_bytes()


def test_tune_measures_the_model_that_ships_and_says_what_it_found(monkeypatch):
    monkeypatch.setattr(tuning, "_TILE_FACTORS", ())
    said = []
    tuned = pipeline.tune("canopy-s", listener=said.append)
    assert tuned.best.tile_px == 512
    assert preflight.remembered(choose_predictor("canopy-s")) == tuned
    assert said[-1].message == f"tuned: {tuned}"
    assert "MP/s" in str(tuned)
