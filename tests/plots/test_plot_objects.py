"""Objects of plots: cut to the plot, adding up to its canopy, large ones too."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import CRS

from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.vector.trace import trace
from tests.plots.array_mask import ArrayMask

UTM = CRS.from_epsg(32633).to_wkt()
TRANSFORM = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
CLASSES = ("background", "crop")
ONLY_OBJECTS = StatsOptions(frozenset({"coverage", "objects"}))


def measure(mask, *outlines_px, options=ONLY_OBJECTS):
    """Statistics of outlines in pixels (x = column, y = row) of half a metre."""
    mask = np.asarray(mask, np.uint8)
    ground = Ground(TRANSFORM, UTM, *mask.shape)
    outlines = shapely.transform(np.array(outlines_px), lambda xy: xy * [0.5, -0.5] + [500_000, 5_000_000])
    plots = read_plots(gpd.GeoDataFrame(geometry=list(outlines), crs=UTM), ground=ground)
    source = ArrayMask(mask)
    objects = (batch.geometry for batch in trace(source, ground=ground, classes=CLASSES, block_px=64))
    return plot_stats(plots, source, ground=ground, classes=CLASSES, objects=objects, options=options)


MASK = [
    [1, 1, 0, 0, 1, 1],
    [1, 1, 0, 0, 1, 1],
    [0, 0, 0, 0, 1, 1],
    [1, 0, 0, 0, 0, 0],
]


def test_objects_are_cut_to_the_plot():
    frame = measure(MASK, shapely.box(0, 0, 3, 4), shapely.box(3, 0, 5, 2.5), shapely.box(2, 0, 4, 4))
    assert frame["n_objects"].tolist() == [2, 1, 0]
    # A pixel is a quarter of a square metre.
    assert frame["max_object_m2"].tolist() == pytest.approx([1.0, 0.625, np.nan], nan_ok=True)
    assert frame["mean_object_m2"].tolist() == pytest.approx([0.625, 0.625, np.nan], nan_ok=True)


def test_objects_are_left_out_where_nobody_asks_for_them():
    frame = measure(MASK, shapely.box(0, 0, 3, 4), options=StatsOptions(frozenset({"coverage"})))
    assert "n_objects" not in frame
    assert "max_object_m2" not in frame


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(-5, 5), st.floats(0.3, 0.75))
def test_areas_of_objects_add_up_to_the_canopy_of_the_plot(seed, angle, density):
    rng = np.random.default_rng(seed)
    mask = (rng.random((40, 60)) < density).astype(np.uint8)
    boxes = [shapely.box(c, r, c + 14.3, r + 9.7) for r in range(2, 30, 10) for c in range(1, 45, 15)]
    turned = [shapely.affinity.rotate(box, angle) for box in boxes]
    frame = measure(mask, *turned)
    totals = frame["n_objects"] * frame["mean_object_m2"]
    assert totals.tolist() == pytest.approx(frame["canopy_area_m2"].tolist(), rel=1e-6)
    assert (frame["max_object_m2"] <= frame["canopy_area_m2"] * (1 + 1e-6)).all()


def test_one_object_through_the_whole_field_is_shared_out_by_plots():
    # A comb with holes: one polygon of thousands of vertices, cut into pieces before plots are cut out.
    mask = np.zeros((200, 300), np.uint8)
    mask[:, ::2] = 1
    mask[::20] = 1
    mask[100, :] = 1
    boxes = [shapely.box(c, r, c + 25, r + 25) for r in range(0, 200, 25) for c in range(0, 300, 25)]
    frame = measure(mask, *boxes)
    assert frame["n_objects"].tolist() == [1] * len(boxes)
    assert frame["max_object_m2"].tolist() == pytest.approx(frame["canopy_area_m2"].tolist(), rel=1e-9)
    assert frame["max_object_m2"].sum() == pytest.approx(mask.sum() * 0.25, rel=1e-9)
