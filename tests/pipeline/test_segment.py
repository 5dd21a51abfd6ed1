"""The whole job on small rasters with the shipped model: what is written, where, and that nothing is lost."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from rasters import ORIGIN, UTM, scene, write_plots, write_raster
from rio_cogeo.cogeo import cog_validate

import cropseg_geo as cg
from cropseg_geo.errors import InferenceError, InputError, OutputError
from cropseg_geo.events import StageAdvanced, StageFinished, StageStarted, Written
from cropseg_geo.model.backends import choose_predictor
from cropseg_geo.model.weights import read_card
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare
from cropseg_geo.vector.options import Outlines

HEIGHT, WIDTH = 600, 700
SAMPLE = Path(__file__).resolve().parents[2] / "sample_tiles"


def read(path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read(1)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """A raster with a cut-off corner, and four plots: three inside, one half beside the raster."""
    folder = tmp_path_factory.mktemp("field")
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    valid = rows + cols > 250
    raster = write_raster(folder / "field.tif", scene(HEIGHT, WIDTH), valid=valid, tiled=True)
    boxes = [(3, 3, 4, 5), (4, 3, 6.5, 5), (1, 1, 2, 2), (6, 5, 8, 5.9)]
    plots = write_plots(folder / "plots.gpkg", boxes, name=list("abcd"), variety=["x", "y", "x", "y"])
    return raster, plots, valid


@pytest.fixture(scope="module")
def done(field, tmp_path_factory):
    raster, plots, _ = field
    events = []
    out = tmp_path_factory.mktemp("out")
    return cg.segment(raster, out, plots=plots, listener=events.append), events


def test_outputs_are_valid_cogs_on_the_rasters_grid(done, field):
    result, _ = done
    for path, name in ((result.outputs.mask, "field_mask.tif"), (result.outputs.prob, "field_prob.tif")):
        assert path.name == name
        is_valid, errors, warnings = cog_validate(path)
        assert is_valid, (errors, warnings)
        with rasterio.open(path) as dataset, rasterio.open(field[0]) as source:
            assert (dataset.shape, dataset.transform, dataset.crs) == (
                source.shape,
                source.transform,
                source.crs,
            )
            assert dataset.dtypes == ("uint8",)
            assert dataset.nodata == 255
            assert dataset.overviews(1) == [2]
            tags = dataset.tags()
            assert tags["CROPSEG_MODEL"].startswith("canopy-s")
            assert len(tags["CROPSEG_MODEL_DIGEST"]) == 64
            assert tags["CROPSEG_SOURCE"] == "field.tif"
    with rasterio.open(result.outputs.mask) as mask:
        assert mask.colormap(1)[255][3] == 0
        assert mask.colormap(1)[0] != mask.colormap(1)[1]
        assert json.loads(mask.tags()["CROPSEG_CLASSES"]) == {"0": "background", "1": "crop"}
    with rasterio.open(result.outputs.prob) as prob:
        assert prob.scales == pytest.approx((1 / 254,))


@pytest.mark.parametrize(
    "outlines",
    [
        cg.Outlines(min_area_m2=0.05),
        cg.Outlines(objects="split"),
        cg.Outlines(outline="contour", simplify_m=0.02),
    ],
    ids=["min-area", "split", "contour"],
)
def test_plots_measured_on_a_mask_have_the_objects_of_the_run_that_made_it(tmp_path, outlines):
    raster, box = SAMPLE / "field.tif", (565_820, 5_705_380, 565_825, 5_705_384)
    plots = gpd.GeoDataFrame(geometry=[shapely.box(*box).buffer(-0.5)], crs=UTM)
    result = cg.segment(raster, tmp_path / "out", plots=plots, bbox=box, outlines=outlines)
    mask, prob = result.outputs.mask, result.outputs.prob
    columns = ["n_objects", "mean_object_m2", "max_object_m2", "canopy_area_m2"]
    again = cg.measure_plots(mask, plots, tmp_path / "again.gpkg", prob=prob)
    pd.testing.assert_frame_equal(again[columns], result.plots[columns])
    as_traced = cg.measure_plots(mask, plots, outlines=cg.Outlines())
    assert (as_traced[columns] != result.plots[columns]).any(axis=None)
    total = as_traced["n_objects"] * as_traced["mean_object_m2"]
    assert total.dropna().tolist() == pytest.approx(as_traced["canopy_area_m2"][total.notna()].tolist())
    for path, layer in ((result.outputs.layers, "canopy"), (tmp_path / "again.gpkg", "plots")):
        with closing(sqlite3.connect(path)) as db:
            stated = [json.loads(text) for (text,) in db.execute("SELECT metadata FROM gpkg_metadata")]
        assert {Outlines.of_text(facts["CROPSEG_OUTLINES"]) for facts in stated} == {outlines}, layer


def test_every_valid_pixel_is_answered_and_no_other(done, field):
    result, _ = done
    mask, prob = read(result.outputs.mask), read(result.outputs.prob)
    np.testing.assert_array_equal(mask != 255, field[2])
    np.testing.assert_array_equal(prob != 255, field[2])
    certain = np.abs(prob.astype(int) - 127) > 1
    np.testing.assert_array_equal((mask == 1)[certain & field[2]], (prob > 127)[certain & field[2]])


def test_law_6_the_polygons_areas_add_up_to_the_masks(done, field):
    result, _ = done
    mask = read(result.outputs.mask)
    canopy = gpd.read_file(result.outputs.layers, layer="canopy")
    assert list(canopy.columns) == [
        "class_id",
        "class_name",
        "area_m2",
        "perimeter_m",
        "mean_prob",
        "centroid_x",
        "centroid_y",
        "plot_id",
        "geometry",
    ]
    assert canopy.geometry.is_valid.all()
    area = (mask == 1).sum() * 0.01**2
    assert canopy["area_m2"].sum() == pytest.approx(area, rel=1e-12)
    assert canopy.geometry.area.sum() == pytest.approx(area, rel=1e-6)
    assert result.summary.canopy_area_m2 == pytest.approx(area, rel=1e-12)
    assert result.summary.canopy_cover == pytest.approx((mask == 1).sum() / field[2].sum())
    assert result.summary.n_polygons == len(canopy)


def test_plots_keep_their_columns_and_get_their_statistics(done, field):
    result, _ = done
    table = result.plots.set_index("plot_id")
    assert list(table.index) == ["a", "b", "c", "d"]
    assert list(table["variety"]) == ["x", "y", "x", "y"]
    mask = read(result.outputs.mask)
    for name, (row, col, row_stop, col_stop) in {
        "a": (300, 300, 500, 400),
        "c": (100, 100, 200, 200),
    }.items():
        part = mask[row:row_stop, col:col_stop]
        assert table.loc[name, "coverage"] == pytest.approx((part == 1).sum() / (part != 255).sum(), abs=1e-6)
        assert table.loc[name, "valid_fraction"] == pytest.approx((part != 255).mean(), abs=1e-6)
    assert table.loc["d", "valid_fraction"] == pytest.approx(0.5, abs=1e-6)
    assert "plots" in [name for name, _ in pyogrio.list_layers(result.outputs.layers)]
    csv = result.outputs.plots_csv.read_text().splitlines()
    assert csv[0].startswith("plot_id,")
    assert len(csv) == 5


def test_plots_get_the_colour_indices_of_their_canopy(done, field):
    result, _ = done
    mask = read(result.outputs.mask)[300:500, 300:400]
    with rasterio.open(field[0]) as dataset:
        red, green, blue = dataset.read((1, 2, 3))[:, 300:500, 300:400][:, mask == 1].astype(float)
    measured = result.plots.set_index("plot_id").loc["a"]
    assert measured["exg"] == pytest.approx(
        np.mean((2 * green - red - blue) / (red + green + blue)), abs=1e-5
    )
    assert measured["ngrdi"] == pytest.approx(np.mean((green - red) / (green + red)), abs=1e-5)
    assert "ndvi" not in result.plots.columns


def test_progress_adds_up_and_files_are_announced_last(done):
    result, events = done
    for started in (e for e in events if isinstance(e, StageStarted)):
        advanced = sum(e.amount for e in events if isinstance(e, StageAdvanced) and e.stage == started.stage)
        assert advanced == started.total, started.stage
        assert StageFinished(started.stage) in events
    assert [e.path for e in events[-4:] if isinstance(e, Written)] == [str(p) for p in result.outputs.paths]


def test_the_output_folder_holds_the_outputs_and_nothing_else(done):
    result, _ = done
    assert sorted(result.outputs.mask.parent.iterdir()) == sorted(result.outputs.paths)


def test_law_5_a_bbox_gives_the_crop_of_the_whole(done, field, tmp_path):
    left, top = ORIGIN
    bbox = (left + 2.0, top - 5.0, left + 6.3, top - 1.5)
    part = cg.segment(field[0], tmp_path, bbox=bbox)
    for name in ("mask", "prob"):
        whole = read(getattr(done[0].outputs, name))
        np.testing.assert_array_equal(read(getattr(part.outputs, name)), whole[150:500, 200:630])
    with rasterio.open(part.outputs.mask) as dataset:
        np.testing.assert_allclose(dataset.bounds, bbox)


def test_an_area_of_interest_in_another_crs_restricts_the_work(done, field, tmp_path):
    aoi = write_plots(tmp_path / "aoi.gpkg", [(2, 1.5, 6.3, 5)])
    gpd.read_file(aoi).to_crs("EPSG:4326").to_file(tmp_path / "aoi.geojson")
    part = cg.segment(field[0], tmp_path / "out", aoi=tmp_path / "aoi.geojson")
    whole, mask = read(done[0].outputs.mask), read(part.outputs.mask)
    with rasterio.open(part.outputs.mask) as dataset:
        col, row = ~dataset.transform @ ORIGIN
    same = mask[1:-1, 1:-1]
    row, col = round(-row) + 1, round(-col) + 1
    np.testing.assert_array_equal(same, whole[row : row + same.shape[0], col : col + same.shape[1]])


@pytest.mark.parametrize("grid", ["source", "working"])
def test_an_area_of_interest_is_kept_to_at_another_gsd_too(tmp_path, grid):
    raster = write_raster(tmp_path / "fine.tif", scene(300, 320), gsd=0.002)
    left, top = ORIGIN
    corners = [(0.1103, 0.1108), (0.4502, 0.1108), (0.1103, 0.4507)]  # no pixel's centre is on the outline
    aoi = shapely.Polygon([(left + x, top - y) for x, y in corners])
    mask = cg.segment(raster, tmp_path / "out", aoi=aoi, grid=grid, gsd_m=0.0063).outputs.mask
    with rasterio.open(mask) as dataset:
        row, col = np.nonzero(dataset.read(1) != 255)
        x, y = dataset.transform @ (col + 0.5, row + 0.5)
        pixel_m2 = dataset.res[0] * dataset.res[1]
    assert shapely.contains_xy(aoi, x, y).all()
    assert len(row) * pixel_m2 == pytest.approx(aoi.area, rel=0.03)


def test_an_existing_output_is_refused_before_any_work_and_replaced_when_asked(field, tmp_path):
    (tmp_path / "field_mask.tif").write_bytes(b"mine")
    with pytest.raises(OutputError, match=r"already holds field_mask\.tif") as refused:
        cg.segment(field[0], tmp_path)
    assert "--overwrite" in refused.value.remedy
    assert (tmp_path / "field_mask.tif").read_bytes() == b"mine"
    cg.segment(field[0], tmp_path, overwrite=True)
    assert read(tmp_path / "field_mask.tif").shape == (HEIGHT, WIDTH)


def test_an_output_that_is_an_input_is_refused_before_any_work(field, tmp_path):
    """Under another path, too: a link leads to the same file."""
    raster = tmp_path / "field_mask.tif"
    shutil.copy(field[0], raster)
    before = raster.read_bytes()
    (tmp_path / "link.tif").symlink_to(raster)
    for same in (raster, tmp_path / "link.tif"):
        with pytest.raises(OutputError, match="is read by this run"):
            cg.segment(same, tmp_path, stem="field", overwrite=True)
    assert raster.read_bytes() == before


def test_a_failed_tile_stops_the_run_names_itself_and_loses_nothing(done, field, tmp_path, monkeypatch):
    """And the same command takes the finished blocks up again, to the same bytes."""
    predictor = type(choose_predictor(cg_model()))
    forward, calls = predictor.predict, []

    def failing(self, batch):
        calls.append(1)
        if len(calls) > 2:
            raise RuntimeError("the device fell off the bus")
        return forward(self, batch)

    options = {"tile_px": 256, "overlap_px": 32, "workers": cg.Workers(lanes=1)}
    monkeypatch.setattr("cropseg_geo.preflight.TILES_PER_BLOCK_SIDE", 1)
    monkeypatch.setattr(predictor, "predict", failing)
    with pytest.raises(InferenceError, match=r"failed on tile \(\d, \d\) \(rows .*fell off the bus"):
        cg.segment(field[0], tmp_path / "a", **options)
    left = list((tmp_path / "a").iterdir())
    assert [p.suffix for p in left] == [".cropseg"]
    assert sorted(p.name for p in left[0].iterdir()) == ["blocks.zarr", "run.json"]

    monkeypatch.setattr(predictor, "predict", forward)
    resumed = cg.segment(field[0], tmp_path / "a", **options)
    assert resumed.summary.blocks_resumed >= 1
    straight = cg.segment(field[0], tmp_path / "b", **options)
    assert straight.summary.blocks_resumed == 0
    for a, b in zip(resumed.outputs.paths[:2], straight.outputs.paths[:2], strict=True):
        assert a.read_bytes() == b.read_bytes()
    assert not list((tmp_path / "a").glob(".*"))


def test_a_finer_raster_is_read_at_the_models_gsd_and_answered_on_its_own_grid(tmp_path):
    valid = np.ones((900, 800), dtype=bool)
    valid[:333, :200] = False
    card = read_card(cg_model())
    gsd = card.gsd_range_m[0] / 2.3
    raster = write_raster(tmp_path / "fine.tif", scene(900, 800), valid=valid, gsd=gsd)
    own = cg.segment(raster, tmp_path / "source")
    mask = read(own.outputs.mask)
    np.testing.assert_array_equal(mask != 255, valid)
    assert own.summary.gsd_m == pytest.approx(card.gsd_range_m[0], rel=0.01)
    working = cg.segment(raster, tmp_path / "working", grid="working")
    coarse = read(working.outputs.mask)
    assert coarse.shape == pytest.approx((900 / 2.3, 800 / 2.3), abs=1)
    with rasterio.open(raster) as a, rasterio.open(working.outputs.mask) as b:
        np.testing.assert_allclose(a.bounds, b.bounds)


def test_the_disk_of_a_resampled_run_is_planned_with_its_draft(tmp_path):
    raster = write_raster(tmp_path / "field.tif", scene(512, 512))
    sizes = [0]

    def measure(event):
        sizes.extend(path.stat().st_size for path in tmp_path.glob("out/.*/working.draft"))

    cg.segment(raster, tmp_path / "out", gsd_m=0.004, listener=measure)
    ready = prepare(raster, Options(gsd_m=0.004))
    assert 0 < max(sizes) <= ready.disk_bytes - ready.plan.block_bytes - ready.finished_bytes


def test_a_rotated_raster_gives_rotated_polygons_of_the_same_area(tmp_path):
    rotated = Affine.translation(*ORIGIN) @ Affine.rotation(23) @ Affine.scale(0.01, -0.01)
    raster = write_raster(tmp_path / "r.tif", scene(300, 300), transform=rotated)
    plots = gpd.GeoDataFrame(geometry=[rotated_box(rotated, 50, 60, 150, 200)], crs=UTM)
    result = cg.segment(raster, tmp_path / "out", plots=plots)
    mask = read(result.outputs.mask)
    canopy = gpd.read_file(result.outputs.layers, layer="canopy")
    assert canopy.geometry.area.sum() == pytest.approx((mask == 1).sum() * 1e-4, rel=1e-6)
    assert result.plots["coverage"][0] == pytest.approx((mask[60:200, 50:150] == 1).mean(), abs=1e-6)


def rotated_box(transform, col, row, col_stop, row_stop):
    import shapely

    corners = [(col, row), (col_stop, row), (col_stop, row_stop), (col, row_stop)]
    return shapely.Polygon([transform @ corner for corner in corners])


def cg_model():
    from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model

    return find_model(DEFAULT_MODEL)


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:2225", "EPSG:3857"])
def test_degrees_feet_and_web_mercator_give_square_metres(tmp_path, crs):
    origin, step = {
        "EPSG:4326": ((11.0, 52.0), 1.2e-7),
        "EPSG:2225": ((6e6, 2e6), 0.05),
        "EPSG:3857": ((1224514.4, 6800125.5), 0.02),
    }[crs]
    transform = Affine(step, 0, origin[0], 0, -step, origin[1])
    raster = write_raster(tmp_path / "g.tif", scene(250, 260), crs=crs, transform=transform)
    box = rotated_box(transform, 40, 50, 140, 200)
    plots = gpd.GeoDataFrame(geometry=[box], crs=crs).to_crs("EPSG:4326")
    result = cg.segment(raster, tmp_path / "out", plots=plots)
    lonlat = plots.geometry[0]
    from pyproj import Geod

    true_m2 = abs(Geod(ellps="WGS84").geometry_area_perimeter(lonlat)[0])
    row = result.plots.iloc[0]
    assert row["plot_area_m2"] == pytest.approx(true_m2, rel=1e-3)
    assert row["canopy_area_m2"] == pytest.approx(row["coverage"] * true_m2, rel=1e-3)
    canopy = gpd.read_file(result.outputs.layers, layer="canopy")
    assert canopy["area_m2"].sum() == pytest.approx(result.summary.canopy_area_m2, rel=1e-6)


@pytest.mark.slow
def test_law_3_worker_processes_give_the_same_bytes(done, field, tmp_path):
    result = cg.segment(field[0], tmp_path, workers=cg.Workers(processes=2, lanes=1))
    for name in ("mask", "prob"):
        assert getattr(result.outputs, name).read_bytes() == getattr(done[0].outputs, name).read_bytes()


@pytest.mark.slow
def test_law_3_a_running_scheduler_gives_the_same_bytes(done, field, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        workers = cg.Workers(scheduler=cluster.scheduler_address)
        result = cg.segment(field[0], tmp_path, workers=workers)
    for name in ("mask", "prob"):
        assert getattr(result.outputs, name).read_bytes() == getattr(done[0].outputs, name).read_bytes()


def test_a_scheduler_that_does_not_answer_is_refused(field, tmp_path):
    with pytest.raises(InputError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:9"):
        cg.segment(field[0], tmp_path, workers=cg.Workers(scheduler="tcp://127.0.0.1:9"))
