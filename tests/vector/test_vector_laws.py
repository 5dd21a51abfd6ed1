"""Laws 6 and 7: the area of the mask is the area of its polygons, and blocks leave no trace."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pytest
import rasterio.features
import shapely
from affine import Affine
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pyproj import CRS

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.trace import trace

UTM = CRS.from_epsg(32633).to_wkt()
SQUARE = Affine(0.5, 0, 500_000, 0, -0.5, 5_000_000)
CLASSES = ("background", "crop", "weed", "tree")


@dataclass(frozen=True)
class ArrayMask:
    """A mask in memory."""

    mask: npt.NDArray[np.uint8]
    prob: npt.NDArray[np.float32] | None = None

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


def traced(
    mask: npt.NDArray[np.uint8],
    block_px: int,
    *,
    transform: Affine = SQUARE,
    crs: str = UTM,
    prob: npt.NDArray[np.float32] | None = None,
) -> list[CanopyBatch]:
    ground = Ground(transform, crs, *mask.shape)
    return list(trace(ArrayMask(mask, prob), ground=ground, classes=CLASSES, block_px=block_px))


def geometries(batches: list[CanopyBatch]) -> npt.NDArray[np.object_]:
    return np.concatenate([np.empty(0, object), *(b.geometry for b in batches)])


def polygons(batches: list[CanopyBatch]) -> set[tuple[int, bytes]]:
    """Class and exact rings, start vertices and order of the holes included."""
    return {(int(k), shapely.to_wkb(g)) for b in batches for k, g in zip(b.class_id, b.geometry, strict=True)}


def spiral(n: int) -> npt.NDArray[np.uint8]:
    """One pixel wide, one pixel apart: a single component with a very long outline."""
    mask = np.zeros((n, n), np.uint8)
    row, col, dr, dc = 0, 0, 0, 1
    mask[0, 0] = 1
    for length in (k for pair in zip(range(n - 1, 0, -2), range(n - 1, 0, -2), strict=True) for k in pair):
        for _ in range(length):
            row, col = row + dr, col + dc
            mask[row, col] = 1
        dr, dc = dc, -dr
    return mask


def targets(n: int) -> npt.NDArray[np.uint8]:
    """Rings in rings: every component but the innermost has a hole with another one in it."""
    row, col = np.indices((n, n))
    distance = np.minimum.reduce([row, col, n - 1 - row, n - 1 - col])
    return (1 - distance % 2).astype(np.uint8)


def lattice(n: int) -> npt.NDArray[np.uint8]:
    """Diagonal neighbours everywhere along bars: shells and holes that touch themselves in vertices."""
    row, col = np.indices((n, n))
    return ((row % 3 == 0) | (col % 3 == 0) | ((row + col) % 3 == 0)).astype(np.uint8)


small_sides = st.integers(1, 18)
masks = st.one_of(
    hnp.arrays(
        np.uint8, st.tuples(small_sides, small_sides), elements=st.sampled_from([0, 0, 1, 1, 2, 3, 255])
    ),
    hnp.arrays(np.uint8, st.tuples(small_sides, small_sides), elements=st.sampled_from([0, 1, 1])),
    st.builds(
        lambda seed, h, w, share: (np.random.default_rng(seed).random((h, w)) < share).astype(np.uint8),
        st.integers(0, 2**32 - 1),
        st.integers(1, 40),
        st.integers(1, 40),
        st.sampled_from([0.3, 0.5, 0.59, 0.7, 0.9]),
    ),
    st.builds(
        lambda seed: np.random.default_rng(seed).choice([0, 1, 2, 255], (30, 30)).astype(np.uint8),
        st.integers(0, 99),
    ),
    st.builds(lambda make, n: make(n), st.sampled_from([spiral, targets, lattice]), st.integers(1, 24)),
)


@st.composite
def masks_and_blocks(draw):
    """A mask and a block size that cuts it into at most some dozen blocks."""
    mask = draw(masks)
    return mask, max(draw(st.sampled_from([1, 2, 3, 5, 8, 13, 64])), max(mask.shape) // 6)


@settings(max_examples=80, deadline=None)
@given(masks_and_blocks())
def test_polygons_of_joined_blocks_are_those_of_the_whole_mask(cut):
    mask, block_px = cut
    assert polygons(traced(mask, block_px)) == polygons(traced(mask, 64))


@settings(max_examples=80, deadline=None)
@given(masks_and_blocks())
def test_area_of_polygons_is_area_of_pixels_by_class_and_component(cut):
    mask, block_px = cut
    batches = traced(mask, block_px)
    expected = rasterio.features.shapes(
        mask, mask=(mask != 0) & (mask != 255), transform=SQUARE, connectivity=4
    )
    expected = sorted((int(k), shapely.geometry.shape(g).area) for g, k in expected)
    for areas in (lambda b: b.area_m2, lambda b: shapely.area(b.geometry), lambda b: b.pixels * 0.25):
        found = sorted((int(k), float(a)) for b in batches for k, a in zip(b.class_id, areas(b), strict=True))
        assert found == expected
    for k in (1, 2, 3):
        total = sum(b.area_m2[b.class_id == k].sum() for b in batches)
        assert total == np.count_nonzero(mask == k) * 0.25


@settings(max_examples=80, deadline=None)
@given(
    masks_and_blocks(),
    st.sampled_from([SQUARE, Affine(0.3, 0.4, 1e6, 0.4, -0.3, 5e6), Affine(1, 0, 3, 0, 1, 9)]),
)
def test_every_polygon_is_valid_and_its_shell_runs_counter_clockwise(cut, transform):
    mask, block_px = cut
    found = geometries(traced(mask, block_px, transform=transform))
    assert shapely.is_valid(found).all()
    assert (shapely.get_type_id(found) == shapely.GeometryType.POLYGON).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(found)).all()
    assert not any(shapely.is_ccw(hole) for g in found for hole in g.interiors)


@settings(max_examples=40, deadline=None)
@given(masks_and_blocks())
def test_rasterized_polygons_are_the_mask(cut):
    mask, block_px = cut
    batches = traced(mask, block_px)
    back = np.zeros_like(mask)
    shapes = [(g, int(k)) for b in batches for g, k in zip(b.geometry, b.class_id, strict=True)]
    if shapes:
        rasterio.features.rasterize(shapes, out=back, transform=SQUARE)
    np.testing.assert_array_equal(back, np.where(mask == 255, 0, mask))


@settings(max_examples=40, deadline=None)
@given(masks_and_blocks())
def test_perimeters_are_the_lengths_of_all_rings(cut):
    mask, block_px = cut
    for batch in traced(mask, block_px, transform=Affine(0.25, 0, 500_000, 0, -0.5, 5e6)):
        np.testing.assert_allclose(batch.perimeter_m, shapely.length(batch.geometry), rtol=1e-9)


@settings(max_examples=40, deadline=None)
@given(masks_and_blocks(), st.integers(0, 99))
def test_mean_probability_is_that_of_the_pixels(cut, seed):
    mask, block_px = cut
    prob = np.random.default_rng(seed).random(mask.shape, np.float32)
    for batch in traced(mask, block_px, prob=prob):
        for polygon, mean in zip(batch.geometry, batch.mean_prob, strict=True):
            inside = rasterio.features.geometry_mask([polygon], mask.shape, SQUARE, invert=True)
            assert mean == pytest.approx(prob[inside].mean(dtype=np.float64), rel=1e-9)
