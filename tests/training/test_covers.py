"""Covers of the simulator: asphalt, gravel, water and the like, and scenes where they meet soil."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from training.simulator import covers
from training.simulator.ground import Ground
from training.simulator.scenes import make_scene

SIDE = 160

Cover = Callable[[np.random.Generator, int, float], Ground]
KINDS: list[Cover] = list(covers._COVERS)
NEUTRAL = [covers._asphalt, covers._concrete, covers._film, covers._snow]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cell_m", [0.00015, 0.002, 0.025])
def test_covers_have_colours_of_this_world_and_are_nearly_flat(kind: Cover, cell_m: float) -> None:
    for seed in range(3):
        ground = kind(np.random.default_rng([3, seed]), SIDE, cell_m)
        assert ground.albedo.shape == (SIDE, SIDE, 3)
        assert ground.height_m.shape == (SIDE, SIDE)
        assert ground.albedo.dtype == ground.height_m.dtype == np.float32
        assert np.isfinite(ground.albedo).all()
        assert ground.albedo.min() > 0.0
        assert np.quantile(ground.albedo, 0.99) <= 1.2
        assert np.abs(ground.height_m).max() < 0.15


@pytest.mark.parametrize("kind", NEUTRAL)
def test_what_is_grey_stays_grey(kind: Cover) -> None:
    for seed in range(8):
        albedo = kind(np.random.default_rng([4, seed]), SIDE, 0.001).albedo
        mean = albedo.reshape(-1, 3).mean(axis=0)
        assert mean.max() / mean.min() < 1.25


def test_stones_have_tints_of_their_own() -> None:
    rng = np.random.default_rng(5)
    kinds = np.full((1, 3), 0.3, dtype=np.float32)
    plain, tinted = (
        covers._pieces(rng, SIDE, 0.001, kinds, size_m=0.02, stretch=1.0, contrast=0.2, tint=tint)
        for tint in (0.0, 0.1)
    )
    spread = [np.std(np.log(g.albedo[..., 0] / g.albedo[..., 2])) for g in (plain, tinted)]
    assert spread[0] < 0.01
    assert spread[1] > 0.06


def test_a_mosaic_has_one_piece_around_each_centre() -> None:
    number, dome = covers._mosaic(np.random.default_rng(6), SIDE, 16.0, 1.0)
    pieces, sizes = np.unique(number, return_counts=True)
    assert 60 < len(pieces) < 180  # 10 × 10 of them, and those that the rim cuts
    assert sizes.max() < 0.05 * SIDE**2
    rim = (np.diff(number, axis=0) != 0)[:, :-1]
    assert dome[:-1, :-1][rim].mean() < 0.5 * dome.mean()


def test_soil_and_cover_meet_in_one_scene_where_the_chance_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(covers, "_WHOLE", 0.0)
    monkeypatch.setattr(covers, "_PART", 1.0)
    shares = []
    for seed in range(6):
        ground, soil = covers.make_ground(np.random.default_rng([8, seed]), SIDE, 0.001)
        assert soil.shape == (SIDE, SIDE)
        assert np.isfinite(ground.albedo).all()
        shares.append(soil.mean())
    assert 0.1 < np.mean(shares) < 0.9
    monkeypatch.setattr(covers, "_PART", 0.0)
    _, soil = covers.make_ground(np.random.default_rng(8), SIDE, 0.001)
    assert soil.all()


def test_crops_may_stand_in_one_spot_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from training.simulator import scenes

    for few, least, most in ((0.0, 0.5, 1.0), (1.0, 0.02, 0.5)):
        monkeypatch.setitem(scenes.KINDS, "rows", replace(scenes.KINDS["rows"], few=few, weeds=0.0))
        reach = []
        for seed in range(6):
            mask = make_scene(np.random.default_rng([11, seed]), size_px=96, kind="rows", covers=True).mask
            blocks = mask.reshape(8, 12, 8, 12).any(axis=(1, 3))
            reach.append(blocks.mean())
        assert least <= np.mean(reach) <= most
