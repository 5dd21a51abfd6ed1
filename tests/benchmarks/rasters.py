"""Orthomosaics of any size, fast: one patch of the simulated field, repeated under changing light.

The patch is mirrored from place to place, so that plants go on over its sides, and every square of 1024 px
has its own exposure, as in a mosaic of pictures. The survey is a turned rectangle with a ragged rim, 41 % of
the raster is empty. Rasters are made by bands of rows with flat memory; a command that was stopped goes on
with the next band.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp
from rasterio.windows import Window as RasterWindow

from cropseg_geo.grid import Window
from sample_tiles.field import CRS, Field
from sample_tiles.noise import hash_unit
from sample_tiles.write import default_workers, views

ROTATION_DEG = 21.0
PATCH_PX = 4096
SQUARE_PX = 1024
BAND_PX = 2048
_EXPOSURE = 300


def orthomosaic(size: int, cache: Path, *, patch_px: int = PATCH_PX) -> Path:
    """A raster of ``size`` × ``size`` px of 1 cm, RGBA; made at the first call, found at the later ones."""
    path = cache / f"ortho_{size}.tif"
    if path.exists():
        return path
    cache.mkdir(parents=True, exist_ok=True)
    patch = _patch(cache, patch_px)
    part, progress = path.with_suffix(".part"), path.with_suffix(".rows")
    field = Field(size, size, rotation_deg=ROTATION_DEG)
    first = int(progress.read_text()) if progress.exists() and part.exists() else _create(part, field)
    for top in range(first, size, BAND_PX):
        # Closed after each band: what is in the file then is whole, whatever happens later.
        with rasterio.open(part, "r+", driver="GTiff", NUM_THREADS="ALL_CPUS") as target:
            for square in Window(top, 0, min(BAND_PX, size - top), size).split(SQUARE_PX):
                _paint(target, field, patch, square)
        progress.write_text(str(top + BAND_PX))
    part.rename(path)
    progress.unlink()
    return path


def _create(path: Path, field: Field) -> int:
    profile = {
        "driver": "GTiff", "height": field.height, "width": field.width, "count": 4, "dtype": "uint8",
        "crs": CRS, "transform": field.transform, "tiled": True, "blockxsize": 512, "blockysize": 512,
        "interleave": "pixel", "photometric": "RGB", "ALPHA": "NON-PREMULTIPLIED", "BIGTIFF": "YES",
        "compress": "deflate", "predictor": 2, "zlevel": 1, "SPARSE_OK": "TRUE",
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as target:
        target.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue, ColorInterp.alpha)
    return 0


def _paint(target: rasterio.io.DatasetWriter, field: Field, patch: NDArray[np.uint8], at: Window) -> None:
    if not field.touches_survey(at):
        return
    surveyed = field.surveyed(at)
    if not surveyed.any():
        return
    rgba = np.empty((4, *at.shape), np.uint8)
    rows, cols = (
        _mirrored(start, n, patch.shape[1]) for start, n in ((at.row, at.height), (at.col, at.width))
    )
    luck = hash_unit(field.seed, _EXPOSURE, at.row // SQUARE_PX, at.col // SQUARE_PX, np.arange(4))
    gains = 1 + 0.08 * (luck[3] - 0.5) + 0.03 * (luck[:3] - 0.5)
    for band, gain in enumerate(gains):
        # At least 1: no pixel of the survey may look like the black around it.
        light = np.rint(np.arange(256) * gain).clip(1, 255).astype(np.uint8)
        rgba[band] = light[patch[band][np.ix_(rows, cols)]] * surveyed
    rgba[3] = surveyed * np.uint8(255)
    target.write(rgba, window=RasterWindow(at.col, at.row, at.width, at.height))


def _mirrored(start: int, length: int, side: int) -> NDArray[np.intp]:
    """Places in a patch of ``side`` px, read forth and back without end."""
    place = np.arange(start, start + length) % (2 * side)
    return np.minimum(place, 2 * side - 1 - place)


def _patch(cache: Path, side: int) -> NDArray[np.uint8]:
    """The middle of a simulated field, all of it surveyed.  # (3, side, side)"""
    path = cache / f"patch_{side}.npy"
    if not path.exists():
        field = Field(2 * side, 2 * side, rotation_deg=ROTATION_DEG)
        middle = Window(side // 2, side // 2, side, side)
        patch = np.empty((3, side, side), np.uint8)
        for tile, view in views(field, list(middle.split(512)), workers=default_workers()):
            patch[:, *tile.relative_to(middle).slices] = view.rgba[:3]
        draft = path.with_suffix(".part.npy")
        np.save(draft, patch)
        draft.rename(path)
    return np.load(path)
