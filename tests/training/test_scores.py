"""Measures and baseline, on masks small enough to count by hand."""

import warnings

import numpy as np
import pytest

from training.excess_green import (
    chromatic_excess_green,
    excess_green,
    exg_fixed,
    exg_otsu,
    otsu_threshold,
)
from training.scores import IGNORE, Counts, Truth, boundary, boundary_reach_px
from training.scores import count as count_against


def square(size, rows, cols):
    mask = np.zeros((size, size), np.uint8)
    mask[rows, cols] = 1
    return mask


def count(prediction, truth):
    return count_against(prediction, Truth.of(truth))


def test_the_confusion_of_two_squares_that_overlap_by_half():
    counts = count(square(10, slice(0, 4), slice(2, 6)), square(10, slice(0, 4), slice(0, 4)))
    assert (counts.true_positive, counts.false_positive, counts.false_negative) == (8, 8, 8)
    assert counts.true_negative == 76
    assert counts.vegetation_iou == pytest.approx(8 / 24)
    assert counts.background_iou == pytest.approx(76 / 92)
    assert counts.miou == pytest.approx((8 / 24 + 76 / 92) / 2)


def test_the_boundary_of_a_square_is_its_rim():
    mask = square(9, slice(2, 7), slice(2, 7))
    assert boundary(mask, 1).sum() == 16
    assert boundary(mask, 2).sum() == 24
    assert boundary(mask, 3).sum() == 25


def test_the_rim_of_the_picture_is_no_boundary():
    assert not boundary(np.ones((6, 6), np.uint8), 2).any()
    mask = square(8, slice(0, 8), slice(0, 4))
    assert np.array_equal(np.flatnonzero(boundary(mask, 1).any(axis=0)), [3])


def test_boundary_iou_of_a_shifted_square():
    truth, prediction = square(10, slice(2, 7), slice(2, 7)), square(10, slice(2, 7), slice(3, 8))
    counts = count(prediction, truth)
    # Reach 1 px: rings of 16; they share the four inner pixels of the top and of the bottom edge.
    assert boundary_reach_px(truth.shape) == 1
    assert counts.boundary_overlap == 8
    assert counts.boundary_iou == pytest.approx(8 / 24)


def test_a_perfect_mask_scores_one_and_nothing_found_in_nothing_too():
    mask = square(10, slice(2, 7), slice(2, 7))
    assert set(count(mask, mask).as_scores().values()) == {1.0}
    empty = np.zeros((10, 10), np.uint8)
    assert set(count(empty, empty).as_scores().values()) == {1.0}
    assert count(mask, empty).vegetation_iou == 0.0


def test_counts_are_summed_before_they_are_divided():
    small, large = Counts(true_positive=1, false_positive=1), Counts(true_positive=98)
    assert (small + large).vegetation_iou == pytest.approx(0.99)


def test_the_reach_grows_with_the_picture_but_not_with_an_orthomosaic():
    assert boundary_reach_px((20, 20)) == 1
    assert boundary_reach_px((640, 640)) == 5
    assert boundary_reach_px((720, 960)) == 6
    assert boundary_reach_px((4000, 9000)) == 6


def test_unknown_pixels_are_in_no_count():
    rng = np.random.default_rng(4)
    truth, prediction = (rng.integers(0, 2, (30, 40)).astype(np.uint8) for _ in range(2))
    unknown = rng.random((30, 40)) < 0.3
    truth[unknown] = IGNORE
    counts = count(prediction, truth)
    known = ~unknown
    assert counts.true_positive == np.sum((prediction == 1) & (truth == 1))
    assert counts.false_positive == np.sum((prediction == 1) & (truth == 0))
    total = counts.true_positive + counts.false_positive + counts.false_negative + counts.true_negative
    assert total == known.sum()
    # Whatever a method says there, nothing moves: neither numerators nor denominators.
    assert count(np.where(unknown, 1 - prediction, prediction), truth) == counts


def test_the_edge_of_the_unknown_is_no_boundary():
    truth = np.full((12, 12), IGNORE, np.uint8)
    truth[:, 3:9] = 1
    assert count(np.ones((12, 12), np.uint8), truth).boundary_union == 0
    truth[:, 8] = 0
    assert count(np.ones((12, 12), np.uint8), truth).boundary_overlap == 0
    assert Truth.of(truth).rim.any()


def test_coverage_is_the_share_of_plants_in_what_is_known():
    truth = np.array([[1, 2, 0, 0, IGNORE, IGNORE]], np.uint8)
    assert Truth.of(truth).coverage == 0.5


def test_miou_is_that_of_torchmetrics():
    torch = pytest.importorskip("torch")
    with warnings.catch_warnings():
        # Its own imports warn about a coming change of pkg_resources.
        warnings.simplefilter("ignore")
        classification = pytest.importorskip("torchmetrics.classification")
    rng = np.random.default_rng(2)
    prediction, truth = (rng.integers(0, 2, (40, 50)).astype(np.uint8) for _ in range(2))
    metric = classification.MulticlassJaccardIndex(num_classes=2)
    expected = float(metric(torch.from_numpy(prediction), torch.from_numpy(truth)))
    assert count(prediction, truth).miou == pytest.approx(expected, abs=1e-6)


def test_excess_green_of_pure_colours():
    colours = np.array([[[0, 255, 0], [255, 0, 0], [90, 90, 90], [0, 0, 0]]], np.uint8)
    np.testing.assert_allclose(excess_green(colours), [[510.0, -255.0, 0.0, 0.0]])


def test_chromatic_excess_green_does_not_depend_on_exposure():
    colours = np.array([[[10, 60, 20], [40, 240, 80], [0, 0, 0], [7, 7, 7]]], np.uint8)
    index = chromatic_excess_green(colours)
    assert index[0, 0] == pytest.approx(index[0, 1]) == pytest.approx((120 - 30) / 90)
    assert index[0, 2] == index[0, 3] == 0.0
    np.testing.assert_array_equal(exg_fixed(colours), [[1, 1, 0, 0]])


def test_what_is_unknown_has_no_say_in_otsus_threshold():
    rng = np.random.default_rng(3)
    image = rng.integers(90, 110, (20, 40, 3)).astype(np.uint8)
    image[:, :10, 1] += 60
    known = np.ones((20, 40), bool)
    known[:, 20:] = False
    image[:, 20:] = (0, 255, 0)
    assert exg_otsu(image, known)[:, :20].sum() == 200
    assert exg_otsu(image)[:, :20].sum() == 0


def test_otsu_separates_two_heaps():
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0.0, 0.05, 3000), rng.normal(1.0, 0.05, 1000)])
    assert 0.2 < otsu_threshold(values) < 0.8


def test_otsu_of_equal_values_finds_nothing():
    grey = np.full((5, 5, 3), 100, np.uint8)
    assert exg_otsu(grey).sum() == 0


def test_the_baseline_finds_green_on_brown():
    rng = np.random.default_rng(1)
    truth = square(64, slice(20, 40), slice(10, 50))
    image = np.where(truth[..., None] == 1, (60, 140, 50), (120, 90, 70))
    image = np.clip(image + rng.normal(0, 4, image.shape), 0, 255).astype(np.uint8)
    assert count(exg_otsu(image), truth).miou > 0.99
