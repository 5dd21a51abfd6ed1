"""Wall time, rate and peak memory of ``cropseg segment`` against raster size, beside the bare forward pass.

    uv run python tests/benchmarks/scale.py --work bench --sizes 4096 8192 16384

Rasters are generated fields (``python -m sample_tiles --size N``), about 39 % empty, made once in the work
folder. Everything is measured in one run on one machine; compare ratios, not seconds.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import rasterio
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("bench"))
    parser.add_argument("--sizes", type=int, nargs="+", default=[4096, 8192, 16384])
    parser.add_argument("--lanes", type=int)
    args = parser.parse_args()
    args.work.mkdir(parents=True, exist_ok=True)
    rasters = [generated(args.work, size) for size in args.sizes]
    before = forward_rate()
    rows = [measure(raster, args.work, args.lanes) for raster in rasters]
    rates = (before, forward_rate())
    report = {"forward_mp_s": rates, "cores": os.cpu_count(), "runs": rows}
    (args.work / "scale.json").write_text(json.dumps(report, indent=2) + "\n")
    show(rows, rates)


def generated(work: Path, size: int) -> Path:
    path = work / f"field_{size}.tif"
    if not path.exists():
        part = path.with_suffix(".part.tif")
        command = [sys.executable, "-m", "sample_tiles", "--size", str(size), "-o", str(part)]
        subprocess.run(command, cwd=ROOT, check=True)
        part.rename(path)
    return path.resolve()


def forward_rate() -> float:
    """Megapixels a second of tiles through the network alone, all cores, best of three tries of 20 tiles."""
    code = """
import json, os, threading, time
import numpy as np, torch
from cropseg_geo.model.predictor import TorchPredictor
from cropseg_geo.model.zoo import find_model
predictor = TorchPredictor(find_model("canopy-s"))
tile = np.random.default_rng(0).random((1, 3, 512, 512), dtype=np.float32)
predictor.predict(tile)
best = 0.0
for lanes in (1, os.cpu_count()):
    torch.set_num_threads(max(1, os.cpu_count() // lanes))
    for _ in range(3):
        each = 20 // lanes
        work = lambda: [predictor.predict(tile) for _ in range(each)]
        threads = [threading.Thread(target=work) for _ in range(lanes)]
        start = time.perf_counter()
        [t.start() for t in threads], [t.join() for t in threads]
        best = max(best, each * lanes * 512**2 / 1e6 / (time.perf_counter() - start))
print(json.dumps(best))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout))


def measure(raster: Path, work: Path, lanes: int | None) -> dict[str, float]:
    """One run of the command line as a user starts it."""
    out = work / "out"
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, "-m", "cropseg_geo.cli", "segment", str(raster), "-o", str(out), "--events"]
    command += ["--lanes", str(lanes)] if lanes else []
    start = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    stages, first = {}, 0.0
    for line in process.stdout:
        event = json.loads(line)
        first = first or time.perf_counter() - start
        if event["event"] == "stage_started":
            stages[event["stage"]] = -time.perf_counter()
        elif event["event"] == "stage_finished":
            stages[event["stage"]] += time.perf_counter()
        elif event["event"] == "done":
            summary = event["summary"]
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        raise SystemExit(f"{raster}: exit status {status}")
    with rasterio.open(out / f"{raster.stem}_mask.tif") as mask:
        pixels = mask.width * mask.height
        valid = sum(int((mask.read(1, window=w) != 255).sum()) for _, w in mask.block_windows(1))
    return {
        "size": int(np.sqrt(pixels)),
        "mp": pixels / 1e6,
        "valid_mp": valid / 1e6,
        "startup_s": first,
        "wall_s": wall,
        "peak_rss_mb": usage.ru_maxrss / 1024,
        "tiles": summary["tiles_inferred"],
        "polygons": summary["n_polygons"],
        **{f"{name}_s": seconds for name, seconds in stages.items()},
    }


def show(rows: list[dict[str, float]], rates: tuple[float, float]) -> None:
    rate = max(rates)
    table = Table(title=f"bare forward: {rates[0]:.2f} MP/s before, {rates[1]:.2f} MP/s after")
    for name in ("size", "wall s", "raster MP/s", "valid MP/s", "tile MP/s", "efficiency", "peak RSS MB"):
        table.add_column(name, justify="right")
    for row in rows:
        work = row["wall_s"] - row["startup_s"]
        # Efficiency: the forward pass over the valid pixels, once each, at the bare rate ÷ the time taken.
        table.add_row(
            f"{row['size']}²",
            f"{row['wall_s']:.1f}",
            f"{row['mp'] / work:.2f}",
            f"{row['valid_mp'] / work:.2f}",
            f"{row['tiles'] * 512**2 / 1e6 / row['segment_s']:.2f}",
            f"{row['valid_mp'] / rate / work:.2f}",
            f"{row['peak_rss_mb']:.0f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
