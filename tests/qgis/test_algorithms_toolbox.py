"""Every algorithm in the real QGIS with the real engine: the package's own figures, on any kind of layer."""

from __future__ import annotations

import json
import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasters import scene, write_raster
from shapely.geometry import MultiPoint
from toolboxes import ROOT, answering, ask_toolbox, dying, new_home, qgis_version, write_engine, write_wheel

import cropseg_geo as cg
from cropseg_geo.vector.options import Outlines

pytestmark = [
    pytest.mark.skipif(not qgis_version(), reason="QGIS with Python bindings is not installed"),
    pytest.mark.skipif(os.name == "nt", reason="the stand-ins for broken engines are scripts"),
]

SAMPLE = ROOT / "sample_tiles"
PLOTS = f"{SAMPLE / 'plots.gpkg'}|layername=plots"
WRITTEN = 5e-6
"""Files hold six significant digits of a statistic."""

BBOX = (565814.0, 5705374.0, 565820.0, 5705380.0)
EXTENT = f"{BBOX[0]},{BBOX[2]},{BBOX[1]},{BBOX[3]} [EPSG:32632]"
MIN_AREA = 0.01
SELECTED = ["B3-03", "B3-04"]
IDS = {"segment", "vectorize", "makeplots", "plotstats", "pipeline", "check", "installengine"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("Feld Süd β")


@pytest.fixture(scope="module")
def ours(folder):
    """The package's own result for the same part of the field."""
    outlines = Outlines(min_area_m2=MIN_AREA)
    return cg.segment(SAMPLE / "field.tif", folder / "ours", bbox=BBOX, plots=PLOTS, outlines=outlines)


@pytest.fixture(scope="module")
def told(folder):
    """What the toolbox answers to everything that these tests ask, in one run of QGIS."""
    out = folder / "theirs"
    mask, prob = str(out / "field_mask.tif"), str(out / "field_prob.tif")
    stats = {"INPUT": mask, "PROBABILITY": prob, "STATISTICS": ["coverage"]}
    run = {"INPUT": str(SAMPLE / "field.tif"), "EXTENT": EXTENT, "MIN_AREA": MIN_AREA}
    trial = {"ROWS": 2, "COLUMNS": 2, "LENGTH": 2.5, "WIDTH": 2.0, "ROW_ALLEY": 0.5}
    left, bottom, right, top = BBOX
    place = {"POINT_A": f"{left},{bottom} [EPSG:32632]", "POINT_B": f"{right},{bottom} [EPSG:32632]"}
    corners = MultiPoint([(left, bottom), (right, bottom), (right, top), (left, top)])
    gpd.GeoDataFrame(geometry=list(corners.geoms), crs="EPSG:32632").to_file(folder / "corners.gpkg")
    coarse = write_raster(folder / "coarse.tif", scene(40, 40), gsd=0.5)
    broken = {
        "old": write_engine(folder / "old" / "python", answering("0.0.9")),
        "new": write_engine(folder / "new" / "python", answering("7.0.0")),
        "killed": write_engine(folder / "killed" / "python", dying("SIGKILL")),
        "crashed": write_engine(folder / "crashed" / "python", dying("SIGSEGV")),
    }
    vectorize = {"INPUT": mask, "OUTPUT": str(folder / "never.gpkg")}
    write_wheel(folder / "wheels", "0.1.0")
    placeless = write_raster(folder / "placeless.tif", scene(40, 40), crs=None)
    (folder / "stopped").mkdir()
    scenarios: list[tuple[str, str, list]] = [
        ("catalogue", "catalogue", []),
        (
            "pipeline",
            "run",
            ["pipeline", {**run, "PLOTS": PLOTS, "OUTPUT": str(out), "DSM": str(SAMPLE / "field_dsm.tif"),
                          "DTM": str(SAMPLE / "field_dtm.tif")}],
        ),
        ("again", "run", ["pipeline", {**run, "OUTPUT": str(out)}]),
        ("vectorize", "run", ["vectorize", {"INPUT": mask, "PROBABILITY": prob, "MIN_AREA": MIN_AREA,
                                            "OUTPUT": str(folder / "canopy.gpkg")}]),
        ("shapefile", "run", ["vectorize", {"INPUT": mask, "OUTPUT": str(folder / "canopy.shp")}]),
        ("stats", "run", ["plotstats", {**stats, "PLOTS": PLOTS, "OUTPUT": str(folder / "stats.gpkg")}]),
        ("selection", "stats_of_selection",
         [{**stats, "OUTPUT": str(folder / "selected.csv")}, PLOTS, SELECTED]),
        ("memory", "stats_of_memory_layer",
         [{**stats, "OUTPUT": str(folder / "memory.csv")}, PLOTS, "EPSG:4326"]),
        ("line", "run", ["makeplots", {**trial, **place, "OUTPUT": str(folder / "line.gpkg")}]),
        ("corners", "run", ["makeplots", {"ROWS": 2, "COLUMNS": 3, "CORNERS": str(folder / "corners.gpkg"),
                                          "OUTPUT": str(folder / "corner plots.gpkg")}]),
        ("chain", "chain", [{"make": {**trial, **place}, "stats": stats, "out": str(folder / "chain.gpkg")}]),
        ("check", "run", ["check", {"INPUT": run["INPUT"], "EXTENT": EXTENT, "OUTPUT": str(folder / "c.json"),
                                    "OUTPUT_HTML": str(folder / "c.html")}]),
        ("placeless", "run", ["check", {"INPUT": str(placeless)}]),
        ("coarse", "run", ["check", {"INPUT": str(coarse)}]),
        ("stopped", "run", ["segment", {**run, "OUTPUT": str(folder / "stopped" / "mask.tif")}, 1]),
        ("extent", "extent_in", ["7.94,7.95,51.49,51.50 [EPSG:4326]", run["INPUT"]]),
        ("assigned", "source_with_crs", [str(coarse), "EPSG:25832"]),
        ("untouched", "source_with_crs", [str(coarse), "EPSG:32632"]),
        ("loaded", "loaded",
         [{**stats, "PLOTS": PLOTS, "OUTPUT": str(folder / "loaded.gpkg")}, "field_mask"]),
        ("missing", "with_engine", [str(folder / "nowhere"), "vectorize", vectorize]),
        ("batch", "batch",
         ["vectorize", [{"INPUT": mask, "MIN_AREA": area, "OUTPUT": str(folder / f"from {area}.gpkg")}
                        for area in (0, 0.05)]]),
        ("installed", "run", ["installengine", {"ACCELERATOR": "cpu", "WHEELS": str(folder / "wheels"),
                                                "FOLDER": str(folder / "my engine")}]),
        *[(name, "with_engine", [str(python), "vectorize", vectorize]) for name, python in broken.items()],
    ]  # fmt: skip
    return ask_toolbox(new_home(folder / "home"), scenarios)


def results(answer: dict) -> dict:
    assert answer.get("done"), answer
    return answer["results"]


def test_the_published_ids_are_there_and_every_parameter_has_help(told):
    assert set(told["catalogue"]) == IDS
    for name, facts in told["catalogue"].items():
        assert facts["help"], name
        without = [parameter for parameter, text in facts["parameters"].items() if not text]
        assert not without, (name, without)
    assert {"COVERAGE", "CANOPY_AREA", "N_POLYGONS"} <= set(told["catalogue"]["segment"]["outputs"])


def test_the_pipeline_gives_the_figures_and_the_pixels_of_the_package(told, ours):
    given = results(told["pipeline"])
    assert given["COVERAGE"] == pytest.approx(ours.summary.canopy_cover, rel=1e-12)
    assert given["CANOPY_AREA"] == pytest.approx(ours.summary.canopy_area_m2, rel=1e-12)
    assert given["N_POLYGONS"] == ours.summary.n_polygons
    for name, path in (("MASK", ours.outputs.mask), ("PROBABILITY", ours.outputs.prob)):
        with rasterio.open(given[name]) as theirs, rasterio.open(path) as mine:
            np.testing.assert_array_equal(theirs.read(), mine.read())
    table = gpd.read_file(given["PLOT_STATS"].partition("|")[0], layer="plots").set_index("plot_id")
    mine = ours.plots.set_index("plot_id")
    np.testing.assert_allclose(table["coverage"].astype(float), mine["coverage"].astype(float), rtol=WRITTEN)
    assert table["height_mean_m"].notna().any()
    assert "<html" in Path(given["REPORT"]).read_text(encoding="utf-8")[:300].lower()


def test_a_finished_pipeline_leaves_its_files_alone_and_does_not_overwrite_unasked(told, folder):
    names = {p.name for p in (folder / "theirs").iterdir() if p.suffix != ".xml"}
    assert names == {"field_mask.tif", "field_prob.tif", "field.gpkg", "field_plots.csv", "field_report.html"}
    assert "already holds" in told["again"]["error"]
    assert "OVERWRITE" in told["again"]["error"]


def test_vectorize_gives_the_canopy_of_the_run(told, ours):
    given = results(told["vectorize"])
    assert given["N_POLYGONS"] == ours.summary.n_polygons
    theirs = gpd.read_file(given["OUTPUT"], layer="canopy")
    mine = gpd.read_file(ours.outputs.layers, layer="canopy")
    assert theirs["area_m2"].sum() == pytest.approx(mine["area_m2"].sum(), rel=1e-12)
    assert theirs["mean_prob"].notna().all()


def test_other_formats_are_written_too(told, ours):
    given = results(told["shapefile"])
    frame = gpd.read_file(given["OUTPUT"])
    assert len(frame) == given["N_POLYGONS"]
    assert given["CANOPY_AREA"] == pytest.approx(ours.summary.canopy_area_m2, rel=1e-9)
    assert frame.area.sum() == pytest.approx(given["CANOPY_AREA"], rel=1e-6)


def test_plot_statistics_are_those_of_the_package(told, ours):
    given = results(told["stats"])
    table = gpd.read_file(given["OUTPUT"], layer="plots").set_index("plot_id")
    mine = ours.plots.set_index("plot_id")
    assert given["N_PLOTS"] == len(mine)
    np.testing.assert_allclose(table["coverage"].astype(float), mine["coverage"].astype(float), rtol=WRITTEN)


def test_only_selected_plots_are_measured(told, ours):
    table = read_csv(results(told["selection"])["OUTPUT"])
    assert sorted(table.index) == SELECTED
    mine = ours.plots.set_index("plot_id")["coverage"].astype(float)
    np.testing.assert_allclose(table["coverage"], mine[table.index], rtol=WRITTEN)


def test_a_memory_layer_in_another_crs_gives_the_same_plots(told, ours):
    assert told["memory"]["provider"] == "memory"
    table = read_csv(results(told["memory"])["OUTPUT"])
    mine = ours.plots.set_index("plot_id")["coverage"].astype(float)
    assert sorted(table.index) == sorted(mine.index)
    np.testing.assert_allclose(table["coverage"], mine[table.index], atol=1e-4)


def read_csv(path: str):
    import pandas as pd

    return pd.read_csv(path).set_index("plot_id")


def test_plots_are_made_in_exact_sizes_from_a_line_and_from_corners(told):
    line = gpd.read_file(results(told["line"])["OUTPUT"], layer="plots")
    assert len(line) == told["line"]["results"]["N_PLOTS"] == 4
    # Lengths are true on the ground; the grid of UTM is a little larger or smaller.
    np.testing.assert_allclose(line.area, 2.5 * 2.0, rtol=2e-3)
    assert line.total_bounds[:2] == pytest.approx(BBOX[:2], abs=0.01)
    corners = gpd.read_file(results(told["corners"])["OUTPUT"], layer="plots")
    assert len(corners) == 6
    np.testing.assert_allclose(corners.total_bounds, BBOX, atol=0.01)
    assert told["corners"]["results"]["MISFIT"] < 0.01


def test_algorithms_can_be_chained_in_a_model(told):
    assert told["chain"].get("done"), told["chain"]
    (measured,) = [p for p in told["chain"]["results"].values() if p.endswith("chain.gpkg")]
    table = gpd.read_file(measured, layer="plots")
    assert len(table) == 4
    assert table["coverage"].between(0, 1).all()


def test_the_check_is_read_by_people_and_programs(told, folder):
    given = results(told["check"])
    forecast = json.loads(Path(given["OUTPUT"]).read_text(encoding="utf-8"))
    assert given["TILES"] == forecast["tiles"] > 0
    said = "\n".join(told["check"]["said"])
    page = (folder / "c.html").read_text(encoding="utf-8")
    for word in ("GSD", "Memory", "1 cm/px"):
        assert word in said
        assert word in page


def test_a_refusal_of_the_engine_names_parameters_of_the_toolbox(told):
    error = told["coarse"]["error"]
    assert "0.5 m/px" in error
    assert "RESOLUTION" in error
    assert "--gsd" not in error
    assert "Log: " in error


def test_a_raster_without_a_crs_is_refused_with_a_remedy(told):
    assert "CRS" in told["placeless"]["error"]
    assert "→" in told["placeless"]["error"]


def test_a_batch_gives_each_row_its_own_result(told):
    all_of_them, large = told["batch"]
    assert all_of_them["N_POLYGONS"] > large["N_POLYGONS"] > 0
    assert len({row["OUTPUT"] for row in told["batch"]}) == 2


def test_the_engine_is_installed_from_the_toolbox(told, folder):
    given = results(told["installed"])
    assert given["VERSION"] == "0.1.0"
    assert Path(given["PYTHON"]).is_relative_to(folder / "my engine")
    assert any(line.startswith("$ ") for line in told["installed"]["said"])


def test_cancel_leaves_no_file_and_takes_less_than_two_seconds(told, folder):
    assert told["stopped"]["results"] == {}
    assert told["stopped"]["seconds_after_cancel"] < 2
    left = [p for p in (folder / "stopped").rglob("*") if p.is_file() and "blocks.zarr" not in p.parts]
    assert not left


def test_an_extent_comes_over_into_the_crs_of_the_raster(told):
    minx, miny, maxx, maxy = told["extent"]
    expected = gpd.GeoSeries.from_wkt(
        ["POLYGON ((7.94 51.49, 7.95 51.49, 7.95 51.50, 7.94 51.50, 7.94 51.49))"], crs="EPSG:4326"
    ).to_crs("EPSG:32632")
    np.testing.assert_allclose([minx, miny, maxx, maxy], expected.total_bounds, atol=1)


def test_a_layer_is_taken_by_its_file_and_with_the_crs_that_the_user_gave_it(told, folder):
    assert told["untouched"]["source"] == str(folder / "coarse.tif")
    assert told["assigned"]["source"].endswith("coarse.vrt")
    assert told["assigned"]["crs"] == "EPSG:25832"


def test_results_arrive_styled_and_in_the_group_of_their_raster(told):
    assert told["loaded"].get("groups") == ["field_mask"], told["loaded"]
    (layer,) = told["loaded"]["layers"]
    assert layer["renderer"] == "graduatedSymbol"
    assert layer["labels"]
    assert told["loaded"]["beside"] == 0


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("missing", "refused", ["does not answer", "installengine"]),
        ("old", "refused", ["0.0.9", "too old", "Install the engine"]),
        ("new", "refused", ["7.0.0", "update the plugin"]),
        ("killed", "error", ["memory", "Log: "]),
        ("crashed", "error", ["SIGSEGV", "out of luck", "Log: "]),
    ],
)
def test_an_engine_that_cannot_be_used_says_why_and_what_to_do(told, folder, name, entry, words):
    for word in words:
        assert word in told[name].get(entry, ""), told[name]
    assert not (folder / "never.gpkg").exists()
    assert not list(folder.glob(".never*"))
