"""Every algorithm in the real QGIS with the real engine: the package's own figures, styled and cancelled."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from scenarios import results

from qgis_plugin import package, translations
from qgis_plugin.cropseg.engine.progress import LABELS

MODEL = {
    "AUTO_RESOLUTION",
    "BANDS",
    "BATCH_SIZE",
    "DEVICE",
    "EXTENT",
    "INPUT",
    "MODEL",
    "OVERLAP",
    "RESOLUTION",
    "THRESHOLD",
}
OUTLINES = {"MIN_AREA", "OUTLINE", "OBJECTS", "FILL_HOLES", "SIMPLIFY"}
CONTRACT = {
    "segment": MODEL | OUTLINES | {"OUTPUT", "PROBABILITY", "CANOPY"},
    "vectorize": OUTLINES | {"INPUT", "PROBABILITY", "OUTPUT"},
    "makeplots": {"CORNERS", "POINT_A", "POINT_B", "ROWS", "COLUMNS", "LENGTH", "WIDTH", "ROW_ALLEY",
                  "COLUMN_ALLEY", "ORDER", "START", "FIRST", "TEMPLATE", "FIELD_BOOK", "MASK", "OUTPUT"},
    "plotstats": {"INPUT", "PLOTS", "PLOT_ID", "PROBABILITY", "ORTHOMOSAIC", "DSM", "DTM", "STATISTICS",
                  "BUFFER", "OUTPUT"},
    "plotseries": {"INPUT", "DATES", "PLOTS", "PLOT_ID", "PROBABILITY", "ORTHOMOSAIC", "DSM", "DTM",
                   "STATISTICS", "BUFFER", "OUTPUT", "SUMMARY", "CHART"},
    "report": {"INPUT", "ORTHOMOSAIC", "PLOTS", "SERIES", "PROBABILITY", "BANDS", "OUTPUT"},
    "pipeline": MODEL | OUTLINES | {"PLOTS", "PLOT_ID", "DSM", "DTM", "MAKE_REPORT", "LOAD", "OVERWRITE",
                                    "OUTPUT"},
    "check": MODEL | {"OUTPUT", "OUTPUT_HTML"},
    "installengine": {"ACCELERATOR", "WHEELS", "FOLDER"},
}  # fmt: skip
"""Ids and names of parameters that others' models and scripts rely on: none of them may go."""
NAMES_OF_THINGS = {"DEVICE", "BACKEND", "PRECISION"}
"""Choices that read the same in every language."""
WRITTEN = 5e-6
"""Files hold six significant digits of a statistic."""


def test_the_published_ids_are_there_and_every_parameter_has_help(told):
    assert set(told["catalogue"]) == set(CONTRACT)
    for name, facts in told["catalogue"].items():
        assert facts["help"], name
        assert set(facts["parameters"]) >= CONTRACT[name]
        without = [parameter for parameter, text in facts["parameters"].items() if not text]
        assert not without, (name, without)
    assert {"COVERAGE", "CANOPY_AREA", "N_POLYGONS"} <= set(told["catalogue"]["segment"]["outputs"])


def test_the_words_of_a_choice_stay_english_and_are_explained_in_german(told):
    german = translations.read_ts(package.PLUGIN / "i18n" / "cropseg_de.ts")
    seen = set()
    for facts in told["catalogue"].values():
        for name, values in facts["choices"].items():
            if name in NAMES_OF_THINGS:
                continue
            seen.add(name)
            help_text = facts["parameters"][name]
            for word in {word for value in values for word in value.split("-")}:
                assert word in help_text.lower(), (name, word)
                assert word in german[help_text], (name, word)
    assert seen >= {"ORDER", "START", "SIDE", "STATISTICS", "OUTLINE", "OBJECTS", "GRID", "ACCELERATOR"}


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


def test_each_stage_is_told_once_and_in_words(told):
    stages = [line for line in told["pipeline"]["said"] if line in LABELS.values()]
    assert stages[0] == LABELS["segment"]
    assert stages[-1] == LABELS["report"]
    assert not [a for a, b in itertools.pairwise(stages) if a == b]


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
    assert not told["placeless"]["done"]
    assert any("→ right-click the layer › Layer CRS" in line for line in told["placeless"]["said"])


def test_a_batch_gives_each_row_its_own_result(told):
    all_of_them, large = told["batch"]
    assert all_of_them["N_POLYGONS"] > large["N_POLYGONS"] > 0
    assert len({row["OUTPUT"] for row in told["batch"]}) == 2


def test_cancel_leaves_no_file_and_takes_less_than_two_seconds(told, folder):
    assert told["stopped"]["results"] == {}
    assert told["stopped"]["seconds_after_cancel"] < 2
    left = [p for p in (folder / "stopped").rglob("*") if p.is_file() and "blocks.zarr" not in p.parts]
    assert not left
    is_kept = any("blocks.zarr" in p.parts for p in (folder / "stopped").rglob("*"))
    assert any("finished are kept" in line for line in told["stopped"]["said"]) == is_kept


def test_a_warning_is_given_once(told):
    assert told["warned"].get("said", []).count("the light changes") == 1, told["warned"]


def test_a_layer_is_taken_by_its_file_and_with_the_crs_that_the_user_gave_it(told, folder):
    assert told["untouched"]["source"] == str(folder / "coarse.tif")
    assert told["assigned"]["source"].endswith("coarse.vrt")
    assert told["assigned"]["crs"] == "EPSG:25832"


def test_results_arrive_styled_and_in_the_group_of_their_raster(told):
    assert told["loaded"].get("groups") == ["CropSeg: field_mask"], told["loaded"]
    (layer,) = told["loaded"]["layers"]
    assert layer["renderer"] == "graduatedSymbol"
    assert layer["labels"]
    assert told["loaded"]["beside"] == 0


def test_a_layer_whose_file_is_replaced_shows_the_new_one(told):
    before, after = told["replaced"]["results"]
    assert before["N_POLYGONS"] > after["N_POLYGONS"]
    assert told["replaced"]["features"] == [after["N_POLYGONS"]]


def test_layers_of_a_run_that_loads_nothing_show_the_new_files(told):
    stands = told["stands"]
    assert stands.get("after") == stands["written"], stands
    assert all(before != after for before, after in zip(stands["before"], stands["after"], strict=True))


def test_a_layer_that_a_replaced_file_has_no_more_is_marked_as_missing_and_named(told):
    stands = told["stands"]
    assert stands.get("plots are valid") is False, stands
    said = "\n".join(stands["said"])
    assert "layer of plots goes" in said
    assert "my plots" in said


def test_a_layer_that_a_file_has_again_is_shown_again(told, ours):
    stands = told["stands"]
    assert stands.get("plots that came back") == len(ours.plots), stands
    assert "my plots" not in "\n".join(stands["said again"])
