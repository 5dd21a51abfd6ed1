"""Networks are made ready for what a run will have: as asked for, as measured here, else as the card says."""

import pytest

from cropseg_geo.engine import warming
from cropseg_geo.engine.tuning import Setting, Tuned
from cropseg_geo.engine.warming import warm_up_early, warm_up_lanes
from cropseg_geo.model import backends
from cropseg_geo.model.backends import choose_predictor

CHOICE = {"backend": "openvino", "device": "auto", "precision": "auto"}


@pytest.fixture
def asked(monkeypatch):
    """Side of the tiles and number of calls of each network that is made ready."""
    found = []
    monkeypatch.setattr(backends, "has_gpu", lambda: False)
    monkeypatch.setattr(warming, "remembered", lambda predictor: None)
    monkeypatch.setattr(warming, "warm_up", lambda predictor, tile_px, lanes: found.append((tile_px, lanes)))
    return found


def test_what_is_asked_for_comes_before_what_was_measured_and_that_before_the_card(asked, monkeypatch):
    predictor = choose_predictor("canopy-s", backend="openvino")
    warm_up_lanes(predictor, tile_px=None, lanes=3)
    measured = Setting(768, 5, 1)
    monkeypatch.setattr(warming, "remembered", lambda predictor: Tuned(measured, measured))
    warm_up_lanes(predictor, tile_px=None, lanes=None)
    warm_up_lanes(predictor, tile_px=256, lanes=2)
    assert asked == [(512, 3), (768, 5), (256, 2)]


def test_torch_makes_one_network_ready_for_all_lanes(asked):
    warm_up_lanes(choose_predictor("canopy-s", backend="torch", device="cpu"), tile_px=None, lanes=3)
    assert asked == [(512, 1)]


@pytest.mark.parametrize(
    ("model", "choice"),
    [
        ("canopy-s", {"backend": "torch"}),
        ("canopy-s", {"backend": "abacus"}),
        ("https://example.org/model.safetensors", {}),
        ("nothing.safetensors", {}),
    ],
)
def test_early_is_only_what_loads_no_torch_and_has_nothing_wrong(asked, model, choice):
    warm_up_early("canopy-s", lanes=2, tile_px=None, **CHOICE)
    warm_up_early(model, lanes=2, tile_px=None, **{**CHOICE, **choice})
    assert asked == [(512, 2)]
