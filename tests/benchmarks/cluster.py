"""What a cluster costs beside the work: planning, submitting, scheduling and collecting blocks.

    uv run python tests/benchmarks/cluster.py --blocks 1000 10000 100000

The blocks of a job go through the real plan, window, scheduler and worker processes; but its tiles have eight
pixels a side, its model is a formula and its store keeps nothing, so that hardly anything but the overhead is
left. Client and scheduler share a process, whose CPU time counts: it does not depend on what else the machine
does. What a real block takes is measured beside it: 16 tiles of 512 px through canopy-s, on one core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from harness import ROOT, FailedError, Row, number, outputs, save, watch

MODEL, TILE_PX, TILES_A_BLOCK = "canopy-s", 512, 16
LANES = 40
"""Threads of a worker: with few blocks in flight, latency would be measured instead of load."""
COLUMNS = (
    number("Blocks", "blocks", 0),
    number("Plan (s)", "plan_s", 2),
    number("Wall (s)", "wall_s"),
    number("CPU of client and scheduler (ms a block)", "cpu_ms_a_block", 2),
    number("Work of a block (s)", "block_s", 2),
    number("Overhead ÷ work (%)", "overhead_percent", 2),
    number("Lanes that one scheduler keeps busy", "lanes", 0),
    number("Client and scheduler, peak (MB)", "peak_mb", 0),
)


@dataclass(frozen=True)
class Zeros:
    """A raster of nothing but zeros, of any size."""

    height: int
    width: int

    def read(self, window):
        return np.zeros((1, *window.shape), dtype=np.uint8), np.ones(window.shape, dtype=bool)


@dataclass(frozen=True)
class Nowhere:
    """A store that keeps nothing."""

    def find(self, block):
        return None

    read = find

    def write(self, block, sums):
        pass


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    outputs(parser)
    parser.add_argument("--blocks", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--child", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(overhead(options.child, options.workers)))
        return
    block_s = work_of_a_block()
    rows = []
    for n in options.blocks:
        row: Row = {"size": n, "blocks": n, "block_s": block_s}
        child = ["--child", str(n), "--workers", str(options.workers)]
        try:
            row |= json.loads(watch([sys.executable, Path(__file__), *child]).lines[-1][1])
        except FailedError as failure:
            row |= {"failed": str(failure)}
        else:
            each_s = row["cpu_ms_a_block"] / 1000
            row |= {"overhead_percent": 100 * each_s / block_s, "lanes": block_s / each_s}
        rows.append(row)
    save("cluster", rows, COLUMNS, options, model=MODEL)


def work_of_a_block() -> float:
    """Seconds that one core needs for the tiles of a block; the best of five tiles counts."""
    from cropseg_geo.model.backends import choose_predictor

    predictor = choose_predictor(MODEL, device="cpu")
    tile = np.random.default_rng(0).random((1, 3, TILE_PX, TILE_PX), dtype=np.float32)
    predictor.predict(tile)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        predictor.predict(tile)
        times.append(time.perf_counter() - start)
    return TILES_A_BLOCK * min(times)


def overhead(n: int, workers: int) -> Row:
    """A job of at least ``n`` blocks without work, through local worker processes."""
    import psutil
    from fakes import EchoPredictor

    from cropseg_geo.engine.cluster import finished_in_order
    from cropseg_geo.engine.graph import Inference, Job
    from cropseg_geo.engine.plan import make_plan
    from cropseg_geo.engine.run import Progress
    from cropseg_geo.engine.workers import Workers
    from cropseg_geo.grid import Window
    from cropseg_geo.raster.scaling import ValueScale

    side = 8 * round(n**0.5 + 0.5)
    start = time.perf_counter()
    plan = make_plan(
        shape=(side, side), extent=Window(0, 0, side, side), tile_px=8, overlap_px=0, channels=1,
        identity={}, tiles_per_side=1,
    )  # fmt: skip
    job = Job(Zeros(side, side), Inference(EchoPredictor(), ValueScale(0, 255), plan), Nowhere())
    progress = Progress(job)
    planned, peak = time.perf_counter() - start, 0
    process = psutil.Process()
    started = cpu_started = 0.0
    for k, _ in enumerate(
        finished_in_order(
            job, progress.blocks, workers=Workers(processes=workers, lanes=LANES), note=progress.note
        )
    ):
        # From the first block on: workers have started then.
        if not started:
            started, cpu_started = time.perf_counter(), time.process_time()
        if k % 1000 == 0:
            peak = max(peak, process.memory_info().rss)
    wall, cpu = time.perf_counter() - started, time.process_time() - cpu_started
    assert progress.tally.blocks_done == len(progress.blocks)
    return {
        "blocks": len(progress.blocks),
        "workers": workers,
        "plan_s": planned,
        "wall_s": wall,
        "cpu_ms_a_block": 1000 * cpu / len(progress.blocks),
        "peak_mb": max(peak, process.memory_info().rss) / 1e6,
    }


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "tests"))
    main()
