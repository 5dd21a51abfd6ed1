"""Ways to draw outlines, checked by hand: holes, level lines, simplification, parting; degenerate masks."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import rasterio
import shapely
from affine import Affine
from benchmarks.outlines import compare
from pyproj import CRS
from scipy.ndimage import gaussian_filter

from cropseg_geo.errors import InputError
from cropseg_geo.events import Event, Warned
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.vector.ahead import Threads
from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector.parting import basins, split
from cropseg_geo.vector.parting.basins import Tile
from cropseg_geo.vector.parting.plants import Seen, joined
from cropseg_geo.vector.source import threshold_of
from cropseg_geo.vector.trace import trace

LOCAL = CRS.from_proj4("+proj=tmerc +lat_0=50 +lon_0=15 +k=1 +datum=WGS84").to_wkt()
PIXELS = Affine(1, 0, 0, 0, -1, 0)
CLASSES = ("background", "crop", "weed")


@dataclass(frozen=True)
class Field:
    """A mask in memory; a probability and a threshold where the test needs them."""

    mask: npt.NDArray[np.uint8]
    prob: npt.NDArray[np.float32] | None = None
    threshold: float | None = 0.5

    @property
    def height(self) -> int:
        return self.mask.shape[0]

    @property
    def width(self) -> int:
        return self.mask.shape[1]

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        return self.mask[window.slices]

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        return None if self.prob is None else self.prob[window.slices]


def thresholded(prob: npt.ArrayLike, threshold: float = 0.5) -> Field:
    """A field whose mask is its probability at a threshold; NaN is nodata."""
    values = np.asarray(prob, np.float32)
    mask = np.where(np.isnan(values), 255, values >= np.float32(threshold)).astype(np.uint8)
    return Field(mask, values, threshold)


def traced(field: Field, *, block_px: int = 64, transform: Affine = PIXELS, crs: str = LOCAL, **options):
    batches: list[CanopyBatch] = []
    listener = options.pop("listener", lambda event: None)
    ground = Ground(transform, crs, field.height, field.width)
    source = trace(
        field,
        ground=ground,
        classes=CLASSES,
        options=Outlines(**options),
        block_px=block_px,
        listener=listener,
    )
    batches.extend(source)
    return batches


def only(batches: list[CanopyBatch]) -> shapely.Polygon:
    (batch,) = batches
    (polygon,) = batch.geometry
    return polygon


def drawn(*rows: str) -> Field:
    return Field(np.array([[{".": 0, "?": 255}.get(c, ord(c) - 48) for c in r] for r in rows], np.uint8))


def disc(n: int, radius: float, row: float, col: float) -> npt.NDArray[np.float64]:
    """How far each pixel's centre lies inside a circle (px)."""
    i, j = np.indices((n, n)) + 0.5
    return radius - np.hypot(i - row, j - col)


# Holes


@pytest.mark.parametrize("block_px", [2, 3, 64])
def test_holes_up_to_the_limit_are_filled_and_counted(block_px):
    field = drawn("11111111", "1.111..1", "111111.1", "11111111")
    (batch,) = traced(field, block_px=block_px, fill_holes_m2=1.0)
    assert (batch.pixels[0], batch.area_m2[0], batch.perimeter_m[0]) == (29, 29.0, 24.0 + 8.0)
    assert only(traced(field, block_px=block_px, fill_holes_m2=3.0)).equals(shapely.box(0, -4, 8, 0))


@pytest.mark.parametrize("block_px", [2, 64])
@pytest.mark.parametrize("inside", ["2", "1", "?"])
def test_a_hole_with_another_polygon_or_nodata_in_it_stays(inside, block_px):
    field = drawn("11111", "1...1", f"1.{inside}.1", "1...1", "11111")
    found = [g for b in traced(field, block_px=block_px, fill_holes_m2=99) for g in b.geometry]
    largest = max(found, key=shapely.area)
    assert len(largest.interiors) == 1


def test_the_mean_probability_is_that_of_the_mask_not_of_filled_holes():
    prob = np.full((3, 3), 0.9, np.float32)
    prob[1, 1] = 0.1
    for objects in ("touching", "split"):
        (batch,) = traced(thresholded(prob), fill_holes_m2=1.0, objects=objects)
        assert batch.pixels.tolist() == [9]
        assert batch.mean_prob == pytest.approx([0.9])


# Centres


def test_centroids_are_centres_of_mass_far_from_the_origin_too():
    transform = Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)
    mask = np.zeros((64, 64), np.uint8)
    mask[50:60, 40:50] = mask[55:57, 45:60] = 1
    (batch,) = traced(Field(mask), transform=transform, crs=CRS.from_epsg(32633).to_wkt(), block_px=16)
    centre = shapely.centroid(batch.geometry[0])
    assert batch.centroid_x[0] == pytest.approx(centre.x, abs=1e-6)
    assert batch.centroid_y[0] == pytest.approx(centre.y, abs=1e-6)


# Contours


def test_a_contour_crosses_where_the_probability_passes_the_threshold():
    prob = np.zeros((3, 4))
    prob[:, 1] = 0.9
    prob[:, 2] = 0.3  # 0.5 lies two thirds of the way from 0.9 down to 0.3
    polygon = only(traced(thresholded(prob), outline="contour"))
    x = {round(float(v), 5) for v in shapely.get_coordinates(polygon)[:, 0]}
    assert x == {1.5 - 0.4 / 0.9, 1.0, 1.5 + 2 / 3, 2.0} or x == {1.05556, 1.0, 2.16667, 2.0}
    y = shapely.get_coordinates(polygon)[:, 1]
    assert (y.min(), y.max()) == (-3.0, 0.0)  # the raster's rim is followed on the pixels


@pytest.mark.parametrize("block_px", [5, 64])
def test_a_contour_of_a_disc_has_its_area_and_attributes_are_the_polygons(block_px):
    field = thresholded(np.clip(0.5 + disc(40, 12.3, 20.2, 19.7) / 4, 0, 1))
    (batch,) = traced(field, outline="contour", block_px=block_px)
    polygon = batch.geometry[0]
    true = np.pi * 12.3**2
    assert polygon.area == pytest.approx(true, rel=0.004)
    assert polygon.hausdorff_distance(shapely.Point(19.7, -20.2).buffer(12.3, 64)) < 0.1
    assert batch.area_m2[0] == pytest.approx(polygon.area)
    assert batch.perimeter_m[0] == pytest.approx(polygon.length)
    assert batch.perimeter_m[0] == pytest.approx(2 * np.pi * 12.3, rel=0.01)
    assert batch.pixels[0] == field.mask.sum()


def test_contours_follow_the_pixels_along_nodata():
    prob = np.full((4, 4), 0.9)
    prob[:, 2:] = np.nan
    assert only(traced(thresholded(prob), outline="contour")).equals(shapely.box(0, -4, 2, 0))


def test_pixels_that_touch_in_a_vertex_are_two_contours():
    batches = traced(thresholded([[0, 0, 0, 0], [0, 0.9, 0, 0], [0, 0, 0.9, 0], [0] * 4]), outline="contour")
    one, other = batches[0].geometry
    assert one.disjoint(other)


def test_contours_stay_on_the_pixels_where_the_mask_does_not_follow_the_probability():
    field = Field(drawn("...", ".1.", "...").mask, np.full((3, 3), 0.2, np.float32))
    assert only(traced(field, outline="contour")).equals(shapely.box(1, -2, 2, -1))


def test_contours_between_classes_follow_the_pixels_and_share_them():
    field = drawn("......", ".1122.", ".1122.", "......")
    prob = np.where(field.mask > 0, 0.8, 0.1).astype(np.float32)
    one, other = (g for b in traced(Field(field.mask, prob), outline="contour") for g in b.geometry)
    assert shapely.coverage_is_valid([one, other])
    assert one.intersection(other).length == 2.0


def test_contours_of_a_mask_without_a_threshold_follow_the_pixels_with_a_warning():
    events: list[Event] = []
    field = Field(drawn(".11.").mask, np.full((1, 4), 0.5, np.float32), None)
    polygon = only(traced(field, outline="contour", listener=events.append))
    assert polygon.equals(shapely.box(1, -1, 3, 0))
    assert any(isinstance(e, Warned) and "outlines follow its pixels" in e.message for e in events)


def test_contours_without_a_probability_are_refused():
    with pytest.raises(InputError, match="follow the probability") as caught:
        traced(drawn(".1."), outline="contour")
    assert "probability raster" in caught.value.remedy


def test_contours_are_nearer_to_the_true_edge_of_the_sample_field_than_pixels_at_1_2_and_4_times_its_gsd():
    report = compare(Window(1500, 1500, 256, 256))
    for at_gsd in report.values():
        for error in ("wrong_area_percent", "boundary_distance_mm"):
            assert at_gsd["contour"][error] < 0.9 * at_gsd["pixel"][error]


@pytest.mark.parametrize(
    ("tag", "n_bands", "expected"), [("0.35", 1, 0.35), (None, 1, None), ("0.35", 3, None)]
)
def test_the_threshold_of_mask_files_is_that_of_their_tags_where_one_class_was_thresholded(
    tmp_path, tag, n_bands, expected
):
    grid = {"height": 4, "width": 4, "dtype": "uint8", "crs": "EPSG:32633", "driver": "GTiff"}
    grid["transform"] = Affine(0.01, 0, 500_000, 0, -0.01, 5_000_000)
    for name, count in (("mask", 1), ("prob", n_bands)):
        with rasterio.open(tmp_path / f"{name}.tif", "w", count=count, nodata=255, **grid) as file:
            file.write(np.ones((count, 4, 4), np.uint8))
            if tag:
                file.update_tags(CROPSEG_THRESHOLD=tag)
    with open_mask(tmp_path / "mask.tif", tmp_path / "prob.tif") as files:
        assert threshold_of(files) == expected
    with open_mask(tmp_path / "mask.tif") as files:
        assert threshold_of(files) is None


# Simplification


def test_simplification_drops_the_stairs_of_a_slope_and_little_area():
    row, col = np.indices((60, 60))
    field = Field(((row + 2 * col > 40) & (row + 2 * col < 120)).astype(np.uint8))
    whole, fewer = only(traced(field)), only(traced(field, simplify_m=1.5))
    assert len(fewer.exterior.coords) < 0.2 * len(whole.exterior.coords)
    assert fewer.area == pytest.approx(whole.area, rel=0.02)


@pytest.mark.parametrize(
    ("gsd_m", "transform", "epsg"),
    [
        (0.1, Affine(0.1, 0, 0, 0, -0.1, 0), None),
        (0.1, Affine(0.1 / 111_319.5, 0, 15, 0, -0.1 / 110_574.3, 0), 4326),  # degrees on the equator
        (4.0, Affine(4, 0, 0, 0, -4, 0), None),
    ],
    ids=["10 cm", "degrees", "4 m"],
)
def test_the_tolerance_of_simplification_is_in_metres_on_the_ground(gsd_m, transform, epsg):
    """The outline of a disc has the points that it has at one metre a pixel."""
    field = thresholded(np.clip(0.5 + disc(120, 50.0, 60, 60) / 4, 0, 1))
    crs = LOCAL if epsg is None else CRS.from_epsg(epsg).to_wkt()
    at_a_metre = only(traced(field, simplify_m=5.0))
    found = only(traced(field, transform=transform, crs=crs, simplify_m=5.0 * gsd_m))
    in_pixels = shapely.transform(found, lambda xy: np.column_stack(~transform @ tuple(xy.T)) * [1, -1])
    assert shapely.hausdorff_distance(in_pixels, at_a_metre) < 0.01
    assert len(at_a_metre.exterior.coords) < 0.3 * len(only(traced(field)).exterior.coords)
    assert shapely.hausdorff_distance(at_a_metre, only(traced(field))) < 5.0


def squares(*sides: int) -> Field:
    """Plants of these sides (px), and the same as holes in a large one."""
    mask = np.zeros((120, 200), np.uint8)
    mask[:, 100:] = 1
    for k, side in enumerate(sides):
        place = (slice(2, 2 + side), slice(2 + 20 * k, 2 + 20 * k + side))
        mask[place] = 1
        mask[place[0], place[1].start + 100 : place[1].stop + 100] = 0
    return Field(mask)


def test_plants_and_holes_that_are_small_against_the_tolerance_keep_their_areas():
    field = squares(1, 2, 4, 9)
    ((batch,), (plain,)) = traced(field, block_px=256, simplify_m=5.0), traced(field, block_px=256)
    np.testing.assert_allclose(batch.area_m2, plain.area_m2)


def test_larger_tolerances_leave_fewer_points_and_no_plant_loses_a_third():
    rng = np.random.default_rng(3)
    field = thresholded(gaussian_filter(rng.normal(size=(300, 350)), 4) > 0.03)
    plain = np.concatenate([b.geometry for b in traced(field, block_px=1024)])
    points = [shapely.get_num_coordinates(plain).sum()]
    for simplify_m in (1.0, 2.0, 5.0, 10.0):
        found = np.concatenate([b.geometry for b in traced(field, simplify_m=simplify_m)])
        assert len(found) == len(plain)
        assert (shapely.area(found) / shapely.area(plain)).min() > 2 / 3
        assert shapely.area(found).sum() == pytest.approx(shapely.area(plain).sum(), rel=0.04)
        points.append(shapely.get_num_coordinates(found).sum())
    assert points == sorted(points, reverse=True)


@pytest.mark.parametrize(("radius", "is_told"), [(6.5, True), (40.0, False)])
def test_areas_that_simplification_changes_are_told(radius, is_told):
    field = Field((disc(100, radius, 50, 50) > 0).astype(np.uint8))
    events: list[Event] = []
    batches = traced(field, simplify_m=2.5, listener=events.append)
    notes = [e.message for e in events if isinstance(e, Warned)]
    change = only(batches).area / field.mask.sum() - 1
    assert bool(notes) == (abs(change) > 0.01) == is_told
    if notes:
        assert notes[0].startswith(f"outlines simplified by 2.5 m hold {change:.1%} more area")


def test_plants_that_stand_one_pixel_apart_do_not_overlap_when_simplified():
    row, col = np.indices((80, 80))
    wave = np.rint(40 + 5 * np.sin(row / 6)).astype(int)
    field = Field((col != wave).astype(np.uint8))
    found = np.concatenate([b.geometry for b in traced(field, simplify_m=6.0)])
    assert len(found) == 2
    assert shapely.union_all(found).area == pytest.approx(shapely.area(found).sum())


# Parting


@pytest.mark.parametrize("block_px", [8, 13, 64])
@pytest.mark.parametrize("outline", ["pixel", "contour"])
def test_two_discs_that_touch_are_two_plants_that_share_their_neck(block_px, outline):
    inside = np.maximum(disc(60, 11, 30, 18), disc(60, 11, 30, 38))
    field = thresholded(np.clip(0.5 + inside / 4, 0, 1))
    batches = traced(field, objects="split", outline=outline, block_px=block_px)
    one, other = (g for b in batches for g in b.geometry)
    assert one.intersection(other).length == pytest.approx(2 * np.sqrt(11**2 - 10**2), abs=3)
    assert one.area == pytest.approx(other.area, rel=0.06)
    together = only(traced(field, outline=outline))
    assert one.area + other.area == pytest.approx(together.area, rel=0.01)
    means = np.concatenate([b.mean_prob for b in batches])
    pixels = np.concatenate([b.pixels for b in batches])
    assert (means * pixels).sum() / pixels.sum() == pytest.approx(
        field.prob[field.mask == 1].mean(), rel=1e-5
    )


def test_a_plant_without_a_neck_stays_whole():
    field = thresholded(np.clip(0.5 + np.maximum(disc(60, 12, 30, 24), disc(60, 12, 30, 34)) / 4, 0, 1))
    assert len(traced(field, objects="split")[0]) == 1


@pytest.mark.parametrize(
    ("neck_px", "plants"),
    [((9, 13), 2), ((15, 23), 2), ((17, 23), 1), ((21, 29), 1), ((3, 5), 1), ((3, 7), 2)],
)
@pytest.mark.parametrize("is_turned", [False, True])
def test_necks_below_seven_tenths_of_the_plants_width_part_them(neck_px, plants, is_turned):
    """And what is 5 px wide is no plant but the noise of an outline."""
    neck, width = neck_px
    mask = np.zeros((40, 80), np.uint8)
    mask[2:35, 2:35] = 1
    upper = 18 - neck // 2
    mask[upper : upper + neck, 35:39] = 1
    upper = 18 - width // 2
    mask[upper : upper + width, 38 : 38 + width] = 1
    batches = traced(Field(np.ascontiguousarray(mask.T) if is_turned else mask), objects="split")
    assert sum(map(len, batches)) == plants


@pytest.mark.parametrize(("down_m", "across_m"), [(1.0, 1.0), (2.0, 1.0), (1.0, 2.0)])
def test_plants_are_parted_by_their_shape_on_the_ground(down_m, across_m):
    row, col = np.indices((round(120 / down_m), round(120 / across_m)))
    y, x = ((row + 0.5) * down_m) % 40 - 20, ((col + 0.5) * across_m) % 40 - 20
    field = Field((np.hypot(x, y) < 22).astype(np.uint8))  # nine discs, each touching its neighbours
    transform = Affine(across_m, 0, 0, 0, -down_m, 0)
    assert sum(map(len, traced(field, transform=transform))) == 1
    assert sum(map(len, traced(field, transform=transform, objects="split"))) == 9


def test_a_canopy_that_spans_many_tiles_is_parted_into_all_of_its_plants(monkeypatch):
    monkeypatch.setattr(split, "TILE_PX", 32)
    row, col = np.indices((200, 300)) % 20 - 9.5
    field = Field((np.hypot(row, col) < 10.4).astype(np.uint8))  # 150 discs, each touching four others
    assert len(traced(field, block_px=64)[0]) == 1
    batches = traced(field, objects="split", block_px=64)
    assert sum(map(len, batches)) == 150
    assert len({int(p) for b in batches for p in b.pixels}) == 1


def test_cuts_are_known_a_few_plants_above_the_last_row_of_tiles(monkeypatch):
    monkeypatch.setattr(split, "TILE_PX", 32)
    monkeypatch.setattr(basins, "REACH_PX", 16)
    row, col = np.indices((300, 200)) % 20 - 9.5
    field = Field((np.hypot(row, col) < 10.4).astype(np.uint8))  # one region from one end to the other
    seen_px = 0

    def see(px: int) -> None:
        nonlocal seen_px
        seen_px += px

    with Threads(1) as threads:
        cuts = split.cuts_of(field, len(CLASSES), 1.0, threads, see)
        for stop in range(20, 300, 20):
            cuts.of_rows(0, stop)
            assert seen_px / field.width < stop + 32 + 2 * 20


def test_a_tile_leaves_what_its_sides_leave_in_doubt_however_many_basins_it_has():
    """What a row of tiles has to hold at once, and with it the memory of parting, follows their sides."""
    rng = np.random.default_rng(11)
    row, col = np.indices((1200, 1200))
    discs = np.hypot(row % 32 - 15.5, col % 32 - 15.5) < 16.4
    mask = (discs & (rng.random(row.shape) > 0.05)).astype(np.uint8)  # leaves with holes: very many basins

    def left_of(side: int) -> tuple[int, int, int]:
        window = Window(300, 300, side, side)
        around = window.grown(basins.REACH_PX + 1)
        found = basins.basins_of(Tile(window, around, mask[around.slices], *mask.shape), 1.0)
        assert found is not None
        left, _ = joined([found], Seen(window, *mask.shape))
        return len(found.name), len(left.name), len(left.edge)

    (some, names, edges), (many, more_names, more_edges) = left_of(160), left_of(640)
    assert many > 8 * some
    assert more_names < 5 * names
    assert more_edges < 5 * edges


def test_plants_that_are_parted_and_simplified_still_share_their_necks():
    inside = np.maximum(disc(60, 11, 30, 18), disc(60, 11, 30, 38))
    field = thresholded(np.clip(0.5 + inside / 4, 0, 1))
    one, other = (g for b in traced(field, objects="split", simplify_m=2.0) for g in b.geometry)
    assert shapely.get_num_coordinates([one, other]).sum() < 30
    assert one.intersection(other).length == pytest.approx(2 * np.sqrt(11**2 - 10**2), abs=4)
    assert shapely.coverage_is_valid([one, other])


# Degenerate masks


EVERY_WAY = [
    {},
    {"fill_holes_m2": 5.0},
    {"outline": "contour"},
    {"simplify_m": 1.0},
    {"outline": "contour", "simplify_m": 1.0, "fill_holes_m2": 5.0},
    {"objects": "split", "outline": "contour", "fill_holes_m2": 5.0},
    {"objects": "split", "outline": "contour", "fill_holes_m2": 5.0, "simplify_m": 1.0},
]


@pytest.mark.parametrize("options", EVERY_WAY)
@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_mask_without_canopy_yields_nothing(value, options):
    assert traced(thresholded(np.full((9, 7), value)), block_px=4, **options) == []


@pytest.mark.parametrize("options", EVERY_WAY)
@pytest.mark.parametrize("size", [1, 9])
def test_a_full_mask_is_its_rectangle_however_it_is_drawn(size, options):
    polygon = only(traced(thresholded(np.ones((size, size))), block_px=4, **options))
    assert polygon.normalize().simplify(0).equals(shapely.box(0, -size, size, 0))
    assert polygon.is_valid


@pytest.mark.parametrize("options", EVERY_WAY)
def test_one_pixel_is_one_polygon_however_it_is_drawn(options):
    prob = np.zeros((9, 9))
    prob[4, 4] = 1.0
    polygon = only(traced(thresholded(prob), block_px=4, **options))
    assert polygon.is_valid
    assert 0.1 < polygon.area <= 1.0
    assert polygon.intersects(shapely.Point(4.5, -4.5))


@pytest.mark.parametrize("options", [*EVERY_WAY[:3], EVERY_WAY[5]])
def test_a_hundred_thousand_specks_are_drawn_in_seconds(options):
    row, col = np.indices((512, 512))
    start = time.process_time()
    batches = traced(thresholded(((row + col) % 2).astype(float)), block_px=256, **options)
    assert sum(map(len, batches)) == 512 * 256
    assert all(shapely.is_valid(b.geometry).all() for b in batches)
    assert time.process_time() - start < 60


def test_specks_are_simplified_too():
    row, col = np.indices((192, 192))
    batches = traced(thresholded(((row + col) % 2).astype(float)), simplify_m=1.0)
    found = np.concatenate([b.geometry for b in batches])
    assert len(found) == 192 * 96
    assert shapely.is_valid(found).all()
