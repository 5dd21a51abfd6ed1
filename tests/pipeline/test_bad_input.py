"""What cannot work is refused before any work starts: what was found, what was expected, what to do."""

from __future__ import annotations

import errno
import io
import os
import re
import shutil
import zipfile
from collections import namedtuple
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from rasterio.control import GroundControlPoint
from rasterio.rpc import RPC
from rasters import ORIGIN, UTM, scene, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import CropsegError, InputError, ModelError, OutputError, ReadError
from cropseg_geo.events import Warned
from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model
from cropseg_geo.options import Options
from cropseg_geo.raster.info import inspect_raster

SIZE = 200


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("good") / "good.tif", scene(SIZE, SIZE))


def refusal(kind: type[CropsegError], raster, out: Path, **options) -> CropsegError:
    """The error that segmenting raises, and checking as well; and nothing may have been written."""
    was_there = out.is_dir()
    with pytest.raises(kind) as told:
        cg.check(raster, out, **options)
    assert out.is_dir() == was_there
    with pytest.raises(kind, match=f"^{re.escape(str(told.value))}$") as caught:
        cg.segment(raster, out, **options)
    assert not out.is_dir() or not list(out.iterdir())
    assert caught.value.remedy
    return caught.value


def test_no_crs(tmp_path):
    err = refusal(InputError, write_raster(tmp_path / "a.tif", scene(50, 50), crs=None), tmp_path / "out")
    assert "has no coordinate reference system" in err.message
    assert "rio edit-info --crs EPSG:32633 FILE" in err.remedy


def test_the_remedy_for_an_image_without_a_crs_places_it(tmp_path):
    path = write_raster(tmp_path / "a.png", scene(50, 50), crs=None, driver="PNG", worldfile="YES")
    (tmp_path / "a.png.aux.xml").unlink(missing_ok=True)
    remedy = refusal(InputError, path, tmp_path / "out").remedy
    assert f"{path}.aux.xml" in remedy
    (tmp_path / "a.png.aux.xml").write_text(remedy[remedy.index("<PAM") :])
    with rasterio.open(path) as dataset:
        assert dataset.crs == rasterio.CRS.from_epsg(32633)
        assert not dataset.transform.is_identity


def test_a_raster_that_is_not_rectified(tmp_path):
    points = [GroundControlPoint(row, col, col / 100, -row / 100) for row, col in ((0, 0), (0, 50), (50, 0))]
    path = write_raster(tmp_path / "gcps.tif", scene(50, 50), crs=None)
    with rasterio.open(path, "r+") as dataset:
        dataset.gcps = (points, rasterio.CRS.from_string(UTM))
    err = refusal(InputError, path, tmp_path / "out")
    assert "is placed by 3 ground control points" in err.message
    assert "gdalwarp -r cubic -dstalpha FILE OUT" in err.remedy
    camera = RPC(0, 1, 51, 1, [1.0] * 20, [1.0] * 20, 10, 1, 0, 1, [1.0] * 20, [1.0] * 20, 0, 1)
    path = write_raster(tmp_path / "rpc.tif", scene(50, 50), crs=None, rpcs=camera)
    err = refusal(InputError, path, tmp_path / "out")
    assert "is placed by a camera model (RPC)" in err.message
    assert "gdalwarp -rpc" in err.remedy


def test_a_virtual_raster_without_one_of_its_files(tmp_path):
    parts = [write_raster(tmp_path / f"{name}.tif", scene(50, 50)) for name in ("left", "right")]
    sources = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="1">{part.name}</SourceFilename>'
        f'<SourceBand>{{0}}</SourceBand><DstRect xOff="{50 * k}" yOff="0" xSize="50" ySize="50"/>'
        "</SimpleSource>"
        for k, part in enumerate(parts)
    )
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{k}">{sources.format(k)}</VRTRasterBand>' for k in (1, 2, 3)
    )
    mosaic = tmp_path / "mosaic.vrt"
    mosaic.write_text(
        f'<VRTDataset rasterXSize="100" rasterYSize="50"><SRS>{UTM}</SRS>'
        f"<GeoTransform>0, 0.01, 0, 0, 0, -0.01</GeoTransform>{bands}</VRTDataset>"
    )
    assert inspect_raster(mosaic).width == 100
    parts[1].unlink()
    err = refusal(InputError, mosaic, tmp_path / "out")
    assert "of the 2 files that it is made of 1 cannot be found" in err.message
    assert "right.tif" in err.message


def test_not_a_raster(tmp_path):
    (tmp_path / "notes.txt").write_text("maize, 5 t/ha")
    assert (
        "not a raster that can be read" in refusal(InputError, tmp_path / "notes.txt", tmp_path / "o").message
    )
    assert "no such file" in refusal(InputError, tmp_path / "nothing.tif", tmp_path / "o").message
    assert "is a folder" in refusal(InputError, tmp_path, tmp_path / "o").message


def test_truncated_tiff_names_the_pixels_that_fail(tmp_path):
    whole = write_raster(tmp_path / "whole.tif", scene(900, 900), tiled=True, blockxsize=128, blockysize=128)
    data = whole.read_bytes()
    (tmp_path / "cut.tif").write_bytes(data[: len(data) * 2 // 3])
    err = refusal(ReadError, tmp_path / "cut.tif", tmp_path / "out")
    assert "cut.tif: rows" in err.message
    assert "columns" in err.message
    assert "damaged or incomplete" in err.message


def test_zero_valid_pixels(tmp_path):
    raster = write_raster(tmp_path / "a.tif", scene(90, 80), valid=np.zeros((90, 80), dtype=bool))
    err = refusal(InputError, raster, tmp_path / "out")
    assert "not one of its 7,200 pixels here is valid (validity comes from its alpha)" in err.message


def test_fewer_bands_than_the_model_reads(tmp_path):
    err = refusal(InputError, write_raster(tmp_path / "a.tif", scene(50, 50)[:2]), tmp_path / "out")
    assert "has 2 data band(s); the model reads 3 bands (red, green, blue)" in err.message


def test_sixteen_bit_without_a_scale_and_with_one(tmp_path):
    values = scene(SIZE, SIZE)
    raster = write_raster(tmp_path / "a.tif", values.astype(np.uint16) * 40)
    err = refusal(InputError, raster, tmp_path / "out")
    assert "uint16 values" in err.message
    assert "--scale" in err.remedy
    scaled = cg.segment(raster, tmp_path / "sixteen", scale=(0, 255 * 40))
    eight = cg.segment(write_raster(tmp_path / "b.tif", values), tmp_path / "eight")
    assert scaled.summary.canopy_cover == eight.summary.canopy_cover


def test_float_with_nan_treats_nan_as_nodata(tmp_path):
    values = (scene(SIZE, SIZE) / 255).astype(np.float32)
    values[:, 50:80, 60:90] = np.nan
    result = cg.segment(write_raster(tmp_path / "a.tif", values), tmp_path / "out")
    assert result.summary.valid_area_m2 == pytest.approx((SIZE**2 - 900) * 1e-4)


def test_gsd_far_outside_the_models_range(tmp_path):
    raster = write_raster(tmp_path / "a.tif", scene(50, 50), gsd=0.12)
    err = refusal(InputError, raster, tmp_path / "out")
    assert "the raster has 0.12 m/px; model 'canopy-s' accepts" in err.message
    assert "--gsd" in err.remedy
    err = refusal(InputError, raster, tmp_path / "out", gsd_m=5.0)
    assert "--gsd 5: model 'canopy-s' accepts" in err.message


def test_plots_outside_the_raster(raster, tmp_path):
    plots = write_plots(tmp_path / "p.gpkg", [(500, 500, 510, 510)])
    assert "no plot meets the raster" in refusal(InputError, raster, tmp_path / "out", plots=plots).message


def test_plots_in_another_crs_give_the_same_coverage(raster, tmp_path):
    plots = write_plots(tmp_path / "p.gpkg", [(0.5, 0.5, 1.5, 1.2)])
    degrees = tmp_path / "p.geojson"
    gpd.read_file(plots).to_crs("EPSG:4326").to_file(degrees)
    a = cg.segment(raster, tmp_path / "a", plots=plots).plots
    b = cg.segment(raster, tmp_path / "b", plots=degrees).plots
    assert b["coverage"][0] == pytest.approx(a["coverage"][0], abs=1e-3)


def test_plots_without_a_crs(raster, tmp_path):
    frame = gpd.read_file(write_plots(tmp_path / "p.gpkg", [(0.5, 0.5, 1.5, 1.2)]))
    bare = gpd.GeoDataFrame(geometry=list(frame.geometry))
    err = refusal(InputError, raster, tmp_path / "out", plots=bare)
    assert "CRS" in err.message
    assert "--plots-crs" in err.remedy


def test_empty_plots(raster, tmp_path):
    empty = gpd.GeoDataFrame(geometry=[], crs=UTM)
    assert "no feature" in refusal(InputError, raster, tmp_path / "out", plots=empty).message


def test_a_self_intersecting_plot_is_repaired_and_named(raster, tmp_path):
    left, top = ORIGIN
    bow = shapely.Polygon([(left + x, top - y) for x, y in ((0.5, 0.5), (1.5, 1.5), (1.5, 0.5), (0.5, 1.5))])
    events = []
    plots = gpd.GeoDataFrame({"plot_id": ["bow"]}, geometry=[bow], crs=UTM)
    result = cg.segment(raster, tmp_path / "out", plots=plots, listener=events.append)
    assert result.plots["plot_area_m2"][0] == pytest.approx(0.5)
    assert any("bow" in e.message for e in events if isinstance(e, Warned))


def test_duplicate_plot_ids(raster, tmp_path):
    boxes = [(0.1, 0.1, 0.5, 0.5), (0.6, 0.6, 0.9, 0.9)]
    plots = write_plots(tmp_path / "p.gpkg", boxes, plot_id=["A7", "A7"])
    assert "A7" in refusal(InputError, raster, tmp_path / "out", plots=plots, plot_id="plot_id").message


def test_output_folder_not_writable(raster, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written") as caught:
        cg.segment(raster, tmp_path / "file" / "out")
    assert "--out" in caught.value.remedy


def test_disk_too_small(raster, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**6, 10**6 - 1000, 1000))
    err = refusal(OutputError, raster, tmp_path / "out")
    assert "1.0 KB free; about" in err.message


def test_unknown_model(raster, tmp_path):
    err = refusal(ModelError, raster, tmp_path / "out", model="canopy-z")
    assert "unknown model 'canopy-z'" in err.message
    assert "canopy-s" in str(err)


def test_damaged_weights_are_noticed_by_their_digest(raster, tmp_path):
    data = bytearray(find_model(DEFAULT_MODEL).read_bytes())
    data[-100] ^= 1
    (tmp_path / "damaged.safetensors").write_bytes(data)
    err = refusal(ModelError, raster, tmp_path / "out", model=tmp_path / "damaged.safetensors")
    assert "digest" in err.message
    (tmp_path / "short.safetensors").write_bytes(data[: len(data) // 2])
    refusal(ModelError, raster, tmp_path / "out", model=tmp_path / "short.safetensors")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bbox": (0, 0, 1, 1)}, "does not meet the raster"),
        ({"bbox": (5, 5, 1, 1)}, "is not a box"),
        ({"overlap_px": 400}, "the overlap must be between 0 and half the tile"),
        ({"tile_px": 100, "overlap_px": 20}, "not a multiple of the network's stride"),
        ({"threshold": 1.5}, "is not between 0 and 1"),
        ({"grid": "moon"}, "--grid 'moon' is unknown"),
        ({"batch_size": 0}, "--batch-size 0"),
        ({"alpha_band": 9}, "--alpha-band 9"),
        ({"device": "abacus"}, "abacus"),
        ({"scale": (9, 3)}, "upper end must lie above"),
    ],
    ids=lambda v: next(iter(v)) if isinstance(v, dict) else "",
)
def test_options_that_cannot_be(raster, tmp_path, options, message):
    assert message in refusal(InputError, raster, tmp_path / "out", **options).message


def test_an_aoi_beside_the_raster_or_without_polygons(raster, tmp_path):
    far = write_plots(tmp_path / "far.gpkg", [(900, 900, 910, 910)])
    assert "lies beside the raster" in refusal(InputError, raster, tmp_path / "o", aoi=far).message
    point = tmp_path / "point.gpkg"
    gpd.GeoDataFrame(geometry=[shapely.Point(*ORIGIN)], crs=UTM).to_file(point)
    assert "holds no polygon" in refusal(InputError, raster, tmp_path / "o", aoi=point).message


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("area.txt", "is a table and holds no outlines"),
        ("area.gpkg", "is not a vector file"),
        ("area.parquet", "no GeoParquet file with outlines"),
        ("none.gpkg", "does not exist"),
        ("bare.geoparquet", "no CRS is stated"),
    ],
)
def test_files_of_areas_and_of_plots_are_refused_in_the_same_words(raster, tmp_path, name, said):
    if name.startswith("area"):
        (tmp_path / name).write_text("the north half")
    gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 1, 1)]).to_parquet(tmp_path / "bare.geoparquet")
    for option in ("aoi", "plots"):
        assert said in refusal(InputError, raster, tmp_path / "o", **{option: tmp_path / name}).message


def test_an_area_of_interest_is_a_file_of_any_kind_a_frame_or_a_geometry(raster, tmp_path):
    box = shapely.box(ORIGIN[0], ORIGIN[1] - 1, ORIGIN[0] + 1, ORIGIN[1])
    frame = gpd.GeoDataFrame({"name": ["north"]}, geometry=[box], crs=UTM)
    frame.to_parquet(tmp_path / "area.parquet")
    frame.to_file(tmp_path / "area.geojson")
    with zipfile.ZipFile(tmp_path / "area.zip", "w") as packed:
        packed.write(tmp_path / "area.geojson", "area.geojson")
    files = [tmp_path / "area.parquet", f"/vsizip/{tmp_path}/area.zip/area.geojson"]
    elsewhere = frame.rename_geometry("outline").to_crs(4326)
    for area in (*files, frame, elsewhere, frame.geometry, box, shapely.MultiPolygon([box])):
        assert cg.check(raster, aoi=area).extent_px == pytest.approx(100**2, rel=0.02)
    for area in (frame.set_crs(None, allow_override=True), pd.DataFrame({"name": ["north"]}), [box], 3):
        refusal(InputError, raster, tmp_path / "o", aoi=area)


@pytest.mark.parametrize(
    "options",
    [
        {"bands": 3},
        {"bands": "3,2,1"},
        {"bands": (1.5, 2, 3)},
        {"bbox": (1, 2, 3)},
        {"scale": ("0", "255")},
        {"reflectance": None},
        {"threshold": "0.5"},
        {"tile_px": 512.0},
        {"tile_px": 0},
        {"alpha_band": True},
    ],
    ids=str,
)
def test_options_of_the_wrong_type_are_refused_at_birth(options):
    with pytest.raises(InputError) as caught:
        Options(**options)
    assert caught.value.remedy


def test_an_area_of_interest_is_one_layer(raster, tmp_path):
    area = tmp_path / "areas.gpkg"
    frame = gpd.GeoDataFrame(
        geometry=[shapely.box(ORIGIN[0], ORIGIN[1] - 1, ORIGIN[0] + 1, ORIGIN[1])], crs=UTM
    )
    frame.to_file(area, layer="north")
    frame.to_file(area, layer="south")
    err = refusal(InputError, raster, tmp_path / "o", aoi=area)
    assert "has 2 layers ('north', 'south')" in err.message
    assert "areas.gpkg|layername=north" in err.remedy
    assert cg.check(raster, aoi=f"{area}|layername=south").extent_px == 100**2


@pytest.mark.parametrize(
    "counts", [{"lanes": -1}, {"lanes": 0}, {"lanes": "2"}, {"processes": -1}, {"processes": None}]
)
def test_counts_of_workers_that_would_wait_for_ever_are_refused(counts):
    with pytest.raises(InputError, match="cannot be used"):
        Workers(**counts)


class AnyPath(os.PathLike[str]):
    """A path of a class that nobody here knows."""

    def __init__(self, path: Path):
        self.path = path

    def __fspath__(self) -> str:
        return str(self.path)


def test_paths_of_any_type_are_paths_and_anything_else_is_named(raster, tmp_path):
    assert cg.check(AnyPath(raster)).width == SIZE
    write_plots(tmp_path / "plots.gpkg", [(0, 0, 1, 1)], plot=[7])
    assert cg.check(raster, plots=AnyPath(tmp_path / "plots.gpkg")).plots == 1
    with rasterio.open(raster) as dataset:
        err = refusal(InputError, dataset, tmp_path / "out")
    assert "a path is expected, and DatasetReader is given" in err.message
    with pytest.raises(InputError, match="and int is given"):
        cg.segment_many([raster, 5], tmp_path / "out")


def test_one_path_is_not_taken_for_a_list_of_letters(tmp_path):
    with pytest.raises(InputError, match=r"none\.tif"):
        cg.segment_many(str(tmp_path / "none.tif"), tmp_path / "out")
    with pytest.raises(InputError, match=r"none\.tif: no date"):
        cg.plot_series(str(tmp_path / "none.tif"), plots="plots.gpkg")


def test_an_empty_address_of_a_scheduler_does_not_mean_here():
    with pytest.raises(InputError, match="--scheduler is empty"):
        Workers(scheduler="")


def test_numbers_of_numpy_are_numbers():
    options = Options(bands=np.array([3, 2, 1]), tile_px=np.int64(256), threshold=np.float32(0.25))
    assert (options.bands, options.tile_px, options.threshold) == ((3, 2, 1), 256, 0.25)
    assert type(options.tile_px) is int


def test_names_that_no_file_can_have_are_refused_before_the_work(raster, tmp_path):
    out = tmp_path / "out"
    longest = 255 - len("._report.html.lock.takeover")
    for name, message in {
        "x" * (longest + 1): "bytes",
        "two\nlines": "control",
        "畑" * 80: "240 bytes",
    }.items():
        named = tmp_path / f"{name}.tif"
        shutil.copy(raster, named)
        assert message in refusal(InputError, named, out).message
        with pytest.raises(InputError, match="outputs cannot be named after"):
            cg.check(named, out)
    assert "slash" in refusal(InputError, raster, out, stem="../elsewhere").message
    for folder in (tmp_path / ("q" * 300), tmp_path / "a\0b"):
        assert "cannot be the name of a folder" in refusal_of_folder(raster, folder)
    if os.name != "nt":
        no_text = tmp_path / os.fsdecode(b"no text " + bytes([255]))
        assert "not text in UTF-8" in refusal(OutputError, raster, no_text).message
        assert not no_text.exists()
    long = tmp_path / f"{'x' * longest}.tif"
    shutil.copy(raster, long)
    assert cg.segment(long, out, report=True).report.name == f"{'x' * longest}_report.html"
    assert sorted(p.name[-9:] for p in out.iterdir()) == ["_mask.tif", "_prob.tif", "port.html", "xxxx.gpkg"]


@pytest.mark.parametrize("letters", [300, 5000])
def test_a_raster_by_a_name_that_is_too_long_is_refused_as_missing(tmp_path, letters):
    named = "x" * letters + ".tif"
    assert "no such file" in refusal(InputError, named, tmp_path / "out").message
    with pytest.raises(InputError, match="no such file"):
        cg.segment_many([named], tmp_path / "out")


@pytest.mark.parametrize("store", [None, "blocks", "file://blocks"])
def test_paths_that_windows_does_not_find_are_refused_before_the_work(raster, tmp_path, monkeypatch, store):
    """Where long paths are off, it finds 259 letters."""
    out, opened, open_file = tmp_path / "out", [], io.open

    def open_noted(path, *arguments, **how):
        opened.append(str(path))
        return open_file(path, *arguments, **how)

    where = tmp_path / ("blocks" if store else "out")
    how = {"store": store.replace("blocks", str(where)) if store else None}
    monkeypatch.setattr(io, "open", open_noted)
    cg.segment(raster, out, **how)
    monkeypatch.undo()
    shutil.rmtree(out)
    longest = max(len(path) for path in opened if path.startswith(str(where)))
    monkeypatch.setattr("cropseg_geo.outputs.names.longest_path", lambda: longest)
    cg.check(raster, out, **how)
    monkeypatch.setattr("cropseg_geo.outputs.names.longest_path", lambda: longest - 3)
    error = refusal(OutputError, raster, out, **how)
    assert f"would have {longest} letters" in error.message
    assert "3 letters shorter, or have long paths enabled" in error.remedy
    if store == "blocks":
        monkeypatch.chdir(tmp_path)
        assert f"would have {longest} letters" in refusal(OutputError, raster, out, store=store).message


def test_a_folder_that_is_not_found_is_no_full_disk(raster, tmp_path, monkeypatch):
    def lose(*arguments, **how):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory")

    monkeypatch.setattr("cropseg_geo.engine.store.zarr.open_group", lose)
    with pytest.raises(OutputError, match="cannot hold the finished blocks") as caught:
        cg.segment(raster, tmp_path / "out")
    assert "its name is not too long" in caught.value.remedy
    assert "space" not in caught.value.remedy


def refusal_of_folder(raster, folder: Path) -> str:
    """What is said of an output folder that cannot exist, by a run of one raster; several refuse it, too."""
    with pytest.raises(CropsegError):
        cg.segment_many([raster], folder)
    with pytest.raises(InputError) as caught:
        cg.segment(raster, folder)
    return caught.value.message


@pytest.mark.parametrize(
    ("options", "remedy"),
    [
        ({"outlines": "contour"}, "give cropseg_geo.Outlines"),
        ({"outlines": {"outline": "contour"}}, "give cropseg_geo.Outlines"),
        ({"workers": 2}, "give cropseg_geo.Workers"),
    ],
    ids=str,
)
def test_an_argument_of_another_type_is_refused_before_the_work(raster, tmp_path, options, remedy):
    err = refusal(InputError, raster, tmp_path / "out", **options)
    assert f"{next(iter(options))}=" in err.message
    assert remedy in err.remedy


def test_vectorize_refuses_outlines_that_are_none(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.zeros((1, 20, 20), dtype=np.uint8))
    with pytest.raises(InputError, match="outlines='contour' cannot be used"):
        cg.vectorize(mask, tmp_path / "v.gpkg", outlines="contour")


def test_no_listener_is_one_that_hears_nothing(raster, tmp_path):
    assert cg.check(raster, tmp_path / "out", listener=None).tiles
    mask = cg.segment(raster, tmp_path / "out", listener=None).outputs.mask
    assert cg.vectorize(mask, tmp_path / "v.gpkg", listener=None).n_polygons >= 0
    (outcome,) = cg.segment_many([raster], tmp_path / "many", listener=None)
    assert outcome.is_good


def test_an_area_of_interest_without_a_valid_pixel_in_it_is_refused(tmp_path):
    valid = np.ones((SIZE, SIZE), dtype=bool)
    valid[100:150, 100:150] = False
    raster = write_raster(tmp_path / "a.tif", scene(SIZE, SIZE), valid=valid)
    ring = [(0.2, 0.2, 1.9, 1.9)]
    hole = shapely.box(ORIGIN[0] + 0.99, ORIGIN[1] - 1.51, ORIGIN[0] + 1.51, ORIGIN[1] - 0.99)
    write_plots(tmp_path / "small.gpkg", [(0.501, 0.501, 0.504, 0.504)])
    write_plots(tmp_path / "unseen.gpkg", [(1.0, 1.0, 1.2, 1.2), (1.3, 1.3, 1.5, 1.5)])
    write_plots(tmp_path / "ring.gpkg", ring)
    frame = gpd.read_file(tmp_path / "ring.gpkg")
    frame.geometry = frame.difference(hole)
    frame.to_file(tmp_path / "ring.gpkg")
    box = (ORIGIN[0] + 1.1, ORIGIN[1] - 1.4, ORIGIN[0] + 1.4, ORIGIN[1] - 1.1)
    all_valid = write_raster(tmp_path / "b.tif", scene(SIZE, SIZE))
    out = tmp_path / "out"
    for file, other in (("small", {}), ("ring", {"bbox": box})):
        err = refusal(InputError, all_valid, out, aoi=tmp_path / f"{file}.gpkg", **other)
        assert "the area of interest holds no valid pixel" in err.message
    refusal(InputError, raster, out, aoi=tmp_path / "unseen.gpkg")
    assert cg.segment(raster, out, aoi=tmp_path / "ring.gpkg").summary.valid_area_m2 > 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_is_refused_and_not_waited_for(raster, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "is a pipe or a device" in refusal(InputError, tmp_path / "pipe", tmp_path / "o").message
    for option in ("aoi", "plots"):
        err = refusal(InputError, raster, tmp_path / "o", **{option: tmp_path / "pipe"})
        assert "is a pipe or a device" in err.message
