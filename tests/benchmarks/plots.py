"""Statistics of 5,000 plots on a mask: ours, exactextract alone, rasterstats.

    uv run python tests/benchmarks/plots.py --sizes 4096 8192 16384

Mask and plots are made first, from a seed; each contender runs in processes of its own, files to table,
imports not counted; the fastest of its runs counts. Difference is the largest in any plot's coverage to
exactextract's.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine
from environments import environment
from harness import PEAK, ROOT, SIZE, Column, FailedError, Row, arguments, number, save, watch

GSD_M = 0.01
BARE = "exactextract alone"
COLUMNS = (
    Column("Method", lambda row: row["method"]),
    SIZE,
    number("Time, s", "seconds", 2),
    Column("÷ exactextract alone", lambda row: f"{row['ratio']:.2f}"),
    PEAK,
    Column("Largest difference of coverage", lambda row: f"{row['difference']:.1e}"),
)

TIMED = """
import sys, time, json
mask, plots, prob = sys.argv[1:4]
{imports}
start = time.perf_counter()
{work}
print(json.dumps({{"seconds": time.perf_counter() - start, "coverage": [float(c) for c in coverage]}}))
"""

CONTENDERS = {
    BARE: (
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


def measured(name: str, files: list[str], cache: Path, repeats: int) -> tuple[Row, np.ndarray]:
    """The fastest of some runs of a contender, and its coverage by plot."""
    imports, work = CONTENDERS[name]
    script = TIMED.format(imports=imports, work=work)
    try:
        python = environment(name, cache).python if name == "rasterstats" else sys.executable
        variables = {} if name == "rasterstats" else {"PYTHONPATH": str(ROOT)}
        runs = [watch([python, "-c", script, *files], environment=variables) for _ in range(repeats)]
    except FailedError as failure:
        return {"failed": str(failure)}, np.empty(0)
    told = [json.loads(run.lines[-1][1]) for run in runs]
    row = {"seconds": min(t["seconds"] for t in told), "peak_mb": min(run.peak_mb for run in runs)}
    return row, np.array(told[0]["coverage"])


def main() -> None:
    parser = arguments(__doc__, sizes=(4096, 8192, 16384))
    parser.add_argument("--plots", type=int, default=5000)
    parser.add_argument("--repeats", type=int, default=3, help="runs of each; the fastest counts")
    parser.add_argument(
        "--only", nargs="+", default=[""], help="contenders whose names hold one of these texts"
    )
    options = parser.parse_args()
    names = [n for n in CONTENDERS if n == BARE or any(text in n for text in options.only)]
    rows: list[Row] = []
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            files = [str(path) for path in make_field(Path(folder), size, options.plots)]
            bare, expected = measured(BARE, files, options.cache, options.repeats)
            for name in names:
                row, coverage = (
                    (bare, expected)
                    if name == BARE
                    else measured(name, files, options.cache, options.repeats)
                )
                if "seconds" in row and "seconds" in bare:
                    row["ratio"] = row["seconds"] / bare["seconds"]
                    row["difference"] = float(np.abs(coverage - expected).max())
                rows.append({"method": name, "size": size} | row)
        save("plots", rows, COLUMNS, options, plots=options.plots, repeats=options.repeats)


if __name__ == "__main__":
    main()
