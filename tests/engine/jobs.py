"""Jobs of fakes: a raster in memory, a formula for a model, a real plan and a real store."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from fakes import ArraySource, SlowPredictor

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import Inference, Job
from cropseg_geo.engine.plan import make_plan
from cropseg_geo.engine.run import Progress, Tally, computed_blocks
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.engine.workers import Workers
from cropseg_geo.events import Listener, ignore
from cropseg_geo.grid import Window
from cropseg_geo.raster.scaling import ValueScale

TILE, OVERLAP, SIDE = 32, 8, 2


def fake_source(height: int = 200, width: int = 220) -> ArraySource:
    """Noise with an empty corner."""
    rng = np.random.default_rng(7)
    rows, cols = np.mgrid[:height, :width]
    return ArraySource(rng.integers(0, 255, (1, height, width), dtype=np.uint8), rows + cols > 90)


@dataclass(frozen=True)
class DeadlyElsewhere:
    """A source that ends any other process than this one as it arrives there."""

    source: ArraySource

    def __reduce__(self):
        return _arrived, (self.source, os.getpid())


def _arrived(source: ArraySource, home: int) -> DeadlyElsewhere:
    if os.getpid() != home:
        os._exit(1)
    return DeadlyElsewhere(source)


def fake_job(folder: Path, *, source: ArraySource | None = None, store: str = "", **predictor) -> Job:
    """A job whose store is made and empty; ``predictor`` are arguments of :class:`SlowPredictor`."""
    source = source or fake_source()
    folder.mkdir(exist_ok=True)
    whole = Window(0, 0, source.height, source.width)
    plan = make_plan(
        shape=whole.shape, extent=whole, tile_px=TILE, overlap_px=OVERLAP, channels=1,
        identity={"name": str(folder)}, tiles_per_side=SIDE,
    )  # fmt: skip
    blocks = BlockStore(store or str(folder / "blocks.zarr"), plan.blocks, 1, plan.fingerprint)
    blocks.create()
    model = SlowPredictor(str(folder / "tiles.log"), **predictor)
    return Job(source, Inference(model, ValueScale(0, 255), plan), blocks)


def run_blocks(job: Job, *, workers: Workers, listener: Listener = ignore) -> Tally:
    """Compute every block of the plan that the store does not hold yet, for the store alone."""
    progress = Progress(job, listener)
    progress.start()
    for _ in computed_blocks(job, workers=workers, progress=progress):
        pass
    return progress.tally


def blended(job: Job) -> np.ndarray:
    """The blended steps (H, W) that the job's store holds."""
    out = np.zeros(job.plan.extent.shape, dtype=np.uint16)
    plan = job.plan
    kept = ((block, job.store.read(block)) for block in plan.blocks.meeting(plan.extent))
    for window, steps in blend.joined(kept, plan.blocks, 1, plan.extent):
        out[window.slices] = steps[0]
    return out


def tile_log(job: Job) -> list[tuple[int, str]]:
    """Process and name of each tile that was inferred."""
    lines = Path(job.inference.predictor.log).read_text().splitlines()
    return [(int(pid), tile) for pid, tile in map(str.split, lines)]
