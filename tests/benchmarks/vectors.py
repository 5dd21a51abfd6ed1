"""Mask file → GeoPackage of canopy polygons: ours beside rasterio.features.shapes + geopandas and GDAL.

    uv run python tests/benchmarks/vectors.py --sizes 4096 8192 16384

Makes its own masks, the same for everyone. Wall time counts from the start of a process to its end; what is
compared is the time from the mask's file to the finished GeoPackage, which begins when the libraries are
imported. Of gdal_polygonize the whole time counts. Area is the polygons' ÷ the mask's. "ours, split" parts
plants that touch, which none of the others does.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
from harness import PEAK, SIZE, WALL, Column, FailedError, Row, arguments, number, save, watch

GSD_M = 0.01
STRIP_PX = 512
CELL_PX = 48
"""Distance of plants: half a metre between rows and in the row."""

OURS, SPLIT = "ours", "ours, split"
READY, DONE = "imported", "written"
OUR_CODE = f"""
import sys, cropseg_geo, psutil, pyarrow
from cropseg_geo.pipeline import vectorization  # else loaded when it is first called
from cropseg_geo.vector.options import Outlines
print({READY!r}, flush=True)
cropseg_geo.vectorize(sys.argv[1], sys.argv[2], outlines=Outlines(objects=sys.argv[3]))
print({DONE!r}, flush=True)
"""

RASTERIO_CODE = f"""
import sys, geopandas, pyogrio, rasterio, shapely
from rasterio import features
print({READY!r}, flush=True)
with rasterio.open(sys.argv[1]) as mask:
    values = mask.read(1)
    shapes = [
        (shapely.geometry.shape(geometry), int(value))
        for geometry, value in features.shapes(values, mask=values == 1, transform=mask.transform)
    ]
    geometry, value = zip(*shapes)
    frame = geopandas.GeoDataFrame({{"class_id": value}}, geometry=list(geometry), crs=mask.crs)
frame["area_m2"] = frame.area
frame.to_file(sys.argv[2], layer="canopy", driver="GPKG")
print({DONE!r}, flush=True)
"""


COLUMNS = (
    Column("Method", lambda row: row["method"]),
    SIZE,
    WALL,
    number("Mask to GeoPackage, s", "after_s", 2),
    PEAK,
    Column("Time ÷ ours", lambda row: f"{row['times_ours']:.2f}"),
    Column("Polygons", lambda row: f"{row['polygons']:,}"),
    Column("Area", lambda row: f"{row['area_ratio']:.6f}"),
    number("File, MB", "file_mb"),
)


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
        OURS: [sys.executable, "-c", OUR_CODE, str(mask), str(out), "touching"],
        SPLIT: [sys.executable, "-c", OUR_CODE, str(mask), str(out), "split"],
        "rasterio + geopandas": [sys.executable, "-c", RASTERIO_CODE, str(mask), str(out)],
    }
    gdal = shutil.which("gdal_polygonize.py") or shutil.which("gdal_polygonize")
    if gdal:
        # The mask as its own validity mask leaves the background out.
        runs["gdal_polygonize"] = [
            gdal, str(mask), "-q", "-mask", str(mask), "-f", "GPKG", str(out), "canopy", "class_id"
        ]  # fmt: skip
    return runs


def measured(command: list[str], out: Path, canopy_m2: float) -> Row:
    """Run one contestant and look at what it wrote."""
    import pyogrio

    out.unlink(missing_ok=True)
    try:
        run = watch(command, started=READY)
    except FailedError as failure:
        return {"failed": str(failure)}
    frame = pyogrio.read_dataframe(out, layer="canopy", columns=[])
    return {
        "wall_s": run.wall_s,
        "after_s": next((at for at, line in run.lines if line == DONE), run.wall_s) - run.startup_s,
        "cpu_s": run.cpu_s,
        "peak_mb": run.peak_mb,
        "polygons": len(frame),
        "area_ratio": float(frame.area.sum()) / canopy_m2,
        "file_mb": out.stat().st_size / 1e6,
    }


def main() -> None:
    parser = arguments(__doc__, sizes=(4096, 8192, 16384))
    parser.add_argument("--only", nargs="+", help="contestants to run; all by default")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each in turn; the fastest counts")
    options = parser.parse_args()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.gpkg"
        for size in options.sizes:
            mask = Path(folder) / f"mask_{size}.tif"
            canopy_m2 = write_mask(mask, size) * GSD_M**2
            commands = contestants(mask, out)
            names = [name for name in commands if not options.only or name in options.only]
            tries = [
                {name: measured(commands[name], out, canopy_m2) for name in names}
                for _ in range(options.repeats)
            ]
            fastest = {
                name: min((t[name] for t in tries), key=lambda row: row.get("after_s", 0)) for name in names
            }
            ours = fastest.get(OURS, {}).get("after_s")
            for name, row in fastest.items():
                times = {"times_ours": row["after_s"] / ours} if ours and "after_s" in row else {}
                rows.append({"method": name, "size": size} | row | times)
            mask.unlink()
            save("vectors", rows, COLUMNS, options, repeats=options.repeats)


if __name__ == "__main__":
    main()
