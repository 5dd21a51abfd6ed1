"""Augmentation: the same draw gives the same crop, mask and image stay together, and plants stay plants."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import ndimage

from training import camera, scene
from training.augment import Augmentation, _draw_scale, cut, make_crop
from training.data import CERTAIN, UNKNOWN
from training.pool import Pool, Sample

PLAIN = Augmentation(
    crop_px=64,
    far=0.0,
    rotate=0.0,
    paste=0.0,
    canopy=0.0,
    soil=0.0,
    plant=0.0,
    objects=0.0,
    shadow=0.0,
    light=0.0,
    blur=0.0,
    sharpen=0.0,
    noise=0.0,
    jpeg=0.0,
)
EFFECTS = [
    scene.shift_soil,
    scene.shift_plants,
    scene.add_object,
    scene.cast_shadow,
    camera.change_light,
    camera.blur,
    camera.sharpen,
    camera.add_noise,
    camera.compress,
]


def pair(height=120, width=160, seed=0):
    """Bright green discs on dark red soil."""
    rng = np.random.default_rng(seed)
    rows, cols = np.mgrid[0:height, 0:width]
    mask = np.zeros((height, width), np.uint8)
    for _ in range(6):
        row, col, radius = rng.integers(height), rng.integers(width), rng.integers(8, 20)
        mask |= ((rows - row) ** 2 + (cols - col) ** 2 < radius**2).astype(np.uint8)
    image = np.where(mask[..., None] == 1, (40, 220, 40), (90, 40, 30)).astype(np.uint8)
    return Sample(image, mask * np.uint8(CERTAIN))


@pytest.fixture
def pool():
    return Pool(
        {"a": ((pair(), pair(seed=1)), (pair(seed=2),)), "b": ((pair(90, 200, seed=3),),)}, {"a": 3, "b": 1}
    )


@pytest.mark.parametrize("seed", range(12))
def test_the_same_generator_state_gives_the_same_crop(pool, seed):
    plan = Augmentation(crop_px=64)
    first, second = (make_crop(pool, plan, np.random.default_rng(seed)) for _ in range(2))
    assert first.strong.shape == first.weak.shape == (64, 64, 3)
    assert first.target.shape == (64, 64)
    assert first.strong.dtype == first.weak.dtype == first.target.dtype == np.uint8
    assert set(np.unique(first.target)) <= {0, CERTAIN}
    np.testing.assert_array_equal(first.strong, second.strong)
    np.testing.assert_array_equal(first.weak, second.weak)
    np.testing.assert_array_equal(first.target, second.target)


@pytest.mark.parametrize(
    ("far", "dataset", "low", "high"),
    [(0.0, "a", 0.5, 2.0), (1.0, "a", 0.1, 0.3), (0.0, "made", 0.7, 1.5), (1.0, "made", 0.7, 1.5)],
)
def test_scales_fill_the_range_of_their_kind_and_none_lies_beyond(far, dataset, low, high):
    plan, rng = Augmentation(far=far, ready=("made",)), np.random.default_rng(0)
    scales = [_draw_scale(plan, dataset, rng) for _ in range(1000)]
    assert low <= min(scales) < 1.01 * low
    assert 0.99 * high < max(scales) <= high


def test_effects_change_one_view_and_not_the_other(pool):
    crop = make_crop(pool, replace(PLAIN, light=1.0), np.random.default_rng(0))
    plain = make_crop(pool, PLAIN, np.random.default_rng(0))
    assert not np.array_equal(crop.strong, crop.weak)
    np.testing.assert_array_equal(plain.strong, plain.weak)


@pytest.mark.parametrize("rotate", [0.0, 1.0])
def test_unknown_pixels_stay_unknown_wherever_they_are_turned(rotate):
    blue = pair(seed=4)
    target = blue.target.copy()
    target[30:90, 40:120] = UNKNOWN
    image = blue.image.copy()
    image[30:90, 40:120] = (0, 0, 255)
    plan = replace(PLAIN, scale=(0.7, 0.9), rotate=rotate)
    for seed in range(4):
        pixels, known = cut(Sample(image, target), plan, np.random.default_rng(seed))
        inside = ndimage.binary_erosion(pixels[..., 2] > 0.95, iterations=1)
        assert (known[inside] == UNKNOWN).all()
        assert (known == UNKNOWN).mean() < (pixels[..., 2] > 0.3).mean() + 0.1


def test_a_teachers_doubts_are_kept_and_its_ground_is_not_planted():
    rng = np.random.default_rng(0)
    image = rng.integers(0, 255, (120, 160, 3)).astype(np.uint8)
    sample = Sample(image, np.full((120, 160), 90, np.uint8), "told", soft=True, guess=True)
    sure = pair()
    pool = Pool({"told": ((sample,),), "sure": ((sure,),)}, {"told": 1.0, "sure": 1e-9})
    crop = make_crop(pool, replace(PLAIN, paste=1.0, canopy=1.0, objects=1.0), rng)
    assert crop.guess
    assert set(np.unique(crop.target)) == {90}


@pytest.mark.parametrize("scale", [0.1, 0.3, 0.7, 1.0, 1.7, 3.0])
@pytest.mark.parametrize("rotate", [0.0, 1.0])
def test_image_and_mask_stay_together_at_every_scale_and_angle(pool, scale, rotate):
    plan = replace(PLAIN, scale=(scale, scale), rotate=rotate)
    for seed in range(4):
        crop = make_crop(pool, plan, np.random.default_rng(seed))
        green = crop.strong[..., 1] > 130
        assert np.mean(green == (crop.target == CERTAIN)) > 0.97


@pytest.mark.parametrize("effect", EFFECTS)
@pytest.mark.parametrize("seed", range(6))
def test_every_effect_keeps_shape_type_and_range(effect, seed):
    decoded = pair(64, 64)
    image, mask = effect(decoded.image.astype(np.float32) / 255, decoded.target, np.random.default_rng(seed))
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.float32
    assert -0.01 <= image.min() <= image.max() <= 1.01
    assert mask.shape == (64, 64)
    assert mask.dtype == np.uint8


@pytest.mark.parametrize("effect", [e for e in EFFECTS if e is not scene.add_object])
def test_only_objects_change_the_mask(effect):
    decoded = pair(64, 64)
    _, mask = effect(decoded.image.astype(np.float32) / 255, decoded.target, np.random.default_rng(0))
    assert mask is decoded.target


def test_an_object_is_never_vegetation():
    everything = np.full((64, 64), CERTAIN, np.uint8)
    _, mask = scene.add_object(np.zeros((64, 64, 3), np.float32), everything, np.random.default_rng(0))
    assert 0 < np.sum(mask == 0) < mask.size


def test_effects_leave_their_arguments_alone():
    decoded = pair(64, 64)
    image, before = decoded.image.astype(np.float32) / 255, decoded.image.astype(np.float32) / 255
    for effect in EFFECTS:
        effect(image, decoded.target, np.random.default_rng(1))
    np.testing.assert_array_equal(image, before)


def test_pasted_plants_are_on_the_mask(pool):
    rng = np.random.default_rng(0)
    bare = (np.zeros((64, 64, 3), np.float32), np.zeros((64, 64), np.uint8))
    other = cut(pair(), replace(PLAIN, scale=(0.6, 0.6)), rng)
    image, mask = scene.paste_plants(*bare, other, rng)
    np.testing.assert_array_equal(mask, other[1])
    assert image[mask == CERTAIN].mean() > 3 * image[mask == 0].mean()


def test_groups_are_drawn_equally_whatever_their_number_of_frames():
    flat = {
        value: Sample(np.full((2, 2, 3), value, np.uint8), np.zeros((2, 2), np.uint8)) for value in (1, 2)
    }
    pool = Pool({"a": ((flat[1],) * 50, (flat[2],))}, {"a": 1.0})
    rng = np.random.default_rng(0)
    drawn = [int(pool.draw(rng).image[0, 0, 0]) for _ in range(400)]
    assert 150 < drawn.count(2) < 250


@pytest.mark.parametrize("cover", [0.5, 0.9])
def test_stacked_leaves_close_the_canopy_and_are_on_the_mask(cover):
    rng = np.random.default_rng(3)
    soil, leaf = np.float32([0.5, 0.4, 0.3]), np.float32([0.1, 0.9, 0.1])
    mask = np.zeros((64, 64), np.uint8)
    mask[20:44, 16:40] = CERTAIN
    image = np.where(mask[..., None], leaf, soil).astype(np.float32)
    closed, target = scene.close_canopy(image, mask, (image, mask), cover, rng)
    plants = scene.is_plant(target)
    assert plants.mean() >= cover
    # Green stays green and soil stays soil, however dark; rims are blends.
    inner = ndimage.binary_erosion(plants, iterations=3)
    assert (closed[inner][:, 1] > 2 * closed[inner][:, 0]).mean() > 0.95
