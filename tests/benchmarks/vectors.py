"""Mask file → GeoPackage of canopy polygons: ours beside rasterio.features.shapes + geopandas and GDAL.

Makes its own masks, the same for everyone, and prints JSON: wall time, peak memory, polygons, and their area
÷ the mask's. One command:

uv run python tests/benchmarks/vectors.py --size 4096 --size 8192 --size 16384 -o vectors.json
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

GSD_M = 0.01
STRIP_PX = 512
CELL_PX = 48
"""Distance of plants: half a metre between rows and in the row."""

OURS = """
import sys, cropseg_geo
cropseg_geo.vectorize(sys.argv[1], sys.argv[2])
"""

RASTERIO = """
import sys, geopandas, rasterio, shapely
from rasterio import features
with rasterio.open(sys.argv[1]) as mask:
    values = mask.read(1)
    shapes = [
        (shapely.geometry.shape(geometry), int(value))
        for geometry, value in features.shapes(values, mask=values == 1, transform=mask.transform)
    ]
    geometry, value = zip(*shapes)
    frame = geopandas.GeoDataFrame({"class_id": value}, geometry=list(geometry), crs=mask.crs)
frame["area_m2"] = frame.area
frame.to_file(sys.argv[2], layer="canopy", driver="GPKG")
"""


def write_mask(path: Path, size: int) -> int:
    """A mask like a young stand's; returns its canopy pixels. The same for the same size, whatever wrote it.

    Plants stand in rows, each a disc whose outline is wavy with leaves; they are of all sizes, many touch,
    and weeds are sprinkled between. Written by strips, so any size fits in memory.
    """
    import rasterio
    from affine import Affine

    n_canopy = 0
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": size, "width": size, "nodata": 255,
        "crs": "EPSG:32632", "transform": Affine(GSD_M, 0, 565_800, 0, -GSD_M, 5_705_400),
        "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        for row in range(0, size, STRIP_PX):
            strip = _strip(row, min(STRIP_PX, size - row), size)
            n_canopy += int(strip.sum())
            window = rasterio.windows.Window(0, row, size, strip.shape[0])
            dataset.write(strip, 1, window=window)
    return n_canopy


def _strip(first_row: int, height: int, width: int) -> np.ndarray:
    """Rows ``[first_row, first_row + height)`` (H, W) uint8 of the mask."""
    strip = np.zeros((height, width), np.uint8)
    for i in range((first_row - CELL_PX) // CELL_PX, (first_row + height + CELL_PX) // CELL_PX + 1):
        # Each row of plants has its own numbers, so that strips agree on the plants they share.
        rng = np.random.default_rng((7, i + 10))
        n = width // CELL_PX + 1
        rows = (i + 0.5) * CELL_PX + rng.normal(0, 4, n) - first_row
        cols = (np.arange(n) + 0.5) * CELL_PX + rng.normal(0, 6, n)
        radii = rng.gamma(9, 2.0, n).clip(3, 40)
        leaves, phases = rng.integers(5, 10, n), rng.uniform(0, 2 * np.pi, n)
        for plant in zip(rows, cols, radii, leaves, phases, strict=True):
            _draw(strip, *plant)
        for row, col in zip(rng.uniform(0, CELL_PX, n), rng.uniform(0, width, n), strict=True):
            _draw(strip, i * CELL_PX + row - first_row, col, 2.5, 3, 0.0)
    return strip


def _draw(strip: np.ndarray, row: float, col: float, radius: float, leaves: int, phase: float) -> None:
    reach = int(radius * 1.4) + 1
    r0, r1 = max(0, int(row) - reach), min(strip.shape[0], int(row) + reach + 1)
    c0, c1 = max(0, int(col) - reach), min(strip.shape[1], int(col) + reach + 1)
    if r0 >= r1 or c0 >= c1:
        return
    rows, cols = np.ogrid[r0:r1, c0:c1]
    down, across = rows + 0.5 - row, cols + 0.5 - col
    edge = radius * (1 + 0.35 * np.sin(leaves * np.arctan2(down, across) + phase))
    strip[r0:r1, c0:c1][np.hypot(down, across) < edge] = 1


def contestants(mask: Path, out: Path) -> dict[str, list[str]]:
    """Name → command."""
    runs = {
        "ours": [sys.executable, "-c", OURS, str(mask), str(out)],
        "rasterio + geopandas": [sys.executable, "-c", RASTERIO, str(mask), str(out)],
    }
    gdal = shutil.which("gdal_polygonize.py") or shutil.which("gdal_polygonize")
    if gdal:
        # The mask as its own validity mask leaves the background out.
        runs["gdal_polygonize"] = [
            gdal, str(mask), "-q", "-mask", str(mask), "-f", "GPKG", str(out), "canopy", "class_id"
        ]  # fmt: skip
    return runs


def measured(command: list[str], out: Path, canopy_m2: float) -> dict[str, object]:
    """Run one contestant; wall time (s), peak memory (MB), polygons, and area ÷ the mask's."""
    import pyogrio

    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - start
    if status:
        return {"failed": os.waitstatus_to_exitcode(status)}
    frame = pyogrio.read_dataframe(out, layer="canopy", columns=[])
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_rss_mb": usage.ru_maxrss // 1024,
        "polygons": len(frame),
        "area_ratio": round(float(frame.area.sum()) / canopy_m2, 9),
        "file_mb": round(out.stat().st_size / 1e6, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, action="append", help="side of a mask (px); repeat for more")
    parser.add_argument("--only", action="append", help="contestants to run; all by default")
    parser.add_argument("-o", "--out", type=Path, help="JSON to write; printed as well")
    arguments = parser.parse_args()
    report: dict[str, object] = {"cores": os.cpu_count(), "masks": {}}
    with tempfile.TemporaryDirectory() as folder:
        for size in arguments.size or [4096, 8192, 16384]:
            mask = Path(folder) / f"mask_{size}.tif"
            canopy_m2 = write_mask(mask, size) * GSD_M**2
            results = {}
            for name, command in contestants(mask, Path(folder) / "out.gpkg").items():
                if arguments.only and name not in arguments.only:
                    continue
                (Path(folder) / "out.gpkg").unlink(missing_ok=True)
                results[name] = measured(command, Path(folder) / "out.gpkg", canopy_m2)
            report["masks"][str(size)] = {"canopy_m2": round(canopy_m2, 4)} | results
            mask.unlink()
    text = json.dumps(report, indent=2)
    print(text)
    if arguments.out:
        arguments.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
