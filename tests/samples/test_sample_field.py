"""The generated field: the same pixels from any window, and a truth that is what one sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from cropseg_geo.grid import Window
from sample_tiles import field as field_module
from sample_tiles.field import Field
from sample_tiles.heights import NODATA, QUANTUM_M, heights
from sample_tiles.noise import hash_unit, smooth_noise
from sample_tiles.plants import MAX_HEIGHT_CM, sprite
from sample_tiles.render import _REACH, view
from sample_tiles.varieties import STAGES, VARIETIES, WEEDS
from sample_tiles.write import windows_of, write_mosaic, write_plots

FIELD = Field()
# plots of block 4 down to the ragged rim of the survey
RIM = Window(2900, 1250, 420, 460)


def test_hashed_numbers_are_uniform_and_depend_on_every_key() -> None:
    numbers = hash_unit(1, 2, np.arange(20_000))
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts, _ = np.histogram(numbers, bins=10, range=(0, 1))
    assert np.abs(counts - 2000).max() < 200
    assert not np.array_equal(numbers[:5], hash_unit(2, 1, np.arange(5)))


def test_noise_of_a_part_is_the_part_of_the_noise() -> None:
    whole = smooth_noise(Window(-40, 17, 90, 110), 24, 5)
    part = smooth_noise(Window(-13, 60, 30, 41), 24, 5)
    np.testing.assert_array_equal(part, whole[27:57, 43:84])


def test_any_windows_give_the_same_pixels_as_one_big_window() -> None:
    whole = view(FIELD, RIM)
    assert {0, 1, 255} == set(np.unique(whole.truth))
    for part in (
        Window(RIM.row, RIM.col, 101, 257),
        Window(RIM.row + 101, RIM.col + 90, 64, 64),
        Window(RIM.row + 233, RIM.col + 13, 187, 300),
    ):
        seen, at = view(FIELD, part), part.relative_to(RIM).slices
        np.testing.assert_array_equal(seen.rgba, whole.rgba[:, *at])
        np.testing.assert_array_equal(seen.truth, whole.truth[at])


def test_heights_of_a_part_are_the_part_of_the_heights() -> None:
    whole = heights(FIELD, Window(400, 500, 96, 80))
    part = heights(FIELD, Window(431, 533, 40, 31))
    for surface, piece in zip(whole, part, strict=True):
        np.testing.assert_array_equal(piece, surface[31:71, 33:64])


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    window = Window(2000, 2100, 200, 200)
    first = view(FIELD, window)
    sprite.cache_clear()
    field_module._sown.cache_clear()
    again = view(Field(), window)
    assert first.rgba.tobytes() == again.rgba.tobytes()
    assert first.truth.tobytes() == again.truth.tobytes()
    there = FIELD.plants(Window(1500, 1500, 900, 900))
    elsewhere = Field(seed=21).plants(Window(1500, 1500, 900, 900))
    assert not np.array_equal(there.row[:50], elsewhere.row[:50])


def test_truth_is_outside_exactly_where_alpha_is_empty() -> None:
    seen = view(FIELD, RIM)
    np.testing.assert_array_equal(seen.truth == 255, seen.rgba[3] == 0)
    assert set(np.unique(seen.rgba[3])) == {0, 255}
    assert (seen.rgba[:, seen.rgba[3] == 0] == 0).all()


def test_truth_is_the_green_that_one_sees() -> None:
    seen = view(FIELD, Window(1900, 1800, 400, 600))
    red, green, blue = (seen.rgba[k].astype(float) for k in range(3))
    excess = (2 * green - red - blue) / (red + green + blue)
    visible = excess > 0.06
    agreement = (visible == (seen.truth == 1)).mean()
    assert agreement > 0.93


@pytest.mark.parametrize("kind", VARIETIES + WEEDS, ids=lambda kind: kind.name)
def test_sprites_grow_with_the_stage_and_stay_within_the_reach_of_a_window(kind) -> None:
    grown = [sprite(FIELD.seed, kind, stage, 0) for stage in (0, STAGES - 1)]
    small, large = (int((plant.paint[..., 3] >= 0.5).sum()) for plant in grown)
    assert 0 < small < large
    for plant in grown:
        assert plant.height_cm.max() <= MAX_HEIGHT_CM
        assert 0 <= plant.paint[..., 3].min() <= plant.paint[..., 3].max() <= 1
        for row, col, part in (
            (plant.row, plant.col, plant.height_cm),
            (plant.shadow_row, plant.shadow_col, plant.shadow),
        ):
            assert max(-row, -col, row + part.shape[0], col + part.shape[1]) <= _REACH


def test_surface_lies_on_the_terrain_and_rises_over_the_crop() -> None:
    window = Window(500, 480, 120, 140)
    dsm, dtm = heights(FIELD, window)
    canopy = dsm - dtm
    assert canopy.min() > -0.05
    truth = view(FIELD, Window(2000, 1920, 480, 560)).truth
    share = (truth == 1).reshape(120, 4, 140, 4).mean(axis=(1, 3))
    assert canopy[share == 1].mean() > canopy[share == 0].mean() + 0.05
    ticks = dsm[dsm != NODATA].astype(np.float64) / QUANTUM_M
    np.testing.assert_array_equal(ticks, np.rint(ticks))


def test_plots_file_is_the_same_bytes_every_time(tmp_path: Path) -> None:
    first, second = (write_plots(FIELD, tmp_path / name).read_bytes() for name in ("a.gpkg", "b.gpkg"))
    assert first == second


def test_a_mosaic_of_any_size_is_written_window_by_window(tmp_path: Path) -> None:
    small = Field(height=700, width=800)
    target, mask = tmp_path / "big.tif", tmp_path / "truth.tif"
    steps: list[tuple[int, int]] = []
    write_mosaic(
        small,
        target,
        truth=mask,
        compress="deflate",
        side=512,
        progress=lambda done, total: steps.append((done, total)),
    )
    whole = view(small, small.bounds)
    with rasterio.open(target) as ortho, rasterio.open(mask) as truth:
        np.testing.assert_array_equal(ortho.read(), whole.rgba)
        np.testing.assert_array_equal(truth.read(1), whole.truth)
        assert ortho.colorinterp[3] == rasterio.enums.ColorInterp.alpha
        assert ortho.block_shapes[3] == (512, 512)
    assert steps == [(k, 4) for k in range(1, 5)]


def test_windows_partition_the_field() -> None:
    parts = windows_of(Window(0, 0, 1000, 700), 512)
    assert sum(part.size for part in parts) == 1000 * 700
    assert len(parts) == 4
