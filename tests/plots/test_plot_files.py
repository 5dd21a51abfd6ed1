"""Plot statistics from files to files: columns described, colour and height from rasters, clear errors."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from typer.testing import CliRunner

from cropseg_geo.cli import app
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import Warned
from cropseg_geo.pipeline import make_report, measure_plots, vectorize
from cropseg_geo.plots.columns import COLUMNS, SERIES_COLUMNS, SUMMARY_COLUMNS, columns_help, columns_markdown
from cropseg_geo.vector.files.formats import FORMATS
from cropseg_geo.vector.options import Outlines
from sample_tiles.varieties import VARIETIES

TRANSFORM = Affine(0.1, 0, 500_000, 0, -0.1, 5_000_000)
SAMPLE = Path(__file__).parents[2] / "sample_tiles"
SOY = Path(__file__).parents[3] / "shared" / "data" / "orthos" / "pliman_soy_dsm"


def write(path: Path, values, *, transform=TRANSFORM, crs="EPSG:32633", tags=None, **options) -> Path:
    values = np.asarray(values)
    values = values[None] if values.ndim == 2 else values
    profile = {
        "driver": "GTiff", "count": len(values), "height": values.shape[1], "width": values.shape[2],
        "dtype": values.dtype, "crs": crs, "transform": transform, **options,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as file:
        file.write(values)
        file.update_tags(**(tags or {}))
    return path


def outlines(*boxes_px) -> gpd.GeoDataFrame:
    geometry = [
        shapely.box(500_000 + 0.1 * a, 5_000_000 - 0.1 * d, 500_000 + 0.1 * c, 5_000_000 - 0.1 * b)
        for a, b, c, d in boxes_px
    ]
    return gpd.GeoDataFrame({"plot": [f"p{i}" for i in range(len(boxes_px))]}, geometry=geometry, crs=32633)


@pytest.fixture
def survey(tmp_path):
    """A mask of stripes (rows at 1 m), its probability and two plots of 8 m × 4 m."""
    mask = np.zeros((100, 100), np.uint8)
    mask[(np.arange(100) % 10) < 4] = 1
    write(tmp_path / "mask.tif", mask, nodata=255, tags={"CROPSEG_THRESHOLD": "0.3"})
    write(tmp_path / "prob.tif", (mask * 100 + 60).astype(np.uint8), nodata=255)
    outlines((10, 5, 90, 45), (10, 55, 90, 95)).to_file(tmp_path / "plots.gpkg", layer="plots")
    return tmp_path


def measure(folder: Path, out=None, **options):
    return measure_plots(folder / "mask.tif", folder / "plots.gpkg", out, **options)


def test_every_group_of_columns_is_measured_unless_told_otherwise(survey):
    table = measure(survey, prob=survey / "prob.tif")
    expected = [c.name for c in COLUMNS if c.group in ("coverage", "objects", "rows", "uniformity")]
    assert list(table.columns) == ["plot_id", "plot", *expected[1:], "geometry"]
    assert table["coverage"].tolist() == pytest.approx([0.4, 0.4])
    assert table["n_objects"].tolist() == [4, 4]
    assert table["gap_fraction"].tolist() == [0, 0]
    assert table["row_spacing_m"].tolist() == pytest.approx([1, 1], rel=0.05)
    # The mask's own threshold, 0.3: probabilities of 60/254 are near it, those of 160/254 are not.
    assert table["uncertain_fraction"].tolist() == pytest.approx([0.6, 0.6])
    few = measure(survey, stats="uniformity")
    assert {"coverage", "uniformity_cv"} <= set(few.columns)
    assert not {"n_objects", "gap_fraction"} & set(few.columns)


@pytest.mark.parametrize(
    "index", [[1, 0], ["i", "j"], [7, 7], pd.MultiIndex.from_tuples([(1, "a"), (1, "b")])]
)
def test_what_is_measured_of_a_frame_fits_it(survey, index):
    frame = outlines((0, 0, 40, 80), (50, 0, 90, 40))
    frame = frame.set_axis(index, axis=0).rename_geometry("outline")
    table = measure_plots(survey / "mask.tif", frame, stats="coverage")
    assert table.index.equals(frame.index)
    assert table["plot_id"].tolist() == ["p0", "p1"]
    assert table.geometry.name == "outline"
    assert table.geometry.geom_equals(frame.geometry).all()
    assert frame.assign(area=table["plot_area_m2"])["area"].tolist() == pytest.approx([32, 16])


def test_a_named_index_is_a_column_and_a_geometry_may_be_called_as_a_statistic(survey):
    frame = outlines((0, 0, 40, 80), (50, 0, 90, 40)).set_index("plot").rename_geometry("coverage")
    table = measure_plots(survey / "mask.tif", frame, survey / "out.gpkg", stats="coverage")
    assert (table.index.tolist(), table.index.name) == (["p0", "p1"], None)
    assert table["plot"].tolist() == table["plot_id"].tolist() == ["p0", "p1"]
    assert table.geometry.name == "geometry"
    assert table["coverage"].tolist() == pytest.approx([0.4, 0.4])
    assert gpd.read_file(survey / "out.gpkg", layer="plots")["coverage"].tolist() == pytest.approx([0.4, 0.4])


def test_frames_that_were_put_together_are_written(survey):
    both = [outlines((10, 5, 90, 45)), outlines((10, 55, 90, 95)).assign(plot="p1")]
    measure_plots(survey / "mask.tif", pd.concat(both), survey / "out.gpkg", stats="coverage")
    assert gpd.read_file(survey / "out.gpkg", layer="plots")["plot"].tolist() == ["p0", "p1"]


def test_columns_of_a_geopackage_are_described_with_units(survey):
    measure(survey, survey / "out.gpkg")
    with sqlite3.connect(survey / "out.gpkg") as db:
        texts = dict(db.execute("SELECT column_name, description FROM gpkg_data_columns"))
    db.close()
    for column in COLUMNS:
        if column.name in texts:
            assert texts[column.name] == column.text
    assert texts["max_gap_m"].endswith("(m)")
    assert "low_validity" in texts
    assert gpd.read_file(survey / "out.gpkg", layer="plots")["low_validity"].dtype == bool


def tag_outlines(mask: Path, **choices) -> None:
    with rasterio.open(mask, "r+") as file:
        file.update_tags(CROPSEG_OUTLINES=Outlines(**choices).text)


def test_objects_are_traced_as_asked_for_else_as_the_mask_says_they_were(survey):
    tag_outlines(survey / "mask.tif", min_area_m2=5.0)  # a stripe has 4
    assert measure(survey)["n_objects"].tolist() == [0, 0]
    assert measure(survey, outlines=Outlines())["n_objects"].tolist() == [4, 4]
    command = ["plots", "stats", str(survey / "mask.tif"), str(survey / "plots.gpkg"), "-q", "-o"]
    for flags, count in ([], 0), (["--min-area", "2"], 4), (["--objects", "touching"], 4):
        out = survey / f"{len(flags)}_{count}.csv"
        done = CliRunner().invoke(app, [*command, str(out), "--overwrite", *flags])
        assert done.exit_code == 0, done.output
        assert pd.read_csv(out)["n_objects"].tolist() == [count, count], flags


def test_contours_need_the_probability_that_they_follow(survey):
    with pytest.raises(InputError, match="contours follow the probability"):
        measure(survey, outlines=Outlines(outline="contour"))
    tag_outlines(survey / "mask.tif", outline="contour")
    told = []
    assert measure(survey, listener=told.append)["n_objects"].tolist() == [4, 4]
    assert any("traced by contours" in event.message for event in told if isinstance(event, Warned))


def test_a_damaged_tag_of_outlines_is_refused(survey):
    for text in ("split", "[1]", '{"corners": "round"}', '{"objects": "wild"}', '{"min_area_m2": "a"}'):
        with rasterio.open(survey / "mask.tif", "r+") as file:
            file.update_tags(CROPSEG_OUTLINES=text)
        with pytest.raises(InputError) as caught:
            measure(survey)
        assert caught.value.remedy
        measure(survey, stats="coverage")


def test_a_geopackage_says_what_its_plots_were_measured_on_and_how(survey):
    measure(survey, survey / "out.gpkg", stats="coverage", buffer_m=0.25)
    with closing(sqlite3.connect(survey / "out.gpkg")) as db:
        (text,) = db.execute("SELECT metadata FROM gpkg_metadata").fetchone()
    facts = json.loads(text)
    assert (facts["CROPSEG_MASK"], facts["CROPSEG_PLOTS"]) == ("mask.tif", "plots.gpkg")
    assert facts["CROPSEG_THRESHOLD"] == "0.3"
    how = json.loads(facts["CROPSEG_PLOT_OPTIONS"])
    assert (how["groups"], how["buffer_m"], how["min_valid"]) == (["coverage"], 0.25, 0.9)


def test_a_filter_counts_and_is_told_in_the_provenance(survey):
    source = f"{survey / 'plots.gpkg'}|layername=plots|subset=plot = 'p1' OR plot = 'a/b'"
    table = measure_plots(survey / "mask.tif", source, survey / "out.gpkg", stats="coverage")
    assert table["plot_id"].tolist() == ["p1"]
    with closing(sqlite3.connect(survey / "out.gpkg")) as db:
        (text,) = db.execute("SELECT metadata FROM gpkg_metadata").fetchone()
    told = json.loads(text)["CROPSEG_PLOTS"]
    assert told == "plots.gpkg|layername=plots|subset=plot = 'p1' OR plot = 'a/b'"


def test_docs_and_help_name_the_columns_that_are_written():
    docs = (Path(__file__).parents[2] / "docs" / "plot-statistics.md").read_text(encoding="utf-8")
    assert columns_markdown() in docs
    for command in ("stats", "series"):
        told = CliRunner().invoke(app, ["plots", command, "--help"], env={"COLUMNS": "100"}).output
        assert " ".join(columns_help().split()) in " ".join(told.split())
    names = [c.name for c in (*COLUMNS, *SERIES_COLUMNS, *SUMMARY_COLUMNS)]
    assert len(set(names)) == len(names)


def test_colours_come_from_an_orthomosaic_on_another_grid(survey):
    mask = np.repeat([(np.arange(100) % 10) < 4], 100, axis=0).T
    bands = np.stack([np.where(mask, 40, 120), np.where(mask, 120, 80), np.where(mask, 40, 60)])
    fine = np.kron(bands, np.ones((1, 4, 4))).astype(np.uint8)
    ortho = write(survey / "ortho.tif", fine, transform=TRANSFORM @ Affine.scale(0.25), photometric="rgb")
    table = measure(survey, raster=ortho, stats="coverage", buffer_m=0.05)
    assert table["exg"].tolist() == pytest.approx([160 / 200] * 2, abs=0.02)
    assert table["ngrdi"].tolist() == pytest.approx([80 / 160] * 2, abs=0.02)
    swapped = measure(survey, raster=ortho, bands="red=2,green=1,blue=3", stats="coverage")
    assert swapped["ngrdi"].tolist() == pytest.approx([-80 / 160] * 2, abs=0.02)


def test_bands_that_cannot_be_known_are_asked_for(survey):
    six = write(survey / "six.tif", np.ones((6, 100, 100), np.uint16))
    with pytest.raises(InputError, match="does not say which of its 6 bands are red") as caught:
        measure(survey, raster=six, stats="coverage")
    assert "--bands red=1" in caught.value.remedy
    for text, message in (("red=9", "band 9"), ("purple=1", "purple=1"), ("red", "'red'")):
        with pytest.raises(InputError, match=message):
            measure(survey, raster=six, bands=text, stats="coverage")
    with pytest.raises(InputError, match="no orthomosaic"):
        measure(survey, bands="red=1", stats="coverage")


def test_bands_are_known_by_their_descriptions(survey):
    path = write(survey / "ms.tif", np.stack([np.full((100, 100), v, np.uint16) for v in (10, 30, 20)]))
    with rasterio.open(path, "r+") as file:
        file.descriptions = ("Red", "NIR", "Red Edge")
    table = measure(survey, raster=path, stats="coverage")
    assert table["ndvi"].tolist() == pytest.approx([0.5, 0.5])
    assert table["ndre"].tolist() == pytest.approx([0.2, 0.2])


def test_an_orthomosaic_of_another_field_is_refused(survey):
    away = write(
        survey / "away.tif", np.ones((3, 9, 9), np.uint8), transform=Affine.translation(9e3, 0) @ TRANSFORM,
        photometric="rgb",
    )  # fmt: skip
    with pytest.raises(InputError, match="lies beside the mask"):
        measure(survey, raster=away, stats="coverage")


def test_heights_come_from_surface_and_terrain(survey):
    dtm = write(survey / "dtm.tif", np.full((100, 100), 50, np.float32))
    dsm = write(survey / "dsm.tif", np.full((100, 100), 50.75, np.float32))
    table = measure(survey, dsm=dsm, dtm=dtm, stats="coverage")
    assert table["height_mean_m"].tolist() == pytest.approx([0.75, 0.75])
    assert table["height_p95_m"].tolist() == pytest.approx([0.75, 0.75])
    assert table["volume_m3"].tolist() == pytest.approx((0.75 * table["canopy_area_m2"]).tolist())
    with pytest.raises(InputError, match="terrain model alone"):
        measure(survey, dtm=dtm, stats="coverage")


def test_a_mask_without_named_classes_has_those_that_it_holds(survey):
    assert "coverage_crop" not in measure(survey, stats="coverage")
    write(survey / "mask.tif", np.full((100, 100), 3, np.uint8), nodata=255)
    table = measure(survey, stats="coverage")
    assert table["coverage_class 3"].tolist() == [1, 1]
    assert "coverage_class 4" not in table


def test_plots_in_another_crs_than_the_mask_measure_the_same(survey):
    here = measure(survey, stats="coverage")
    gpd.read_file(survey / "plots.gpkg").to_crs(4326).to_file(survey / "plots.gpkg", layer="plots")
    there = measure(survey, stats="coverage")
    assert there["coverage"].tolist() == pytest.approx(here["coverage"].tolist(), abs=1e-4)
    assert there["canopy_area_m2"].tolist() == pytest.approx(here["canopy_area_m2"].tolist(), rel=1e-4)


def test_what_cannot_be_measured_is_refused_and_the_earlier_file_stays(survey):
    out = survey / "out.csv"
    out.write_text("earlier")
    with pytest.raises(OutputError, match="already holds"):
        measure(survey, out)
    write(survey / "other.tif", np.zeros((50, 100), np.uint8))
    with pytest.raises(InputError, match="not on the grid"):
        measure(survey, out, prob=survey / "other.tif", overwrite=True)
    with pytest.raises(InputError, match="leaves nothing of plots p0, p1"):
        measure(survey, out, buffer_m=3, overwrite=True)
    empty = outlines((0, 0, 1, 1)).iloc[:0]
    with pytest.raises(InputError, match="hold no feature"):
        measure_plots(survey / "mask.tif", empty, out, overwrite=True)
    with pytest.raises(InputError, match="no plot meets the raster"):
        measure_plots(survey / "mask.tif", outlines((900, 900, 950, 950)), out, overwrite=True)
    with pytest.raises(InputError, match="outlines='split' cannot be used"):
        measure(survey, out, outlines="split", overwrite=True)
    with pytest.raises(InputError, match="no group of plot statistics"):
        measure(survey, out, stats="rows,magic", overwrite=True)
    assert out.read_text() == "earlier"
    assert not list(survey.glob(".out*"))
    plots = survey / "plots.gpkg"
    before = plots.read_bytes()
    with pytest.raises(OutputError, match="is read by this run"):
        measure_plots(survey / "mask.tif", f"{plots}|layername=plots", plots, overwrite=True)
    with pytest.raises(OutputError, match="is read by this run"):
        vectorize(survey / "mask.tif", plots, plots=plots, overwrite=True)
    with pytest.raises(OutputError, match="is read by this run"):
        make_report(survey / "mask.tif", survey / "mask.tif", file_format="png", overwrite=True)
    assert plots.read_bytes() == before


def test_a_folder_that_takes_no_files_is_refused_before_any_work(survey):
    told = []
    with pytest.raises(OutputError):
        measure(survey, survey / "mask.tif" / "out.gpkg", listener=told.append)
    assert not told


def test_overlapping_plots_are_measured_with_a_warning(survey):
    told = []
    both = outlines((10, 10, 50, 50), (40, 10, 90, 50))
    table = measure_plots(survey / "mask.tif", both, stats="coverage", listener=told.append)
    assert table["coverage"].tolist() == pytest.approx([0.4, 0.4])
    (message,) = [e.message for e in told if isinstance(e, Warned)]
    assert message.startswith("2 plots overlap")


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_of_polygons_holds_the_same_plots(survey, suffix):
    plots = outlines((10, 5, 90, 45), (10, 55, 90, 95), (2, 2, 8, 8)).assign(sown=pd.Timestamp("2026-04-01"))
    far = shapely.box(500_009, 4_999_990, 500_010, 4_999_991)
    plots.loc[2, "geometry"] = shapely.union(plots.geometry[2], far)
    table = measure_plots(survey / "mask.tif", plots, survey / f"o{suffix}", prob=survey / "prob.tif")
    path = survey / f"o{suffix}"
    layer = {"layer": "plots"} if suffix == ".gpkg" else {}
    found = gpd.read_parquet(path) if suffix == ".parquet" else gpd.read_file(path, **layer)
    found = found.sort_values("plot_id", ignore_index=True)[[*table.columns]]
    measured = [c.name for c in COLUMNS if c.name in table]
    pd.testing.assert_frame_equal(found[measured], table[measured], check_dtype=False, rtol=1e-3)
    assert found["sown"].tolist() == plots["sown"].tolist()
    overlap = found.geometry.to_crs(table.crs).symmetric_difference(table.geometry)
    assert (overlap.area < 0.001 * table.area).all()


def test_outlines_in_geoparquet_are_counter_clockwise_as_it_says(survey):
    clockwise = shapely.orient_polygons(outlines((10, 5, 90, 45)).geometry.to_numpy(), exterior_cw=True)
    plots = gpd.GeoDataFrame(geometry=clockwise, crs=32633)
    measure_plots(survey / "mask.tif", plots, survey / "o.parquet", stats="coverage")
    (found,) = gpd.read_parquet(survey / "o.parquet").geometry
    assert shapely.is_ccw(found.geoms[0].exterior)


def test_a_file_for_statistics_of_no_known_format_is_refused_with_those_that_are(survey):
    with pytest.raises(InputError, match=r"'\.shp' names no format.*\n.*\.csv \(table .*\.parquet"):
        measure(survey, survey / "o.shp")


def test_the_command_line_measures_with_every_option(survey):
    arguments = [
        "plots", "stats", str(survey / "mask.tif"), str(survey / "plots.gpkg"), "-o", str(survey / "o.csv"),
        "--prob", str(survey / "prob.tif"), "--stats", "rows", "--buffer", "0.1", "--min-valid", "0.8",
        "--row-angle", "90", "--row-spacing", "1", "--cell", "2", "-q",
    ]  # fmt: skip
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    table = pd.read_csv(survey / "o.csv")
    assert table["row_spacing_m"].tolist() == [1, 1]
    assert table["plot_area_m2"].tolist() == pytest.approx([7.8 * 3.8] * 2)


def test_rows_of_the_sample_field_are_found_where_they_were_sown():
    sown_m = {v.name: v.row_spacing_cm / 100 for v in VARIETIES}
    table = measure_plots(SAMPLE / "field_truth.tif", SAMPLE / "plots.gpkg", stats="rows")
    found = table["row_spacing_m"] / table["variety"].map(sown_m)
    # One plot of maize has closed over its rows; it takes the median of the others, which are not maize.
    assert found.between(0.98, 1.02).sum() >= len(table) - 1
    assert table["gap_fraction"].between(0, 0.5).all()


def test_soy_plots_have_plausible_colour_and_height():
    if not (SOY / "soy_ortho.tif").exists():
        pytest.skip("the real survey pliman_soy_dsm is not here")
    table = measure_plots(
        SOY / "plant_mask_0soil_1plant_255nodata.tif",
        SOY / "plots.geojson",
        raster=SOY / "soy_ortho.tif",
        bands="red=1,green=2,blue=3",
        dsm=SOY / "soy_dsm.tif",
        dtm=SOY / "soy_dtm.tif",
        stats="all",
    )
    assert table["exg"].between(0.05, 1).all()
    assert table["height_mean_m"].between(0.05, 1.5).all()
    assert (table["height_p95_m"] >= table["height_mean_m"]).all()
    expected = table["height_mean_m"] * table["canopy_area_m2"]
    assert table["volume_m3"].tolist() == pytest.approx(expected.tolist(), rel=0.05)
