"""Laws 6, 7 and 8 with every way to draw outlines: filled holes, level lines, simplification."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pyproj import CRS
from scipy import ndimage
from vector import watershed

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector import pieces, simplify
from cropseg_geo.vector.ahead import Threads
from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.options import Outlines
from cropseg_geo.vector.parting import basins, split
from cropseg_geo.vector.trace import trace

UTM = CRS.from_epsg(32633).to_wkt()
SQUARE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
TURNED = Affine(0.3, 0.4, 500_000, 0.4, -0.3, 5_000_000)
SHEARED = Affine(0.5, 0.2, 500_000, 0.1, -0.4, 5_000_000)
CLASSES = ("background", "crop", "weed", "tree")


@dataclass(frozen=True)
class ProbableMask:
    """A mask in memory with its probability and threshold."""

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


def traced(source: ProbableMask, block_px: int = 64, *, transform: Affine = SQUARE, **options):
    ground = Ground(transform, UTM, source.height, source.width)
    batches = trace(source, ground=ground, classes=CLASSES, options=Outlines(**options), block_px=block_px)
    return list(batches)


def geometries(batches: list[CanopyBatch]) -> npt.NDArray[np.object_]:
    return np.concatenate([np.empty(0, object), *(b.geometry for b in batches)])


def rows(batches: list[CanopyBatch]) -> list[tuple[object, ...]]:
    """Everything of every polygon, in an order of its own."""
    found = []
    for b in batches:
        mean = np.nan_to_num(b.mean_prob, nan=-1.0)
        numbers = zip(b.area_m2, b.perimeter_m, b.centroid_x, b.centroid_y, mean, strict=True)
        for k, g, px, ns in zip(b.class_id, b.geometry, b.pixels, numbers, strict=True):
            found.append((int(k), shapely.to_wkb(g), int(px), *(round(float(n), 6) for n in ns)))
    return sorted(found)


@st.composite
def sources(draw, classes=(0, 1)):
    """Blobs, noise, or both, of some classes, with nodata at times; probabilities in half percents."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (draw(st.integers(1, 30)), draw(st.integers(1, 30)))
    noise = rng.random(shape)
    smooth = ndimage.gaussian_filter(noise, draw(st.sampled_from([0.0, 0.7, 1.5])), mode="nearest")
    spread = max(float(np.ptp(smooth)), 1e-9)
    prob = (np.rint((smooth - smooth.min()) / spread * 200) / 200).astype(np.float32)
    mask = (prob >= np.float32(0.5)).astype(np.uint8)
    if len(classes) > 2:
        mask = np.where(
            mask, rng.choice(classes, shape) if draw(st.booleans()) else _bands(shape, classes), 0
        )
        mask = mask.astype(np.uint8)
    if draw(st.booleans()):
        is_nodata = rng.random(shape) < 0.05
        mask[is_nodata], prob[is_nodata] = 255, np.nan
    return ProbableMask(mask, prob)


def _bands(shape, classes):
    return np.take(classes, np.add.outer(np.arange(shape[0]), np.arange(shape[1])) // 5 % len(classes))


blocks = st.sampled_from([3, 5, 8, 13])
fills = st.sampled_from([0.0, 0.3, 1.6, 100.0])


@settings(max_examples=40, deadline=None)
@given(
    st.one_of(sources(), sources((0, 1, 2, 3))),
    blocks,
    st.sampled_from(["pixel", "contour"]),
    fills,
    st.sampled_from([0, 500, pieces.AT_HAND_BYTES]),
)
def test_law_7_outlines_do_not_depend_on_the_blocks(source, block_px, outline, fill, at_hand_bytes):
    """Nor on whether those that are open wait in memory or on disk."""
    options = {"outline": outline, "fill_holes_m2": fill}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pieces, "AT_HAND_BYTES", at_hand_bytes)
        in_blocks = traced(source, block_px, **options)
    assert rows(in_blocks) == rows(traced(source, **options))


@settings(max_examples=40, deadline=None)
@given(sources((0, 1, 2, 3)), blocks, fills)
def test_law_6_areas_count_filled_holes_of_background_and_nothing_twice(source, block_px, fill):
    batches = traced(source, block_px, fill_holes_m2=fill)
    found = geometries(batches)
    assert shapely.is_valid(found).all()
    areas = np.concatenate([np.empty(0), *(b.area_m2 for b in batches)])
    np.testing.assert_allclose(areas, shapely.area(found))
    np.testing.assert_array_equal(areas / 0.25, np.concatenate([np.empty(0), *(b.pixels for b in batches)]))
    # Filled by hand: holes of the unfilled polygons that hold no pixel but background.
    expected = 0.25 * np.count_nonzero((source.mask != 0) & (source.mask != 255))
    for polygon in geometries(traced(source)):
        for ring in polygon.interiors:
            hole = shapely.Polygon(ring)
            inside = rasterio.features.geometry_mask([hole], source.mask.shape, SQUARE, invert=True)
            if hole.area <= fill and not source.mask[inside].any():
                expected += hole.area
    assert areas.sum() == pytest.approx(expected)
    assert shapely.union_all(found).area == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(sources(), blocks, st.sampled_from([SQUARE, TURNED, SHEARED]))
def test_contours_are_valid_apart_from_each_other_and_as_many_as_the_regions(source, block_px, transform):
    batches = traced(source, block_px, outline="contour", transform=transform)
    found = geometries(batches)
    assert len(found) == len(geometries(traced(source)))
    assert shapely.is_valid(found).all()
    assert not any(one.overlaps(other) or one.contains(other) for one, other in combinations(found, 2))
    for b in batches:
        np.testing.assert_allclose(b.area_m2, shapely.area(b.geometry), rtol=1e-6)
        np.testing.assert_allclose(b.perimeter_m, shapely.length(b.geometry), rtol=1e-6)
        centre = shapely.centroid(b.geometry)
        np.testing.assert_allclose(shapely.get_x(centre), b.centroid_x, atol=1e-4)
        np.testing.assert_allclose(shapely.get_y(centre), b.centroid_y, atol=1e-4)


@settings(max_examples=40, deadline=None)
@given(
    sources((0, 1, 2, 3)),
    st.sampled_from([3, 7, 64]),
    st.sampled_from([0.4, 1.0, 3.0]),
    st.sampled_from(["pixel", "contour"]),
)
def test_law_8_simplification_keeps_shared_edges_shared(source, tile_px, simplify_m, outline):
    before = traced(source, outline=outline)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplify, "TILE_PX", tile_px)
        after = traced(source, outline=outline, simplify_m=simplify_m)
    whole, fewer = geometries(before), geometries(after)
    assert len(whole) == len(fewer)
    assert shapely.is_valid(fewer).all()
    # No overlap, and no gap where there was none: edges that two polygons share are the same points.
    assert shapely.coverage_is_valid(fewer)
    n_tiles = (source.height // tile_px + 1) * (source.width // tile_px + 1)
    added = 8 * n_tiles * tile_px  # crossings of the lattice stay as points
    assert shapely.get_num_coordinates(fewer).sum() <= shapely.get_num_coordinates(whole).sum() + added
    # Each removed triangle is smaller than the square of the tolerance.
    change = abs(sum(shapely.area(fewer)) - sum(shapely.area(whole)))
    assert change <= simplify_m**2 * shapely.get_num_coordinates(whole).sum()
    for b in after:
        np.testing.assert_allclose(b.area_m2, shapely.area(b.geometry), rtol=1e-6)


@st.composite
def plants(draw):
    """Discs that overlap here and there, some of them cut by nodata."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    row, col = np.indices((draw(st.integers(20, 60)), draw(st.integers(20, 60))))
    height = np.full(row.shape, -np.inf)
    for _ in range(draw(st.integers(1, 8))):
        r, c = rng.random(2) * row.shape
        height = np.maximum(height, rng.uniform(3, 10) - np.hypot(row - r, col - c))
    prob = np.clip(np.rint(100 + 20 * height) / 200, 0, 1).astype(np.float32)
    mask = (prob >= np.float32(0.5)).astype(np.uint8)
    mask[rng.random(mask.shape) < draw(st.sampled_from([0.0, 0.01]))] = 0
    if draw(st.booleans()):
        mask *= _bands(mask.shape, (1, 1, 1, 2)).astype(np.uint8)
    return ProbableMask(mask, prob)


@settings(max_examples=40, deadline=None)
@given(
    plants(),
    st.sampled_from([7, 16, 33]),
    st.sampled_from(["pixel", "contour"]),
    fills,
    st.sampled_from([5, 11, 24]),
    st.sampled_from([0, 500, pieces.AT_HAND_BYTES]),
)
def test_laws_6_to_8_hold_for_plants_that_are_parted(source, block_px, outline, fill, tile_px, at_hand_bytes):
    options = {"outline": outline, "fill_holes_m2": fill}
    whole = traced(source, objects="split", **options)
    with pytest.MonkeyPatch.context() as patch:
        # Neither the blocks nor the tiles that plants are looked for in change a plant.
        patch.setattr(split, "TILE_PX", tile_px)
        patch.setattr(pieces, "AT_HAND_BYTES", at_hand_bytes)
        parted = traced(source, block_px, objects="split", **options)
    assert rows(parted) == rows(whole)
    found = geometries(parted)
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    together = geometries(traced(source, **options))
    assert len(found) >= len(together)
    if outline == "pixel":
        assert shapely.area(found).sum() == pytest.approx(shapely.area(together).sum())
    assert sum(b.pixels.sum() for b in parted) == sum(b.pixels.sum() for b in traced(source, **options))


# Without its small holes it is other plants, and simplified they are not as large as with all their points.
PIERCED = """
.......###..
.......#.#..
.....##.##..
.....#.#.#..
....#######.
..###.#.##..
..##.#.###..
.#.#####..#.
.##.#.#.#.#.
..##.##.#.#.
...########.
"""
pierced = ProbableMask(np.array([[c == "#" for c in row] for row in PIERCED.split()], np.uint8))


@settings(max_examples=40, deadline=None)
@example(pierced, 64, "pixel", 0.3, 1.0)
@given(
    plants(),
    st.sampled_from([7, 16, 64]),
    st.sampled_from(["pixel", "contour"]),
    fills,
    st.sampled_from([0.4, 1.0, 3.0]),
)
def test_law_8_holds_for_plants_that_are_parted_and_simplified(source, tile_px, outline, fill, simplify_m):
    options = {"outline": outline, "fill_holes_m2": fill, "objects": "split"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplify, "TILE_PX", tile_px)
        after = traced(source, simplify_m=simplify_m, **options)
    whole, fewer = geometries(traced(source, **options)), geometries(after)
    assert len(whole) == len(fewer)
    assert shapely.is_valid(fewer).all()
    assert shapely.coverage_is_valid(fewer)
    change = abs(shapely.area(fewer).sum() - shapely.area(whole).sum())
    assert change <= simplify_m**2 * shapely.get_num_coordinates(whole).sum()
    for b in after:
        np.testing.assert_allclose(b.area_m2, shapely.area(b.geometry), rtol=1e-6)


@settings(max_examples=20, deadline=None)
@given(st.one_of(plants(), sources()), st.sampled_from([0.3, 1.6]), st.sampled_from(["touching", "split"]))
def test_which_holes_are_filled_does_not_depend_on_how_outlines_are_drawn(source, fill, objects):
    pixels = {
        tuple(
            sorted(
                px for b in traced(source, fill_holes_m2=fill, objects=objects, **drawn) for px in b.pixels
            )
        )
        for drawn in ({}, {"outline": "contour"}, {"simplify_m": 1.0})
    }
    assert len(pixels) == 1


def crowd(seed: int) -> ProbableMask:
    """Many discs that overlap, of any size down to a few pixels."""
    rng = np.random.default_rng(seed)
    row, col = np.indices((120, 120))
    discs = zip(rng.uniform(0, 120, 90), rng.uniform(0, 120, 90), rng.uniform(2, 9, 90), strict=True)
    return ProbableMask(
        np.any([np.hypot(row - r, col - c) < radius for r, c, radius in discs], 0).astype(np.uint8)
    )


@settings(max_examples=40, deadline=None)
@example(crowd(0), 20, 1.0)
@example(crowd(1), 20, 1.3)
@example(crowd(2), 5, 1.0)
@given(
    st.one_of(plants(), sources(), sources((0, 1, 2, 3))),
    st.sampled_from([2, 3, 6, 20]),
    st.sampled_from([0.7, 1.0, 1.9]),
)
def test_plants_are_those_of_a_watershed_over_the_whole_mask_at_once(source, reach_px, aspect):
    """In tiles, whose distances end at their margin and whose rows come one by one, and in a single tile."""
    lying, standing = watershed.cuts(source.mask, aspect, reach_px)
    for tile_px in (6, split.TILE_PX):
        with pytest.MonkeyPatch.context() as patch, Threads(2) as threads:
            patch.setattr(basins, "REACH_PX", reach_px)
            patch.setattr(split, "TILE_PX", tile_px)
            found = split.cuts_of(source, len(CLASSES), aspect, threads).of_rows(0, source.height)
        assert (found.lying.tolist(), found.standing.tolist()) == (lying, standing)


@settings(max_examples=40, deadline=None)
@given(sources(), fills, st.sampled_from([3, 7, 64]))
def test_law_8_holds_with_filled_holes_and_contours_simplified(source, fill, tile_px):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(simplify, "TILE_PX", tile_px)
        batches = traced(source, outline="contour", fill_holes_m2=fill, simplify_m=0.6)
    found = geometries(batches)
    assert shapely.is_valid(found).all()
    assert shapely.coverage_is_valid(found)
    np.testing.assert_allclose(
        np.concatenate([np.empty(0), *(b.area_m2 for b in batches)]), shapely.area(found), rtol=1e-6
    )
