"""Mask file → GeoPackage of canopy polygons: ours beside rasterio.features.shapes + geopandas, in one run.

uv run python tests/benchmarks/vectors.py bench/out/field_8192_mask.tif
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

OURS = """
import sys, cropseg_geo
cropseg_geo.vectorize(sys.argv[1], sys.argv[2])
"""

THEIRS = """
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


def main() -> None:
    import pyogrio

    report = {}
    for name, code in (("ours", OURS), ("rasterio + geopandas", THEIRS)):
        with tempfile.TemporaryDirectory() as folder:
            out = Path(folder) / "out.gpkg"
            start = time.perf_counter()
            process = subprocess.Popen([sys.executable, "-c", code, sys.argv[1], str(out)])
            _, status, usage = os.wait4(process.pid, 0)
            wall = time.perf_counter() - start
            if status:
                raise SystemExit(f"{name} failed")
            report[name] = {
                "wall_s": round(wall, 2),
                "peak_rss_mb": usage.ru_maxrss // 1024,
                "polygons": pyogrio.read_info(out, layer="canopy")["features"],
            }
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
