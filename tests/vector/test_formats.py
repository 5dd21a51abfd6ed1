"""Canopy polygons in every format: the same polygons, columns and values; whole files or none."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow.parquet as pq
import pyogrio
import pytest
import rasterio.features
import shapely
from affine import Affine
from pyproj import CRS
from rasters import ORIGIN, UTM, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.vector.files.antimeridian import cut_at_antimeridian
from cropseg_geo.vector.files.formats import FORMATS
from cropseg_geo.vector.files.geojson import decimals_for

COLUMNS = ["class_id", "class_name", "area_m2", "perimeter_m", "mean_prob", "centroid_x", "centroid_y"]
GSD = 0.01


def canopy(size: int = 60) -> np.ndarray:
    """Discs, one with a hole, at the rim and inside; two classes."""
    rows, cols = np.ogrid[:size, :size]
    mask = np.zeros((size, size), np.uint8)
    for k, (row, col, radius) in enumerate([(12, 12, 9), (40, 15, 12), (15, 45, 11), (45, 48, 14)]):
        mask[(rows - row) ** 2 + (cols - col) ** 2 < radius**2] = 1 + k % 2
    mask[40:43, 14:18] = 0
    mask[0, 20:] = 255
    return mask


def write_mask(path: Path, mask: np.ndarray, **profile) -> Path:
    return write_raster(path, mask[None], gsd=GSD, nodata=255, **profile)


@pytest.fixture
def mask(tmp_path):
    return write_mask(tmp_path / "field_mask.tif", canopy())


@pytest.fixture
def prob(tmp_path):
    steps = np.random.default_rng(0).integers(0, 201, (1, 60, 60)).astype(np.uint8)
    return write_raster(tmp_path / "field_prob.tif", steps, gsd=GSD, nodata=255)


def read(path: Path) -> gpd.GeoDataFrame:
    layer = {"layer": "canopy"} if path.suffix == ".gpkg" else {}
    frame = gpd.read_parquet(path) if path.suffix == ".parquet" else gpd.read_file(path, **layer)
    return frame.drop(columns=[c for c in ("id", "bbox") if c in frame]).sort_values(
        ["centroid_y", "centroid_x"], ignore_index=True
    )


@pytest.fixture
def frames(mask, prob, tmp_path):
    """The same mask in every format."""
    for suffix in FORMATS:
        cg.vectorize(mask, tmp_path / f"field{suffix}", prob=prob)
    return {suffix: read(tmp_path / f"field{suffix}") for suffix in FORMATS}


def test_every_format_holds_the_same_polygons_columns_and_values(frames):
    expected = frames[".gpkg"]
    assert len(expected) == 4
    assert expected["area_m2"].sum() == pytest.approx((canopy() % 255 > 0).sum() * GSD**2)
    for suffix, frame in frames.items():
        assert [c for c in frame.columns if c != "geometry"] == COLUMNS, suffix
        is_json = "json" in suffix
        assert frame.crs == ("EPSG:4326" if is_json else UTM), suffix
        values = COLUMNS[:5] if is_json else COLUMNS
        # Written as text and read again, a number stays the same; order by y may not.
        left, right = (f[values].sort_values("area_m2", ignore_index=True) for f in (frame, expected))
        assert left.equals(right.astype(left.dtypes.to_dict())), suffix
        shapes = frame.to_crs(UTM).geometry.normalize() if is_json else frame.geometry.normalize()
        distance = [expected.geometry.normalize().hausdorff_distance(s).min() for s in shapes]
        # To a twentieth of a pixel where coordinates are rounded, exactly elsewhere.
        assert max(distance) <= (GSD / 20 if is_json else 0.0), suffix


def test_geojson_is_what_rfc_7946_asks_for(frames, tmp_path):
    document = json.loads((tmp_path / "field.geojson").read_text())
    assert (document["type"], len(document["features"])) == ("FeatureCollection", 4)
    assert "crs" not in document
    west, south, east, north = CRS.from_user_input(UTM).area_of_use.bounds
    for feature in document["features"]:
        shell, *holes = (np.array(ring) for ring in feature["geometry"]["coordinates"])
        assert shapely.is_ccw(shapely.linearrings(shell))
        assert not any(shapely.is_ccw(shapely.linearrings(hole)) for hole in holes)
        assert (shell[0] == shell[-1]).all()
        assert ((shell >= (west, south)) & (shell <= (east, north))).all()
        centre = [feature["properties"][name] for name in ("centroid_x", "centroid_y")]
        assert shapely.Polygon(shell).contains(shapely.Point(centre))
    text = json.dumps(document["features"][0]["geometry"])
    longest = max(len(number.split(".")[1]) for number in text.replace("]", ",").split(",") if "." in number)
    assert longest <= decimals_for(GSD)
    lines = (tmp_path / "field.geojsonl").read_text().splitlines()
    assert [json.loads(line)["geometry"] for line in lines] == [f["geometry"] for f in document["features"]]


TURNED_DATUM = "+proj=longlat +ellps=bessel +towgs84=598.1,73.7,418.2,0.202,0.045,-2.455,6.7"


@pytest.mark.parametrize(
    ("crs", "x", "y", "gsd"),
    [
        ("EPSG:32760", 819045.0, 8096000.0, 5.0),  # its 13th column lies on 180°
        ("EPSG:4326", 179.9996, -17.0, 1e-5),
        ("EPSG:4326", 539.9996, -17.0, 1e-5),
        (TURNED_DATUM, 180.0010, -17.0, 1e-5),
        ("EPSG:4326", -180.0004, -17.0, 1e-5),
    ],
)
def test_geojson_crosses_no_antimeridian_and_loses_nothing(tmp_path, crs, x, y, gsd):
    mask = tmp_path / "m.tif"
    profile = {"driver": "GTiff", "count": 1, "dtype": "uint8", "nodata": 255, "width": 60, "height": 60}
    with rasterio.open(mask, "w", crs=crs, transform=Affine(gsd, 0, x, 0, -gsd, y), **profile) as file:
        file.write(canopy()[None])
    for suffix in (".gpkg", ".geojson"):
        cg.vectorize(mask, tmp_path / f"m{suffix}")
    frame, whole = read(tmp_path / "m.geojson"), read(tmp_path / "m.gpkg")
    assert len(frame) == len(whole)
    bounds = frame.geometry.explode().bounds
    assert (bounds.maxx - bounds.minx < 0.01).all()
    assert bounds.minx.min() < -179.99 < 179.99 < bounds.maxx.max()
    assert bounds.minx.min() >= -180.0
    assert bounds.maxx.max() <= 180.0
    assert frame.geometry.is_valid.all()
    assert set(frame.geometry.geom_type) == {"Polygon", "MultiPolygon"}
    # Two parts of degrees cover what the one polygon does.
    area = frame.geometry.to_crs("EPSG:32760").area.sum()
    assert area == pytest.approx(whole.geometry.to_crs("EPSG:32760").area.sum(), rel=1e-4)
    assert frame["centroid_x"].abs().between(179.99, 180.0).all()


def test_a_polygon_wider_than_half_the_earth_stays_one():
    around = np.array(
        [shapely.box(-170, -60, 170, 80), shapely.segmentize(shapely.box(-180, 0, 180, 10), 90)]
    )
    assert cut_at_antimeridian(around, decimals=7, may_jump=False) is around
    assert shapely.equals(cut_at_antimeridian(around[1:], decimals=7, may_jump=True), around[1:]).all()


def test_geoparquet_has_its_metadata_and_a_box_column_that_readers_use(frames, tmp_path):
    path = tmp_path / "field.parquet"
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0"
    assert (column["encoding"], column["geometry_types"]) == ("WKB", ["Polygon"])
    assert CRS.from_json_dict(column["crs"]) == CRS.from_user_input(UTM)
    np.testing.assert_allclose(column["bbox"], frames[".gpkg"].total_bounds)
    assert column["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    one = frames[".parquet"].geometry.iloc[[0]]
    assert len(gpd.read_parquet(path, bbox=tuple(one.total_bounds))) == 1
    described = pq.read_schema(path).field("area_m2").metadata[b"description"].decode()
    assert "m²" in described
    assert json.loads(pq.read_metadata(path).metadata[b"cropseg"])["CROPSEG_MASK"] == "field_mask.tif"


def test_flatgeobuf_has_a_spatial_index(frames, tmp_path):
    box = tuple(frames[".fgb"].geometry.iloc[[0]].total_bounds)
    assert len(gpd.read_file(tmp_path / "field.fgb", bbox=box)) == 1
    assert pyogrio.read_info(tmp_path / "field.fgb")["capabilities"]["fast_spatial_filter"]


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize(("fill", "n"), [(0, 0), (1, 1), (255, 0)], ids=["empty", "full", "nodata"])
def test_empty_full_and_blank_masks_give_files_with_all_columns(tmp_path, suffix, fill, n):
    mask = write_mask(tmp_path / "m.tif", np.full((20, 30), fill, np.uint8))
    assert cg.vectorize(mask, tmp_path / f"m{suffix}").n_polygons == n
    if n == 0 and "json" in suffix:  # a collection without features has no columns
        text = (tmp_path / f"m{suffix}").read_text()
        assert text == "" if suffix == ".geojsonl" else json.loads(text)["features"] == []
        return
    frame = read(tmp_path / f"m{suffix}")
    assert len(frame) == n
    assert set(COLUMNS) <= set(frame.columns)


@pytest.mark.parametrize("suffix", [".gpkg", ".fgb", ".parquet", ".geojson"])
def test_a_mask_of_one_pixel_is_one_square(tmp_path, suffix):
    mask = write_mask(tmp_path / "m.tif", np.ones((1, 1), np.uint8))
    assert cg.vectorize(mask, tmp_path / f"m{suffix}").n_polygons == 1
    frame = read(tmp_path / f"m{suffix}").to_crs(UTM)
    assert frame.area[0] == pytest.approx(GSD**2, rel=0.02)
    assert frame["area_m2"][0] == pytest.approx(GSD**2)


@pytest.mark.parametrize("name", ["field.shp", "field.txt", "field", "field.gpkg.zip"])
def test_an_unknown_suffix_is_refused_before_any_work(tmp_path, name):
    with pytest.raises(InputError, match=r"\.parquet \(GeoParquet\)"):
        cg.vectorize(tmp_path / "not even there.tif", tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", FORMATS)
def test_an_earlier_file_survives_a_mask_that_cannot_be_read_to_its_end(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 2, (4096, 256)).astype(np.uint8)
    mask = write_mask(tmp_path / "m.tif", noise, compress="deflate")
    mask.write_bytes(mask.read_bytes()[: mask.stat().st_size // 2])
    out = tmp_path / f"m{suffix}"
    out.write_text("earlier")
    with pytest.raises(cg.CropsegError):
        cg.vectorize(mask, out, overwrite=True)
    assert out.read_text() == "earlier"
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["m.tif", out.name])


def test_a_geopackage_that_another_program_has_locked_is_refused_and_stays_whole(mask, tmp_path):
    out = tmp_path / "field.gpkg"
    cg.vectorize(mask, out)
    before = out.read_bytes()
    with closing(sqlite3.connect(out)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OutputError, match="open in another program"):
            cg.vectorize(mask, out, overwrite=True)
    assert out.read_bytes() == before
    cg.vectorize(mask, out, overwrite=True)


def test_a_geopackage_that_qgis_has_open_is_refused_because_of_its_log(mask, tmp_path):
    out = tmp_path / "field.gpkg"
    cg.vectorize(mask, out)
    with closing(sqlite3.connect(out)) as qgis:
        qgis.execute("PRAGMA journal_mode = WAL")
        qgis.execute("CREATE TABLE edits (a)")
        with pytest.raises(OutputError, match=r"field\.gpkg-wal is there"):
            cg.vectorize(mask, out, overwrite=True)
        assert qgis.execute("SELECT count(*) FROM canopy").fetchone() == (4,)


FULL_DISK = """
import resource, sys
import cropseg_geo as cg
mask, *outs = sys.argv[1:]
for out in outs:
    limit = 20_000 if out.endswith(".parquet") else 200_000
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        cg.vectorize(mask, out, overwrite=True)
    except cg.CropsegError as err:
        print(type(err).__name__, str(err).replace(chr(10), " "))
"""


def test_a_full_disk_is_reported_and_the_earlier_file_is_untouched(tmp_path):
    noise = np.random.default_rng(0).integers(0, 2, (150, 400)).astype(np.uint8)
    mask = write_mask(tmp_path / "m.tif", noise, compress="deflate")
    outs = [tmp_path / f"m{suffix}" for suffix in FORMATS]
    for out in outs:
        out.write_text("earlier")
    # No file may grow further than a limit: what a full disk is to the program that writes.
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, mask, *outs],
        capture_output=True,
        text=True,
        check=False,
        timeout=99,
    )
    lines = done.stdout.splitlines()
    assert len(lines) == len(outs), done.stderr
    assert all(line.startswith("OutputError") and "space" in line for line in lines)
    assert {out.read_text() for out in outs} == {"earlier"}
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(["m.tif", *(o.name for o in outs)])


def test_a_folder_that_takes_no_files_is_refused(mask, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        cg.vectorize(mask, tmp_path / "file" / "field.gpkg")


def test_polygons_carry_the_plot_that_they_share_the_largest_area_with(mask, tmp_path):
    # Three plots; the third lies away. The disc at (45, 48) reaches from B a little into A.
    plots = write_plots(
        tmp_path / "plots.gpkg",
        [(0.0, 0.0, 0.36, 0.28), (0.36, 0.28, 0.60, 0.60), (5, 5, 6, 6)],
        plot_id=["A", "B", "C"],
    )
    cg.vectorize(mask, tmp_path / "f.gpkg", plots=plots)
    frame = gpd.read_file(tmp_path / "f.gpkg", layer="canopy")
    left, top = ORIGIN
    places = zip(frame["centroid_y"] < top - 0.3, frame["centroid_x"] > left + 0.3, strict=True)
    named = dict(zip(places, frame["plot_id"].fillna("none"), strict=True))
    assert named == {(False, False): "A", (False, True): "A", (True, False): "none", (True, True): "B"}


def test_plots_in_another_crs_are_brought_onto_the_mask(mask, tmp_path):
    here = write_plots(tmp_path / "here.gpkg", [(0, 0, 0.3, 0.6), (0.3, 0, 0.6, 0.6)], plot_id=[7, 8])
    there = gpd.read_file(here).to_crs("EPSG:4326")
    cg.vectorize(mask, tmp_path / "a.gpkg", plots=here)
    cg.vectorize(mask, tmp_path / "b.gpkg", plots=there)
    a, b = (gpd.read_file(tmp_path / f"{name}.gpkg", layer="canopy") for name in "ab")
    assert a["plot_id"].tolist() == b["plot_id"].tolist()
    assert set(a["plot_id"]) == {7, 8}
    assert a["plot_id"].dtype.kind == "i"


def test_heights_are_those_of_the_polygons_pixels(mask, tmp_path):
    rng = np.random.default_rng(1)
    terrain = np.full((1, 60, 60), 120, np.float32)
    above = rng.gamma(2, 0.2, (60, 60)).astype(np.float32)
    above[40:44] = np.nan
    dsm = write_raster(tmp_path / "dsm.tif", terrain + above, gsd=GSD)
    dtm = write_raster(tmp_path / "dtm.tif", terrain, gsd=GSD)
    cg.vectorize(mask, tmp_path / "f.gpkg", dsm=dsm, dtm=dtm)
    frame = gpd.read_file(tmp_path / "f.gpkg", layer="canopy")
    known = (terrain + above).astype(float)[0] - 120
    with rasterio.open(mask) as dataset:
        transform = dataset.transform
    for row in frame.itertuples():
        inside = rasterio.features.geometry_mask([row.geometry], (60, 60), transform, invert=True)
        values = known[inside & np.isfinite(known)]
        assert row.height_mean_m == pytest.approx(values.mean(), rel=1e-5)
        assert row.volume_m3 == pytest.approx(values.sum() * GSD**2, rel=1e-5)
        expected = np.quantile(values, 0.95, method="inverted_cdf")
        assert row.height_p95_m == pytest.approx(expected, abs=0.001)


def test_a_surface_model_without_terrain_and_terrain_without_surface_are_refused(mask, tmp_path):
    model = write_raster(tmp_path / "m.tif", np.zeros((1, 60, 60), np.float32), gsd=GSD)
    with pytest.raises(InputError, match="--dtm"):
        cg.vectorize(mask, tmp_path / "f.gpkg", dsm=model)
    with pytest.raises(InputError, match="--dsm"):
        cg.vectorize(mask, tmp_path / "f.gpkg", dtm=model)


def test_decimals_keep_a_twentieth_of_a_pixel():
    assert decimals_for(5.0) == 7
    for gsd in (0.5, 0.02, 0.003):
        assert 0.5 * 10.0 ** -decimals_for(gsd) * 111_320 <= gsd / 20
