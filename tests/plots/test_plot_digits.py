"""Digits of statistics in files: those that mean something, and the user's own numbers as they came."""

import re
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pytest
from rasters import write_plots, write_raster
from typer.testing import CliRunner

import cropseg_geo as cg
from cropseg_geo.cli import app
from cropseg_geo.console import coverage_of
from cropseg_geo.plots.measuring.digits import significant

OWN = 0.123456789012345


@pytest.fixture
def survey(tmp_path):
    mask = (np.random.default_rng(1).random((1, 200, 300)) < 0.3).astype(np.uint8)
    for day in ("2024-05-01", "2024-06-01"):
        write_raster(tmp_path / f"m_{day}.tif", mask, nodata=255)
    boxes = [(0.0123, 0.0456, 0.9123, 1.0456), (1.0777, 0.0333, 2.0111, 1.9222)]
    write_plots(tmp_path / "p.gpkg", boxes, plot_id=["a", "b"], sown_kg=[OWN, 1234567.891])
    return tmp_path


def digits(text: str) -> int:
    return len(text.partition("e")[0].lstrip("-0.").replace(".", "").rstrip("0"))


def test_statistics_have_six_digits_in_tables_and_own_columns_keep_theirs(survey):
    exact = cg.measure_plots(survey / "m_2024-05-01.tif", survey / "p.gpkg", survey / "s.csv")
    rows = pd.read_csv(survey / "s.csv", dtype=str)
    assert rows["sown_kg"].tolist() == [repr(OWN), "1234567.891"]
    for name in rows.columns[rows.columns.get_loc("coverage") :]:
        assert all(digits(v) <= 6 for v in rows[name].dropna() if re.match(r"-?[\d.]", v)), name
    read = pd.read_csv(survey / "s.csv")
    for name in ("coverage", "canopy_area_m2", "uniformity_cv", "mean_object_m2"):
        assert read[name].tolist() == pytest.approx(exact[name].tolist(), rel=5e-6)
    # The frame keeps every digit: rounding is for files.
    assert digits(repr(float(exact["coverage"].iloc[0]))) > 6


def test_table_and_geopackage_say_the_same_numbers(survey):
    for suffix in ("csv", "gpkg"):
        cg.measure_plots(survey / "m_2024-05-01.tif", survey / "p.gpkg", survey / f"s.{suffix}")
    table = pd.read_csv(survey / "s.csv")
    with closing(sqlite3.connect(survey / "s.gpkg")) as db:
        package = pd.read_sql("SELECT * FROM plots", db)
    for name in ("coverage", "plot_area_m2", "max_object_m2", "sown_kg"):
        assert package[name].tolist() == table[name].tolist()


def test_significant_digits_do_not_depend_on_the_size_of_the_number():
    values = np.array([1.23456789e-9, 1.23456789e9, -0.999999951, 0.0, np.nan, np.inf])
    found = significant(values)
    assert found[:4].tolist() == [1.23457e-9, 1.23457e9, -1.0, 0.0]
    assert np.isnan(found[4])
    assert found[5] == np.inf


def test_commands_tell_what_they_measured_and_where_it_is(survey):
    def say(*arguments: object) -> str:
        result = CliRunner().invoke(app, [str(a) for a in arguments])
        assert result.exit_code == 0, result.output
        return result.stdout

    mask, later, plots = survey / "m_2024-05-01.tif", survey / "m_2024-06-01.tif", survey / "p.gpkg"
    stats = ("plots", "stats", mask, plots, "--stats", "coverage")
    line = say(*stats, "-o", survey / "s.csv")
    assert re.match(r"2 plots: coverage [\d.]+% – [\d.]+%, median [\d.]+% → ", line)
    assert line.strip().endswith("s.csv")
    series = ("plots", "series", mask, later, "--plots", plots, "--stats", "coverage", "-o", survey / "t.csv")
    line = say(*series, "--chart", survey / "g.svg")
    assert line.startswith("2 plots on 2 dates: coverage on 2024-06-01 ")
    assert line.strip().endswith("g.svg")
    assert re.match(r"[\d,]+ polygons → ", say("vectorize", mask, "-o", survey / "f.gpkg"))
    assert say(*stats, "-o", survey / "s2.csv", "-q") == ""
    assert " polygons → " not in say("vectorize", mask, "-o", survey / "f2.gpkg", "--events")


def test_a_report_without_out_is_named_after_its_mask_and_format(survey, monkeypatch):
    monkeypatch.chdir(survey)
    (survey / "m_2024-05-01.tif").rename(survey / "north_mask.tif")
    result = CliRunner().invoke(app, ["report", "north_mask.tif", "--format", "png"])
    assert result.exit_code == 0, result.output
    assert (survey / "north_report.png").read_bytes().startswith(b"\x89PNG")
    assert "north_report.png" in result.stdout


def test_one_plot_is_a_plot_and_plots_that_were_not_seen_are_told_of():
    table = pd.DataFrame({"plot_id": ["a"], "coverage": [0.25]})
    assert coverage_of(table) == "1 plot: coverage 25.0% – 25.0%, median 25.0%"
    assert coverage_of(table.assign(coverage=np.nan)) == "1 plot, none with valid pixels"
