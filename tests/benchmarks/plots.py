"""Statistics of 5,000 plots on a mask: ours, exactextract alone, rasterstats (where it is installed).

uv run python tests/benchmarks/plots.py --size 4096

Mask and plots are made first, from a seed; each contender runs in a process of its own, files to table,
imports not counted. Prints JSON: seconds, the ratio to exactextract, the largest difference in coverage.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine

GSD_M = 0.01

TIMED = """
import sys, time, json
mask, plots, prob = sys.argv[1:4]
{imports}
start = time.perf_counter()
{work}
print(json.dumps({{"seconds": time.perf_counter() - start, "coverage": [float(c) for c in coverage]}}))
"""

CONTENDERS = {
    "exactextract alone": (
        "import geopandas, rasterio; from exactextract import exact_extract",
        "frame = geopandas.read_file(plots)\n"
        "table = exact_extract(mask, frame, ['mean'], include_cols=['plot_id'], output='pandas')\n"
        "coverage = table['mean']",
    ),
    "exactextract alone, raster-sequential": (
        "import geopandas, rasterio; from exactextract import exact_extract",
        "frame = geopandas.read_file(plots)\n"
        "table = exact_extract(mask, frame, ['mean'], include_cols=['plot_id'], output='pandas',\n"
        "                      strategy='raster-sequential')\n"
        "coverage = table['mean']",
    ),
    "rasterstats": (
        "import rasterstats",
        "rows = rasterstats.zonal_stats(plots, mask, stats=['mean'], nodata=255)\n"
        "coverage = [row['mean'] for row in rows]",
    ),
}

_OURS = "from cropseg_geo.pipeline import measure_plots; import exactextract, rasterio"

CONTENDERS |= {
    f"ours, {name}": (_OURS, f"coverage = measure_plots(mask, plots, {options})['coverage']")
    for name, options in {
        "coverage": "stats='coverage'",
        "coverage with probability": "stats='coverage', prob=prob",
        "objects": "stats='objects'",
        "rows": "stats='rows'",
        "uniformity": "stats='uniformity'",
        "all": "stats='all', prob=prob",
    }.items()
}


def make_field(folder: Path, size_px: int, n_plots: int) -> tuple[Path, Path, Path]:
    """A mask of rows of plants with noise, its probability, and plots of 4 to 1 that nearly tile it."""
    rng = np.random.default_rng(20)
    transform = Affine(GSD_M, 0, 500_000, 0, -GSD_M, 5_000_000)
    profile = {
        "driver": "GTiff", "height": size_px, "width": size_px, "count": 1, "dtype": "uint8", "nodata": 255,
        "crs": "EPSG:32633", "transform": transform, "tiled": True, "blockxsize": 512, "blockysize": 512,
        "compress": "deflate",
    }  # fmt: skip
    mask, prob = folder / "field_mask.tif", folder / "field_prob.tif"
    with rasterio.open(mask, "w", **profile) as to_mask, rasterio.open(prob, "w", **profile) as to_prob:
        to_mask.update_tags(CROPSEG_CLASSES='{"0": "background", "1": "crop"}', CROPSEG_THRESHOLD="0.5")
        for row in range(0, size_px, 512):
            height = min(512, size_px - row)
            y, x = np.mgrid[row : row + height, :size_px]
            wave = np.cos(y * (2 * np.pi / 25)) + 0.5 * np.cos(x * (2 * np.pi / 17))
            probability = 1 / (1 + np.exp(-4 * (wave + rng.normal(0, 0.2, wave.shape))))
            values = (probability >= 0.5).astype(np.uint8)
            steps = np.rint(probability * 254).astype(np.uint8)
            window = rasterio.windows.Window(0, row, size_px, height)
            to_mask.write(values, 1, window=window)
            to_prob.write(steps, 1, window=window)
    across = round((n_plots * 4) ** 0.5)
    down = -(-n_plots // across)
    side = size_px * GSD_M
    width, length = side / across, side / down
    boxes = [
        shapely.box(left + 0.03 * width, low + 0.03 * length, left + 0.97 * width, low + 0.97 * length)
        for low in 5_000_000 - side + np.arange(down) * length
        for left in 500_000 + np.arange(across) * width
    ][:n_plots]
    plots = folder / "plots.gpkg"
    frame = gpd.GeoDataFrame({"plot_id": range(1, len(boxes) + 1)}, geometry=boxes, crs="EPSG:32633")
    frame.to_file(plots, layer="plots")
    return mask, plots, prob


def run(code: tuple[str, str], arguments: list[str]) -> dict | None:
    """Seconds and coverage of one contender; None where it is not installed."""
    script = TIMED.format(imports=code[0], work=code[1])
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        capture_output=True, text=True, check=False, env=environment,
    )  # fmt: skip
    if done.returncode:
        if "No module named" in done.stderr:
            return None
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=4096, help="side of the mask (px)")
    parser.add_argument("--plots", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the fastest counts")
    parser.add_argument("--only", default="", help="contenders whose name holds this text")
    options = parser.parse_args()
    report: dict[str, object] = {"size_px": options.size, "plots": options.plots}
    with tempfile.TemporaryDirectory() as folder:
        arguments = [str(p) for p in make_field(Path(folder), options.size, options.plots)]
        bare = None
        for name, code in CONTENDERS.items():
            if options.only not in name and name != "exactextract alone":
                continue
            # Taken in turns with others on the machine, the fastest run says most about the code.
            results = [run(code, arguments) for _ in range(options.repeats)]
            if results[0] is None:
                report[name] = "not installed"
                continue
            seconds = min(r["seconds"] for r in results)
            coverage = np.array(results[0]["coverage"])
            bare = bare or (seconds, coverage)
            report[name] = {
                "seconds": round(seconds, 2),
                "ratio": round(seconds / bare[0], 2),
                "largest_difference": float(np.abs(coverage - bare[1]).max()),
            }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
