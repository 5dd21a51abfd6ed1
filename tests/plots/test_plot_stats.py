"""Plot statistics: tables checked by hand, law 9, nodata, CRSs, and real trials where they are present."""

from itertools import pairwise
from pathlib import Path

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS, Geod

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import Event, StageAdvanced, StageFinished, StageStarted
from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import Plots, read_plots
from cropseg_geo.plots.measuring.stats import plot_stats, write_csv
from tests.plots.array_mask import ArrayMask

UTM = CRS.from_epsg(32633).to_wkt()
METRES = Affine(1, 0, 500_000, 0, -1, 5_000_000)
ROTATED = Affine(0.3, 0.4, 500_000, 0.4, -0.3, 5_000_000)
CLASSES = ("background", "crop")
ORTHOS = Path(__file__).parents[3] / "shared" / "data" / "orthos"


def placed(outlines, transform: Affine = METRES) -> npt.NDArray[np.object_]:
    """Outlines in pixels (x = column, y = row) → CRS."""
    t = transform

    def move(xy):
        return np.column_stack([t.a * xy[:, 0] + t.b * xy[:, 1] + t.c, t.d * xy[:, 0] + t.e * xy[:, 1] + t.f])

    return shapely.transform(np.array(outlines, dtype=object), move)


def plots_of(ground: Ground, *outlines_px, **columns) -> Plots:
    geometry = list(placed(outlines_px, ground.transform))
    return read_plots(gpd.GeoDataFrame(columns, geometry=geometry, crs=ground.crs), ground=ground)


def stats_of(
    mask, *outlines_px, transform=METRES, crs=UTM, prob=None, classes=CLASSES, objects=None, **columns
):
    mask = np.asarray(mask, np.uint8)
    ground = Ground(transform, crs, *mask.shape)
    plots = plots_of(ground, *outlines_px, **columns)
    return plot_stats(plots, ArrayMask(mask, prob), ground=ground, classes=classes, objects=objects)


def approx(values, **options):
    return pytest.approx(values, nan_ok=True, rel=1e-6, abs=1e-9, **options)


CROSS = [
    [0, 1, 0, 255],
    [1, 1, 1, 255],
    [0, 1, 0, 255],
]


def test_half_pixels_count_half():
    # Left half of the middle column of crop: three half pixels of crop, nothing else.
    frame = stats_of(CROSS, shapely.box(1, 0, 1.5, 3), shapely.box(0.5, 0.5, 2, 2))
    assert frame["coverage"].tolist() == approx([1.0, (1.5 + 0.5) / 2.25])
    assert frame["canopy_area_m2"].tolist() == approx([1.5, 2.0])
    assert frame["plot_area_m2"].tolist() == approx([1.5, 2.25])
    assert frame["valid_fraction"].tolist() == approx([1.0, 1.0])


def test_nodata_is_in_neither_numerator_nor_denominator():
    frame = stats_of(CROSS, shapely.box(0, 0, 4, 3), shapely.box(3, 0, 4, 3), shapely.box(2.5, 1, 3.5, 2))
    assert frame["coverage"].tolist() == approx([5 / 9, np.nan, 1.0])
    assert frame["canopy_area_m2"].tolist() == approx([5, 0, 0.5])
    assert frame["valid_fraction"].tolist() == approx([9 / 12, 0, 0.5])


def test_the_part_of_a_plot_outside_the_raster_is_not_valid():
    frame = stats_of(np.ones((4, 4)), shapely.box(-2, 0, 2, 4), shapely.box(50, 50, 52, 52))
    assert frame["coverage"].tolist() == approx([1.0, np.nan])
    assert frame["valid_fraction"].tolist() == approx([0.5, 0.0])
    assert frame["plot_area_m2"].tolist() == approx([16, 4])
    assert frame["canopy_area_m2"].tolist() == approx([8, 0])


def test_holes_are_left_out_and_parts_add_up():
    ring = shapely.difference(shapely.box(0, 0, 3, 3), shapely.box(1, 1, 2, 2))
    corners = shapely.union_all([shapely.box(0, 0, 1, 1), shapely.box(2, 0, 3, 1), shapely.box(1, 2, 2, 3)])
    assert corners.geom_type == "MultiPolygon"
    frame = stats_of(CROSS, ring, corners)
    assert frame["coverage"].tolist() == approx([4 / 8, 1 / 3])
    assert frame["plot_area_m2"].tolist() == approx([8, 3])


def test_mean_probability_is_over_valid_pixels():
    prob = np.array([[0.2, 0.4, 0.9, 0.9], [0.1, 0.3, 0.5, np.nan], [0, 0, 0, np.nan]], np.float32)
    frame = stats_of(
        CROSS, shapely.box(0, 0, 2, 2), shapely.box(2.5, 0, 4, 1), shapely.box(3, 0, 4, 3), prob=prob
    )
    assert frame["mean_prob"].tolist() == approx([0.25, 0.9, np.nan])
    assert stats_of(CROSS, shapely.box(0, 0, 2, 2))["mean_prob"].isna().all()


def test_each_class_has_its_coverage_if_there_is_more_than_one():
    frame = stats_of([[1, 2, 0, 1]], shapely.box(0, 0, 4, 1), classes=("background", "crop", "weed"))
    assert frame["coverage"].tolist() == approx([0.75])
    assert frame["coverage_crop"].tolist() == approx([0.5])
    assert frame["coverage_weed"].tolist() == approx([0.25])
    assert "coverage_crop" not in stats_of(CROSS, shapely.box(0, 0, 2, 2))


@pytest.mark.parametrize("transform", [METRES, ROTATED])
def test_objects_count_where_they_share_area_not_where_they_touch(transform):
    objects = placed([shapely.box(0, 0, 2, 2), shapely.box(2, 0, 5, 2), shapely.box(4, 3, 5, 5)], transform)
    frame = stats_of(
        np.ones((6, 6)),
        shapely.box(0, 0, 2, 6),  # the second object only touches it
        shapely.box(2, 0, 4, 3),  # the third meets it in a vertex
        shapely.box(0, 0, 6, 6),
        transform=transform,
        objects=[objects[:2], objects[2:]],
    )
    assert frame["n_objects"].tolist() == [1, 1, 3]
    assert "n_objects" not in stats_of(np.ones((6, 6)), shapely.box(0, 0, 2, 2))


def test_own_columns_stay_and_make_way_for_statistics():
    frame = stats_of(
        CROSS, shapely.box(0, 0, 2, 2), plot=["a"], crop=["oats"], Coverage=[99], n_objects=["mine"]
    )
    assert list(frame.columns) == [
        "plot_id", "plot", "crop", "Coverage_input", "n_objects_input",
        "coverage", "canopy_area_m2", "plot_area_m2", "valid_fraction", "low_validity", "mean_prob",
        "uncertain_fraction", "gap_fraction", "max_gap_m", "row_spacing_m", "uniformity_cv", "geometry",
    ]  # fmt: skip
    assert frame.iloc[0][["plot_id", "crop", "Coverage_input"]].tolist() == ["a", "oats", 99]
    frame = stats_of(CROSS, shapely.box(0, 0, 2, 2), plot=["a"], coverage=[98], Coverage_Input=[99])
    assert frame.iloc[0][["coverage_input_", "Coverage_Input"]].tolist() == [98, 99]


@st.composite
def tilings(draw):
    """A random mask and plots that tile it and a rim around it by random cuts."""
    height, width = draw(st.integers(2, 14)), draw(st.integers(2, 14))
    seed = draw(st.integers(0, 2**32 - 1))
    mask = np.random.default_rng(seed).choice([0, 1, 1, 255], (height, width)).astype(np.uint8)

    def cuts(length):
        inner = draw(st.lists(st.floats(0, length, width=32), max_size=3))
        return sorted({-1.0, *inner, length + 1.0})

    rows, cols = cuts(height), cuts(width)
    boxes = [
        shapely.box(left, top, right, bottom)
        for top, bottom in pairwise(rows)
        for left, right in pairwise(cols)
        if (right - left) * (bottom - top) > 1e-3
    ]
    return mask, boxes


@settings(max_examples=60, deadline=None)
@given(tilings(), st.sampled_from([METRES, ROTATED]))
def test_areas_of_plots_that_tile_an_extent_add_up_to_the_extents(tiling, transform):
    mask, boxes = tiling
    frame = stats_of(mask, *boxes, transform=transform)
    pixel_m2 = abs(transform.determinant)
    slivers = (mask.shape[0] + 2) * (mask.shape[1] + 2) - sum(b.area for b in boxes)
    tolerance = 1e-6 * mask.size + slivers
    assert frame["canopy_area_m2"].sum() / pixel_m2 == pytest.approx((mask == 1).sum(), abs=tolerance)
    valid = (frame["valid_fraction"] * frame["plot_area_m2"]).sum()
    assert valid / pixel_m2 == pytest.approx((mask != 255).sum(), abs=tolerance)
    known = frame["coverage"].dropna()
    assert known.between(0, 1 + 1e-9).all()


def test_scattered_plots_and_dense_plots_are_measured_alike():
    mask = (np.random.default_rng(3).random((200, 200)) < 0.4).astype(np.uint8)
    boxes = [shapely.box(c, r, c + 7.5, r + 6.3) for r in range(0, 200, 10) for c in range(0, 200, 10)]
    dense = stats_of(mask, *boxes)
    scattered = stats_of(mask, boxes[0], boxes[-1])
    assert scattered["coverage"].tolist() == approx(dense["coverage"].iloc[[0, -1]].tolist())


def test_degrees_and_feet_give_square_metres():
    mask = np.ones((20, 20), np.uint8)
    degrees = Affine(1e-5, 0, 12.0, 0, -1e-5, 55.0)
    wgs84 = CRS.from_epsg(4326).to_wkt()
    frame = stats_of(mask, shapely.box(0, 0, 10, 10), transform=degrees, crs=wgs84)
    true_area, _ = Geod(ellps="WGS84").geometry_area_perimeter(frame.geometry.iloc[0])
    assert frame["plot_area_m2"].tolist() == approx([abs(true_area)])
    assert frame["canopy_area_m2"].tolist() == approx([abs(true_area)])
    feet = stats_of(
        mask,
        shapely.box(0, 0, 10, 5),
        transform=Affine(1, 0, 6e6, 0, -1, 2e6),
        crs=CRS.from_epsg(2229).to_wkt(),
    )
    assert feet["canopy_area_m2"].tolist() == approx([50 * (1200 / 3937) ** 2])


def test_plots_in_degrees_over_a_raster_in_utm():
    mask = np.zeros((50, 50), np.uint8)
    mask[10:20, 10:20] = 1
    ground = Ground(METRES, UTM, 50, 50)
    outlines = placed([shapely.box(10, 10, 30, 20)])
    degrees = gpd.GeoDataFrame(geometry=list(outlines), crs=UTM).to_crs("EPSG:4326")
    plots = read_plots(degrees, ground=ground)
    frame = plot_stats(plots, ArrayMask(mask), ground=ground, classes=CLASSES)
    assert frame["coverage"].tolist() == pytest.approx([0.5], abs=1e-5)
    assert frame["canopy_area_m2"].tolist() == pytest.approx([100], rel=1e-5)


def test_progress_is_told_in_plots():
    events: list[Event] = []
    ground = Ground(METRES, UTM, 3, 4)
    plots = plots_of(ground, shapely.box(0, 0, 1, 1), shapely.box(1, 0, 3, 3))
    plot_stats(
        plots, ArrayMask(np.array(CROSS, np.uint8)), ground=ground, classes=CLASSES, listener=events.append
    )
    assert events[0] == StageStarted("plots", 2, "plot")
    assert sum(e.amount for e in events if isinstance(e, StageAdvanced)) == 2
    assert events[-1] == StageFinished("plots")


def test_unnamed_classes_and_foreign_grounds_are_refused():
    with pytest.raises(InputError, match="holds class 2"):
        stats_of([[1, 2]], shapely.box(0, 0, 2, 1))
    ground = Ground(METRES, UTM, 3, 4)
    with pytest.raises(InputError, match="1 × 2 px, but its ground 3 × 4"):
        plot_stats(
            plots_of(ground, shapely.box(0, 0, 1, 1)),
            ArrayMask(np.ones((1, 2), np.uint8)),
            ground=ground,
            classes=CLASSES,
        )


def test_csv_has_every_column_but_the_geometry(tmp_path):
    frame = stats_of(CROSS, shapely.box(0, 0, 2, 2), shapely.box(3, 0, 4, 3), plot=["ä", "b"])
    path = tmp_path / "stats.csv"
    write_csv(path, frame)
    write_csv(path, frame)  # replaces
    table = pd.read_csv(path)
    assert list(table.columns) == [c for c in frame.columns if c != "geometry"]
    assert table["plot_id"].tolist() == ["ä", "b"]
    assert table["coverage"].tolist() == approx([0.75, np.nan])
    assert [p.name for p in tmp_path.iterdir()] == ["stats.csv"]
    with pytest.raises(OutputError, match="could not be written"):
        write_csv(tmp_path / "no" / "stats.csv", frame)


def real(*parts: str) -> Path:
    path = ORTHOS.joinpath(*parts)
    if not path.exists():
        pytest.skip(f"the real survey {'/'.join(parts)} is not here")
    return path


def test_soy_trial_agrees_with_counting_its_plants():
    with rasterio.open(real("pliman_soy_dsm", "plant_mask_0soil_1plant_255nodata.tif")) as file:
        mask = file.read(1)
        ground = Ground(file.transform, CRS.from_user_input(file.crs).to_wkt(), *mask.shape)
    plots = read_plots(real("pliman_soy_dsm", "plots.geojson"), ground=ground)
    frame = plot_stats(plots, ArrayMask(mask), ground=ground, classes=CLASSES)
    assert frame["plot_id"].tolist() == list(range(1, 16))
    for outline, coverage in zip(frame.geometry, frame["coverage"], strict=True):
        inside = rasterio.features.geometry_mask([outline], mask.shape, ground.transform, invert=True)
        counted = mask[inside & (mask != 255)]
        assert coverage == pytest.approx((counted == 1).mean(), abs=0.01)
    assert frame["plot_area_m2"].between(2.8, 3.0).all()


def test_maize_area_is_the_same_in_two_crss():
    with rasterio.open(real("deepness_maize", "dummy_fotomap_small.tif")) as file:
        green = file.read([1, 2, 3]).astype(int)
        mask = (2 * green[1] - green[0] - green[2] > 20).astype(np.uint8)
        ground = Ground(file.transform, CRS.from_user_input(file.crs).to_wkt(), *mask.shape)
    utm, mercator = (
        plot_stats(
            read_plots(real("deepness_maize", name), ground=ground),
            ArrayMask(mask),
            ground=ground,
            classes=CLASSES,
        )
        for name in ("dummy_fotomap_area.gpkg", "dummy_fotomap_area_3857.gpkg")
    )
    for column in ("coverage", "canopy_area_m2", "plot_area_m2", "valid_fraction"):
        assert utm[column].tolist() == pytest.approx(mercator[column].tolist(), rel=1e-4)


def test_plots_of_plantcv_are_read_with_their_ids_and_points_are_refused():
    with rasterio.open(real("plantcv_geospatial", "rgb.tif")) as file:
        ground = Ground(file.transform, CRS.from_user_input(file.crs).to_wkt(), file.height, file.width)
    for name in ("square_crop_with_plot_ids.geojson", "square_crop_with_plotname.geojson"):
        plots = read_plots(real("plantcv_geospatial", name), ground=ground)
        assert [str(k) for k in plots.ids] == ["888", "889"]
    with pytest.raises(InputError, match="Point, not polygons"):
        read_plots(real("plantcv_geospatial", "plot_points.geojson"), ground=ground)
