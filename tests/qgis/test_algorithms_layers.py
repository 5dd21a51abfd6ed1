"""Layers of every kind give what their files give, in a project with and without a CRS."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from scenarios import BBOX, SELECTED, results

import cropseg_geo as cg

WRITTEN = 5e-6
"""Files hold six significant digits of a statistic."""


def measured(answer: dict) -> pd.Series:
    return pd.read_csv(results(answer)["OUTPUT"]).set_index("plot_id")["coverage"]


@pytest.mark.parametrize("how", ["selected", "filtered", "edited"])
def test_only_the_plots_that_the_user_sees_or_selected_are_measured(told, ours, how):
    coverage = measured(told[how])
    assert sorted(coverage.index) == SELECTED
    mine = ours.plots.set_index("plot_id")["coverage"].astype(float)
    np.testing.assert_allclose(coverage, mine[coverage.index], rtol=WRITTEN)


def test_edits_that_are_not_saved_count_and_stay_edits(told):
    assert told["edited"]["still edited"]


@pytest.mark.parametrize(
    ("how", "close"),
    [("memory", 1e-4), ("shifted by a grid", 1e-4), ("with a column fid", 1e-4), ("assigned plots", 1e-6)],
)
def test_a_layer_in_memory_or_with_a_crs_of_the_users_gives_the_same_plots(told, ours, how, close):
    assert told[how]["provider"] == ("memory" if how in ("memory", "shifted by a grid") else "ogr")
    coverage = measured(told[how])
    mine = ours.plots.set_index("plot_id")["coverage"].astype(float)
    assert sorted(coverage.index) == sorted(mine.index)
    np.testing.assert_allclose(coverage, mine[coverage.index], atol=close)


def test_joined_and_computed_columns_count(told):
    table = pd.read_csv(results(told["joined"])["OUTPUT"])
    assert set(table["dose"]) == {1.5}
    assert list(table["label"]) == [f"plot {name}" for name in table["plot_id"]]


def test_numbers_of_features_are_no_column_of_a_layer_without_any(told):
    table = pd.read_csv(results(told["without columns"])["OUTPUT"])
    assert not {"fid", "cropseg_fid"} & set(table)


def test_an_area_in_another_crs_is_refused_under_its_own_name(told):
    refused = told["area elsewhere"].get("error", "")
    assert "far_away.gpkg: the area of interest lies beside the raster" in refused, told["area elsewhere"]


@pytest.mark.parametrize(
    "name", ["onto the field", "probability onto the field", "onto the plots", "folder of the plots"]
)
def test_a_result_that_would_replace_an_input_is_refused_before_the_work(told, name):
    assert "is read by this run" in told[name].get("error", ""), told[name]
    assert told[name]["untouched"]


def test_the_members_of_a_virtual_raster_are_inputs(told, folder):
    assert told["onto a member"]["files"] == [str(folder / "own" / f"truth.{end}") for end in ("tif", "vrt")]


@pytest.mark.parametrize(("name", "lost"), [("among others", "ditches"), ("canopy onto plots", "plots")])
def test_a_package_with_other_layers_is_not_replaced(told, name, lost):
    assert f"also holds {lost}, which would be lost" in told[name].get("error", ""), told[name]
    assert told[name]["untouched"]


def test_a_probability_raster_is_no_mask(told):
    assert any("looks like a probability raster" in line for line in told["probability"]["said"])
    assert not told["probability"]["done"]


def test_values_that_a_user_calls_no_data_do_not_count_without_a_word(told):
    assert "additional no data" in "".join(told["more no data"]["said"])


def test_results_within_a_model_are_called_after_the_orthomosaic(told):
    assert told["origins"] == ["mine", "field"]


def test_a_virtual_raster_is_as_good_as_its_file(told):
    virtual, file = results(told["virtual"]), results(told["vectorize"])
    assert virtual["N_POLYGONS"] == file["N_POLYGONS"]
    assert virtual["CANOPY_AREA"] == pytest.approx(file["CANOPY_AREA"], rel=1e-12)


def test_a_raster_in_a_geopackage_is_opened_by_its_name(told, folder):
    assert told["in a package"]["valid"]
    assert results(told["in a package"])["TILES"] == cg.check(folder / "räster.gpkg").tiles


def test_a_temporary_output_is_a_file_of_qgis(told, ours):
    given = results(told["temporary"])
    assert given["N_POLYGONS"] == ours.summary.n_polygons
    assert len(gpd.read_file(given["OUTPUT"], layer="canopy")) == given["N_POLYGONS"]


@pytest.mark.parametrize("kind", ["memory", "database"])
def test_an_output_that_is_no_file_is_refused_with_what_to_take_instead(told, kind):
    assert "TEMPORARY_OUTPUT" in told[f"{kind} output"]["error"]


def test_a_name_that_nothing_writes_is_refused_before_the_work(told, folder):
    assert "let it end in .gpkg" in told["no suffix"]["error"]
    assert not (folder / "m.tif").exists()


def test_an_extent_comes_over_into_the_crs_of_the_raster(told):
    expected = gpd.GeoSeries.from_wkt(
        ["POLYGON ((7.94 51.49, 7.95 51.49, 7.95 51.50, 7.94 51.50, 7.94 51.49))"], crs="EPSG:4326"
    ).to_crs("EPSG:32632")
    np.testing.assert_allclose(told["extent"], expected.total_bounds, atol=1)


def test_an_extent_that_names_no_crs_is_in_the_rasters_whatever_the_project(told):
    assert told["bare extent"] == told["bare extent in a project"] == list(BBOX)


def test_a_layer_is_taken_by_its_file_and_with_the_crs_that_the_user_gave_it(told, folder):
    assert told["untouched"]["source"] == str(folder / "coarse.tif")
    assert told["assigned"]["source"].endswith("coarse.vrt")
    assert told["assigned"]["crs"] == "EPSG:25832"
