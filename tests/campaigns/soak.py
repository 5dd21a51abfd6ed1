"""One process, many runs: ``python soak.py N FOLDER`` prints what the process holds after each, as JSON.

A run is everything: segment with plots, a report, plot statistics, a lazy array, and a run that is refused.
"""

from __future__ import annotations

import gc
import json
import shutil
import sys
import tempfile
import warnings
from contextlib import suppress
from pathlib import Path

import psutil
import rasterio
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from rasters import scene, write_plots, write_raster  # noqa: E402

import cropseg_geo as cg  # noqa: E402
from cropseg_geo.errors import CropsegError  # noqa: E402


def main(n: int, folder: Path) -> None:
    """Run and print."""
    warnings.simplefilter("error", ResourceWarning)
    tempfile.tempdir = str(folder / "temp")
    Path(tempfile.tempdir).mkdir()
    raster = write_raster(folder / "field.tif", scene(150, 200), compress="deflate", tiled=True)
    damaged = folder / "damaged.tif"
    damaged.write_bytes(raster.read_bytes()[:-9000])
    boxes = [(0.1, 0.1, 0.9, 0.9), (1.1, 0.2, 1.8, 1.2)]
    plots = write_plots(folder / "plots.gpkg", boxes, plot_id=["a", "b"])
    for k in range(1, n + 1):
        run_once(raster, damaged, plots, folder / "out")
        gc.collect()
        print(json.dumps({"run": k, **held(folder)}), flush=True)


def run_once(raster: Path, damaged: Path, plots: Path, out: Path) -> None:
    """One of everything, into a folder that is empty before and gone after."""
    result = cg.segment(raster, out, plots=plots, report=True)
    cg.measure_plots(result.outputs.mask, plots, out / "again.csv", raster=raster)
    cg.vectorize(result.outputs.mask, out / "canopy.fgb")
    with rasterio.open(raster) as dataset:
        box = GeoBox(dataset.shape, dataset.transform, dataset.crs)
        pixels = wrap_xr(dataset.read(), box, axis=1)
    cg.predict(pixels).compute(scheduler="threads", num_workers=2)
    with suppress(CropsegError):
        cg.segment(damaged, out / "damaged")
    with suppress(CropsegError):
        cg.segment(raster, out)
    shutil.rmtree(out)


def held(folder: Path) -> dict[str, object]:
    """What the process holds now."""
    process = psutil.Process()
    return {
        "rss_mb": round(process.memory_info().rss / 1e6, 1),
        "fds": process.num_fds() if hasattr(process, "num_fds") else process.num_handles(),
        "threads": process.num_threads(),
        "children": len(process.children(recursive=True)),
        "temp": sorted(path.name for path in (folder / "temp").iterdir()),
        "beside": sorted(path.name for path in folder.iterdir()),
        "files": sorted({Path(file.path).name for file in process.open_files()}),
    }


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
