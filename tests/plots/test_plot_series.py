"""Time series: dates in names, one long table over masks of different grids, growth rates, curves."""

import math
import sqlite3
import xml.etree.ElementTree as ET
from contextlib import closing
from datetime import date, datetime, timedelta

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from typer.testing import CliRunner

import cropseg_geo
from cropseg_geo.cli import app
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import Warned
from cropseg_geo.plots.columns import SUMMARY_COLUMNS
from cropseg_geo.plots.dates import date_in_name, survey_dates
from cropseg_geo.plots.growth import growth_svg, long_table
from cropseg_geo.plots.summary import season_summary
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector_input import read_layer
from tests.plots.test_plot_files import TRANSFORM, outlines, tag_outlines, write


@pytest.mark.parametrize(
    "name",
    [
        "2024-05-31_mask.tif", "a/b/20240531_mask.tif", "trial7_31.05.2024.tif", "ortho_2024_05_31.tif",
        "x-31-05-2024.tif", "20240531T1030.tif", "flight20240531103000.tif", "31052024.tif",
        "v2_2024.5.31.tif",
    ],
)  # fmt: skip
def test_a_date_is_found_in_a_name(name):
    assert date_in_name(name) == date(2024, 5, 31)


@pytest.mark.parametrize("name", ["05.06.2024.tif", "06-05-2024.tif", "2024-05-31_to_2024-06-02.tif"])
def test_a_date_that_can_be_read_in_two_ways_is_refused(name):
    with pytest.raises(InputError, match="may be") as caught:
        date_in_name(name)
    assert "--dates" in caught.value.remedy


@pytest.mark.parametrize(
    "name", ["mask.tif", "plot_12345678.tif", "2024-13-45.tif", "20241.tif", "1970-01-01.tif"]
)
def test_a_name_without_a_date_is_refused(name):
    with pytest.raises(InputError, match="no date"):
        date_in_name(name)


def test_dates_that_are_given_must_be_dates_of_their_own():
    assert survey_dates(["a", "b"], ["2024-06-01", date(2024, 5, 1)]) == [date(2024, 6, 1), date(2024, 5, 1)]
    with pytest.raises(InputError, match="1 dates for 2 masks"):
        survey_dates(["a", "b"], ["2024-06-01"])
    with pytest.raises(InputError, match="'June' is not a date"):
        survey_dates(["a"], ["June"])
    with pytest.raises(InputError, match="are both of 2024-05-31") as caught:
        survey_dates(["m_2024-05-31.tif", "20240531 b.tif"])
    assert "gdalbuildvrt both_2024-05-31_mask.vrt m_2024-05-31.tif '20240531 b.tif';" in caught.value.remedy


@pytest.mark.parametrize(
    "given",
    [
        [datetime(2024, 5, 1, 14), datetime(2024, 5, 2, 9)],
        [datetime(2024, 5, 1, 14), date(2024, 5, 2)],
        pd.to_datetime(["2024-05-01 14:00", "2024-05-02 09:00"]),
        np.array(["2024-05-01T14:00", "2024-05-02T09:00"], dtype="M8[m]"),
        (day for day in ["2024-05-01", "2024-05-02"]),
    ],
)
def test_of_times_that_are_given_the_day_counts(given):
    found = survey_dates(["a", "b"], given)
    assert found == [date(2024, 5, 1), date(2024, 5, 2)]
    assert [type(day) for day in found] == [date, date]


def test_two_flights_of_one_day_and_what_is_no_date_are_refused():
    with pytest.raises(InputError, match="are both of 2024-05-01"):
        survey_dates(["a", "b"], [datetime(2024, 5, 1, 9), datetime(2024, 5, 1, 15)])
    for nothing in (None, 20240501, pd.NaT, np.datetime64("NaT"), np.datetime64("2024-05")):
        with pytest.raises(InputError, match="is not a date"):
            survey_dates(["a"], [nothing])


@pytest.fixture
def season(tmp_path):
    """Three masks of one field, in two CRSs and two GSDs, latest first; the second plot is flown twice."""
    columns = np.arange(100)
    for day, cover in (("2024-06-20", 60), ("2024-05-31", 20)):
        mask = np.broadcast_to(columns < cover, (100, 100)).astype(np.uint8)
        write(tmp_path / f"m_{day}.tif", mask, nodata=255)
    coarse = np.broadcast_to(np.arange(50) < 15, (50, 50)).astype(np.uint8).copy()
    coarse[25:] = 255
    write(tmp_path / "m_2024-06-10.tif", coarse, nodata=255, transform=TRANSFORM @ Affine.scale(2))
    outlines((0, 0, 100, 50), (0, 50, 100, 100)).to_file(tmp_path / "plots.gpkg", layer="plots")
    return tmp_path


def masks_of(folder):
    return [folder / f"m_2024-{day}.tif" for day in ("06-20", "05-31", "06-10")]


def test_dates_make_one_long_table_with_growth_rates(season):
    table = cropseg_geo.plot_series(masks_of(season), season / "plots.gpkg", stats="coverage")
    assert list(table.columns)[:6] == ["date", "days", "plot_id", "plot", "coverage", "coverage_per_day"]
    assert table["date"].tolist() == ["2024-05-31"] * 2 + ["2024-06-10"] * 2 + ["2024-06-20"] * 2
    assert table["days"].tolist() == [0, 0, 10, 10, 20, 20]
    assert table["plot_id"].tolist() == ["p0", "p1"] * 3
    assert table["coverage"].tolist() == pytest.approx([0.2, 0.2, 0.3, np.nan, 0.6, 0.6], nan_ok=True)
    # The second plot has no valid pixel in between: its rate spans both intervals.
    rates = [np.nan, np.nan, 0.01, np.nan, 0.03, 0.02]
    assert table["coverage_per_day"].tolist() == pytest.approx(rates, nan_ok=True)
    assert "geometry" not in table


def test_a_mask_in_another_crs_measures_the_same(season):
    import rasterio
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    with rasterio.open(season / "m_2024-05-31.tif") as file:
        target = "EPSG:25833"  # the same zone on another datum: pixels need not move by much
        transform, width, height = calculate_default_transform(
            file.crs, target, file.width, file.height, *file.bounds
        )
        values = np.full((height, width), 255, np.uint8)
        reproject(rasterio.band(file, 1), values, dst_transform=transform, dst_crs=target,
                  resampling=Resampling.nearest, dst_nodata=255)  # fmt: skip
    write(season / "n_2024-06-01.tif", values, nodata=255, transform=transform, crs=target)
    table = cropseg_geo.plot_series(
        [season / "m_2024-05-31.tif", season / "n_2024-06-01.tif"], season / "plots.gpkg", stats="coverage"
    )
    assert table["coverage"].tolist() == pytest.approx([0.2] * 4, abs=0.01)


def test_a_mask_that_shows_none_of_the_plots_is_named_and_has_empty_rows(season):
    elsewhere = season / "m_2024-06-15.tif"
    write(
        elsewhere, np.ones((100, 100), np.uint8), nodata=255, transform=Affine.translation(500, 0) @ TRANSFORM
    )
    masks, told = [*masks_of(season), elsewhere], []
    table = cropseg_geo.plot_series(masks, season / "plots.gpkg", listener=told.append)
    on_day = table[table["date"] == "2024-06-15"]
    assert on_day["plot_id"].tolist() == ["p0", "p1"]
    assert on_day["valid_fraction"].tolist() == [0, 0]
    assert on_day["n_objects"].tolist() == [0, 0]
    assert on_day["coverage"].isna().all()
    assert table["date"].is_monotonic_increasing
    (warning,) = (event.message for event in told if isinstance(event, Warned) and "outside" in event.message)
    assert warning.startswith("2024-06-15, m_2024-06-15.tif: outside the raster")
    with pytest.raises(InputError, match=r"m_2024-06-15.tif: no plot meets the raster"):
        cropseg_geo.plot_series([elsewhere], season / "plots.gpkg")


def test_what_is_wrong_with_the_plots_themselves_is_said_once_and_without_a_date(season):
    cross = shapely.Polygon(
        [(500_001, 4_999_991), (500_009, 4_999_999), (500_009, 4_999_991), (500_001, 4_999_999)]
    )
    plots = gpd.GeoDataFrame(geometry=[cross, outlines((0, 0, 100, 100)).geometry[0]], crs=32633)
    plots["Name"] = ["a", "a"]
    beside = outlines((90, 0, 110, 20)).assign(Name="b", plot="b")  # partly beyond the masks
    told: list = []
    everything = pd.concat([plots, beside[["Name", "geometry"]]])
    cropseg_geo.plot_series(masks_of(season), everything, stats="coverage", listener=told.append)
    texts = [event.message for event in told if isinstance(event, Warned)]
    assert [text.partition(":")[0] for text in texts] == [
        "the plots have no column of unique ids (Name",
        "repaired outlines that cross themselves",
        "3 plots overlap another, and pixels that they share count in each",
    ]


def test_masks_that_were_traced_with_different_outlines_are_told_of(season):
    masks, told = masks_of(season), []
    tag_outlines(masks[0], objects="split")
    cropseg_geo.plot_series(masks, season / "plots.gpkg", stats="objects", listener=told.append)
    (warning,) = (event.message for event in told if isinstance(event, Warned))
    assert "m_2024-06-20.tif were traced with different outlines" in warning
    told.clear()
    for alike in ({"outlines": Outlines()}, {"stats": "coverage"}):
        cropseg_geo.plot_series(masks, season / "plots.gpkg", listener=told.append, **alike)
    assert not [event for event in told if isinstance(event, Warned)]


def test_growth_curves_are_a_picture_with_a_panel_for_each_plot(season):
    table = cropseg_geo.plot_series(
        masks_of(season), season / "plots.gpkg", season / "s.csv", chart=season / "g.svg", stats="coverage"
    )
    pd.testing.assert_frame_equal(pd.read_csv(season / "s.csv"), table, check_dtype=False)
    root = ET.fromstring((season / "g.svg").read_text(encoding="utf-8"))
    space = "{http://www.w3.org/2000/svg}"
    panels = root.findall(f"{space}g")
    assert [p.find(f"{space}title").text for p in panels] == ["p0: 20% to 60%", "p1: 20% to 60%"]
    # A dot for each date with coverage, and no line over the date without.
    assert [len(p.findall(f"{space}circle")) for p in panels] == [3, 2]
    curves = [[q for q in p.findall(f"{space}path") if q.get("stroke-width") == "2"] for p in panels]
    assert [len(c) for c in curves] == [1, 0]


def test_a_geopackage_has_each_plot_once_for_each_date_and_is_played_by_it(season):
    package = season / "season.gpkg"
    table = cropseg_geo.plot_series(masks_of(season), season / "plots.gpkg", package, stats="coverage")
    layer = gpd.read_file(package, layer="plots")
    assert layer["date"].dt.strftime("%Y-%m-%d").tolist() == table["date"].tolist()
    assert read_layer(package, "plots")["date"].map(str).tolist() == table["date"].tolist()
    assert layer["plot_id"].tolist() == table["plot_id"].tolist()
    assert layer["coverage"].tolist() == pytest.approx(table["coverage"].tolist(), nan_ok=True)
    plots = gpd.read_file(season / "plots.gpkg")
    assert layer.crs == plots.crs
    for i, outline in enumerate(layer.geometry):
        assert outline.equals(plots.geometry[i % 2])
    with closing(sqlite3.connect(package)) as db:
        (qml,) = db.execute("SELECT styleQML FROM layer_styles").fetchone()
    temporal = ET.fromstring(qml.partition("\n")[2]).find("temporal")
    assert temporal is not None
    assert (temporal.get("enabled"), temporal.get("startField")) == ("1", "date")


def curves(*coverage, days=(0, 10, 20, 40)) -> pd.DataFrame:
    """A series of the plots a, b, … with these curves (one value for each of the days)."""
    dates = [(date(2024, 5, 1) + timedelta(day)).isoformat() for day in days]
    rows = [
        {"date": dates[i], "days": day, "plot_id": "abcdef"[k], "variety": f"v{k}", "coverage": cover[i]}
        for i, day in enumerate(days)
        for k, cover in enumerate(coverage)
    ]
    return pd.DataFrame(rows)


def test_a_season_has_an_area_a_half_and_a_most_of_each_plot():
    gap = math.nan
    table = season_summary(
        curves(
            (0.1, 0.3, 0.7, 0.7), (0.2, gap, 0.4, 0.3), (0.6, 0.4, 0.8, 0.2),
            (gap, gap, 0.5, gap), (gap, gap, gap, gap), (0.5, 0.0, 0.0, 0.0),
        )
    )  # fmt: skip
    assert list(table.columns) == ["plot_id", "variety", *(c.name for c in SUMMARY_COLUMNS)]
    assert table["variety"].tolist() == ["v0", "v1", "v2", "v3", "v4", "v5"]
    areas = [2 + 5 + 14, 6 + 7, 5 + 6 + 10, gap, gap, 2.5]
    assert table["area_under_curve_d"].tolist() == pytest.approx(areas, nan_ok=True)
    # Of b no value says so; c had it before the first date; d is not known before its only date.
    halves = [15, gap, 0, 20, gap, 0]
    assert table["days_to_half_coverage"].tolist() == pytest.approx(halves, nan_ok=True)
    assert table["max_coverage"].tolist() == pytest.approx([0.7, 0.4, 0.8, 0.5, gap, 0.5], nan_ok=True)
    most = ["2024-05-21", "2024-05-21", "2024-05-21", "2024-05-21", None, "2024-05-01"]
    assert table["max_coverage_date"].tolist() == most


def test_columns_of_the_users_make_way_for_those_of_a_season():
    table = season_summary(curves((0.1, 0.2, 0.3, 0.4)).rename(columns={"variety": "Max_Coverage"}))
    assert table["Max_Coverage_input"].tolist() == ["v0"]


def test_names_that_the_users_columns_would_get_may_be_taken():
    season = curves((0.1, 0.2, 0.3, 0.4)).rename(columns={"variety": "max_coverage"})
    season.insert(3, "max_coverage_input", "mine")
    table = season_summary(season)
    assert (table["max_coverage_input_"][0], table["max_coverage_input"][0]) == ("v0", "mine")
    day = gpd.GeoDataFrame(
        {"plot_id": ["a"], "Days": [7], "days_input": [8], "coverage": [0.5]},
        geometry=[shapely.box(0, 0, 1, 1)],
    )
    long = long_table({date(2024, 5, 1): day})
    assert (long["Days_input_"][0], long["days_input"][0], long["days"][0]) == (7, 8, 0)


def test_a_season_is_written_with_a_row_for_each_plot(season):
    plots = season / "plots.gpkg"
    for name in ("plots.csv", "season.gpkg"):
        series = cropseg_geo.plot_series(masks_of(season), plots, summary=season / name, stats="coverage")
    expected = season_summary(series)
    pd.testing.assert_frame_equal(pd.read_csv(season / "plots.csv"), expected, check_dtype=False, rtol=1e-5)
    layer = gpd.read_file(season / "season.gpkg", layer="plots")
    assert layer["max_coverage_date"].dt.strftime("%Y-%m-%d").tolist() == ["2024-06-20"] * 2
    assert layer["area_under_curve_d"].tolist() == pytest.approx([7, 8])
    assert layer.geometry[1].equals(gpd.read_file(plots).geometry[1])
    with closing(sqlite3.connect(season / "season.gpkg")) as db:
        told = dict(db.execute("SELECT column_name, description FROM gpkg_data_columns").fetchall())
    assert told["days_to_half_coverage"].startswith("Days from the first date until")


def test_a_report_takes_a_season_as_a_table_or_as_a_layer(season):
    pages = []
    for name in ("season.csv", "season.gpkg", "season.fgb", "season.parquet"):
        cropseg_geo.plot_series(masks_of(season), season / "plots.gpkg", season / name)
        page = cropseg_geo.make_report(
            masks_of(season)[0], season / f"{name}.html", plots=season / "plots.gpkg", series=season / name
        )
        pages.append(page.read_text(encoding="utf-8").replace(name, "season"))
    assert len(set(pages)) == 1
    assert "2024-06-10" in pages[0]


def test_ids_cannot_break_the_picture_and_many_plots_are_cut_off():
    n = 450
    table = pd.DataFrame(
        {"date": "2024-05-31", "days": 0, "plot_id": [f'<{i}&">' for i in range(n)], "coverage": 0.5}
    )
    svg = growth_svg(table)
    ET.fromstring(svg)
    assert "400 of 450 plots" in svg


def test_long_ids_do_not_run_into_each_other_and_stand_whole_in_the_title():
    ids = [f"breeding-trial-2024-north-{i:04}" for i in range(3)]
    svg = growth_svg(pd.DataFrame({"date": "2024-05-31", "days": 0, "plot_id": ids, "coverage": 0.5}))
    for i, name in enumerate(ids):
        assert f"<title>{name}: 50% to 50%</title>" in svg
        assert f'<text x="0" y="-5">breeding-…north-{i:04}</text>' in svg


def test_a_series_that_cannot_be_is_refused_and_earlier_files_stay(season):
    (season / "s.csv").write_text("earlier")
    plots, out = season / "plots.gpkg", season / "s.csv"
    with pytest.raises(OutputError, match="already holds"):
        cropseg_geo.plot_series(masks_of(season), plots, out)
    with pytest.raises(InputError, match="no mask"):
        cropseg_geo.plot_series([], plots, out, overwrite=True)
    with pytest.raises(InputError, match="2 files of --prob for 3 masks"):
        cropseg_geo.plot_series(masks_of(season), plots, out, probs=["a", "b"], overwrite=True)
    with pytest.raises(InputError, match="no such file"):
        cropseg_geo.plot_series([season / "x_2024-01-01.tif"], plots, out, overwrite=True)
    with pytest.raises(InputError, match=r"outlines=0\.1 cannot be used"):
        cropseg_geo.plot_series(masks_of(season), plots, out, outlines=0.1, overwrite=True)
    with pytest.raises(InputError, match=r"'\.pdf' names no format that is written here\n.*\.svg"):
        cropseg_geo.plot_series(masks_of(season), plots, out, chart=season / "g.pdf", overwrite=True)
    with pytest.raises(InputError, match=r"s\.csv: is named for two results"):
        cropseg_geo.plot_series(masks_of(season), plots, out, summary=out, overwrite=True)
    with pytest.raises(OutputError, match=r"plots\.gpkg: is read by this run"):
        cropseg_geo.plot_series(masks_of(season), plots, plots, overwrite=True)
    assert (season / "s.csv").read_text() == "earlier"


def test_the_command_line_writes_a_series(season):
    arguments = ["plots", "series", *map(str, masks_of(season)), "--plots", str(season / "plots.gpkg")]
    arguments += ["-o", str(season / "s.csv"), "--chart", str(season / "g.svg"), "--stats", "coverage", "-q"]
    arguments += ["--summary", str(season / "plots.csv")]
    arguments += ["--dates", "2023-06-20,2023-05-31,2023-06-10"]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert pd.read_csv(season / "s.csv")["date"].iloc[0] == "2023-05-31"
    assert (season / "g.svg").exists()
    assert pd.read_csv(season / "plots.csv")["max_coverage_date"].tolist() == ["2023-06-20"] * 2
