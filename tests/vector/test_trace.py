"""Tracing: shapes checked by hand, the ground, small areas, memory, order and errors."""

import math
import shutil
import sys
import tempfile
from collections import namedtuple
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Geod

from cropseg_geo.errors import InputError, OutputError, ReadError
from cropseg_geo.events import Event, StageAdvanced, StageFinished, StageStarted
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector import pieces, seams
from cropseg_geo.vector.canopy import BatchMaker, CanopyBatch
from cropseg_geo.vector.measures import GroundField
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector.pieces import PieceStore
from cropseg_geo.vector.scratch import Scratch, shortage
from cropseg_geo.vector.trace import trace

# True to scale around its origin, so that a pixel of 1 m is 1 m².
LOCAL = CRS.from_proj4("+proj=tmerc +lat_0=50 +lon_0=15 +k=1 +datum=WGS84").to_wkt()
PIXELS = Affine(1, 0, 0, 0, -1, 0)
CLASSES = ("background", "crop", "weed")


@dataclass
class RecordedMask:
    """A mask in memory that remembers which windows were read."""

    mask: npt.NDArray[np.uint8]
    prob: npt.NDArray[np.float32] | None = None
    windows: list[Window] = field(default_factory=list)

    @property
    def height(self) -> int:
        return self.mask.shape[0]

    @property
    def width(self) -> int:
        return self.mask.shape[1]

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        self.windows.append(window)
        return self.mask[window.slices]

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        return None if self.prob is None else self.prob[window.slices]


def ground_of(mask: npt.NDArray[np.uint8], transform: Affine = PIXELS, crs: str = LOCAL) -> Ground:
    return Ground(transform, crs, *mask.shape)


def traced(mask: npt.NDArray[np.uint8], **options) -> list[CanopyBatch]:
    options.setdefault("ground", ground_of(mask))
    return list(trace(RecordedMask(mask), classes=CLASSES, **options))


def drawn(*rows: str) -> npt.NDArray[np.uint8]:
    """One character a pixel: ``.`` background, ``?`` nodata, digits are classes."""
    return np.array(
        [[{".": 0, "?": 255}.get(c) or int(c.replace(".", "0")) for c in row] for row in rows], np.uint8
    )


def only(mask: npt.NDArray[np.uint8], **options) -> shapely.Polygon:
    (batch,) = traced(mask, **options)
    (polygon,) = batch.geometry
    return polygon


def test_a_10_by_10_px_block_is_100_px_not_81():
    mask = np.zeros((14, 14), np.uint8)
    mask[2:12, 2:12] = 1
    (batch,) = traced(mask, block_px=4)
    assert batch.pixels.tolist() == [100]
    assert batch.area_m2.tolist() == [100.0]
    assert batch.geometry[0].equals(shapely.box(2, -12, 12, -2))
    assert batch.geometry[0].area == 100.0
    assert batch.perimeter_m.tolist() == [40.0]


@pytest.mark.parametrize("block_px", [1, 2, 3, 100])
def test_a_mask_that_fills_the_raster_is_its_rectangle(block_px):
    polygon = only(np.ones((5, 7), np.uint8), block_px=block_px)
    assert shapely.to_wkt(polygon) == "POLYGON ((0 0, 0 -5, 7 -5, 7 0, 0 0))"


@pytest.mark.parametrize("block_px", [1, 2, 100])
def test_pixels_that_touch_in_a_vertex_are_two_polygons(block_px):
    batches = traced(drawn("1.", ".1"), block_px=block_px)
    assert sum(len(b) for b in batches) == 2


@pytest.mark.parametrize("block_px", [1, 2, 3, 100])
def test_a_shell_that_meets_itself_in_a_vertex_is_a_shell_and_a_hole(block_px):
    polygon = only(drawn("111.", "1.11", "1111", "1111"), block_px=block_px)
    assert polygon.is_valid
    assert polygon.area == 14
    assert len(polygon.interiors) == 1
    polygon = only(drawn("111", "1.1", "11."), block_px=block_px)
    assert polygon.is_valid
    assert (polygon.area, len(polygon.interiors)) == (7, 1)


@pytest.mark.parametrize("block_px", [1, 2, 3, 100])
def test_a_hole_that_meets_itself_in_a_vertex_is_two_holes(block_px):
    polygon = only(drawn("1111", "1.11", "11.1", "1111"), block_px=block_px)
    assert polygon.is_valid
    assert (polygon.area, [hole.length for hole in polygon.interiors]) == (14, [4.0, 4.0])


@pytest.mark.parametrize("block_px", [1, 2, 100])
def test_classes_meet_without_gap_and_nodata_is_not_traced(block_px):
    batches = traced(drawn("11?", "122", "222"), block_px=block_px)
    found = {int(k): g for b in batches for k, g in zip(b.class_id, b.geometry, strict=True)}
    assert sorted(found) == [1, 2]
    assert (found[1].area, found[2].area) == (3, 5)
    assert found[1].touches(found[2])
    assert found[1].union(found[2]).geom_type == "Polygon"


def test_names_follow_class_ids():
    (batch,) = traced(drawn("12"))
    assert dict(zip(batch.class_id.tolist(), batch.class_name, strict=True)) == {1: "crop", 2: "weed"}


@pytest.mark.parametrize("block_px", [3, 4, 100])
def test_small_areas_are_dropped_after_the_join(block_px):
    mask = np.zeros((8, 8), np.uint8)
    mask[3:5, 2:6] = 1  # a plant of 8 px that every block size of the test cuts
    mask[0, 0] = 1
    batches = traced(mask, block_px=block_px, options=Outlines(min_area_m2=8.0))
    assert [b.pixels.tolist() for b in batches] == [[8]]
    assert not traced(mask, block_px=block_px, options=Outlines(min_area_m2=8.5))


def test_a_hole_does_not_count_towards_the_minimum():
    mask = np.ones((5, 5), np.uint8)
    mask[1:4, 1:4] = 0
    assert not traced(mask, options=Outlines(min_area_m2=16.5))
    assert only(mask, options=Outlines(min_area_m2=16)).area == 16


def test_an_empty_mask_yields_nothing():
    assert traced(np.zeros((9, 9), np.uint8), block_px=4) == []
    assert traced(np.full((9, 9), 255, np.uint8), block_px=4) == []


def test_batches_are_in_the_order_of_first_pixels():
    mask = (np.random.default_rng(5).random((60, 60)) < 0.4).astype(np.uint8)
    for batch in traced(mask, block_px=16):
        bounds = shapely.bounds(batch.geometry)
        assert (np.diff(-bounds[:, 3]) >= 0).all()
        assert batch.crs == LOCAL
        assert np.isnan(batch.mean_prob).all()


def test_threads_do_not_change_the_batches():
    mask = (np.random.default_rng(6).random((90, 90)) < 0.55).astype(np.uint8)
    one, four = (traced(mask, block_px=16, threads=n) for n in (1, 4))
    assert [shapely.to_wkb(b.geometry).tolist() for b in one] == [
        shapely.to_wkb(b.geometry).tolist() for b in four
    ]


def test_pixels_without_a_probability_do_not_lower_the_mean():
    prob = np.array([[0.5, np.nan, 0.7, np.nan]], np.float32)
    mask = drawn("111?")
    (batch,) = trace(RecordedMask(mask, prob), ground=ground_of(mask), classes=CLASSES, block_px=2)
    assert batch.mean_prob == pytest.approx([0.6], rel=1e-6)


@pytest.mark.parametrize("block_px", [16, 1000])
def test_areas_in_degrees_are_those_on_the_ellipsoid(block_px):
    row, col = np.indices((120, 120))
    mask = (np.hypot(row - 50, col - 60) < 40).astype(np.uint8)
    mask[45:52, 40:80] = 0
    transform = Affine(1e-5, 0, 12.0, 0, -1e-5, 55.0)
    ground = ground_of(mask, transform, CRS.from_epsg(4326).to_wkt())
    batches = traced(mask, block_px=block_px, ground=ground)
    geod = Geod(ellps="WGS84")
    for batch in batches:
        for polygon, area, perimeter in zip(batch.geometry, batch.area_m2, batch.perimeter_m, strict=True):
            true_area, _ = geod.geometry_area_perimeter(polygon)
            true_perimeter = sum(
                geod.geometry_length(ring) for ring in (polygon.exterior, *polygon.interiors)
            )
            assert area == pytest.approx(true_area, rel=1e-7)
            assert perimeter == pytest.approx(true_perimeter, rel=1e-6)


@pytest.mark.parametrize("size", [(20_000, 40), (40, 20_000)], ids=str)
def test_pixel_areas_along_a_hundred_kilometres_are_those_on_the_ellipsoid(size):
    step = 4.5e-5  # about 5 m
    ground = Ground(Affine(step, 0, 12.0, 0, -step, 55.0), CRS.from_epsg(4326).to_wkt(), *size)
    row, col = (np.linspace(0, n, 200) for n in size)
    found = GroundField.over(ground).at(row, col)[:, 2]
    a, e2 = Geod(ellps="WGS84").a, Geod(ellps="WGS84").es
    latitude = np.radians(55.0 - step * row)
    meridian, normal = (a * np.sqrt(1 - e2 * np.sin(latitude) ** 2) ** -k for k in (3, 1))
    true = (1 - e2) * meridian * normal * np.cos(latitude) * math.radians(step) ** 2
    np.testing.assert_allclose(found, true, rtol=1e-6)


def test_areas_in_web_mercator_and_in_feet_are_true_square_metres():
    mask = np.ones((10, 10), np.uint8)
    mercator = ground_of(mask, Affine(1, 0, 1.4e6, 0, -1, 7.3e6), CRS.from_epsg(3857).to_wkt())
    (batch,) = traced(mask, ground=mercator)
    assert batch.area_m2[0] == pytest.approx(mercator.area_m2(batch.geometry)[0], rel=1e-6)
    assert batch.area_m2[0] < 40
    feet = ground_of(mask, Affine(1, 0, 6e6, 0, -1, 2e6), CRS.from_epsg(2229).to_wkt())
    (batch,) = traced(mask, ground=feet)
    assert batch.area_m2[0] == pytest.approx(100 * (1200 / 3937) ** 2, rel=1e-12)


def test_every_pixel_is_read_once():
    source = RecordedMask(np.ones((50, 70), np.uint8))
    list(trace(source, ground=ground_of(source.mask), classes=CLASSES, block_px=16))
    reads = np.zeros((50, 70), int)
    for window in source.windows:
        reads[window.slices] += 1
    assert (reads == 1).all()


def test_memory_follows_the_block_not_the_length_of_the_raster(monkeypatch):
    held = []
    join = seams.join

    def watched(frontier, parts):
        following, closed = join(frontier, parts)
        held.append(int(following.spans.n_corners.sum()))  # that wait for the rest of their component
        return following, closed

    monkeypatch.setattr(sys.modules[trace.__module__], "join", watched)
    mask = (np.random.default_rng(7).random((4096, 64)) < 0.3).astype(np.uint8)
    n = sum(len(b) for b in traced(mask, block_px=64))
    assert n > 10_000
    assert len(held) == 64
    assert max(held) < 2 * 64 * 8  # some specks on each side of one seam
    assert held[-1] == 0


def test_outlines_that_are_open_for_long_wait_on_disk(monkeypatch):
    """Rows down the whole field are open until its end."""
    at_hand, on_disk = [], []
    make_room, append, clear = PieceStore._make_room, Scratch.append, Scratch.clear

    def watched(store):
        make_room(store)
        at_hand.append(sum(block.n_bytes for block in store._blocks.values()))

    monkeypatch.setattr(pieces, "AT_HAND_BYTES", 5_000)
    monkeypatch.setattr(PieceStore, "_make_room", watched)
    monkeypatch.setattr(
        Scratch, "append", lambda scratch, data: on_disk.append(len(data)) or append(scratch, data)
    )
    monkeypatch.setattr(Scratch, "clear", lambda scratch: on_disk.append(0) or clear(scratch))
    wave = np.random.default_rng(7).integers(4, 8, (2048, 8))
    mask = np.concatenate([np.arange(10) < wave[:, k : k + 1] for k in range(8)], axis=1).astype(np.uint8)
    (whole,) = traced(mask, block_px=4096)
    assert not at_hand
    batches = traced(mask, block_px=64)
    assert max(at_hand) <= 5_000
    assert sum(on_disk) > 10 * 5_000
    assert on_disk[-1] == 0  # nothing of it is kept once all are closed
    found = np.concatenate([b.geometry for b in batches])
    assert shapely.equals_exact(found, whole.geometry).all()


def test_a_full_temporary_folder_stops_the_tracing_with_a_remedy(monkeypatch):
    def full(*_args, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pieces, "AT_HAND_BYTES", 0)
    monkeypatch.setattr(tempfile, "TemporaryFile", full)
    with pytest.raises(OutputError, match=r"outlines that are still open .*No space left") as refused:
        traced(np.ones((64, 8), np.uint8), block_px=32)
    assert "TMPDIR" in refused.value.remedy


def test_a_process_without_a_temporary_folder_says_so(monkeypatch):
    def nowhere(*_args, **_options):
        raise FileNotFoundError(2, "No usable temporary directory found")

    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(tempfile, "gettempdir", nowhere)
    monkeypatch.setattr(tempfile, "TemporaryFile", nowhere)
    with pytest.raises(OutputError, match=r"there is none.*No usable temporary") as refused:
        Scratch("holes that are filled")
    assert "TMPDIR" in refused.value.remedy
    assert "name one in TMPDIR" in shortage(10**9)


def test_want_of_temporary_space_is_foreseen_for_large_rasters_alone(monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 0, 100_000_000))
    assert shortage(128_000_000) is None
    assert shortage(800_000_000) is None
    assert "100 MB free" in shortage(808_000_000)
    assert "about 101 MB" in shortage(808_000_000)


def test_what_a_row_of_blocks_completes_is_made_in_bounded_groups_and_in_the_same_order(monkeypatch):
    mask = np.random.default_rng(7).choice([0, 0, 0, 1, 2], (48, 1024)).astype(np.uint8)
    whole = traced(mask, block_px=16)
    n_blocks, n_largest = 3 * 64, 200  # corners of the largest component of that noise, and more
    made = []
    make = BatchMaker.make

    def watched(maker, pieces, components):
        made.append(len(pieces.corners))
        return make(maker, pieces, components)

    monkeypatch.setattr(BatchMaker, "make", watched)
    monkeypatch.setattr(sys.modules[trace.__module__], "CLOSED_AT_ONCE", 400)
    grouped = traced(mask, block_px=16)
    assert len(made) > n_blocks + 3 * 3
    assert max(made) < 400 + n_largest
    for name in ("geometry", "class_id", "pixels", "area_m2", "centroid_x"):
        parts = [np.concatenate([getattr(b, name) for b in batches]) for batches in (whole, grouped)]
        np.testing.assert_array_equal(*parts)


def test_progress_is_told_in_pixels():
    events: list[Event] = []
    traced(np.ones((30, 20), np.uint8), block_px=16, listener=events.append)
    assert events[0] == StageStarted("vectorize", 600, "px")
    assert sum(e.amount for e in events if isinstance(e, StageAdvanced)) == 600
    assert events[-1] == StageFinished("vectorize")


def test_a_class_without_a_name_is_refused():
    with pytest.raises(InputError, match="holds class 7") as caught:
        traced(np.full((3, 3), 7, np.uint8))
    assert "name every class" in caught.value.remedy


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"block_px": 0}, "blocks of 0 px"),
        ({"ground": Ground(PIXELS, LOCAL, 3, 3)}, "4 × 4 px, but its ground 3 × 3"),
    ],
)
def test_options_out_of_range_are_refused_before_any_work(options, message):
    mask = np.ones((4, 4), np.uint8)
    with pytest.raises(InputError, match=message):
        trace(RecordedMask(mask), **{"ground": ground_of(mask), **options}, classes=CLASSES)


def test_a_source_that_returns_another_shape_names_the_window():
    class Short(RecordedMask):
        def read_mask(self, window):
            return super().read_mask(window)[:-1]

    mask = np.ones((4, 4), np.uint8)
    with pytest.raises(ReadError, match=r"rows 0–3, columns 0–3 came back as \(3, 4\)"):
        list(trace(Short(mask), ground=ground_of(mask), classes=CLASSES))
