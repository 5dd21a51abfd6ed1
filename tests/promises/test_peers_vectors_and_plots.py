"""What the peers get wrong in polygons and plots, each promise as one test from file to file."""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from pyproj import CRS, Geod
from rasters import ORIGIN, UTM, write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.events import Warned
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.pipeline import make_plots
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.trial import Trial
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.vector.trace import trace

GSD = 0.01
NORTH_UP = Affine(GSD, 0, ORIGIN[0], 0, -GSD, ORIGIN[1])
TURNED = Affine.translation(*ORIGIN) @ Affine.rotation(33) @ Affine.scale(GSD, -GSD)
DEGREES = Affine(1e-5, 0, 12.0, 0, -1e-5, 55.0)
NEAR_BLOCKS_END = 2048
"""Side of the blocks that are traced at a time: plants across it are cut and joined."""


def speckled(height: int, width: int, density: float = 0.55) -> np.ndarray:
    """Crop near the density at which areas join: many shells and holes, pixels that meet in corners."""
    return (np.random.default_rng(4).random((height, width)) < density).astype(np.uint8)


@pytest.fixture
def polygons_of(tmp_path):
    """Writes a mask, vectorizes it with options, and reads the polygons back."""
    names = (f"{i}" for i in itertools.count())

    def draw(
        mask: np.ndarray, *, transform: Affine = NORTH_UP, crs: str = UTM, **options
    ) -> gpd.GeoDataFrame:
        name = next(names)
        path = write_raster(tmp_path / f"{name}.tif", mask[None], transform=transform, crs=crs, nodata=255)
        n = cg.vectorize(path, tmp_path / f"{name}.gpkg", outlines=cg.Outlines(**options)).n_polygons
        frame = gpd.read_file(tmp_path / f"{name}.gpkg", layer="canopy")
        assert len(frame) == n
        return frame

    return draw


@pytest.fixture
def measured(tmp_path):
    """Writes a mask and measures plots on it: their coverage and areas."""

    def measure(mask: np.ndarray, plots, *, transform: Affine = NORTH_UP, crs: str = UTM, **options):
        path = write_raster(tmp_path / "m.tif", mask[None], transform=transform, crs=crs, nodata=255)
        return cg.measure_plots(path, plots, stats="coverage", **options)

    return measure


# Polygons biased small: a w × h block becomes (w−1)(h−1)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (10, 10), (31, 1)])
def test_polygons_are_not_biased_small_a_block_of_w_by_h_keeps_its_area(polygons_of, width, height):
    mask = np.zeros((40, 40), np.uint8)
    mask[5 : 5 + height, 3 : 3 + width] = 1
    (area_m2,) = polygons_of(mask)["area_m2"]
    assert area_m2 == pytest.approx(width * height * GSD**2, rel=1e-9)


@pytest.mark.parametrize("transform", [NORTH_UP, TURNED], ids=["north up", "turned"])
def test_the_areas_of_polygons_add_up_to_the_masks_pixels_by_pixel_area(polygons_of, transform):
    mask = speckled(120, 90)
    mask[:, 40:43] = 255
    frame = polygons_of(mask, transform=transform)
    assert frame.area.sum() == pytest.approx((mask == 1).sum() * GSD**2, rel=1e-6)


# Polygons cut at tile or window edges; min-area applied to the pieces


def mask_across_blocks() -> np.ndarray:
    """A plant of 20 × 6 px whose larger part lies in the first block, and a speck of 10 px."""
    mask = np.zeros((20, NEAR_BLOCKS_END + 20), np.uint8)
    mask[4:10, NEAR_BLOCKS_END - 12 : NEAR_BLOCKS_END + 8] = 1
    mask[15, 5:15] = 1
    return mask


def test_polygons_are_not_cut_where_blocks_meet(polygons_of):
    frame = polygons_of(mask_across_blocks())
    assert sorted(round(a / GSD**2) for a in frame.area) == [10, 120]
    plant = frame.geometry[frame.area.argmax()]
    assert len(plant.exterior.coords) == 5  # and no vertex is left of the seam


def test_min_area_is_applied_after_the_join_not_to_pieces(polygons_of):
    # The pieces have 72 px and 48 px: as pieces, both would be too small.
    frame = polygons_of(mask_across_blocks(), min_area_m2=100 * GSD**2)
    assert [round(a / GSD**2) for a in frame.area] == [120]
    assert len(polygons_of(mask_across_blocks(), min_area_m2=125 * GSD**2)) == 0


# Touching but distinct objects merged; per-polygon simplification opens gaps


def test_touching_plants_are_parted_where_asked(polygons_of):
    rows, cols = np.ogrid[:60, :90]
    mask = np.zeros((60, 90), np.uint8)
    for col in (30, 50):
        mask[(rows - 30) ** 2 + (cols - col) ** 2 < 11**2] = 1
    assert len(polygons_of(mask)) == 1
    parted = polygons_of(mask, objects="split")
    assert len(parted) == 2
    assert parted.area.sum() == pytest.approx(mask.sum() * GSD**2, rel=1e-6)


@pytest.mark.parametrize("outline", ["simplified", "split"])
def test_shared_edges_stay_shared_when_simplified(polygons_of, outline):
    rows, cols = np.indices((80, 80))
    wavy = cols < 40 + np.rint(6 * np.sin(rows / 7))
    if outline == "simplified":
        frame = polygons_of(np.where(wavy, 1, 2).astype(np.uint8), simplify_m=2 * GSD)
        vertices = shapely.get_num_coordinates(frame.geometry).sum()
        assert vertices < shapely.get_num_coordinates(
            polygons_of(np.where(wavy, 1, 2).astype(np.uint8)).geometry
        ).sum()  # fmt: skip
        whole_m2 = (80 * GSD) ** 2
    else:
        discs = np.maximum(
            (rows - 40) ** 2 + (cols - 28) ** 2 < 200, (rows - 40) ** 2 + (cols - 52) ** 2 < 200
        )
        frame = polygons_of(discs.astype(np.uint8), objects="split")
        whole_m2 = discs.sum() * GSD**2
    assert len(frame) == 2
    one, other = frame.geometry
    assert one.intersection(other).area == pytest.approx(0, abs=1e-9)  # no overlap
    joined = shapely.union_all(frame.geometry.values)
    assert joined.geom_type == "Polygon"
    assert not joined.interiors  # no gap
    assert joined.area == pytest.approx(whole_m2, rel=0.01)


# buffer(0) repairs drop parts


@pytest.mark.parametrize("transform", [NORTH_UP, TURNED], ids=["north up", "turned"])
def test_nothing_is_dropped_by_repairs_polygons_are_valid_and_rasterize_to_the_mask(polygons_of, transform):
    mask = speckled(90, 110)
    frame = polygons_of(mask, transform=transform)
    assert frame.geometry.is_valid.all()
    again = rasterio.features.rasterize(frame.geometry, mask.shape, transform=transform, dtype=np.uint8)
    np.testing.assert_array_equal(again, mask)


def test_nothing_is_dropped_by_repairs_of_a_plot_that_crosses_itself(measured):
    left, top = ORIGIN
    # A bow tie of two triangles of 0.5 × 1 m ÷ 2 each; buffer(0) keeps one of them.
    bow = shapely.Polygon([(left, top), (left + 1, top - 1), (left + 1, top), (left, top - 1)])
    assert bow.buffer(0).area == pytest.approx(0.25, rel=1e-6)
    told = []
    frame = gpd.GeoDataFrame({"plot_id": ["tie"]}, geometry=[bow], crs=UTM)
    table = measured(np.ones((100, 100), np.uint8), frame, listener=told.append)
    assert table["plot_area_m2"].tolist() == pytest.approx([0.5], rel=1e-3)
    assert any("tie" in e.message for e in told if isinstance(e, Warned))


def test_pixels_that_meet_in_a_corner_are_plants_of_their_own(polygons_of):
    assert len(polygons_of(np.array([[1, 0], [0, 1]], np.uint8))) == 2


# Whole raster read to vectorize


@dataclass
class TallMask:
    """Stripes on a raster that is too tall to hold: made as they are read, and noted."""

    height: int = 80_000
    width: int = 40
    windows: list[Window] = field(default_factory=list)

    def read_mask(self, window: Window) -> np.ndarray:
        self.windows.append(window)
        rows = np.arange(window.row, window.row + window.height)
        return np.broadcast_to((rows // 4_000 % 2)[:, None], window.shape).astype(np.uint8)

    def read_prob(self, window: Window) -> None:
        return None


def test_tracing_reads_windows_never_the_whole_raster():
    source = TallMask()
    ground = Ground(NORTH_UP, CRS(UTM).to_wkt(), source.height, source.width)
    batches: Iterator = trace(source, ground=ground, classes=("background", "crop"))
    first = next(batches)
    assert len(first) == 1
    # The first polygon is there when the rows that it covers have been read, and few more.
    assert max(w.row + w.height for w in source.windows) < 20_000
    assert max(w.size for w in source.windows) < 0.03 * source.height * source.width
    assert sum(len(b) for b in batches) == 9
    assert sum(w.size for w in source.windows) == source.height * source.width  # each pixel once


def test_plots_are_measured_by_windows_never_the_whole_raster():
    source = TallMask()
    ground = Ground(NORTH_UP, CRS(UTM).to_wkt(), source.height, source.width)
    left, top = ORIGIN
    box = shapely.box(left, top - 85, left + 0.4, top - 75)
    plots = read_plots(gpd.GeoDataFrame({"plot_id": [1]}, geometry=[box], crs=UTM), ground=ground)
    options = StatsOptions(frozenset({"coverage"}))
    table = plot_stats(
        plots, source, ground=ground, classes=("background", "crop"), options=options, max_px=100_000
    )
    assert table["coverage"].tolist() == pytest.approx([0.5], abs=1e-3)
    assert max(w.size for w in source.windows) <= 100_000
    assert sum(w.size for w in source.windows) <= 400_000


# Degree CRS refused or distorted; infinite extent


@pytest.mark.parametrize(
    ("crs", "transform", "rel"),
    [
        ("EPSG:4326", DEGREES, 1e-5),
        ("EPSG:3857", Affine(0.5, 0, 1_335_833.9, 0, -0.5, 7_361_866.1), 1e-5),
        # Map projections made for measuring are taken at their word: feet and UTM, to their scale's error.
        ("EPSG:2263", Affine(1, 0, 990_000, 0, -1, 210_000), 1e-3),
        ("EPSG:32632", NORTH_UP, 1e-3),
    ],
)
def test_areas_in_degrees_are_true_on_the_ellipsoid(polygons_of, measured, crs, transform, rel):
    mask = np.zeros((60, 80), np.uint8)
    mask[10:50, 20:70] = 1
    frame = polygons_of(mask, transform=transform, crs=crs)
    geod: Geod = CRS(crs).geodetic_crs.get_geod()
    (outline,) = frame.to_crs(CRS(crs).geodetic_crs).geometry
    true_m2 = abs(geod.geometry_area_perimeter(outline)[0])
    assert frame["area_m2"].tolist() == pytest.approx([true_m2], rel=rel)
    assert np.isfinite(frame[["centroid_x", "centroid_y", "perimeter_m"]].to_numpy()).all()
    corners = [transform @ corner for corner in ((10, 5), (75, 5), (75, 55), (10, 55))]
    plot = gpd.GeoDataFrame({"plot_id": [1]}, geometry=[shapely.Polygon(corners)], crs=crs)
    table = measured(mask, plot, transform=transform, crs=crs)
    assert table["canopy_area_m2"].tolist() == pytest.approx([true_m2], rel=rel)


def test_a_plot_that_cannot_be_brought_onto_the_raster_has_no_infinite_extent(measured):
    left, top = ORIGIN
    here = gpd.GeoSeries([shapely.box(left, top - 0.5, left + 0.5, top)], crs=UTM).to_crs(4326)[0]
    pole = shapely.box(-80, 89.9, -79.9, 89.95)
    plots = gpd.GeoDataFrame({"plot_id": ["here", "pole"]}, geometry=[here, pole], crs=4326)
    table = measured(np.ones((100, 100), np.uint8), plots).set_index("plot_id")
    assert table.loc["here", "coverage"] == 1
    assert math.isnan(table.loc["pole", "coverage"])
    assert table.loc["pole", "valid_fraction"] == 0


# Nodata lowers coverage


def test_nodata_does_not_lower_coverage_and_valid_fraction_tells_it(measured, tmp_path):
    mask = np.zeros((100, 100), np.uint8)
    mask[:50] = 1
    mask[:, 60:] = 255
    plots = write_plots(tmp_path / "p.gpkg", [(0, 0, 1, 1), (0.6, 0, 1, 1)], plot_id=["half", "none"])
    half, none = measured(mask, plots).itertuples()
    assert (half.coverage, half.valid_fraction) == pytest.approx((0.5, 0.6), rel=1e-5)
    assert half.low_validity
    assert half.canopy_area_m2 == pytest.approx(0.3, rel=1e-3)
    assert math.isnan(none.coverage)  # unknown is not bare


def test_coverage_is_never_above_one(measured, tmp_path):
    # Plots whose edges run through pixels, beside nodata: what is counted is never more than what is valid.
    mask = np.ones((100, 100), np.uint8)
    mask[:, 50:] = 255
    boxes = [(0.003 * i, 0.1, 0.48 + 0.003 * i, 0.7) for i in range(20)]
    table = measured(mask, write_plots(tmp_path / "p.gpkg", boxes, plot_id=list(range(20))))
    assert table["coverage"].to_numpy() == pytest.approx(1.0, rel=1e-6)
    assert (table["coverage"] <= 1).all()
    assert (table["canopy_area_m2"] <= table["plot_area_m2"] * (1 + 1e-9)).all()


# Plots built at the wrong size


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326", "EPSG:3857"])
def test_plots_have_their_exact_size(tmp_path, crs):
    at = gpd.GeoSeries(gpd.points_from_xy([9.9300, 9.9308], [51.4900, 51.4903], crs=4326)).to_crs(crs)
    site = Site(crs, ab=tuple((p.x, p.y) for p in at))
    trial = Trial(3, 8, 4.25, 1.5, row_alley_m=1.0, column_alley_m=0.35)
    make_plots(tmp_path / "plots.gpkg", site=site, trial=trial)
    plots = gpd.read_file(tmp_path / "plots.gpkg", layer="plots").to_crs(4326)
    assert len(plots) == 24
    corners = shapely.get_coordinates(plots.geometry).reshape(24, 5, 2)
    geod = Geod(ellps="WGS84")
    sides = geod.inv(*np.moveaxis(corners[:, :-1], 2, 0), *np.moveaxis(corners[:, 1:], 2, 0))[2]
    np.testing.assert_allclose(np.sort(sides, axis=1), [[1.5, 1.5, 4.25, 4.25]] * 24, atol=1e-3)
    areas = [abs(geod.geometry_area_perimeter(p)[0]) for p in plots.geometry]
    assert areas == pytest.approx([4.25 * 1.5] * 24, abs=0.005)


# A failed tile is printed and skipped


def test_a_block_that_cannot_be_read_stops_the_run_and_loses_nothing(tmp_path):
    path = write_raster(tmp_path / "m.tif", speckled(600, 300)[None], nodata=255, compress="deflate")
    cg.vectorize(path, tmp_path / "m.gpkg")
    before = (tmp_path / "m.gpkg").read_bytes()
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(cg.CropsegError, match=r"m\.tif"):
        cg.vectorize(path, tmp_path / "m.gpkg", overwrite=True)
    assert (tmp_path / "m.gpkg").read_bytes() == before


# The result changes with the extent


def test_the_same_pixels_give_the_same_polygons_whatever_the_extent(polygons_of):
    mask = np.zeros((150, 150), np.uint8)
    mask[1:-1, 1:-1] = speckled(148, 148, 0.4)
    mask[40, :] = mask[100, :] = mask[:, 40] = mask[:, 100] = 0
    part = polygons_of(mask[40:101, 40:101], transform=NORTH_UP @ Affine.translation(40, 40))
    whole = polygons_of(mask)
    left, top = ORIGIN
    inside = whole[whole.within(shapely.box(left + 0.4, top - 1.01, left + 1.01, top - 0.4))]
    assert len(part) == len(inside) > 50

    def shapes(frame: gpd.GeoDataFrame) -> list[str]:
        return sorted(shapely.to_wkt(frame.geometry.normalize(), rounding_precision=4))

    assert shapes(part) == shapes(inside)
