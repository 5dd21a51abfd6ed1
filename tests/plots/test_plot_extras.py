"""Colour indices and heights over canopy, uncertainty, flags, buffers, overlaps; independence of order."""

from itertools import pairwise

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from shapely import affinity

from cropseg_geo.errors import InputError
from cropseg_geo.events import Warned
from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring import zonal
from cropseg_geo.plots.measuring.indices import BAND_NAMES
from cropseg_geo.plots.measuring.quantities import Extras
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.raster import band_names
from tests.plots.array_mask import ArrayMask

UTM = CRS.from_epsg(32633).to_wkt()
ONE_METRE = Affine(1, 0, 500_000, 0, -1, 5_000_000)
CLASSES = ("background", "crop")


class ArrayBands:
    """Bands in memory."""

    def __init__(self, names, values):
        self.names, self.values = tuple(names), np.asarray(values, np.float32)

    def read_bands(self, window):
        return self.values[:, *window.slices]


class ArrayHeights:
    """Heights in memory."""

    def __init__(self, values):
        self.values = np.asarray(values, np.float32)

    def read(self, window):
        return self.values[window.slices]


def measure(mask, *outlines_px, prob=None, extras=None, listener=None, ids=None, max_px=4_000_000, **options):
    mask = np.asarray(mask, np.uint8)
    ground = Ground(ONE_METRE, UTM, *mask.shape)
    outlines = shapely.transform(np.array(outlines_px), lambda xy: xy * [1, -1] + [500_000, 5_000_000])
    frame = gpd.GeoDataFrame(
        {"plot_id": ids or list(range(1, len(outlines) + 1))}, geometry=list(outlines), crs=UTM
    )
    more = {} if listener is None else {"listener": listener}
    return plot_stats(
        read_plots(frame, ground=ground),
        ArrayMask(mask, None if prob is None else np.asarray(prob, np.float32)),
        ground=ground,
        classes=CLASSES,
        extras=extras or Extras(),
        options=StatsOptions(**options),
        max_px=max_px,
        **more,
    )


RED, GREEN, BLUE = [[10, 20, 99, 0]], [[60, 20, 99, 0]], [[30, 10, 99, 0]]


def test_colour_indices_are_means_over_canopy_by_parts_of_pixels():
    bands = ArrayBands(("red", "green", "blue"), [RED, GREEN, BLUE])
    frame = measure([[1, 1, 0, 1]], shapely.box(0, 0, 1.5, 1), extras=Extras(bands=bands))

    def mean(first, second):  # the second pixel lies half in the plot
        return (first + second / 2) / 1.5

    assert frame["exg"].tolist() == pytest.approx([mean(80 / 100, 10 / 50)])
    assert frame["gli"].tolist() == pytest.approx([mean(80 / 160, 10 / 70)])
    assert frame["ngrdi"].tolist() == pytest.approx([mean(50 / 70, 0)])
    assert "ndvi" not in frame


def test_black_pixels_and_plots_without_canopy_have_no_colour():
    bands = ArrayBands(("red", "green", "blue"), [RED, GREEN, BLUE])
    frame = measure(
        [[1, 1, 0, 1]], shapely.box(2, 0, 4, 1), shapely.box(2, 0, 3, 1), extras=Extras(bands=bands)
    )
    assert frame["exg"].isna().all()


def test_infrared_indices_are_there_where_their_bands_are():
    bands = ArrayBands(("nir", "red", "rededge"), [[[80, 60]], [[20, 20]], [[40, 30]]])
    frame = measure([[1, 1]], shapely.box(0, 0, 2, 1), extras=Extras(bands=bands))
    assert frame["ndvi"].tolist() == pytest.approx([(60 / 100 + 40 / 80) / 2])
    assert frame["ndre"].tolist() == pytest.approx([(40 / 120 + 30 / 90) / 2])
    assert "exg" not in frame


def test_both_rooms_know_the_same_bands():
    assert band_names.BAND_NAMES == BAND_NAMES


def test_heights_are_over_canopy_with_nodata_left_out():
    heights = ArrayHeights([[1.0, 2.0, 9.0, np.nan], [0.5, -0.1, 9.0, 9.0]])
    mask = [[1, 1, 0, 1], [1, 1, 0, 255]]
    frame = measure(mask, shapely.box(0, 0, 4, 2), shapely.box(0, 0, 1, 0.5), extras=Extras(heights=heights))
    assert frame["height_mean_m"].tolist() == pytest.approx([(1 + 2 + 0.5 - 0.1) / 4, 1.0])
    assert frame["volume_m3"].tolist() == pytest.approx([3.4, 0.5])
    assert frame["height_p95_m"][0] == pytest.approx(2.0)


def test_the_percentile_of_height_is_that_of_its_pixels():
    values = np.random.default_rng(1).gamma(4, 0.2, (60, 60))
    frame = measure(
        np.ones((60, 60)), shapely.box(0, 0, 60, 60), extras=Extras(heights=ArrayHeights(values)), max_px=400
    )
    assert frame["height_p95_m"][0] == pytest.approx(np.quantile(values, 0.95), abs=0.005)
    assert frame["height_mean_m"][0] == pytest.approx(values.mean(), rel=1e-5)


def test_uncertain_pixels_lie_around_the_masks_threshold():
    prob = [[0.05, 0.30, 0.40, 0.60, 0.61, np.nan]]
    frame = measure([[0, 0, 0, 1, 1, 255]], shapely.box(0, 0, 6, 1), prob=prob)
    assert frame["uncertain_fraction"].tolist() == pytest.approx([2 / 5])
    frame = measure([[0, 0, 1, 1, 1, 255]], shapely.box(0, 0, 6, 1), prob=prob, threshold=0.35)
    assert frame["uncertain_fraction"].tolist() == pytest.approx([2 / 5])
    assert measure([[1, 0]], shapely.box(0, 0, 2, 1))["uncertain_fraction"].isna().all()


def test_low_validity_is_flagged_below_the_limit():
    mask = [[1] * 9 + [255], [1] * 10]
    boxes = (shapely.box(0, 0, 10, 1), shapely.box(0, 1, 10, 2), shapely.box(8, 0, 10, 1))
    assert measure(mask, *boxes)["low_validity"].tolist() == [False, False, True]
    assert measure(mask, *boxes, min_valid=1.0)["low_validity"].tolist() == [True, False, True]


@pytest.mark.parametrize("turn_deg", [0, 12, 33, 71])
def test_a_plot_that_is_all_valid_is_not_flagged_at_any_turn(turn_deg):
    plots = [affinity.rotate(shapely.box(9.3 + k, 12.1, 26.6 + k, 27.7), turn_deg) for k in range(5)]
    assert not measure(np.ones((40, 40)), *plots, min_valid=1.0)["low_validity"].any()


def test_a_buffer_leaves_out_the_rim_and_keeps_the_outline():
    mask = np.zeros((20, 20))
    mask[5:15, 5:15] = 1
    box = shapely.box(4, 4, 16, 16)
    frame = measure(mask, box, buffer_m=2.5)
    assert frame["coverage"].tolist() == pytest.approx([1.0])
    assert frame["plot_area_m2"].tolist() == pytest.approx([49.0])
    assert frame.geometry.area.tolist() == pytest.approx([144.0])


def test_a_buffer_that_eats_a_plot_names_it_and_the_widest_that_does_not():
    with pytest.raises(InputError, match=r"buffer of 2 m leaves nothing of plot narrow") as caught:
        measure(
            np.ones((20, 20)), shapely.box(0, 0, 9, 9), shapely.box(10, 0, 13, 9),
            ids=["wide", "narrow"], buffer_m=2,
        )  # fmt: skip
    assert "below 1.5 m" in caught.value.remedy


def test_buffers_are_metres_in_feet_and_in_degrees():
    metres = shapely.box(10, 10, 40, 30)
    for crs, transform in (
        (2229, Affine(3937 / 1200, 0, 6e6, 0, -3937 / 1200, 2e6)),
        (4326, Affine(1 / 111_320 / np.cos(np.radians(50)), 0, 12, 0, -1 / 111_230, 50)),
    ):
        ground = Ground(transform, CRS.from_epsg(crs).to_wkt(), 60, 60)
        t = transform
        outline = shapely.transform(metres, lambda xy, t=t: xy * [t.a, t.e] + [t.c, t.f])
        frame = plot_stats(
            read_plots(gpd.GeoDataFrame(geometry=[outline], crs=ground.crs), ground=ground),
            ArrayMask(np.ones((60, 60), np.uint8)),
            ground=ground,
            classes=CLASSES,
            options=StatsOptions(frozenset({"coverage"}), buffer_m=5),
        )
        assert frame["plot_area_m2"][0] == pytest.approx(20 * 10, rel=4e-3)


def test_overlapping_plots_are_measured_and_counted():
    told = []
    boxes = (
        shapely.box(0, 0, 5, 5),
        shapely.box(4, 0, 9, 5),
        shapely.box(9, 0, 14, 5),
        shapely.box(1, 1, 2, 2),
    )
    frame = measure(np.ones((20, 20)), *boxes, listener=told.append)
    assert frame["canopy_area_m2"].tolist() == pytest.approx([25, 25, 25, 1])
    (message,) = [e.message for e in told if isinstance(e, Warned)]
    assert message.startswith("3 plots overlap another")
    assert message.endswith("plots 1, 2, 4")


def test_neighbours_that_share_an_edge_do_not_overlap():
    told = []
    thirds = np.linspace(0, 1, 4) * 10 / 3 + 0.1
    boxes = [shapely.box(a, 0, b, 5) for a, b in pairwise(thirds)]
    measure(np.ones((20, 20)), *boxes, listener=told.append)
    assert not [e for e in told if isinstance(e, Warned)]


def test_a_sweep_reads_what_lies_around_the_plots_in_stripes(monkeypatch):
    monkeypatch.setattr(zonal, "_STRIPE_PX", 40)
    boxes = np.array(
        [shapely.box(c, -r - 9, c + 9, -r) for r in range(20, 60, 10) for c in range(30, 200, 10)]
    )
    seen = []

    def read(window):
        seen.append(window)
        return np.ones(window.shape, np.uint8)

    found = zonal.total(boxes, (100, 1000), [zonal.Quantity("one", read, 255)], on_progress=lambda _: None)
    assert found["one"].sum.tolist() == pytest.approx([81.0] * len(boxes))
    seen = [window for window in seen if window]
    assert min(w.row for w in seen) == 20
    assert max(w.row_stop for w in seen) == 59
    assert min(w.col for w in seen) == 30
    assert max(w.col_stop for w in seen) == 199
    assert max(w.width for w in seen) <= 40 + 9
    assert sum(w.size for w in seen) < 1.3 * 169 * 39


@pytest.mark.parametrize("stripe_px", [1, 37, 8192])
def test_the_order_of_plots_and_the_size_of_windows_change_nothing(monkeypatch, stripe_px):
    rng = np.random.default_rng(8)
    mask = rng.choice([0, 1, 1, 255], (90, 120))
    boxes = [shapely.box(c, r, c + 13.7, r + 8.2) for r in range(0, 90, 9) for c in range(0, 120, 15)]
    extras = Extras(
        ArrayBands(("red", "green", "blue"), rng.integers(1, 200, (3, 90, 120))),
        ArrayHeights(rng.random((90, 120))),
    )
    whole = measure(mask, *boxes, prob=rng.random((90, 120)), extras=extras)
    order = rng.permutation(len(boxes))
    monkeypatch.setattr(zonal, "_STRIPE_PX", stripe_px)
    rng = np.random.default_rng(8)
    rng.choice([0, 1, 1, 255], (90, 120))
    other = measure(
        mask, *[boxes[i] for i in order], ids=[int(i) + 1 for i in order], extras=extras, max_px=700
    ).set_index("plot_id")
    other = other.loc[whole["plot_id"]].reset_index()
    compared = [c for c in whole.columns if c not in ("geometry", "mean_prob", "uncertain_fraction")]
    assert len(compared) > 12
    for column in compared:
        assert whole[column].tolist() == pytest.approx(other[column].tolist(), rel=1e-6, nan_ok=True), column


@pytest.mark.parametrize(
    "bad",
    [
        {"buffer_m": -1},
        {"min_valid": 1.2},
        {"row_spacing_m": 0},
        {"row_angle_deg": float("nan")},
        {"cell_m": float("nan")},
        {"groups": frozenset({"everything"})},
    ],
)
def test_options_out_of_range_are_refused(bad):
    with pytest.raises(InputError) as caught:
        StatsOptions(**bad)
    assert caught.value.remedy.startswith(("give ", "choose "))
