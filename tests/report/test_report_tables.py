"""What a report takes from tables of plots and of dates."""

from __future__ import annotations

import json
import shutil

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from rasters import write_plots
from report.survey import content_of, tag

from cropseg_geo.errors import InputError


def test_a_csv_gives_a_table_without_outlines(field, tmp_path):
    table = tmp_path / "t.csv"
    pd.DataFrame({"plot_id": [1, 2], "coverage": [0.2, 0.4]}).to_csv(table, index=False)
    content = content_of(field, plots=table, series=None)
    assert content.table.outlines_px is None
    assert len(content.table) == 2


def test_words_of_a_csv_are_no_missing_values(field, tmp_path):
    """But they are among numbers, where R writes them."""
    table = tmp_path / "t.csv"
    table.write_text(
        "plot_id,treatment,remark,coverage,yield\nNA,None,NA,0.2,NA\n1,NA,,0.4,5\nnull,low,x,,7.5\n"
    )
    frame = content_of(field, plots=table, series=None).table.frame
    assert frame["plot_id"].tolist() == ["NA", "1", "null"]
    assert frame["treatment"].tolist() == ["None", "NA", "low"]
    assert frame["remark"].isna().tolist() == [False, True, False]
    np.testing.assert_array_equal(frame["yield"], [np.nan, 5, 7.5])
    np.testing.assert_array_equal(frame["coverage"], [0.2, 0.4, np.nan])
    table.write_text("plot_id,coverage,low_validity,mean_prob\n1,0.2,True,NA\n2,0.4,False,NA\n")
    facts = {c.name: c.kind for c in content_of(field, plots=table, series=None).table.columns}
    assert facts == {"plot_id": "number", "coverage": "number", "low_validity": "flag", "mean_prob": "number"}


def test_a_series_follows_the_order_of_the_plots(field):
    content = content_of(field)
    assert content.series.dates == ("2026-04-20", "2026-05-10", "2026-05-31")
    values = content.series.values["coverage"]
    assert np.allclose(values[:, 2], content.table.frame["coverage"], equal_nan=True)
    assert np.allclose(values[:, 0] * 3, values[:, 2], equal_nan=True)


@pytest.mark.parametrize("ids", [["0101", "0102"], ["1E2", "1E3"], ["7", "B-2"], ["101", "102"]])
def test_ids_of_tables_are_the_plots_ids_as_they_are_written(field, tmp_path, ids):
    plots = write_plots(tmp_path / "p.gpkg", [(2, 2, 5, 5), (6, 2, 9, 5)], plot_id=ids, coverage=[0.2, 0.4])
    rows = {
        "plot_id": ids * 2,
        "date": ["2026-05-01"] * 2 + ["2026-05-09"] * 2,
        "coverage": [0, 0.1, 0.2, 0.4],
    }
    pd.DataFrame(rows).to_csv(tmp_path / "s.csv", index=False)
    content = content_of(field, plots=plots, series=tmp_path / "s.csv")
    assert content.series.values["coverage"].tolist() == [[0, 0.2], [0.1, 0.4]]
    alone = content_of(field, plots=None, series=tmp_path / "s.csv")
    assert alone.table.frame["plot_id"].astype(str).tolist() == ids


def test_plots_without_statistics_take_those_of_the_series_latest_date(field):
    frame = gpd.read_file(field["plots"])
    bare = frame[["plot_id", "treatment", "geometry"]].iloc[::-1]
    told = []
    content = content_of(field, plots=bare, listener=told.append)
    table = content.table
    assert table.outlines_px is not None
    assert [c.name for c in table.statistics] == ["coverage", "canopy_area_m2"]
    np.testing.assert_allclose(table.frame["coverage"], frame["coverage"][::-1])
    assert not any("no statistics" in getattr(event, "message", "") for event in told)


def test_own_numbers_of_plots_do_not_stand_in_for_statistics(field):
    """Neither a field book's doses nor ratings in percent that are called like the statistic."""
    frame = gpd.read_file(field["plots"])
    rated = frame[["plot_id", "geometry"]].assign(dose=[0.0, 50.5] * 6, coverage=82, gap_fraction=30)
    table = content_of(field, plots=rated).table
    assert [c.name for c in table.statistics][:2] == ["coverage", "canopy_area_m2"]
    np.testing.assert_allclose(table.frame["coverage"], frame["coverage"])
    assert set(table.frame["coverage_input"]) == {82}
    assert set(table.frame["gap_fraction_input"]) == {30}
    named = content_of(field, plots=rated.assign(coverage_input=83)).table
    assert (set(named.frame["coverage_input_"]), set(named.frame["coverage_input"])) == ({82}, {83})
    told = []
    table = content_of(field, plots=rated, series=None, listener=told.append).table
    assert any("carry no statistics" in getattr(event, "message", "") for event in told)
    facts = {c.name: c for c in table.columns}
    assert {(facts[c].unit, facts[c].factor, facts[c].about) for c in ("coverage", "gap_fraction")} == {
        ("", 1.0, "")
    }


def test_own_columns_grow_only_if_they_change(field, tmp_path):
    table = pd.read_csv(field["series"])
    table["dose"] = table["plot_id"].str.len() * 1.5
    table["score"] = range(len(table))
    table["coverage"] = 0.5
    table.to_csv(tmp_path / "s.csv", index=False)
    series = content_of(field, series=tmp_path / "s.csv").series
    assert list(series.values) == ["coverage", "canopy_area_m2", "score"]


def test_a_series_without_growth_is_told_of_and_left_out(field, tmp_path):
    table = pd.read_csv(field["series"])[["plot_id", "date"]].assign(dose=1.5)
    table.to_csv(tmp_path / "s.csv", index=False)
    told = []
    assert content_of(field, series=tmp_path / "s.csv", listener=told.append).series is None
    assert any("changes over the dates" in getattr(event, "message", "") for event in told)


def test_a_series_alone_shows_its_latest_date(field):
    content = content_of(field, plots=None, raster=None)
    assert content.table.frame["coverage"].iloc[0] == pytest.approx(0.93)


@pytest.mark.parametrize(("day", "share"), [("2026-05-10", 2 / 3), ("2026-05-11", 1)])
@pytest.mark.parametrize("has_plots", [False, True])
def test_a_series_shows_the_masks_own_date_or_says_which(field, tmp_path, day, share, has_plots):
    mask = shutil.copy(field["mask"], tmp_path / f"trial_{day}_mask.tif")
    bare = gpd.read_file(field["plots"])[["plot_id", "geometry"]] if has_plots else None
    told = []
    content = content_of(field | {"mask": mask}, raster=None, plots=bare, listener=told.append)
    assert content.table.frame["coverage"].iloc[0] == pytest.approx(0.93 * share)
    notes = [note.text for note in content.notes if note.title == "Mask of another date"]
    assert notes == [getattr(event, "message", None) for event in told if "mask is of" in str(event)]
    if share == 1:
        assert "2026-05-11" in notes[0]
        assert "statistics of 2026-05-31" in notes[0]
    else:
        assert not notes


def test_plots_that_are_measured_keep_their_statistics(field, tmp_path):
    mask = shutil.copy(field["mask"], tmp_path / "trial_2026-05-10_mask.tif")
    content = content_of(field | {"mask": mask}, raster=None)
    assert content.table.frame["coverage"].iloc[0] == pytest.approx(0.93)
    assert content.table.date is None


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"plot": [1], "date": ["2026-05-01"]}, "plot_id"),
        ({"plot_id": [1], "coverage": [0.1]}, "no column 'date'"),
        ({"plot_id": [1], "date": ["spring"]}, "not all ISO dates"),
        ({"plot_id": [1, 1], "date": ["2026-05-01"] * 2}, "more than one row"),
        ({"plot_id": [1, None], "date": ["2026-05-01"] * 2}, "1 rows have no plot_id"),
        ({"plot_id": [1, 2], "date": ["2026-05-01", None]}, "1 rows have no date"),
        ({}, "no table that can be read"),
        ({"plot_id": ["x"], "date": ["2026-05-01"], "coverage": [0.1]}, "no plot of the series"),
    ],
)
def test_a_series_that_cannot_be_used_is_refused(field, tmp_path, rows, message):
    path = tmp_path / "s.csv"
    pd.DataFrame(rows).to_csv(path, index=False)
    with pytest.raises(InputError, match=message) as caught:
        content_of(field, series=path)
    assert caught.value.remedy


def test_plots_without_features_are_refused(field):
    with pytest.raises(InputError, match="no feature"):
        content_of(field, plots=gpd.GeoDataFrame({"plot_id": []}, geometry=[], crs="EPSG:32632"))


def test_unknown_columns_keep_their_names_and_their_units(field):
    facts = {c.name: c for c in content_of(field).table.columns}
    assert (facts["yield_kg"].label, facts["yield_kg"].unit) == ("Yield", "kg")
    assert (facts["coverage"].label, facts["coverage"].unit, facts["coverage"].factor) == (
        "Coverage",
        "%",
        100,
    )
    assert not facts["block"].is_statistic
    assert facts["treatment"].kind == "text"


def test_own_ratings_of_coverage_are_shown_as_they_are(field, tmp_path):
    table = tmp_path / "t.csv"
    ratings = {name: [82, 30] for name in ("coverage_input", "coverage_visual", "coverage_fieldbook")}
    classes = {"coverage_beet": [0.25, 0.5], "coverage_wild_oat": [0.1, 0.2]}
    pd.DataFrame({"plot_id": [1, 2], "coverage": [0.3, 0.7], **ratings, **classes}).to_csv(table, index=False)
    facts = {c.name: c for c in content_of(field, plots=table, series=None).table.columns}
    assert {(facts[c].unit, facts[c].factor, facts[c].about) for c in ratings | classes} == {("", 1.0, "")}
    mask = shutil.copy(field["mask"], tmp_path / "m.tif")
    tag(mask, CROPSEG_CLASSES=json.dumps({0: "soil", 1: "beet", 2: "wild_oat"}))
    facts = {c.name: c for c in content_of(field | {"mask": mask}, plots=table, series=None).table.columns}
    assert {(facts[c].unit, facts[c].factor, facts[c].about) for c in ratings} == {("", 1.0, "")}
    assert {(facts[c].unit, facts[c].factor) for c in classes} == {("%", 100.0)}
    assert facts["coverage_wild_oat"].label == "Coverage, wild oat"
