"""Masks without canopy, full of it, of one pixel, of a million specks; plots that overlap: every sentence."""

from __future__ import annotations

import math
import time

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from rasters import ORIGIN, UTM, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import InputError
from cropseg_geo.events import Warned
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.pipeline import make_report
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.vector.trace import trace

GSD = 0.01
LIMITS = {
    "empty": np.zeros((200, 300), np.uint8),
    "full": np.ones((200, 300), np.uint8),
    "nodata": np.full((200, 300), 255, np.uint8),
    "one pixel": np.ones((1, 1), np.uint8),
}
COVERAGE = {"empty": 0.0, "full": 1.0, "nodata": math.nan, "one pixel": 1.0}


@pytest.fixture(params=LIMITS)
def limit(request, tmp_path):
    """The name of a mask, its file, and a plot that covers it from corner to corner."""
    mask = LIMITS[request.param]
    path = write_raster(tmp_path / "trial_2024-05-31_mask.tif", mask[None], gsd=GSD, nodata=255)
    height, width = mask.shape
    plots = write_plots(tmp_path / "plots.gpkg", [(0, 0, width * GSD, height * GSD)], plot_id=["all"])
    return request.param, path, plots


def test_every_statistic_of_a_mask_at_its_limits_is_right_or_empty(limit, tmp_path):
    name, mask, plots = limit
    cg.measure_plots(mask, plots, tmp_path / "s.csv")
    (row,) = pd.read_csv(tmp_path / "s.csv").itertuples()
    area_m2 = LIMITS[name].size * GSD**2
    assert row.coverage == pytest.approx(COVERAGE[name], nan_ok=True)
    assert row.canopy_area_m2 == pytest.approx(area_m2 * (COVERAGE[name] == 1))
    assert row.plot_area_m2 == pytest.approx(area_m2)
    assert row.n_objects == (1 if COVERAGE[name] == 1 else 0)
    if COVERAGE[name] == 1:
        assert row.max_object_m2 == pytest.approx(area_m2)
    else:
        assert math.isnan(row.mean_object_m2)
        assert math.isnan(row.max_object_m2)
    assert row.low_validity == (name == "nodata")


def test_a_series_of_a_mask_at_its_limits_has_a_table_and_a_chart(limit, tmp_path):
    name, mask, plots = limit
    later = mask.with_name("trial_2024-06-14_mask.tif")
    later.write_bytes(mask.read_bytes())
    table = cg.plot_series([mask, later], plots, tmp_path / "s.csv", chart=tmp_path / "g.svg")
    assert table["coverage"].tolist() == pytest.approx([COVERAGE[name]] * 2, nan_ok=True)
    assert table["coverage_per_day"].iloc[1] == pytest.approx(0.0 * COVERAGE[name], nan_ok=True)
    assert "nan" not in (tmp_path / "g.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize("kind", ["html", "png"])
def test_a_report_of_a_mask_at_its_limits_is_made(limit, tmp_path, kind):
    _, mask, plots = limit
    cg.measure_plots(mask, plots, tmp_path / "measured.gpkg", stats="coverage")
    page = make_report(mask, tmp_path / f"r.{kind}", plots=tmp_path / "measured.gpkg")
    assert page.stat().st_size > 10_000
    assert kind != "html" or "NaN" not in page.read_text(encoding="utf-8").split("<script>")[0]


class Specks:
    """A million pixels that touch in their corners only."""

    height, width = 1416, 1416

    def read_mask(self, window: Window) -> np.ndarray:
        row, col = np.ogrid[
            window.row : window.row + window.height, window.col : window.col + window.width
        ]  # fmt: skip
        return ((row + col) % 2).astype(np.uint8)

    def read_prob(self, window: Window) -> None:
        return None


def test_a_million_specks_are_traced_and_counted_by_plots():
    source, start = Specks(), time.process_time()
    ground = Ground(
        Affine(GSD, 0, ORIGIN[0], 0, -GSD, ORIGIN[1]), CRS(UTM).to_wkt(), source.height, source.width
    )
    classes = ("background", "crop")
    left, top = ORIGIN
    half = source.width // 2 * GSD
    halves = [shapely.box(left + a, top - 2 * half, left + a + half, top) for a in (0.0, half)]
    plots = read_plots(gpd.GeoDataFrame({"plot_id": [1, 2]}, geometry=halves, crs=UTM), ground=ground)
    batches = trace(source, ground=ground, classes=classes)
    options = StatsOptions(frozenset({"coverage", "objects"}))
    table = plot_stats(
        plots, source, ground=ground, classes=classes, objects=(b.geometry for b in batches), options=options
    )
    assert table["n_objects"].sum() == source.height * source.width // 2 > 1_000_000
    assert table["coverage"].tolist() == pytest.approx([0.5, 0.5])
    assert table["max_object_m2"].tolist() == pytest.approx([GSD**2] * 2)
    assert time.process_time() - start < 120


def test_polygons_in_plots_that_overlap_get_one_of_them_and_no_polygon_twice(tmp_path):
    mask = np.zeros((1, 100, 100), np.uint8)
    mask[0, 20:30, 20:30] = mask[0, 60:80, 40:60] = 1
    path = write_raster(tmp_path / "m.tif", mask, gsd=GSD, nodata=255)
    boxes = [(0.1, 0.1, 0.5, 0.9), (0.1, 0.1, 0.55, 0.9), (0.0, 0.0, 0.05, 0.05)]
    plots = write_plots(tmp_path / "p.gpkg", boxes, plot_id=["narrow", "wide", "corner"])
    assert cg.vectorize(path, tmp_path / "f.gpkg", plots=plots).n_polygons == 2
    frame = gpd.read_file(tmp_path / "f.gpkg", layer="canopy").sort_values("area_m2")
    # The small plant lies whole in both: the first of them; of the large one, the wide plot holds more.
    assert frame["plot_id"].tolist() == ["narrow", "wide"]


def test_overlaps_are_warned_of_once_in_a_series(tmp_path):
    for day in ("05-01", "06-01"):
        write_raster(tmp_path / f"m_2024-{day}.tif", LIMITS["full"][None], gsd=GSD, nodata=255)
    boxes = [(0.0, 0.0, 1.0, 1.0), (0.5, 0.0, 1.5, 1.0)]
    plots = write_plots(tmp_path / "p.gpkg", boxes, plot_id=[1, 2])
    told = []
    cg.plot_series(sorted(tmp_path.glob("m_*.tif")), plots, stats="coverage", listener=told.append)
    (warning,) = (e.message for e in told if isinstance(e, Warned))
    assert warning.startswith("2 plots overlap another")


def test_no_plots_at_all_are_refused_by_every_sentence_that_reads_them(tmp_path):
    mask = write_raster(tmp_path / "m_2024-05-01.tif", LIMITS["full"][None], gsd=GSD, nodata=255)
    none = tmp_path / "none.gpkg"
    gpd.GeoDataFrame({"plot_id": [1]}, geometry=[shapely.box(0, 0, 1, 1)], crs=UTM).iloc[:0].to_file(none)
    for say in (
        lambda: cg.vectorize(mask, tmp_path / "f.gpkg", plots=none),
        lambda: cg.measure_plots(mask, none, tmp_path / "s.csv"),
        lambda: cg.plot_series([mask], none, tmp_path / "t.csv"),
        lambda: make_report(mask, tmp_path / "r.html", plots=none),
    ):
        with pytest.raises(InputError, match="no feature"):
            say()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m_2024-05-01.tif", "none.gpkg"]


def test_plots_measured_before_are_measured_again_without_doubling_their_columns(tmp_path):
    mask = write_raster(tmp_path / "m.tif", LIMITS["full"][None], gsd=GSD, nodata=255)
    plots = write_plots(tmp_path / "p.gpkg", [(0, 0, 1, 1)], plot_id=["a"], variety=["x"])
    for source, target in (("p", "once"), ("once", "twice"), ("twice", "thrice")):
        path = tmp_path / f"{source}.gpkg"
        cg.measure_plots(
            mask, path if source != "p" else plots, tmp_path / f"{target}.gpkg", stats="coverage"
        )
    once, thrice = (gpd.read_file(tmp_path / f"{n}.gpkg", layer="plots") for n in ("once", "thrice"))
    assert list(thrice.columns) == list(once.columns)
    assert not [c for c in thrice.columns if c.endswith("_input")]
    assert thrice.drop(columns="geometry").equals(once.drop(columns="geometry"))
