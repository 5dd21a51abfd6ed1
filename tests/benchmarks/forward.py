"""The bare forward pass: megapixels of tiles a second through the network alone, by setting.

    uv run python tests/benchmarks/forward.py

Each setting runs in a process of its own, on tiles of 512 px that are in memory already; the best of three
tries counts. The fastest setting is the base of the efficiencies that scale.py and peers.py state.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import threading
import time
from pathlib import Path

import numpy as np
from harness import Column, FailedError, Row, number, outputs, save, watch

MODEL = "canopy-s"
TILE_PX = 512
TRIES, TRY_S = 3, 1.5
SETTINGS = {
    "cpu": (
        ("openvino", "bf16"),
        ("openvino", "fp32"),
        ("onnxruntime", "fp32"),
        ("torch", "fp32"),
        ("torch", "bf16"),
    ),
    "cuda": (("torch", "fp32"), ("torch", "bf16")),
}
"""Backend and precision, by device."""
COLUMNS = (
    Column("Backend", lambda row: row["backend"]),
    Column("Precision", lambda row: row["precision"]),
    Column("Lanes", lambda row: str(row["lanes"])),
    Column("Computes on", lambda row: row["computes"]),
    number("Tile MP/s", "mp_s", 2),
)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    outputs(parser)
    parser.add_argument("--device", default="cpu", choices=SETTINGS)
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        print(json.dumps(rate(*options.child)))
        return
    save("forward", forward_rates(options.device), COLUMNS, options, model=MODEL)


def forward_rates(device: str) -> list[Row]:
    """A row for every setting of a device."""
    rows = []
    for backend, computed_in in SETTINGS[device]:
        for lanes in sorted({1, os.cpu_count() or 1}):
            row: Row = {"backend": backend, "precision": computed_in, "lanes": lanes}
            child = ["--child", device, backend, computed_in, str(lanes)]
            try:
                row |= json.loads(watch([sys.executable, Path(__file__), *child]).lines[-1][1])
            except FailedError as failure:
                row |= {"failed": str(failure)}
            rows.append(row)
    return rows


def best(rows: list[Row]) -> float:
    """The highest rate, tile MP/s."""
    return max(row["mp_s"] for row in rows if "failed" not in row)


def rate(device: str, backend: str, precision: str, lanes: str) -> Row:
    """Tile MP/s of so many threads that predict tile by tile."""
    from cropseg_geo.model.backends import choose_predictor

    predictor = choose_predictor(MODEL, backend=backend, device=device, precision=precision)
    tile = np.random.default_rng(0).random((1, 3, TILE_PX, TILE_PX), dtype=np.float32)
    predictor.predict(tile)
    fastest = 0.0
    for _ in range(TRIES):
        counts = [0] * int(lanes)
        begin = time.perf_counter()

        def work(lane: int, counts: list[int] = counts, until: float = begin + TRY_S) -> None:
            while time.perf_counter() < until:
                predictor.predict(tile)
                counts[lane] += 1

        threads = [threading.Thread(target=work, args=(lane,)) for lane in range(len(counts))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pixels = sum(counts) * TILE_PX**2
        fastest = max(fastest, pixels / 1e6 / (time.perf_counter() - begin))
    return {"computes": predictor.describe(), "mp_s": fastest}


if __name__ == "__main__":
    main()
