"""Laws 3, 4 and 10 of blocks drawn while the next ones are computed: stopped, short of memory, failing."""

from __future__ import annotations

import tempfile
import threading
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import pytest
from fakes import ArraySource, CountingPredictor, TileDependentPredictor, channels_of, fake_card
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cropseg_geo.engine import blend
from cropseg_geo.engine.finish import classify, probability_steps
from cropseg_geo.engine.graph import Inference, Job
from cropseg_geo.engine.plan import make_plan
from cropseg_geo.engine.run import Progress, computed_blocks
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.engine.tiles import reflect_fill
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InferenceError, ResourceError
from cropseg_geo.grid import Window
from cropseg_geo.model.card import ModelCard
from cropseg_geo.raster.scaling import ValueScale


def make_source(height=70, width=90, seed=0) -> ArraySource:
    rng = np.random.default_rng(seed)
    valid = np.add.outer(np.arange(height), np.arange(width)) > 40
    return ArraySource(rng.integers(0, 256, (1, height, width), dtype=np.uint8), valid)


def job_in(folder, source, predictor, *, side=1, batch_size=1) -> Job:
    shape, channels = (source.height, source.width), channels_of(predictor.card)
    plan = make_plan(
        shape=shape,
        extent=Window(0, 0, *shape),
        tile_px=16,
        overlap_px=4,
        channels=channels,
        identity={},
        tiles_per_side=side,
    )
    store = BlockStore(str(folder), plan.blocks, channels, plan.fingerprint)
    store.create()
    return Job(source, Inference(predictor, ValueScale(0, 255), plan, batch_size), store)


def drawn(job, lanes=1, *, stop_after=None) -> tuple[np.ndarray, Progress]:
    """The blended steps (C, H, W) as they come from the lanes, and the progress."""
    progress, plan = Progress(job), job.plan
    blocks = computed_blocks(job, workers=Workers(lanes=lanes), progress=progress)
    out = np.full((plan.channels, *plan.extent.shape), 9, dtype=np.uint16)
    for window, steps in blend.joined(islice(blocks, stop_after), plan.blocks, plan.channels, plan.extent):
        out[:, *window.slices] = steps
    blocks.close()
    return out, progress


def stored(job) -> np.ndarray:
    """What the store's blocks add up to, without the strips that are carried along: one array for all."""
    grid, height, width = job.plan.blocks, *job.plan.extent.shape
    total = np.zeros((job.plan.channels, height + grid.side_px, width + grid.side_px), dtype=np.uint32)
    for block in grid:
        sums, (row, col) = job.store.read(block), (block.window.row, block.window.col)
        part = total[:, row : row + sums.shape[1], col : col + sums.shape[2]]
        part += sums[:, : part.shape[1], : part.shape[2]]
    return blend.normalised(total[:, :height, :width])


models = st.sampled_from([2, 3]).map(lambda n: TileDependentPredictor(fake_card(n_classes=n)))


@settings(max_examples=20, deadline=None)
@given(models, st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_law_3_blocks_drawn_while_others_are_computed_are_those_that_are_stored(
    model, lanes, batch, side, seed
):
    with tempfile.TemporaryDirectory() as folder:
        job = job_in(folder, make_source(seed=seed), model, side=side, batch_size=batch)
        out, _ = drawn(job, lanes)
        np.testing.assert_array_equal(out, stored(job))


@settings(max_examples=20, deadline=None)
@given(models, st.integers(1, 3), st.integers(0, 30))
def test_law_10_a_run_that_is_left_at_any_block_goes_on_to_the_same_bytes(model, lanes, stop_after):
    source = make_source()
    with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as parts:
        straight, all_of_it = drawn(job_in(whole, source, model), lanes)
        job = job_in(parts, source, model)
        drawn(job, lanes, stop_after=stop_after)
        kept = sum(job.store.find(block) is not None for block in job.plan.blocks)
        resumed, rest = drawn(job, lanes)
        np.testing.assert_array_equal(resumed, straight)
        assert rest.tally.blocks_resumed == kept >= min(stop_after, len(rest.blocks))
        assert rest.tally.blocks_done == all_of_it.tally.blocks_done - kept


@dataclass(frozen=True)
class ShortOfMemory(TileDependentPredictor):
    """Holds ``most`` tiles at a time, over all threads."""

    most: int = 1
    card: ModelCard = field(default_factory=fake_card)
    held: list[int] = field(default_factory=lambda: [0])
    lock: threading.Lock = field(default_factory=threading.Lock)

    def predict(self, batch):
        with self.lock:
            if self.held[0] + len(batch) > self.most:
                raise MemoryError("no room")
            self.held[0] += len(batch)
        try:
            threading.Event().wait(0.001)
            return super().predict(batch)
        finally:
            with self.lock:
                self.held[0] -= len(batch)


@pytest.mark.parametrize(("lanes", "batch_size"), [(1, 4), (3, 1), (3, 5)])
def test_out_of_memory_lowers_the_batch_then_the_lanes_and_changes_no_byte(tmp_path, lanes, batch_size):
    source = make_source()
    expected, straight = drawn(job_in(tmp_path / "a", source, TileDependentPredictor()))
    job = job_in(tmp_path / "b", source, ShortOfMemory(), side=3, batch_size=batch_size)
    out, progress = drawn(job, lanes)
    np.testing.assert_array_equal(out, expected)
    assert progress.tally.tiles_inferred == straight.tally.tiles_inferred


def test_when_nothing_is_left_to_lower_the_error_says_what_to_do(tmp_path):
    with pytest.raises(ResourceError, match="does not hold one tile of 16 × 16 px") as refused:
        drawn(job_in(tmp_path, make_source(), ShortOfMemory(most=0), batch_size=4), lanes=2)
    assert "--tile" in refused.value.remedy


@dataclass(frozen=True)
class FullGpu(TileDependentPredictor):
    """Fails as torch does, and as the runtime passes it on."""

    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        if len(batch) > 1:
            raise InferenceError("the network failed") from RuntimeError(
                "CUDA out of memory. Tried to allocate"
            )
        return super().predict(batch)


def test_a_full_gpu_lowers_the_batch(tmp_path):
    expected, _ = drawn(job_in(tmp_path / "a", make_source(), TileDependentPredictor()))
    out, _ = drawn(job_in(tmp_path / "b", make_source(), FullGpu(), side=2, batch_size=4))
    np.testing.assert_array_equal(out, expected)


@dataclass(frozen=True)
class Failing(CountingPredictor):
    card: ModelCard = field(default_factory=fake_card)

    def predict(self, batch):
        if batch.mean() > 0.5:
            raise ValueError("a bright tile")
        return super().predict(batch)


def test_an_error_in_a_lane_is_raised_where_blocks_are_drawn_and_leaves_no_thread(tmp_path):
    with pytest.raises(InferenceError, match="a bright tile"):
        drawn(job_in(tmp_path, make_source(), Failing()), lanes=3)
    assert not [t for t in threading.enumerate() if t.name.startswith("cropseg-")]


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.integers(1, 40), st.floats(0.001, 1))
def test_filling_takes_only_valid_pixels_and_leaves_them_alone(seed, height, width, share):
    rng = np.random.default_rng(seed)
    valid = rng.random((height, width)) < share
    valid[rng.integers(height), rng.integers(width)] = True
    named = np.arange(height * width, dtype=np.int32).reshape(1, height, width)
    filled = reflect_fill(named, valid)
    np.testing.assert_array_equal(filled[0][valid], named[0][valid])
    assert np.isin(filled, named[0][valid]).all()


def test_filling_mirrors_a_straight_edge_to_a_few_pixels():
    rows = np.broadcast_to(np.arange(64, dtype=np.int32)[:, None], (64, 64))
    valid = rows >= 25
    filled = reflect_fill(rows[None], valid)[0]
    off = np.abs(filled - np.where(valid, rows, 50 - rows))
    assert off.max() <= 2 * 4
    np.testing.assert_array_equal(off[valid], 0)


def test_every_step_of_probability_is_rounded_as_integers_say():
    steps = np.arange(1, blend.STEPS + 2, dtype=np.uint16)
    exact = ((steps.astype(np.int64) - 1) * 254 + blend.STEPS // 2) // blend.STEPS
    np.testing.assert_array_equal(probability_steps(steps), exact)


@example(threshold=0.5669341143089388)
@given(threshold=st.floats(0.001, 0.999) | st.integers(1, 253).map(lambda n: n / 254) | st.just(0.5))
@settings(deadline=None, max_examples=200)
def test_the_mask_is_where_the_written_probability_reaches_the_threshold(threshold):
    steps = np.arange(0, blend.STEPS + 2, dtype=np.uint16).reshape(1, 1, -1)
    mask, prob = classify(steps, threshold)
    assert mask[0, 0] == prob[0, 0, 0] == 255
    mask, prob, steps = mask[0, 1:], prob[0, 0, 1:], steps[0, 0, 1:]
    np.testing.assert_array_equal(prob / 254 >= threshold - 1e-9, mask == 1)
    exact = (steps.astype(np.float64) - 1) / blend.STEPS
    # A step for what would cross the threshold, which is itself rounded to 16 bits before it decides.
    assert np.abs(prob / 254 - exact).max() < 1 / 254 + 0.5 / blend.STEPS + 1e-9
