"""Numbers that are none: from files they are invalid pixels, from a model they stop the run."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pytest
from fakes import fake_card, logits_of
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasters import ORIGIN, UTM

from cropseg_geo.engine.graph import Inference, infer_tiles
from cropseg_geo.engine.plan import make_plan
from cropseg_geo.errors import InferenceError, InputError
from cropseg_geo.grid import Window
from cropseg_geo.lazy import lazy_probability
from cropseg_geo.model.card import ModelCard
from cropseg_geo.options import Options
from cropseg_geo.raster.scaling import ValueScale

NAN, INF = float("nan"), float("inf")


@dataclass(frozen=True)
class FinitePredictor:
    """Fails where it is shown a number that is none."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        assert np.isfinite(batch).all()
        assert batch.min() >= 0
        assert batch.max() <= 1
        return logits_of(batch[:, 0])


@dataclass(frozen=True)
class SpoiltPredictor:
    """Gives one value that is none, or another shape, on tiles that hold a bright pixel."""

    value: float | None
    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        logits = logits_of(batch[:, 0])
        if batch.max() > 0.9:
            if self.value is None:
                return logits[:, :, 1:]
            logits[0, 0, 3, 3] = self.value
        return logits


def array(values: np.ndarray):
    left, top = ORIGIN
    box = GeoBox.from_bbox(
        (left, top - values.shape[0] / 100, left + values.shape[1] / 100, top), UTM, resolution=0.01
    )
    return wrap_xr(values[None].astype(np.float32), box, axis=1)


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_pixels_that_are_no_numbers_are_invalid_and_reach_no_model(bad):
    values = np.full((60, 80), 0.3)
    values[10:20, 30:50] = bad
    found = lazy_probability(array(values), FinitePredictor(), Options(), reflectance=False).compute().values
    assert (np.isnan(found) == ~np.isfinite(values)).all()
    assert found[np.isfinite(values)] == pytest.approx(0.3, abs=1e-3)


@pytest.mark.parametrize("value", [NAN, INF, -INF])
def test_a_lazy_answer_that_is_no_number_stops_the_work_and_names_the_tile(value):
    values = np.full((60, 80), 0.3)
    values[2, 70] = 1.0
    lazy = lazy_probability(array(values), SpoiltPredictor(value), Options(), reflectance=False)
    with pytest.raises(InferenceError, match=r"not finite for tile \(0, [12]\)"):
        lazy.compute(scheduler="synchronous")


def test_an_answer_of_another_shape_stops_the_work_and_names_the_tile():
    values = np.full((60, 80), 0.3)
    values[2, 70] = 1.0
    with pytest.raises(InferenceError, match=r"returned .* for tile \(0, [12]\)"):
        lazy_probability(array(values), SpoiltPredictor(None), Options(), reflectance=False).compute(
            scheduler="synchronous"
        )


def test_an_array_without_numbers_is_refused():
    with pytest.raises(InputError, match="complex64 values"):
        lazy_probability(array(np.zeros((40, 40))).astype(np.complex64), FinitePredictor(), Options())


def test_values_beyond_float32_are_white_or_black_not_infinite():
    scale = ValueScale(0, 1)
    found = scale.apply(np.array([1e300, -1e300, 0.25, NAN]))
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, np.array([1, 0, 0.25, NAN], np.float32))
    wide = ValueScale(2_000_000_000, 2_000_000_100)
    assert wide.apply(np.array([2_000_000_025], np.int64)).tolist() == [0.25]


@pytest.mark.parametrize(
    ("logits", "message", "remedy"),
    [
        (None, r"tile \(1, 2\).*nought", "--backend"),
        (np.zeros((1, 7, 32, 32), np.float32), r"returned \(1, 7, 32, 32\) for tile \(1, 2\)", "card"),
    ],
)
def test_a_model_that_fails_on_a_tile_is_told_with_the_tile_and_the_cause(logits, message, remedy):
    class Failing:
        card = fake_card()

        def predict(self, batch):
            if logits is None:
                raise ZeroDivisionError("nought")
            return logits

    window = Window(0, 0, 64, 64)
    plan = make_plan(
        shape=window.shape, extent=window, tile_px=32, overlap_px=8, channels=1, identity={}, tiles_per_side=4
    )
    inference = Inference(Failing(), ValueScale(0, 1), plan)
    with pytest.raises(InferenceError, match=message) as caught:
        infer_tiles(inference, [(1, 2)], np.zeros((1, 1, 32, 32), np.float32))
    assert remedy in caught.value.remedy
