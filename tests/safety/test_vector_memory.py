"""The memory of tracing follows the blocks and, but for a little, not the raster's size."""

import subprocess
import sys

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.env import get_gdal_config
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.grid import Window
from cropseg_geo.raster.info import GDAL_CACHE_BYTES
from cropseg_geo.raster.mask import READ_ONCE_CACHE_BYTES, open_mask, read_once

HEIGHT, WIDTH = 2560, 4096
PLANT_PX, ROW_OF_PLANTS = 32, 40

TRACED = """
import re, sys
from pathlib import Path
import cropseg_geo
from cropseg_geo.vector.options import Outlines
holes = float(sys.argv[4])
cropseg_geo.vectorize(*sys.argv[1:3], outlines=Outlines(objects=sys.argv[3], fill_holes_m2=holes))
print(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
"""
"""Prints the largest resident memory of the process so far (KiB)."""


def write_mask(path, height, width, *, bitten=False):
    """Leafy plants that touch along rows of 40, which run downwards: most are cut by the blocks' seams."""
    offset = np.arange(PLANT_PX) + 0.5 - PLANT_PX / 2
    angle, radius = np.arctan2(offset[:, None], offset), np.hypot(offset[:, None], offset)
    plant = (radius < 10 + 5 * np.sin(10 * angle)).astype(np.uint8)
    if bitten:
        plant[3:-3:2, 3:-3:2] = 0
    plant[:, PLANT_PX // 2] = 1
    row = np.tile(plant, (ROW_OF_PLANTS, 1))
    row[:2] = 0
    strip = np.tile(row, (1, width // PLANT_PX))
    profile = {
        "driver": "GTiff", "dtype": "uint8", "count": 1, "height": height, "width": width, "nodata": 255,
        "crs": "EPSG:32632", "transform": Affine(0.01, 0, 565_800, 0, -0.01, 5_705_400),
        "tiled": True, "blockxsize": 256, "blockysize": 256, "compress": "deflate", "zlevel": 1,
    }  # fmt: skip
    with rasterio.open(path, "w", **profile) as mask:
        for first in range(0, height, len(strip)):
            mask.write(strip, 1, window=RasterioWindow(0, first, width, len(strip)))


def peak_mb(folder, height, width, objects, fill_holes_m2=0.0, *, bitten=False):
    """The peak of a process that traces a mask."""
    mask = folder / f"{height}x{width}.tif"
    write_mask(mask, height, width, bitten=bitten)
    command = [sys.executable, "-c", TRACED, str(mask), str(mask.with_suffix(".gpkg")), objects]
    command.append(str(fill_holes_m2))
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stdout) * 1024 / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's largest memory")
def test_a_raster_four_times_as_wide_takes_little_more_memory(tmp_path):
    growth = peak_mb(tmp_path, HEIGHT, 4 * WIDTH, "touching") - peak_mb(tmp_path, HEIGHT, WIDTH, "touching")
    assert growth < 150  # 60 MB; 310 where a row's polygons are made at once and GDAL's cache is left to fill


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's largest memory")
@pytest.mark.parametrize(("times_high", "times_wide"), [(4, 1), (1, 4)])
def test_plants_are_parted_in_the_same_memory_whatever_the_size_of_the_raster(
    tmp_path, times_high, times_wide
):
    larger = peak_mb(tmp_path, times_high * HEIGHT, times_wide * WIDTH, "split")
    growth = larger - peak_mb(tmp_path, HEIGHT, WIDTH, "split")
    assert growth < 70  # 25 MB; 100 to 140 where basins and cuts are kept to the end


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's largest memory")
def test_plants_full_of_holes_are_parted_in_the_same_memory_too(tmp_path):
    growth = peak_mb(tmp_path, HEIGHT, 4 * WIDTH, "split", bitten=True) - peak_mb(
        tmp_path, HEIGHT, WIDTH, "split", bitten=True
    )
    assert growth < 150  # 55 MB; 680 where outlines that are open wait in memory


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells of a process's largest memory")
def test_holes_that_are_filled_before_plants_are_parted_are_not_kept_in_memory(tmp_path):
    growth = peak_mb(tmp_path, 4 * HEIGHT, WIDTH, "split", 0.001, bitten=True) - peak_mb(
        tmp_path, HEIGHT, WIDTH, "split", 0.001, bitten=True
    )
    assert growth < 55  # 30 MB; the holes alone are 90


@pytest.mark.parametrize(
    ("stored", "is_bounded"),
    [
        ({"tiled": True, "blockxsize": 512, "blockysize": 512}, True),
        ({"tiled": True, "blockxsize": 384, "blockysize": 512}, False),
        ({"tiled": False}, False),
    ],
)
def test_the_cache_is_bounded_where_no_stored_tile_is_read_twice(tmp_path, stored, is_bounded):
    profile = {"driver": "GTiff", "dtype": "uint8", "count": 1, "height": 600, "width": 700}
    profile |= {"crs": "EPSG:32632", "transform": Affine(0.01, 0, 565_800, 0, -0.01, 5_705_400)}
    with rasterio.open(tmp_path / "mask.tif", "w", **profile, **stored) as mask:
        mask.write(np.ones((600, 700), np.uint8), 1)
    with open_mask(tmp_path / "mask.tif") as source:
        with read_once(source, 1024):
            assert get_gdal_config("GDAL_CACHEMAX") == (
                READ_ONCE_CACHE_BYTES if is_bounded else GDAL_CACHE_BYTES
            )
            assert source.read_mask(Window(0, 0, 600, 700)).all()
        assert get_gdal_config("GDAL_CACHEMAX") == GDAL_CACHE_BYTES
