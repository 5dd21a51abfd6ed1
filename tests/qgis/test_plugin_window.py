"""A user's first minutes in a real window: the package is installed, and all of it is seen and works."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from qgis_desktop import visit_window

import cropseg_geo
from qgis_plugin import package

ROOT = Path(__file__).resolve().parents[2]
ALGORITHMS = [
    "check",
    "installengine",
    "makeplots",
    "pipeline",
    "plotseries",
    "plotstats",
    "report",
    "segment",
    "vectorize",
]
LEFT, TOP = 565800.0, 5705400.0
EXTENT = f"{LEFT + 14},{LEFT + 22},{TOP - 22},{TOP - 14} [EPSG:32632]"


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    """What ``window.py`` saw; its pictures lie in ``seen["pictures"]``."""
    folder = tmp_path_factory.mktemp("first minutes")
    order = {
        "package": str(package.write_package(folder / "dist")),
        "engine": sys.executable,
        "sample": str(folder / "CropSeg sample field"),
        "dialogs": ["segment", "pipeline"],
        "job": {"EXTENT": EXTENT, "OUTPUT": str(folder / "Ergebnisse für später")},
    }
    return {**visit_window(folder, order), "profile": folder / "profiles"}


def test_the_package_installs_in_a_clean_profile_and_runs_from_there(seen):
    assert Path(seen["place"]).is_relative_to(seen["profile"])
    assert seen["algorithms"] == ALGORITHMS


def test_the_first_run_invites_once(seen):
    assert seen["invited"]
    assert seen["first run done"]


def test_menu_has_the_main_job_first(seen):
    assert seen["menu"][0] == "Orthomosaic to plot coverage …"


def test_the_welcome_and_the_options_name_the_engine_and_that_it_fits(seen):
    for line in (seen["engine line"], seen["options line"]):
        assert f"Ready: engine {cropseg_geo.__version__} in {sys.executable}" in line


def test_an_installation_that_cannot_be_says_why_and_can_be_tried_again(seen):
    assert seen["cancel is offered"]
    assert "holds no wheels" in seen["install note"]
    assert seen["can install again"]


def test_one_click_opens_the_sample_and_leads_to_the_next_step(seen):
    assert seen["sample layers"] == ["Orthomosaic", "Plots", "Surface height", "Terrain height"]
    assert seen["step after the sample"] == 2
    assert seen["return key"] == ["Run the whole job"]


def test_the_saved_sample_shows_the_field_and_is_known_again(seen):
    assert not seen["changed by opening"]
    assert seen["field in view"]
    assert 0.9 < seen["view to field"] < 5
    assert seen["dialog is filled in with"] == ["DSM", "DTM", "INPUT", "PLOTS"]


def test_a_sample_that_the_user_saved_is_opened_as_it_was_left(seen):
    assert seen["opened again"]
    assert "mine" in seen["layers again"]
    assert "Canopy" in seen["layers again"]


def test_the_plugins_own_dialog_runs_and_is_kept_as_long_as_it_is_open(seen):
    assert seen["run button"] == "Run"
    assert (seen["dialogs held"], seen["dialogs held after"]) == (1, 0)


def test_options_are_kept_and_diagnostics_are_copied(seen):
    assert seen["device setting"] == "cpu"
    assert f"Plugin      {package.version()}" in seen["diagnostics"]
    assert f"Engine      {cropseg_geo.__version__}" in seen["diagnostics"]


def test_results_arrive_styled_and_grouped(seen):
    assert seen["groups"] == ["CropSeg: Orthomosaic", "Heights"]
    assert seen["in the group"] == ["Plots", "Canopy", "Mask", "Probability"]
    assert "graduatedSymbol" in seen["layers"].values()
    assert "paletted" in seen["layers"].values()


def test_unloading_leaves_nothing(seen):
    assert seen["left"] == {"provider": False, "menu": [], "buttons": [], "messages": []}


@pytest.mark.parametrize(
    "name",
    [
        "welcome-1",
        "welcome-2",
        "welcome-3",
        "options",
        "dialog-segment",
        "dialog-pipeline",
        "sample",
        "result",
    ],
)
def test_every_window_was_drawn(seen, name):
    assert (seen["pictures"] / f"{name}.png").stat().st_size > 10_000
