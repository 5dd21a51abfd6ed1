"""Heights above ground: DSM − DTM on a mask's grid, in metres, with their gaps."""

from __future__ import annotations

import re

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from rasters import ORIGIN, UTM, write_raster

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.raster.heights import open_heights

SIZE = (40, 60)
WKT = CRS.from_user_input(UTM).to_wkt()
GRID = Ground(Affine(0.1, 0, ORIGIN[0], 0, -0.1, ORIGIN[1]), WKT, *SIZE)
ALL = Window(0, 0, *SIZE)


@pytest.fixture
def models(tmp_path):
    rng = np.random.default_rng(0)
    terrain = 250.0 + rng.random((1, *SIZE)).astype(np.float32)
    surface = terrain + rng.random((1, *SIZE)).astype(np.float32)

    def write(*, surface=surface, terrain=terrain, gsd=0.1, **profile):
        return (
            write_raster(tmp_path / "dsm.tif", surface, gsd=gsd, **profile),
            write_raster(tmp_path / "dtm.tif", terrain, gsd=gsd, **profile),
        )

    write.terrain, write.surface = terrain, surface
    return write


def read(dsm, dtm, window=ALL, ground=GRID):
    with open_heights(dsm, dtm, ground=ground) as heights:
        return heights.read(window)


def test_on_the_masks_grid_heights_are_the_difference_of_the_pixels(models):
    dsm, dtm = models()
    expected = (models.surface.astype(float) - models.terrain)[0].astype(np.float32)
    np.testing.assert_array_equal(read(dsm, dtm), expected)
    part = Window(7, 11, 20, 30)
    np.testing.assert_array_equal(read(dsm, dtm, part), expected[part.slices])


def test_pixels_without_surface_or_terrain_are_nan_and_spoil_no_neighbour(models, tmp_path):
    surface = models.surface.copy()
    surface[0, 5, 5] = np.nan
    terrain = models.terrain.copy()
    terrain[0, 9, 9] = -9999
    dsm = write_raster(tmp_path / "s.tif", surface, gsd=0.1)
    dtm = write_raster(tmp_path / "t.tif", terrain, gsd=0.1, nodata=-9999)
    unknown = np.isnan(read(dsm, dtm))
    assert np.argwhere(unknown).tolist() == [[5, 5], [9, 9]]


def test_models_of_another_gsd_and_crs_are_brought_onto_the_grid(tmp_path):
    # A plane is resampled exactly, whatever the grid.
    plane = np.broadcast_to(np.linspace(100, 101, 30, dtype=np.float32), (1, 20, 30))
    dsm = write_raster(tmp_path / "dsm.tif", plane + np.float32(1.5), gsd=0.25)
    lonlat = Affine(1e-6, 0, 0, 0, -1e-6, 0)
    from pyproj import Transformer

    x, y = Transformer.from_crs(UTM, "EPSG:4326", always_xy=True).transform(ORIGIN[0] - 5, ORIGIN[1] + 5)
    dtm = write_raster(
        tmp_path / "dtm.tif",
        np.full((1, 300, 300), 100, np.float32),
        crs="EPSG:4326",
        transform=Affine.translation(x, y) @ lonlat,
    )
    heights = read(dsm, dtm)
    across = (np.arange(60) + 0.5) * 0.1 / 0.25 - 0.5
    np.testing.assert_allclose(heights[10, 2:58], 1.5 + across[2:58] / 29, atol=1e-4)


def test_a_rotated_grid_reads_the_same_ground(tmp_path):
    turned = Affine(*GRID.transform[:6]) @ Affine.translation(20, 20) @ Affine.rotation(30)
    ground = Ground(turned, WKT, 10, 10)
    rows, cols = np.mgrid[:40, :60].astype(np.float32)
    dsm = write_raster(tmp_path / "dsm.tif", (200 + 0.01 * cols + 0.02 * rows)[None], gsd=0.1)
    dtm = write_raster(tmp_path / "dtm.tif", np.full((1, 40, 60), 200, np.float32), gsd=0.1)
    heights = read(dsm, dtm, Window(0, 0, 10, 10), ground)
    col, row = ~GRID.transform @ (turned @ (4.5, 6.5))
    assert heights[6, 4] == pytest.approx(0.01 * (col - 0.5) + 0.02 * (row - 0.5), abs=1e-4)


def test_windows_agree_with_the_whole(models):
    dsm, dtm = models(gsd=0.037)
    whole = read(dsm, dtm)
    with open_heights(dsm, dtm, ground=GRID) as heights:
        for window in ALL.split(17):
            np.testing.assert_array_equal(heights.read(window), whole[window.slices])


def test_a_finer_model_is_averaged_onto_the_grid(tmp_path):
    """Not sampled: a plant in the middle of a pixel is not all of it."""
    rows, cols = np.indices((160, 240)) % 4
    surface = np.where((rows % 3 > 0) & (cols % 3 > 0), 104, 100).astype(np.float32)[None]
    dsm = write_raster(tmp_path / "dsm.tif", surface, gsd=0.025)
    dtm = write_raster(tmp_path / "dtm.tif", np.full((1, *SIZE), 100, np.float32), gsd=0.1)
    np.testing.assert_allclose(read(dsm, dtm)[2:-2, 2:-2], 1.0, atol=0.01)


def test_feet_become_metres(models):
    dsm, dtm = models()
    for path in (dsm, dtm):
        with rasterio.open(path, "r+") as dataset:
            dataset.units = ("ft",)
    expected = (models.surface.astype(float) - models.terrain)[0] * 0.3048
    np.testing.assert_allclose(read(dsm, dtm), expected, rtol=1e-6)


def test_a_crs_in_feet_with_an_unsaid_vertical_unit_is_refused(models):
    dsm, dtm = models(crs="EPSG:2263")
    with pytest.raises(InputError, match="whether its elevations do so too is not said"):
        read(dsm, dtm)


def test_without_a_terrain_model_the_terrain_model_is_asked_for(models):
    dsm, _ = models()
    with pytest.raises(InputError, match="--dtm"):
        read(dsm, None)


def test_an_image_is_no_elevation_model(models, tmp_path):
    _, dtm = models()
    image = write_raster(tmp_path / "rgb.tif", np.zeros((3, *SIZE), np.uint8))
    with pytest.raises(InputError, match="look like an image"):
        read(image, dtm)


def test_a_model_of_another_place_is_refused(models, tmp_path):
    dsm, _ = models()
    away = Affine(0.1, 0, ORIGIN[0] + 500, 0, -0.1, ORIGIN[1])
    dtm = write_raster(tmp_path / "away.tif", models.terrain, transform=away)
    with pytest.raises(InputError, match="lies beside the mask"):
        read(dsm, dtm)


def test_a_model_of_the_whole_world_covers_the_mask(models, tmp_path):
    dsm, _ = models()
    degrees = Affine(0.5, 0, -180, 0, -0.5, 90)
    dtm = write_raster(
        tmp_path / "world.tif", np.full((1, 360, 720), 250, np.float32), transform=degrees, crs="EPSG:4326"
    )
    np.testing.assert_allclose(read(dsm, dtm), models.surface[0] - 250, atol=1e-3)


def test_a_model_of_another_celestial_body_is_refused(models, tmp_path):
    dsm, _ = models()
    moon = CRS.from_user_input("IAU_2015:30100").to_wkt("WKT2_2019")
    place = Affine(1e-6, 0, 9, 0, -1e-6, 50)
    dtm = write_raster(tmp_path / "moon.tif", models.terrain, transform=place, crs=moon)
    with pytest.raises(InputError, match=r"moon\.tif: nothing leads from the mask's CRS") as caught:
        read(dsm, dtm)
    assert "correct its CRS" in caught.value.remedy


def test_pixels_that_cannot_be_decoded_are_named_with_what_to_do(models):
    dsm, dtm = models(tiled=True, blockxsize=16, blockysize=16, compress="deflate")
    data = dtm.read_bytes()
    dtm.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(ReadError, match=r"dtm\.tif: rows 0–39, columns 0–59 cannot be read") as caught:
        read(dsm, dtm)
    assert "export the file again" in caught.value.remedy


@pytest.mark.parametrize("value", [-32767, 99_999, 1e20])
def test_an_undeclared_nodata_value_is_named_with_the_command_that_declares_it(models, tmp_path, value):
    _, dtm = models()
    surface = models.surface.copy()
    surface[0, 3, 3] = value
    dsm = write_raster(tmp_path / "s.tif", surface, gsd=0.1)
    with pytest.raises(InputError, match=rf"rio edit-info --nodata {re.escape(f'{value:g}')} "):
        read(dsm, dtm)


@pytest.mark.parametrize(("scale", "offset"), [(0.01, 0.0), (1.0, 250.0)])
def test_elevations_that_are_stored_otherwise_are_refused(models, scale, offset):
    dsm, dtm = models()
    with rasterio.open(dtm, "r+") as dataset:
        dataset.scales, dataset.offsets = (scale,), (offset,)
    with pytest.raises(InputError, match="stored with a scale and an offset"):
        read(dsm, dtm)
