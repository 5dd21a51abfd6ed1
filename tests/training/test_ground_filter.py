"""The ground below plants, from surfaces whose ground is known."""

import numpy as np
import pytest

from cropseg_geo.errors import InputError
from training.labels.ground import estimate_ground, opening, windows_px

GSD_M = 0.05


def plane(shape=(200, 240), down=0.0, right=0.0):
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    return 100.0 + GSD_M * (down * rows + right * cols)


def with_plants(ground, *, height_m=0.4, width_px=10, pitch_px=20):
    """Rows of plants as wide as the gaps between them."""
    planted = np.zeros(ground.shape, dtype=bool)
    for col in range(pitch_px // 2, ground.shape[1], pitch_px):
        planted[15:-15, col : col + width_px] = True
    return np.where(planted, ground + height_m, ground).astype(np.float32), planted


def noise(shape, seed=0, sigma_m=0.004):
    return np.random.default_rng(seed).normal(0.0, sigma_m, shape)


@pytest.mark.parametrize(("down", "right"), [(0.0, 0.0), (0.15, 0.0), (-0.1, 0.2)])
def test_rows_on_a_slope_keep_their_height(down, right):
    ground = plane(down=down, right=right)
    surface, planted = with_plants(ground + noise(ground.shape))
    height = surface - estimate_ground(surface, gsd_m=GSD_M)
    assert np.median(height[planted]) == pytest.approx(0.4, abs=0.02)
    assert np.median(height[~planted]) == pytest.approx(0.0, abs=0.01)
    assert np.abs(estimate_ground(surface, gsd_m=GSD_M) - ground).max() < 0.05


def test_a_wide_bump_of_the_terrain_is_ground():
    rows, cols = np.mgrid[:240, :240]
    bump = 0.25 * np.exp(-((rows - 120) ** 2 + (cols - 120) ** 2) / (2 * 60.0**2))
    surface, planted = with_plants(plane((240, 240)) + bump)
    height = surface - estimate_ground(surface, gsd_m=GSD_M)
    assert np.abs(height[~planted]).max() < 0.06
    assert np.percentile(height[planted], 5) > 0.34


def test_a_closed_plot_narrower_than_the_widest_plant_is_taken_away():
    ground = plane()
    surface = ground.astype(np.float32)
    surface[60:140, 80:140] += 0.8  # 4 m × 3 m
    error = estimate_ground(surface, gsd_m=GSD_M, max_plant_width_m=4.0) - ground
    assert np.abs(error).max() < 0.02
    # And the contract's other side: wider than stated, it is terrain.
    narrow = estimate_ground(surface, gsd_m=GSD_M, max_plant_width_m=0.5) - ground
    assert narrow[100, 110] > 0.7


def test_wheel_tracks_do_not_pull_the_ground_down():
    surface = plane().astype(np.float32)
    for col in (60, 96):
        surface[:, col : col + 8] -= 0.025
    height = surface - estimate_ground(surface, gsd_m=GSD_M)
    between = height[:, 72:92]
    assert np.abs(between).max() < 0.015


def test_seedlings_lower_than_a_hand_are_still_seen():
    ground = plane()
    surface, planted = with_plants(ground + noise(ground.shape, sigma_m=0.003), height_m=0.06, width_px=3)
    height = surface - estimate_ground(surface, gsd_m=GSD_M)
    assert np.median(height[planted]) == pytest.approx(0.06, abs=0.01)


def test_unknown_pixels_stay_unknown_and_change_nothing_far_away():
    surface, _ = with_plants(plane())
    torn = surface.copy()
    torn[:, 200:] = np.nan
    torn[90:110, 50:60] = np.nan
    whole, holed = (estimate_ground(values, gsd_m=GSD_M) for values in (surface, torn))
    assert np.array_equal(np.isnan(holed), np.isnan(torn))
    known = np.isfinite(holed)
    assert np.abs((whole - holed)[known]).max() < 0.02
    assert np.isnan(estimate_ground(np.full((9, 9), np.nan, np.float32), gsd_m=GSD_M)).all()


def test_the_ground_is_the_same_under_a_lifted_field():
    surface, _ = with_plants(plane(down=0.05) + noise((200, 240)))
    low, high = (estimate_ground(surface + np.float32(lift), gsd_m=GSD_M) for lift in (0.0, 64.0))
    np.testing.assert_allclose(high - low, 64.0, atol=1e-3)


def test_an_opening_never_rises_above_the_surface_and_repeats_itself():
    values = np.random.default_rng(1).normal(size=(40, 50))
    values[5:9, 7:20] = np.nan
    once = opening(values, 5)
    known = np.isfinite(values)
    assert (once[known] <= values[known]).all()
    np.testing.assert_array_equal(opening(once, 5), once)


def test_windows_grow_past_the_widest_plant():
    sides = windows_px(0.02, 3.0)
    assert all(side % 2 for side in sides)
    assert list(sides) == sorted(set(sides))
    assert sides[-1] * 0.02 > 3.0


def test_pixels_wider_than_plants_are_refused():
    with pytest.raises(InputError, match="no plant covers a pixel"):
        estimate_ground(np.zeros((4, 4), np.float32), gsd_m=1.0, max_plant_width_m=0.5)
