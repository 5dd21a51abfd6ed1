"""Files of the sample field: rasters by windows with flat memory, plots as GeoPackage."""

from __future__ import annotations

import multiprocessing
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyogrio
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.io import DatasetWriter, MemoryFile
from rasterio.shutil import copy as copy_raster
from rasterio.transform import Affine
from rasterio.windows import Window as RasterWindow
from shapely.geometry import Polygon

from cropseg_geo.grid import Window
from sample_tiles import heights as height_model
from sample_tiles.field import CRS, GSD_M, Field
from sample_tiles.render import View, view
from sample_tiles.soil import textures

Progress = Callable[[int, int], None]
TRUTH_COLOURS = {0: (150, 122, 92, 255), 1: (60, 148, 60, 255), 255: (0, 0, 0, 0)}
WEBP_QUALITY = 85
# the day of the survey; also keeps the GeoPackage the same, byte for byte
_SURVEY_DAY = "2025-06-12T10:00:00.000Z"
_JOBS_PER_WORKER = 3


def windows_of(bounds: Window, side: int) -> list[Window]:
    """Windows of ``side`` pixels that partition ``bounds``, row by row."""
    return [
        Window(row, col, side, side) & bounds
        for row in range(0, bounds.height, side)
        for col in range(0, bounds.width, side)
    ]


def views(field: Field, windows: list[Window], *, workers: int) -> Iterator[tuple[Window, View]]:
    """Views in the order of ``windows``; few are held at a time, however many there are."""
    if workers < 2:
        yield from ((window, view(field, window)) for window in windows)
        return
    textures(field.seed)  # before the fork, so that the workers share them
    method = "fork" if "fork" in multiprocessing.get_all_start_methods() else "spawn"
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context(method)) as pool:
        waiting: deque[tuple[Window, Future[View]]] = deque()
        for window in windows:
            waiting.append((window, pool.submit(view, field, window)))
            if len(waiting) >= _JOBS_PER_WORKER * workers:
                first, future = waiting.popleft()
                yield first, future.result()
        while waiting:
            first, future = waiting.popleft()
            yield first, future.result()


def _write(target: DatasetWriter, pixels: NDArray[np.generic], window: Window) -> None:
    place = RasterWindow(window.col, window.row, window.width, window.height)
    target.write(pixels if pixels.ndim == 3 else pixels[None], window=place)


def _profile(field: Field, *, bands: int, **extra: object) -> dict[str, object]:
    size = {"height": field.height, "width": field.width, "count": bands, "dtype": "uint8"}
    place = {"crs": CRS, "transform": field.transform}
    return {"driver": "GTiff", **size, **place, "tiled": True, "blockxsize": 512, "blockysize": 512, **extra}


def _describe_ortho(target: DatasetWriter) -> None:
    target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)


def _describe_truth(target: DatasetWriter) -> None:
    target.write_colormap(1, TRUTH_COLOURS)
    target.set_band_description(1, "vegetation")
    target.update_tags(1, CLASSES="0 soil, 1 vegetation (crop and weeds), 255 outside the survey")


def write_mosaic(
    field: Field,
    path: Path,
    *,
    truth: Path | None = None,
    compress: str = "webp",
    side: int = 1024,
    workers: int = 1,
    progress: Progress = lambda done, total: None,
) -> None:
    """Orthomosaic (and truth) of any size as tiled BigTIFF, window by window."""
    options: dict[str, object] = {"compress": compress, "BIGTIFF": "YES", "ALPHA": "NON-PREMULTIPLIED"}
    options |= {"photometric": "RGB", "SPARSE_OK": "TRUE"}
    if compress == "webp":
        options["WEBP_LEVEL"] = WEBP_QUALITY
    windows = windows_of(field.bounds, side)
    with ExitStack() as stack:
        ortho = stack.enter_context(rasterio.open(path, "w", **_profile(field, bands=4, **options)))
        _describe_ortho(ortho)
        mask = None
        if truth is not None:
            profile = _profile(field, bands=1, nodata=255, compress="deflate", BIGTIFF="YES")
            mask = stack.enter_context(rasterio.open(truth, "w", **profile))
            _describe_truth(mask)
        for done, (window, seen) in enumerate(views(field, windows, workers=workers), start=1):
            if seen.rgba[3].any():
                _write(ortho, seen.rgba, window)
            if mask is not None:
                _write(mask, seen.truth, window)
            progress(done, len(windows))


def write_field(
    field: Field, folder: Path, *, workers: int = 1, progress: Progress = lambda done, total: None
) -> list[Path]:
    """The committed set: orthomosaic, truth, heights and plots; returns the files."""
    ortho, mask = folder / "field.tif", folder / "field_truth.tif"
    windows = windows_of(field.bounds, 1024)
    with MemoryFile() as ortho_memory, MemoryFile() as mask_memory:
        with (
            ortho_memory.open(
                **_profile(field, bands=4, ALPHA="NON-PREMULTIPLIED", photometric="RGB")
            ) as rgba,
            mask_memory.open(**_profile(field, bands=1, nodata=255)) as truth,
        ):
            _describe_ortho(rgba)
            _describe_truth(truth)
            for done, (window, seen) in enumerate(views(field, windows, workers=workers), start=1):
                _write(rgba, seen.rgba, window)
                _write(truth, seen.truth, window)
                progress(done, len(windows))
        _as_cog(ortho_memory, ortho, COMPRESS="WEBP", QUALITY=str(WEBP_QUALITY), RESAMPLING="AVERAGE")
        _as_cog(mask_memory, mask, COMPRESS="DEFLATE", LEVEL="9", RESAMPLING="NEAREST")
    surfaces = write_heights(field, folder)
    return [ortho, mask, *surfaces, write_plots(field, folder / "plots.gpkg")]


def _as_cog(source: MemoryFile, path: Path, **options: str) -> None:
    with source.open() as made:
        copy_raster(made, path, driver="COG", BLOCKSIZE="512", OVERVIEWS="AUTO", **options)


def write_heights(field: Field, folder: Path) -> list[Path]:
    """Surface and terrain at 4 cm."""
    factor = height_model.FACTOR
    size = Window(0, 0, field.height // factor, field.width // factor)
    dsm, dtm = (np.empty(size.shape, dtype=np.float32) for _ in range(2))
    for window in windows_of(size, 256):
        dsm[window.slices], dtm[window.slices] = height_model.heights(field, window)
    paths = [folder / "field_dsm.tif", folder / "field_dtm.tif"]
    gsd = GSD_M * factor
    profile = {
        "driver": "GTiff", "height": size.height, "width": size.width, "count": 1, "dtype": "float32",
        "crs": CRS, "transform": Affine(gsd, 0.0, field.transform.c, 0.0, -gsd, field.transform.f),
        "nodata": height_model.NODATA, "tiled": True, "blockxsize": 256, "blockysize": 256,
        "compress": "deflate", "predictor": 3, "zlevel": 9,
    }  # fmt: skip
    for path, values in zip(paths, (dsm, dtm), strict=True):
        with rasterio.open(path, "w", **profile) as target:
            target.write(values, 1)
            target.units = ("m",)
    return paths


def write_plots(field: Field, path: Path) -> Path:
    """One polygon per plot, along the rows; the same bytes every time."""
    plots = field.plots
    shapes = []
    for plot in plots:
        row, col = field.to_raster(*plot.corners.T)
        x, y = field.transform.c + GSD_M * col, field.transform.f - GSD_M * row
        shapes.append(Polygon(np.column_stack([x, y])))
    table = gpd.GeoDataFrame(
        {
            "plot_id": [plot.plot_id for plot in plots],
            "block": [plot.block + 1 for plot in plots],
            "row": [plot.block + 1 for plot in plots],
            "column": [plot.column + 1 for plot in plots],
            "treatment": [f"sowing {plot.block % 4 + 1}" for plot in plots],
            "variety": [plot.variety.name for plot in plots],
        },
        geometry=shapes,
        crs=CRS,
    )
    path.unlink(missing_ok=True)
    pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": _SURVEY_DAY})
    try:
        pyogrio.write_dataframe(table, path, layer="plots", driver="GPKG", geometry_type="Polygon")
    finally:
        pyogrio.set_gdal_config_options({"OGR_CURRENT_DATE": None})
    return path


def default_workers() -> int:
    """One process per core; the windows are independent."""
    return max(1, os.cpu_count() or 1)
