"""--gsd auto: what is compared, what is chosen, and that the choice is a GSD like any other."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
import rasterio
from fakes import fake_card, logits_of
from rasters import ORIGIN, scene, write_raster
from typer.testing import CliRunner

import cropseg_geo as cg
from cropseg_geo.cli import app
from cropseg_geo.engine.plan import MAX_UPSAMPLING, gsd_ladder
from cropseg_geo.engine.resolution import (
    LEAST_GAIN,
    STEP_WORTH,
    WINDOWS,
    Evidence,
    choose_from_image,
    informative_windows,
    most_worthwhile,
)
from cropseg_geo.errors import InferenceError, InputError
from cropseg_geo.events import StageAdvanced, StageFinished, StageStarted, Warned
from cropseg_geo.grid import Window
from cropseg_geo.model.card import ModelCard
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare, with_chosen_gsd
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.raster.scaling import ValueScale
from cropseg_geo.raster.source import GdalSource

SIZE = 600
NATIVE = 0.01


def stripes(period: int, side: int = SIZE) -> np.ndarray:
    """(3, H, W): bright squares of half a period on dark, as unlike at every GSD as plants are."""
    on = (np.arange(side) // (period // 2)) % 2
    return np.repeat(np.where(on[:, None] & on, 200, 60).astype(np.uint8)[None], 3, axis=0)


@dataclass(frozen=True)
class Bands:
    """The first 20 of every 120 rows."""

    def mask(self, window: Window) -> np.ndarray:
        rows = np.arange(window.row, window.row_stop) % 120 < 20
        return np.repeat(rows[:, None], window.width, axis=1)


def certain(mask: np.ndarray, margin: float | np.ndarray) -> np.ndarray:
    """(N, H, W) → logits (N, 2, H, W) of probabilities 0.5 ± ``margin``."""
    return np.where(mask, 1, -1)[:, None] * (logits_of(np.full((1, 1, 1), 0.5 + margin)) / np.float32(1))


@dataclass
class SizeLover:
    """Sure of squares that are ``best_px`` pixels wide, unsure the more the less they are."""

    best_px: float
    card: ModelCard = field(
        default_factory=lambda: fake_card(bands=("red", "green", "blue"), mean=(0.0,) * 3, std=(1.0,) * 3)
    )
    seen_px: int = 0

    def predict(self, batch):
        self.seen_px += batch.shape[-1] * batch.shape[-2]
        red = batch[:, 0]
        edges = np.count_nonzero(np.diff(red > 0.5, axis=2)) / (red.shape[1] * red.shape[2])
        # A grid of squares of side s, of which half the rows hold any: 1 / (2 s) edges a pixel.
        width_px = 0.5 / max(edges, 1e-6)
        sure = 0.49 * np.exp(-np.abs(np.log2(width_px / self.best_px)))
        return certain(red > 0.5, sure)


def choose(raster, predictor, listener=lambda event: None, extent=None, region=None):
    info = inspect_raster(str(raster))
    source = GdalSource(info, (1, 2, 3), (info.height, info.width))
    return choose_from_image(
        source,
        extent or Window(0, 0, info.height, info.width),
        region=region,
        scale=ValueScale(0, 255),
        predictor=predictor,
        listener=listener,
    )


@pytest.fixture(scope="module")
def squares(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("squares") / "squares.tif", stripes(40), gsd=NATIVE)


@pytest.mark.parametrize("native", [0.0005, 0.002, 0.01, 0.03, 0.05, 0.11])
def test_the_ladder_stays_within_the_models_range_and_the_upsampling_limit(native):
    accepted = (0.002, 0.03)
    default = min(max(native, accepted[0]), accepted[1])
    ladder = gsd_ladder(native, accepted, default)
    assert default in ladder
    assert list(ladder) == sorted(set(ladder))
    assert len(ladder) <= 8
    assert min(ladder) >= max(accepted[0], native / MAX_UPSAMPLING)
    assert max(ladder) <= accepted[1]
    np.testing.assert_allclose(np.diff(np.log2(ladder)), 0.5, atol=0.01)


@pytest.mark.parametrize(("best_px", "finer"), [(20, 1.0), (40, 2.0), (10, 0.5)])
def test_the_gsd_is_chosen_at_which_plants_have_the_size_the_model_is_sure_of(squares, best_px, finer):
    choice = choose(squares, SizeLover(best_px))
    assert choice.gsd_m == pytest.approx(NATIVE / finer, rel=0.01)
    assert f"{choice.gsd_m:.3g} m/px chosen from the image (native 0.01" in str(choice)


def test_what_the_model_makes_of_pixels_outside_the_region_does_not_count(tmp_path):
    class BandLover(SizeLover):
        """Sure of twice as large squares where it is green, of their true size elsewhere."""

        def predict(self, batch):
            near, far = (SizeLover(size).predict(batch) for size in (self.best_px, 2 * self.best_px))
            return np.where(batch[:, 1:2] > 0.5, far, near)

    values = stripes(40)
    values[1] = np.where(Bands().mask(Window(0, 0, SIZE, SIZE)), 20, 230)
    raster = write_raster(tmp_path / "bands.tif", values, gsd=NATIVE)
    assert choose(raster, BandLover(20)).gsd_m < NATIVE
    assert choose(raster, BandLover(20), region=Bands()).gsd_m == NATIVE


def test_of_several_classes_all_but_the_background_are_vegetation(squares):
    class TwoPlants(SizeLover):
        def predict(self, batch):
            soil, plant = np.moveaxis(super().predict(batch), 1, 0)
            half = plant - np.float32(np.log(2))
            return np.stack([soil, half, half], axis=1)

    bands = {"bands": ("red", "green", "blue"), "mean": (0.0,) * 3, "std": (1.0,) * 3}
    trust = choose(squares, SizeLover(20)).trust
    np.testing.assert_allclose(
        choose(squares, TwoPlants(20, fake_card(n_classes=3, **bands))).trust, trust, atol=1e-4
    )


def test_a_model_that_sees_no_vegetation_is_run_at_the_default_gsd(squares):
    class Blind(SizeLover):
        def predict(self, batch):
            return logits_of(np.full(batch[:, 0].shape, 0.001 * batch.shape[-1] / 1000))

    choice = choose(squares, Blind(20))
    assert choice.gsd_m == NATIVE
    assert "nothing to compare" in str(choice)


def test_background_everywhere_is_sure_but_not_trusted(squares):
    class BlindWhenCoarse(SizeLover):
        def predict(self, batch):
            small = np.count_nonzero(np.diff(batch[:, 0] > 0.5, axis=2)) / batch[:, 0].size > 0.03
            probability = np.where(batch[:, 0] > 0.5, 0.8, 0.2)
            return logits_of(np.full_like(probability, 0.001) if small else probability)

    choice = choose(squares, BlindWhenCoarse(20))
    trust = dict(choice.trust)
    assert choice.gsd_m == NATIVE
    assert trust[max(trust)] < trust[NATIVE]


def test_a_gain_smaller_than_a_step_is_worth_changes_nothing():
    small, large = LEAST_GAIN + 0.9 * STEP_WORTH, LEAST_GAIN + 1.1 * STEP_WORTH
    assert most_worthwhile([0.5 + 2 * small - LEAST_GAIN, 0.5 + small, 0.5, 0.5 + small], default=2) == 2
    assert most_worthwhile([0.5, 0.5 + large, 0.5, 0.5], default=2) == 1
    assert most_worthwhile([0.5, 0.5, 0.5, 0.5 + large], default=2) == 3
    assert most_worthwhile([0.5, 0.5 + large, 0.5, 0.5 + large], default=2) == 3


def test_trust_is_margin_where_any_gsd_sees_vegetation_times_vegetation_shared_with_a_neighbour():
    probabilities = np.array([[0.9, 0.9, 0.1, 0], [0.8, 0.4, 0.2, 0], [0, 0, 0, 0]], dtype=np.float32)
    evidence = Evidence.none(3).plus(probabilities, 0.5)
    assert (evidence.seen_px, evidence.vegetation_px) == (4, 2)
    np.testing.assert_allclose(evidence.trust, [0.8 * 0.5, 0.4 * 0.5, 0], rtol=1e-6)
    twice = evidence.plus(probabilities, 0.5)
    np.testing.assert_allclose(twice.trust, evidence.trust)


def test_the_work_is_bounded_and_announced_exactly(squares):
    events, predictor = [], SizeLover(20)
    choose(squares, predictor, events.append)
    started = [e for e in events if isinstance(e, StageStarted)]
    assert [(e.stage, e.unit) for e in started] == [("gsd", "px")]
    assert started[0].total == predictor.seen_px
    assert sum(e.amount for e in events if isinstance(e, StageAdvanced)) == predictor.seen_px
    assert isinstance(events[-1], StageFinished)
    assert predictor.seen_px <= WINDOWS * 6 * 512**2


def test_windows_are_fixed_lie_in_the_extent_and_prefer_what_varies(tmp_path):
    values = np.full((3, SIZE, SIZE), 90, dtype=np.uint8)
    values[:, :, 300:] = scene(SIZE, 300)
    valid = np.ones((SIZE, SIZE), dtype=bool)
    valid[:300] = False
    info = inspect_raster(str(write_raster(tmp_path / "a.tif", values, valid=valid)))
    source, extent = GdalSource(info, (1, 2, 3), (SIZE, SIZE)), Window(100, 50, 450, 550)
    windows = informative_windows(source, extent, None, 100)
    assert windows == informative_windows(source, extent, None, 100)
    assert 0 < len(windows) <= WINDOWS
    assert all(window in extent for window in windows)
    assert all(valid[window.slices].mean() >= 0.5 for window in windows)
    assert all(window.col_stop > 300 for window in windows)
    inside = informative_windows(source, extent, Bands(), 30)
    assert all(Bands().mask(window).mean() >= 0.5 for window in inside)
    assert len(inside) > 2


def test_a_raster_smaller_than_a_window_and_one_with_a_single_valid_corner_can_be_chosen_for(tmp_path):
    small = write_raster(tmp_path / "small.tif", stripes(20, 50))
    assert choose(small, SizeLover(10)).gsd_m == pytest.approx(NATIVE, rel=0.5)
    valid = np.zeros((SIZE, SIZE), dtype=bool)
    valid[:60, :60] = True
    corner = write_raster(tmp_path / "corner.tif", stripes(40), valid=valid)
    assert choose(corner, SizeLover(20)).gsd_m == NATIVE


def test_values_that_are_not_finite_are_refused(squares):
    class Broken(SizeLover):
        def predict(self, batch):
            return np.full((1, 2, *batch.shape[-2:]), np.nan, dtype=np.float32)

    with pytest.raises(InferenceError, match="not finite"):
        choose(squares, Broken(20))


@pytest.fixture(scope="module")
def field_raster(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("field") / "field.tif", scene(300, 320), gsd=0.03)


def test_auto_plans_the_same_run_as_the_chosen_gsd_given_and_says_so(field_raster):
    auto = with_chosen_gsd(prepare(field_raster, Options(gsd_m="auto")))
    again = with_chosen_gsd(prepare(field_raster, Options(gsd_m="auto")))
    assert auto.plan.fingerprint == again.plan.fingerprint
    assert auto.gsd_choice == again.gsd_choice
    given = prepare(field_raster, Options(gsd_m=auto.gsd_choice.gsd_m))
    assert auto.plan.fingerprint == given.plan.fingerprint
    assert auto.notes == (str(auto.gsd_choice), *given.notes)


def test_what_chose_the_gsd_computes_the_run(field_raster, monkeypatch):
    ready = prepare(field_raster, Options(gsd_m="auto"))

    def look_again(*args, **options):
        pytest.fail("another library or device may be found now")

    monkeypatch.setattr("cropseg_geo.preflight.choose_predictor", look_again)
    assert with_chosen_gsd(ready).predictor is ready.predictor


def test_the_printed_gsd_given_as_a_number_writes_the_same_bytes(field_raster, tmp_path):
    events = []
    left, top = ORIGIN
    options = {"bbox": (left, top - 3, left + 3, top)}
    auto = cg.segment(field_raster, tmp_path / "auto", gsd_m="auto", listener=events.append, **options)
    notes = [e.message for e in events if isinstance(e, Warned)]
    printed = float(notes[0].removeprefix("working GSD ").split()[0])
    given = cg.segment(field_raster, tmp_path / "given", gsd_m=printed, **options)
    assert auto.summary == given.summary
    with rasterio.open(auto.outputs.prob) as a, rasterio.open(given.outputs.prob) as b:
        np.testing.assert_array_equal(a.read(), b.read())
        assert a.tags()["CROPSEG_WORKING_GSD_M"] == b.tags()["CROPSEG_WORKING_GSD_M"]


def test_check_prints_the_choice_and_wrong_words_are_refused(field_raster):
    checked = CliRunner().invoke(
        app, ["check", str(field_raster), "--gsd", "auto", "--overwrite"], env={"COLUMNS": "200"}
    )
    assert checked.exit_code == 0, checked.output
    assert "chosen from the image (native 0.03" in checked.output
    assert CliRunner().invoke(app, ["check", str(field_raster), "--gsd", "fine"]).exit_code == 2
    with pytest.raises(InputError, match="'fine' is no GSD"):
        Options(gsd_m="fine")
