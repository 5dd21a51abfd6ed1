"""Laws 1–5 of the engine, through the real plan, tasks, store and blending, for two classes and for three."""

from __future__ import annotations

import tempfile
from collections import Counter

import numpy as np
import pytest
from engine.jobs import run_blocks
from fakes import (
    COUNTS,
    ArraySource,
    ConstantPredictor,
    CountingPredictor,
    EchoPredictor,
    TileDependentPredictor,
    channels_of,
    fake_card,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import Inference, Job, run_block
from cropseg_geo.engine.plan import make_plan
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.engine.workers import Workers
from cropseg_geo.grid import TileGrid, Window
from cropseg_geo.raster.scaling import ValueScale

LAWS = settings(max_examples=25, deadline=None)


@st.composite
def scenes(draw):
    """A small raster with random validity, a lattice over it, and the card of a model."""
    height, width = draw(st.integers(1, 90)), draw(st.integers(1, 90))
    tile = draw(st.sampled_from([8, 16, 24]))
    overlap = draw(st.integers(0, tile // 2))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.integers(0, 256, (1, height, width), dtype=np.uint8)
    kind = draw(st.sampled_from(["all", "noise", "half", "rare"]))
    valid = np.ones((height, width), dtype=bool)
    if kind == "noise":
        valid = rng.random((height, width)) < 0.5
    elif kind == "half":
        valid = np.add.outer(np.arange(height), np.arange(width)) > (height + width) / 2
    elif kind == "rare":
        valid = rng.random((height, width)) < 0.002
    return ArraySource(values, valid), tile, overlap, fake_card(n_classes=draw(st.sampled_from([2, 3])))


def blended(
    source, predictor, tile, overlap, *, extent=None, side=2, lanes=1, batch_size=1, ahead=None
) -> tuple[np.ndarray, object]:
    """The blended steps (C, H, W) of the extent, and the run's tally.

    ``ahead`` chooses blocks that are computed before the others, in any order.
    """
    whole, channels = Window(0, 0, source.height, source.width), channels_of(predictor.card)
    plan = make_plan(
        shape=(source.height, source.width),
        extent=extent or whole,
        tile_px=tile,
        overlap_px=overlap,
        channels=channels,
        identity={},
        tiles_per_side=side,
    )
    with tempfile.TemporaryDirectory() as folder:
        store = BlockStore(folder, plan.blocks, channels, plan.fingerprint)
        store.create()
        job = Job(source, Inference(predictor, ValueScale(0, 255), plan, batch_size), store)
        blocks = list(plan.blocks.meeting(plan.extent))
        if ahead is not None:
            for block in ahead.sample(blocks, ahead.randint(0, len(blocks))):
                run_block(job, block.i, block.j)
        tally = run_blocks(job, workers=Workers(lanes=lanes))
        out = np.full((channels, *plan.extent.shape), 9, dtype=np.uint16)
        kept = ((block, store.read(block)) for block in blocks)
        for window, steps in blend.joined(kept, plan.blocks, channels, plan.extent):
            out[:, *window.relative_to(plan.extent).slices] = steps
    return out, tally


@given(st.integers(1, 500), st.sampled_from([8, 16, 33]), st.data())
def test_law_1_weights_of_all_tiles_over_a_pixel_sum_to_one(length, tile, data):
    overlap = data.draw(st.integers(0, tile // 2))
    axis = TileGrid(length, 1, tile, overlap).rows
    total = np.zeros(axis.count * axis.stride + tile, dtype=np.uint32)
    for k in range(axis.count):
        total[k * axis.stride : k * axis.stride + tile] += blend.axis_weights(axis, k)
    assert (total[:length] == blend.ONE).all()


@LAWS
@given(scenes(), st.floats(0, 1))
def test_law_1_a_constant_model_gives_that_constant_on_every_valid_pixel(scene, value):
    source, tile, overlap, card = scene
    predictor = ConstantPredictor(value, card)
    out, _ = blended(source, predictor, tile, overlap)
    expected = blend.to_fixed(blend.probabilities(predictor.predict(np.zeros((1, 1, 1, 1)))))
    assert (out[:, source.valid] == expected[0, :, 0]).all()
    assert (out[:, ~source.valid] == blend.NODATA).all()


@LAWS
@given(scenes())
def test_law_2_a_model_that_returns_its_input_returns_the_input(scene):
    source, tile, overlap, card = scene
    out, _ = blended(source, EchoPredictor(card), tile, overlap)
    back = blend.from_fixed(out)[:, source.valid] * 255
    crop = source.values[0][source.valid].astype(float)
    rest = 255 - crop
    expected = [crop] if len(back) == 1 else [2 / 3 * rest, crop, 1 / 3 * rest]
    np.testing.assert_allclose(back, expected, atol=0.01)


@LAWS
@given(scenes(), st.integers(1, 5), st.integers(1, 3), st.integers(1, 4), st.randoms())
def test_law_3_block_size_lanes_batch_and_order_do_not_change_a_byte(scene, side, lanes, batch_size, ahead):
    source, tile, overlap, card = scene
    predictor = TileDependentPredictor(card)
    reference, _ = blended(source, predictor, tile, overlap, side=100)
    how = {"side": side, "lanes": lanes, "batch_size": batch_size, "ahead": ahead}
    other, _ = blended(source, predictor, tile, overlap, **how)
    np.testing.assert_array_equal(other, reference)


@LAWS
@given(scenes(), st.integers(1, 3))
def test_law_4_every_tile_with_a_valid_pixel_is_inferred_exactly_once(scene, side):
    source, tile, overlap, card = scene
    grid = TileGrid(source.height, source.width, tile, overlap)
    expected = sum(
        source.valid[(grid.tile(i, j) & grid.bounds).slices].any()
        for i in range(grid.shape[0])
        for j in range(grid.shape[1])
    )
    # Values that name their pixel make every tile's content unique, and so countable.
    named = np.arange(source.height * source.width, dtype=np.float32).reshape(1, source.height, source.width)
    COUNTS.clear()
    _, tally = blended(
        ArraySource(named % 251 / 251 + named * 1e-4, source.valid),
        CountingPredictor(card),
        tile,
        overlap,
        side=side,
    )
    assert sum(COUNTS.values()) == expected == tally.tiles_inferred
    assert tally.tiles_inferred + tally.tiles_empty == np.prod(grid.shape)
    if source.valid.all():  # Filled tiles can look alike; whole ones are told apart by their content.
        assert Counter(COUNTS.values()) == {1: expected}


@LAWS
@given(scenes(), st.data())
def test_law_5_an_extent_gives_the_crop_of_the_whole(scene, data):
    source, tile, overlap, card = scene
    row = data.draw(st.integers(0, source.height - 1))
    col = data.draw(st.integers(0, source.width - 1))
    height = data.draw(st.integers(1, source.height - row))
    width = data.draw(st.integers(1, source.width - col))
    extent = Window(row, col, height, width)
    whole, _ = blended(source, TileDependentPredictor(card), tile, overlap)
    part, tally = blended(source, TileDependentPredictor(card), tile, overlap, extent=extent)
    np.testing.assert_array_equal(part, whole[:, *extent.slices])
    if not source.valid[extent.slices].any():
        assert tally.tiles_inferred == 0


@given(st.integers(1, 65_535), st.integers(1, 65_535), st.integers(0, blend.ONE**2))
def test_blended_steps_are_the_nearest_to_the_weighted_mean(one, other, weight):
    sums = np.array([one * weight + other * (blend.ONE**2 - weight)], dtype=np.uint32)
    assert abs(int(blend.normalised(sums)[0]) - int(sums[0]) / blend.ONE**2) <= 0.5


def test_blending_averages_neighbours_with_a_smooth_window():
    """Two tiles that say 0 and 1: the blended values rise monotonically through the overlap."""
    source = ArraySource(np.zeros((1, 8, 24), dtype=np.uint8), np.ones((8, 24), dtype=bool))

    class LeftZeroRightOne(EchoPredictor):
        def predict(self, batch):
            COUNTS["order"] += 1
            return ConstantPredictor(float(COUNTS["order"] > 1)).predict(batch)

    COUNTS.clear()
    out, tally = blended(source, LeftZeroRightOne(), 16, 8)
    row = blend.from_fixed(out)[0, 0]
    assert tally.tiles_inferred == 2
    assert (np.diff(row) >= 0).all()
    assert row[0] == pytest.approx(0, abs=1e-4)
    assert row[-1] == pytest.approx(1, abs=1e-4)
    assert 0.3 < row[11] < 0.5 < row[12] < 0.7
