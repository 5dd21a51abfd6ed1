"""The measurements behind DESIGN.md's decisions, in one run on the sample field.

uv run python tests/benchmarks/decisions.py
"""

from __future__ import annotations

import argparse
import os
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import rasterio
import torch
from scipy import special

from cropseg_geo.engine import blend
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.grid import BlockGrid, TileGrid, Window
from cropseg_geo.model.predictor import TorchPredictor
from cropseg_geo.model.runtime import load_runtime
from cropseg_geo.model.zoo import find_model

SAMPLE = Path(__file__).resolve().parents[2] / "sample_tiles"
SIDE = 2048
TILE = 512


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args()
    predictor = TorchPredictor(find_model("canopy-s"))
    window = ((1000, 1000 + SIDE), (1200, 1200 + SIDE))
    with rasterio.open(SAMPLE / "field.tif") as dataset:
        pixels = dataset.read((1, 2, 3), window=window).astype(np.float32) / 255
    with rasterio.open(SAMPLE / "field_truth.tif") as dataset:
        truth = dataset.read(1, window=window) == 1
    blending(predictor, pixels, truth)
    lanes(predictor, pixels)
    layouts(predictor, pixels)
    storing()


def margin(predictor: TorchPredictor, pixels: np.ndarray) -> np.ndarray:
    """(C, H, W) → log-odds of vegetation (H, W)."""
    logits = predictor.predict(pixels[None])[0]
    return logits[-1] - logits[0] if len(logits) > 1 else logits[0]


def blending(predictor: TorchPredictor, pixels: np.ndarray, truth: np.ndarray) -> None:
    """What is averaged, the window's shape, and the overlap: against one forward pass over all pixels."""
    whole = margin(predictor, pixels) > 0
    print(f"\nBlending, {SIDE}² of the sample field; whole-image IoU with the truth {iou(whole, truth):.4f}")
    print("overlap  window   averaged       pixels unlike whole   IoU with truth   tile px ÷ px")
    for overlap in (0, 32, 64, 128):
        stride = TILE - overlap
        origins = range(0, SIDE - overlap, stride)
        padded = np.pad(pixels, ((0, 0), (0, TILE), (0, TILE)), mode="reflect")
        tiles = {
            (r, c): margin(predictor, padded[:, r : r + TILE, c : c + TILE]) for r in origins for c in origins
        }
        shapes = {"none": np.ones(TILE)} if overlap == 0 else windows(overlap)
        for shape, weights in shapes.items():
            for what in ("probabilities", "logits"):
                mask = averaged(tiles, weights, what) > 0
                cost = len(tiles) * TILE**2 / SIDE**2
                unlike = (mask != whole).mean()
                print(
                    f"{overlap:7d}  {shape:7s}  {what:13s}  {unlike:19.4%}   {iou(mask, truth):14.4f}   "
                    f"{cost:.2f}"
                )


def windows(overlap: int) -> dict[str, np.ndarray]:
    rise = (np.arange(overlap) + 0.5) / overlap
    flat = np.ones(TILE - 2 * overlap)
    half = np.repeat([0.0, 1.0], [overlap // 2, overlap - overlap // 2])
    ramps = {"sin²": np.sin(0.5 * np.pi * rise) ** 2, "linear": rise, "cut": half}
    return {name: np.concatenate([r, flat, r[::-1]]) for name, r in ramps.items()}


def averaged(tiles: dict[tuple[int, int], np.ndarray], weights: np.ndarray, what: str) -> np.ndarray:
    total, norm = np.zeros((2, SIDE + TILE, SIDE + TILE))
    window = np.maximum(weights[:, None] * weights, 1e-9)
    for (r, c), value in tiles.items():
        term = special.expit(value) - 0.5 if what == "probabilities" else value
        total[r : r + TILE, c : c + TILE] += window * term
        norm[r : r + TILE, c : c + TILE] += window
    return (total / np.maximum(norm, 1e-12))[:SIDE, :SIDE]


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


def lanes(predictor: TorchPredictor, pixels: np.ndarray) -> None:
    """One lane with all threads, or a lane a core: tiles a second, alternating, best of three."""
    tile = np.ascontiguousarray(pixels[None, :, :TILE, :TILE])
    # A predictor always computes on one thread; its runtime computes on as many as torch is told.
    runtime = load_runtime(predictor.weights, device="cpu", precision="fp32")
    cores, count = os.cpu_count() or 1, 16
    best: dict[int, float] = {}
    for _ in range(3):
        for n in {1, cores}:
            torch.set_num_threads(max(1, cores // n))
            each = count // n
            start = time.perf_counter()
            threads = [
                threading.Thread(target=lambda e=each: [runtime.predict(tile) for _ in range(e)])
                for _ in range(n)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            rate = each * n * TILE**2 / 1e6 / (time.perf_counter() - start)
            best[n] = max(best.get(n, 0), rate)
    torch.set_num_threads(cores)
    print(
        "\nLanes × threads: "
        + ", ".join(f"{n} × {max(1, cores // n)}: {r:.2f} MP/s" for n, r in best.items())
    )
    first = runtime.predict(tile)
    torch.set_num_threads(1)
    print(f"Same logits with 1 thread, bit for bit: {np.array_equal(first, runtime.predict(tile))}")
    torch.set_num_threads(cores)


def layouts(predictor: TorchPredictor, pixels: np.ndarray) -> None:
    """Channels-last or not, batches of 1 and 4, through the bare network."""
    from cropseg_geo.model.runtime import fuse_batch_norms, load_network

    network = fuse_batch_norms(load_network(predictor.weights).eval())
    tile = torch.from_numpy(np.ascontiguousarray(pixels[None, :, :TILE, :TILE]))
    best: dict[tuple[str, int], float] = {}
    formats = {"contiguous": torch.contiguous_format, "channels-last": torch.channels_last}
    for _ in range(3):
        for name, memory_format in formats.items():
            model = network.to(memory_format=memory_format)
            for batch in (1, 4):
                values = tile.repeat(batch, 1, 1, 1).to(memory_format=memory_format)
                with torch.inference_mode():
                    model(values)
                    start = time.perf_counter()
                    for _ in range(8 // batch):
                        model(values)
                rate = 8 * TILE**2 / 1e6 / (time.perf_counter() - start)
                best[name, batch] = max(best.get((name, batch), 0), rate)
    print("Layout, batch: " + ", ".join(f"{n} {b}: {r:.2f} MP/s" for (n, b), r in best.items()))


def storing() -> None:
    """A block's sums into the Zarr store and back: rate and size."""
    with rasterio.open(SAMPLE / "field_truth.tif") as dataset:
        truth = dataset.read(1, window=((1000, 2856), (1200, 3056)))
    soft = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    prob = np.clip(np.where(truth == 1, 0.97, 0.03) + soft, 0, 1).astype(np.float32)
    grid = BlockGrid(TileGrid(4096, 4096, TILE, 64), 4)
    sums = (blend.to_fixed(prob).astype(np.uint32) << 16)[None]
    with tempfile.TemporaryDirectory() as folder:
        store = BlockStore(folder, grid, 1, "x")
        store.create()
        block = grid.block(0, 0)
        start = time.perf_counter()
        store.write(block, sums)
        wrote = time.perf_counter() - start
        start = time.perf_counter()
        store.read(block)
        read = time.perf_counter() - start
        size = sum(p.stat().st_size for p in Path(folder).rglob("*") if p.is_file())
    mp = sums.size / 1e6
    print(
        f"Store: write {mp / wrote:.0f} MP/s, read {mp / read:.0f} MP/s, {size / sums.size:.2f} bytes a pixel"
    )
    assert Window(0, 0, *sums.shape[1:]).size == sums.size


if __name__ == "__main__":
    main()
