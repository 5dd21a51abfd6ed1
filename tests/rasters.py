"""Rasters made for tests: a little crop on soil, in any format GDAL writes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import rasterio
import shapely
from affine import Affine

UTM = "EPSG:32632"
ORIGIN = (565800.0, 5705400.0)


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """RGB (3, H, W) uint8: green discs on brown noise."""
    rng = np.random.default_rng(seed)
    soil = rng.normal([[[120]], [[95]], [[75]]], 10, (3, height, width))
    for row in range(30, height, 70):
        for col in range(30, width, 70):
            down = slice(row - 25, min(row + 26, height))
            across = slice(col - 25, min(col + 26, width))
            rows, cols = np.ogrid[down, across]
            disc = (rows - row) ** 2 + (cols - col) ** 2 < rng.integers(10, 25) ** 2
            soil[:, down, across][:, disc] = rng.normal([[60], [130], [45]], 12, (3, int(disc.sum())))
    return np.clip(soil, 0, 255).astype(np.uint8)


def write_raster(
    path: Path,
    values: np.ndarray,
    *,
    gsd: float = 0.01,
    crs: str | None = UTM,
    transform: Affine | None = None,
    valid: np.ndarray | None = None,
    **profile: Any,
) -> Path:
    """Write values (C, H, W); ``valid`` becomes an alpha band."""
    if valid is not None:
        values = np.concatenate([values, np.where(valid, 255, 0)[None].astype(values.dtype)])
        profile = {"photometric": "RGB", "alpha": "YES"} | profile
    transform = transform or Affine(gsd, 0, ORIGIN[0], 0, -gsd, ORIGIN[1])
    count, height, width = values.shape
    profile = {"driver": "GTiff", "dtype": values.dtype, "crs": crs, "transform": transform} | profile
    with rasterio.open(path, "w", height=height, width=width, count=count, **profile) as dataset:
        dataset.write(values)
    return path


def write_plots(
    path: Path, boxes: list[tuple[float, float, float, float]], *, crs: str | None = UTM, **columns: Any
):
    """Plots from (min x, min y, max x, max y) in metres from the rasters' upper left corner, y down."""
    left, top = ORIGIN
    shapes = [shapely.box(left + x0, top - y1, left + x1, top - y0) for x0, y0, x1, y1 in boxes]
    gpd.GeoDataFrame(columns, geometry=shapes, crs=crs).to_file(path)
    return path
