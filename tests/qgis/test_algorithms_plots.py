"""Plots are made in QGIS as by the package: from a line, corners, a template, with a field book, snapped."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pytest
from scenarios import BBOX, BOOK, LINE, NUMBERING, PLOTS, SAMPLE, SITE, TRIAL, results

from cropseg_geo.pipeline import make_plots
from cropseg_geo.pipeline.layout import Template
from cropseg_geo.plots.making.numbering import Numbering


def written(answer: dict) -> gpd.GeoDataFrame:
    return gpd.read_file(results(answer)["OUTPUT"], layer="plots")


def assert_same(theirs: gpd.GeoDataFrame, mine: gpd.GeoDataFrame) -> None:
    """The same plots in the same order, to a hundredth of a millimetre."""
    assert list(theirs["plot_id"]) == list(mine["plot_id"])
    assert theirs.crs == mine.crs
    np.testing.assert_allclose(theirs.get_coordinates(), mine.get_coordinates(), atol=1e-5)


def test_plots_are_made_in_exact_sizes_from_a_line_and_from_corners(told):
    line = written(told["line"])
    assert_same(line, make_plots(site=SITE, trial=TRIAL, numbering=NUMBERING))
    assert len(line) == told["line"]["results"]["N_PLOTS"] == 4
    # Lengths are true on the ground; the grid of UTM is a little larger or smaller.
    np.testing.assert_allclose(line.area, 2.5 * 2.0, rtol=2e-3)
    corners = written(told["corners"])
    assert len(corners) == 6
    np.testing.assert_allclose(corners.total_bounds, BBOX, atol=0.01)
    assert told["corners"]["results"]["MISFIT"] < 0.01


def test_corners_that_do_not_fit_are_refused_with_a_parameter_that_lets_them_pass(told):
    assert "TOLERANCE" in told["too tight"]["error"]
    made = written(told["put up with"])
    assert len(made) == 6
    assert made.total_bounds[3] - made.total_bounds[1] == pytest.approx(7.2, abs=0.01)


def test_a_field_book_adds_its_columns_whatever_its_letters(told):
    theirs = written(told["field book"]).set_index("plot_id")
    theirs.index = theirs.index.astype(int)
    book = BOOK.set_index("plot")
    assert list(theirs.loc[book.index, "variety"]) == list(book["variety"])
    assert list(theirs.loc[book.index, "dose"]) == list(book["dose"])


def test_plots_are_fitted_to_the_canopy_of_a_mask(told, folder):
    mask = folder / "theirs" / "field_mask.tif"
    snapped = written(told["snapped"])
    assert_same(snapped, make_plots(site=SITE, trial=TRIAL, snap_to=mask))
    elsewhere = written(told["snapped from elsewhere"])
    assert elsewhere.crs == snapped.crs
    np.testing.assert_allclose(elsewhere.get_coordinates(), snapped.get_coordinates(), atol=0.002)


@pytest.mark.parametrize("name", ["template", "template in memory"])
def test_a_template_is_moved_with_its_columns(told, name):
    theirs = written(told[name])
    assert_same(theirs, make_plots(site=SITE, template=Template(PLOTS)))
    assert list(theirs["variety"]) == list(gpd.read_file(SAMPLE / "plots.gpkg")["variety"])


def test_a_template_that_stays_is_fitted(told):
    theirs = written(told["template that stays"])
    assert_same(theirs, make_plots(template=Template(PLOTS), snap_to=SAMPLE / "field_truth.tif"))
    before = gpd.read_file(SAMPLE / "plots.gpkg")
    moved = theirs.centroid.distance(before.centroid)
    assert 0.005 < moved.max() < 0.5


def test_points_without_a_crs_take_the_projects_and_are_refused_where_it_has_none(told):
    assert_same(
        written(told["bare points in a project"]),
        make_plots(site=SITE, trial=TRIAL, numbering=Numbering()),
    )
    refused = told["bare points"]
    assert not refused["done"]
    assert any("has no CRS.\n→" in line for line in refused["said"])


def test_a_trial_without_a_place_says_what_to_give(told, folder):
    for name in ("CORNERS", "POINT_A", "POINT_B"):
        assert name in told["no place"]["error"]
    assert set(LINE) == {"POINT_A", "POINT_B"}
    assert not (folder / "never.gpkg").exists()


def test_algorithms_can_be_chained_in_a_model(told):
    assert told["chain"].get("done"), told["chain"]
    (measured,) = [p for p in told["chain"]["results"].values() if p.endswith("chain.gpkg")]
    table = gpd.read_file(measured, layer="plots")
    assert len(table) == 4
    assert table["coverage"].between(0, 1).all()
