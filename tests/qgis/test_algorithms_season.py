"""Several dates and reports in the real QGIS: the package's own figures, in a table and on a page."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from scenarios import PLOTS, results

import cropseg_geo as cg
from cropseg_geo.plots.summary import season_summary

DATES = ["2026-05-31", "2026-06-14"]


@pytest.fixture(scope="module")
def mine(folder) -> pd.DataFrame:
    masks = [folder / f"Süd {day} mask.tif" for day in DATES]
    return cg.plot_series(masks, PLOTS, stats="coverage")


def test_a_season_has_the_figures_of_the_package_and_growth_curves(told, folder, mine):
    given = results(told["season"])
    theirs = pd.read_csv(given["OUTPUT"])
    assert given["N_PLOTS"] == mine["plot_id"].nunique() == 32
    assert list(theirs.columns) == list(mine.columns)
    assert sorted(set(theirs["date"])) == DATES
    np.testing.assert_allclose(theirs["coverage"], mine["coverage"], rtol=5e-6)
    assert theirs["coverage_per_day"].max() > 0
    assert "<svg" in Path(given["CHART"]).read_text(encoding="utf-8")


def test_dates_are_given_in_the_order_of_the_masks(told, mine):
    given = results(told["season as a layer"])
    theirs = gpd.read_file(given["OUTPUT"], layer="plots")
    assert list(theirs["date"].dt.strftime("%Y-%m-%d")) == list(mine["date"])
    assert list(theirs["plot_id"]) == list(mine["plot_id"])
    np.testing.assert_allclose(theirs["coverage"], mine["coverage"], rtol=5e-6)
    assert "CHART" not in given


def test_the_season_of_each_plot_has_the_figures_of_the_package(told, mine):
    theirs = gpd.read_file(results(told["season as a layer"])["SUMMARY"], layer="plots")
    expected = season_summary(mine)
    assert list(theirs["plot_id"]) == list(expected["plot_id"])
    for name in ("area_under_curve_d", "days_to_half_coverage", "max_coverage"):
        np.testing.assert_allclose(theirs[name], expected[name], rtol=5e-6)
    assert list(theirs["max_coverage_date"].dt.strftime("%Y-%m-%d")) == list(expected["max_coverage_date"])
    assert "SUMMARY" not in results(told["season"])


def test_a_season_arrives_coloured_and_is_played_by_its_dates(told):
    (layer,) = told["season loaded"]["layers"]
    assert layer["renderer"] == "graduatedSymbol"
    assert layer["played by"] == "date"
    assert told["loaded"]["layers"][0]["played by"] is False


def test_masks_without_a_date_and_missing_masks_are_refused_in_words_of_the_toolbox(told, folder):
    assert "DATES" in told["season without dates"]["error"]
    assert "--dates" not in told["season without dates"]["error"]
    assert "INPUT" in str(told["season that lacks a mask"]) or "Masks" in str(
        told["season that lacks a mask"]
    )
    assert not told["season that lacks a mask"].get("done")
    assert not (folder / "never.csv").exists()


def test_a_report_is_made_of_a_mask_its_plots_and_its_season(told, folder):
    page = Path(results(told["report"])["OUTPUT"]).read_text(encoding="utf-8")
    assert all(day in page for day in DATES)
    assert "B3-03" in page
    assert Path(results(told["sheet"])["OUTPUT"]).read_bytes().startswith(b"%PDF")
    assert "BANDS" in told["report of bands"]["error"]
    assert not (folder / "never.html").exists()


def test_files_of_several_layers_are_known_as_inputs(told):
    assert told["onto a member of several"]["files"] == told["onto a member"]["files"]
    assert len(told["onto a member"]["files"]) == 2


def test_two_results_do_not_share_a_file(told, folder):
    assert "is named for two results" in told["season onto its summary"]["error"]
    assert not (folder / "never.gpkg").exists()


def test_in_a_model_masks_of_several_sources_are_one_season(told, folder):
    masks = told["season in a model"]["arguments"]["masks"]
    assert masks == [str(folder / f"Süd {day} mask.tif") for day in DATES]


def test_selected_rows_of_a_season_are_its_rows_without_the_numbers_of_the_file(told, folder):
    head, *rows = told["rows of a season"]["rows"]
    assert head.startswith("date,days,plot_id")
    assert len(rows) == len(DATES)
    assert all("B3-03" in row for row in rows)
    assert str(folder / "season.gpkg") in told["rows of a season"]["files"]


def test_selected_plots_are_inputs_and_come_in_the_crs_of_the_mask(told, folder):
    assert told["plots of elsewhere"]["crs"] == "EPSG:32632"
    assert str(folder / "plots elsewhere.gpkg") in told["plots of elsewhere"]["files"]
