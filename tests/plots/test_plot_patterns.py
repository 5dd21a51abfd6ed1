"""Gaps along rows on rows with known gaps, turned ones too; evenness over sub-cells."""

import math

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from shapely import affinity

from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.measuring.stats import plot_stats
from cropseg_geo.plots.options import StatsOptions
from tests.plots.array_mask import ArrayMask

GSD = 0.01
UTM = CRS.from_epsg(32633).to_wkt()
SPACING, ROW_WIDTH = 0.25, 0.12
LENGTH, WIDTH = 4.0, 1.5


def field(
    angle_deg: float = 0.0, *, size=(600, 600), spacing=SPACING, width=ROW_WIDTH, gaps=(), gsd=GSD, shift=0.0
):
    """A mask with rows along ``angle_deg`` (counter-clockwise from east) and a plot of LENGTH × WIDTH.

    ``gaps``: (row, start, stop) along each row, in metres from the plot's left end; the middle row is 0.
    """
    ground = Ground(Affine(gsd, 0, 500_000, 0, -gsd, 5_000_000), UTM, *size)
    row, col = np.mgrid[: size[0], : size[1]] + 0.5
    x, y = (col - size[1] / 2) * gsd, -(row - size[0] / 2) * gsd
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    u, v = x * c + y * s + LENGTH / 2, -x * s + y * c - shift
    nearest = np.rint(v / spacing)
    mask = np.abs(v - nearest * spacing) < width / 2
    for which, start, stop in gaps:
        mask &= ~((nearest == which) & (u > start) & (u < stop))
    box = shapely.box(-LENGTH / 2, -WIDTH / 2, LENGTH / 2, WIDTH / 2)
    middle_x, middle_y = 500_000 + size[1] / 2 * gsd, 5_000_000 - size[0] / 2 * gsd
    outline = affinity.translate(affinity.rotate(box, angle_deg, origin=(0, 0)), middle_x, middle_y)
    return mask.astype(np.uint8), outline, ground


def measure(mask, outlines, ground, max_px=4_000_000, **options):
    frame = gpd.GeoDataFrame(geometry=list(outlines), crs=ground.crs)
    plots = read_plots(frame, ground=ground)
    return plot_stats(
        plots,
        ArrayMask(mask),
        ground=ground,
        classes=("background", "crop"),
        options=StatsOptions(**options),
        max_px=max_px,
    )


# Rows −3 … 3 at 0.25 m lie in a plot of 1.5 m: the outermost on its edges, so five to seven count.
GAPS = ((0, 1.0, 1.8), (1, 0.0, 0.5), (2, 3.0, 3.3), (-1, 2.0, 2.05))
GAP_M = 0.8 + 0.5 + 0.3 + 0.05


@pytest.mark.parametrize("angle_deg", [0, 12, 33, 45, 90, 137])
def test_gaps_of_known_rows_are_found_at_any_angle(angle_deg):
    mask, outline, ground = field(angle_deg, gaps=GAPS, shift=SPACING / 2)
    (found,) = measure(mask, [outline], ground).itertuples()
    # Shifted by half a spacing, exactly six rows lie inside.
    assert found.row_spacing_m == pytest.approx(SPACING, rel=0.04)
    assert found.max_gap_m == pytest.approx(0.8, abs=2 * GSD)
    assert found.gap_fraction == pytest.approx(GAP_M / (6 * LENGTH), abs=0.006)


def test_the_true_spacing_and_angle_can_be_told():
    mask, outline, ground = field(33, gaps=GAPS, shift=SPACING / 2)
    (found,) = measure(mask, [outline], ground, row_spacing_m=SPACING, row_angle_deg=90 - 33).itertuples()
    assert found.row_spacing_m == SPACING
    assert found.max_gap_m == pytest.approx(0.8, abs=2 * GSD)
    assert found.gap_fraction == pytest.approx(GAP_M / (6 * LENGTH), abs=0.004)


@pytest.mark.parametrize(("spacing", "width"), [(0.75, 0.3), (0.5, 0.4), (0.15, 0.05)])
def test_two_rows_and_ten_rows_are_found(spacing, width):
    mask, outline, ground = field(20, spacing=spacing, width=width, shift=spacing / 2)
    (found,) = measure(mask, [outline], ground).itertuples()
    assert found.row_spacing_m == pytest.approx(spacing, rel=0.06)
    assert found.gap_fraction == pytest.approx(0, abs=0.003)


@pytest.mark.parametrize("angle_deg", [0, 20])
@pytest.mark.parametrize(
    ("spacing", "width", "shift"),
    [
        (0.75, 0.05, 0.375), (0.75, 0.2, 0.42), (0.75, 0.4, 0.34),  # two rows in 1.5 m
        (0.5, 0.1, 0.0), (0.5, 0.25, -0.06), (0.375, 0.15, 0.17), (0.35, 0.1, 0.12),
    ],
)  # fmt: skip
def test_the_spacing_of_a_few_rows_is_right_to_a_pixel(spacing, width, shift, angle_deg):
    mask, outline, ground = field(angle_deg, spacing=spacing, width=width, shift=shift)
    specks = np.random.default_rng(1).random(mask.shape) < 0.01
    for values in (mask, mask | specks):
        (found,) = measure(values, [outline], ground).itertuples()
        assert found.row_spacing_m == pytest.approx(spacing, abs=GSD)


@pytest.mark.parametrize("missing", [-1, 0, 1])
def test_a_missing_row_does_not_move_the_others(missing):
    mask, outline, ground = field(spacing=0.375, shift=0.1875, gaps=[(missing, -1.0, LENGTH + 1)])
    (found,) = measure(mask, [outline], ground).itertuples()
    assert found.row_spacing_m == pytest.approx(0.375, abs=GSD)
    assert found.gap_fraction == pytest.approx(1 / 4, abs=0.01)


def test_rows_that_the_edge_cuts_do_not_pull_at_the_spacing():
    mask, outline, ground = field(spacing=0.5, width=0.3, shift=0.22)  # one at 0.72, the edge at 0.75
    (found,) = measure(mask, [outline], ground).itertuples()
    assert found.row_spacing_m == pytest.approx(0.5, abs=GSD)


def test_a_plot_of_one_row_is_measured_along_it():
    mask, outline, ground = field(20, spacing=0.8, width=0.3, gaps=[(0, 1.0, 1.8)])
    narrow = shapely.buffer(outline, -0.36, join_style="mitre")  # 3.28 m × 0.78 m around the row
    (found,) = measure(mask, [narrow], ground).itertuples()
    assert found.row_spacing_m == pytest.approx(0.78, abs=0.01)
    assert found.max_gap_m == pytest.approx(0.8, abs=2 * GSD)
    assert found.gap_fraction == pytest.approx(0.8 / 3.28, abs=0.01)


def test_a_patchy_stand_is_no_row():
    _, outline, ground = field()
    mask = np.zeros((600, 600), np.uint8)
    mask[:300] = 1  # the plot's upper half
    (found,) = measure(mask, [outline], ground).itertuples()
    assert math.isnan(found.row_spacing_m)


def test_rows_across_a_square_plot_are_found_from_the_canopy():
    mask, outline, ground = field(0, gaps=[(0, 1.0, 1.8)])
    x, y = outline.centroid.x, outline.centroid.y
    square = shapely.box(x - 0.9, y - 0.9, x + 0.9, y + 0.9)
    turned = np.ascontiguousarray(mask.T)
    for values in (mask, turned):
        (found,) = measure(values, [square], ground).itertuples()
        assert found.row_spacing_m == pytest.approx(SPACING, rel=0.04)
        assert found.max_gap_m == pytest.approx(0.7, abs=2 * GSD)  # the gap from −1.0 to −0.2, cut at −0.9


def test_canopy_between_two_rows_fills_no_gap_of_theirs():
    mask, outline, ground = field(0, spacing=0.5, width=0.1, gaps=[(0, 1.0, 1.8)])
    row, col = np.mgrid[:600, :600] + 0.5
    from_middle, along = -(row - 300) * GSD, (col - 300) * GSD + LENGTH / 2
    weeds = (np.abs(from_middle) > 0.15) & (np.abs(from_middle) < 0.22) & (along > 0.9) & (along < 1.9)
    (found,) = measure(mask | weeds, [outline], ground, row_spacing_m=0.5, row_angle_deg=90).itertuples()
    assert found.max_gap_m == pytest.approx(0.8, abs=2 * GSD)


@pytest.mark.parametrize(("px_per_row", "is_seen"), [(3, False), (8, True)])
def test_rows_of_a_few_pixels_are_none(px_per_row, is_seen):
    """Their width and gaps would be those of the pixels."""
    gsd, spacing = 0.04, 0.04 * px_per_row
    mask, outline, ground = field(0, size=(150, 150), gsd=gsd, spacing=spacing, width=0.4 * spacing)
    (found,) = measure(mask, [outline], ground).itertuples()
    assert math.isnan(found.row_spacing_m) != is_seen


def test_nodata_is_no_gap():
    mask, outline, ground = field(0, shift=SPACING / 2)
    mask[:, 250:330] = 255
    (found,) = measure(mask, [outline], ground).itertuples()
    assert found.gap_fraction == 0
    assert found.max_gap_m == 0


def test_a_bare_plot_is_one_gap_at_its_neighbours_spacing():
    mask, outline, ground = field(0, size=(600, 1200), shift=SPACING / 2)
    mask[:, 600:] = 0
    left, right = (affinity.translate(outline, dx, 0) for dx in (-2.5, 2.5))
    sown, bare = measure(mask, [left, right], ground).itertuples()
    assert sown.gap_fraction == 0
    assert bare.row_spacing_m == sown.row_spacing_m
    assert bare.gap_fraction == 1
    assert bare.max_gap_m == pytest.approx(LENGTH, abs=2 * GSD)


@pytest.mark.parametrize(("bare", "is_lent"), [(3, True), (4, False)])
def test_less_than_a_quarter_of_the_plots_lend_their_spacing_to_none(bare, is_lent):
    mask, outline, ground = field(0, size=(600, 1200), shift=SPACING / 2)
    mask[:, 600:] = 0
    outlines = [affinity.translate(outline, dx, 0) for dx in (-2.5, *[2.5] * bare)]
    found = measure(mask, outlines, ground)["row_spacing_m"]
    assert found.notna().tolist() == [True, *[is_lent] * bare]


def test_without_rows_gaps_are_unknown():
    rng = np.random.default_rng(5)
    _, outline, ground = field()
    clumps = rng.random((75, 75)) < 0.3  # plants of 8 cm anywhere
    mask = np.kron(clumps, np.ones((8, 8))).astype(np.uint8)
    (found,) = measure(mask, [affinity.rotate(outline, 30)], ground).itertuples()
    assert math.isnan(found.gap_fraction)
    assert math.isnan(found.max_gap_m)


def test_patterns_do_not_depend_on_the_pieces_that_are_read():
    mask, outline, ground = field(33, gaps=GAPS)
    whole = measure(mask, [outline], ground)
    pieces = measure(mask, [outline], ground, max_px=5_000)
    for name in ("gap_fraction", "max_gap_m", "row_spacing_m", "uniformity_cv"):
        assert whole[name].tolist() == pytest.approx(pieces[name].tolist(), rel=1e-12)


@pytest.mark.parametrize("angle_deg", [0, 30])
def test_evenness_is_the_variation_of_coverage_over_cells(angle_deg):
    _, outline, ground = field(angle_deg)
    x, y = outline.centroid.x, outline.centroid.y
    row, col = np.mgrid[:600, :600] + 0.5
    c, s = math.cos(math.radians(angle_deg)), math.sin(math.radians(angle_deg))
    u = (500_000 + col * GSD - x) * c + (5_000_000 - row * GSD - y) * s
    # Half of the plot bare, half covered: cells of 0 and 1, mean ½, deviation ½.
    (found,) = measure((u > 0).astype(np.uint8), [outline], ground).itertuples()
    assert found.uniformity_cv == pytest.approx(1.0, abs=0.02)
    even = measure(np.ones((600, 600), np.uint8), [outline], ground)
    assert even["uniformity_cv"].tolist() == [0.0]
    bare = measure(np.zeros((600, 600), np.uint8), [outline], ground)
    assert bare["uniformity_cv"].isna().all()


def test_cells_that_are_mostly_nodata_do_not_count():
    mask, outline, ground = field(0)
    mask[:] = 1
    mask[:, 290:310] = 0
    even_but_for_the_middle = measure(mask, [outline], ground)["uniformity_cv"][0]
    mask[:, 200:400] = 255  # the two middle cells along, and what is bare in them
    assert even_but_for_the_middle > 0.05
    assert measure(mask, [outline], ground)["uniformity_cv"].tolist() == [0.0]
    mask[:, 200:240] = 0  # less than half of one is seen, and that is bare
    assert measure(mask, [outline], ground)["uniformity_cv"].tolist() == [0.0]
    mask[:, 240:260] = 0
    assert measure(mask, [outline], ground)["uniformity_cv"][0] > 0.05
