"""Bands of an orthomosaic on a mask's grid: as they are stored where the grids coincide, else averaged."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from pyproj import CRS
from rasterio.vrt import WarpedVRT
from rasters import ORIGIN, UTM, write_raster

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.raster.bands import open_bands

HEIGHT, WIDTH = 40, 60
WHOLE = Window(0, 0, HEIGHT, WIDTH)
TURNED = Affine.translation(*ORIGIN) @ Affine.rotation(30) @ Affine.scale(0.01, -0.01)


def colours(count: int = 3) -> np.ndarray:
    return np.random.default_rng(2).integers(1, 255, (count, HEIGHT, WIDTH), dtype=np.uint8)


def ground_of(path, shift=(0, 0), size=(HEIGHT, WIDTH), scale=1.0) -> Ground:
    """The grid of a raster, moved by (rows, columns) of its pixels."""
    with rasterio.open(path) as dataset:
        at = dataset.transform @ Affine.translation(shift[1], shift[0]) @ Affine.scale(scale)
    return Ground(at, CRS(UTM).to_wkt(), *size)


@pytest.mark.parametrize("transform", [None, TURNED], ids=["north up", "turned"])
def test_on_its_own_grid_values_come_as_stored_and_nothing_is_warped(tmp_path, transform):
    path = write_raster(tmp_path / "o.tif", colours(), transform=transform, photometric="RGB")
    with open_bands(path, ground=ground_of(path)) as bands:
        assert not isinstance(bands.dataset, WarpedVRT)
        values = bands.read_bands(Window(3, 5, 20, 30))
    np.testing.assert_array_equal(values, colours()[:, 3:23, 5:35])


@pytest.mark.parametrize("scale", [1.0, 2.0], ids=["its own grid", "warped"])
def test_pixels_that_cannot_be_decoded_are_named_with_what_to_do(tmp_path, scale):
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate"}
    path = write_raster(tmp_path / "o.tif", colours(), photometric="RGB", **tiles)
    ground, data = ground_of(path, scale=scale), path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with (
        open_bands(path, ground=ground) as bands,
        pytest.raises(ReadError, match=r"/o\.tif: rows 0–39, columns 0–59 cannot be read") as caught,
    ):
        bands.read_bands(WHOLE)
    assert "export the file again" in caught.value.remedy


def test_an_orthomosaic_from_which_nothing_leads_to_the_mask_is_refused(tmp_path):
    ground = ground_of(write_raster(tmp_path / "o.tif", colours(), photometric="RGB"))
    place, moon = Affine(1e-6, 0, 9, 0, -1e-6, 50), "IAU_2015:30100"
    path = write_raster(tmp_path / "moon.tif", colours(), transform=place, crs=moon, photometric="RGB")
    with (
        pytest.raises(InputError, match=r"moon\.tif: nothing leads from the mask's CRS"),
        open_bands(path, ground=ground),
    ):
        pass


def test_a_mask_that_reaches_past_the_orthomosaic_finds_nothing_there(tmp_path):
    path = write_raster(tmp_path / "o.tif", colours(), photometric="RGB")
    with open_bands(path, ground=ground_of(path, (-4, -6), (HEIGHT + 9, WIDTH + 9))) as bands:
        values = bands.read_bands(Window(0, 0, HEIGHT + 9, WIDTH + 9))
        beside = bands.read_bands(Window(0, 0, 3, 3))
    np.testing.assert_array_equal(values[:, 4:-5, 6:-3], colours())
    assert np.isnan(values).sum() == 3 * ((HEIGHT + 9) * (WIDTH + 9) - HEIGHT * WIDTH)
    assert np.isnan(beside).all()


@pytest.mark.parametrize("how", ["alpha", "faint alpha", "alpha beside nodata", "nodata", "mask"])
def test_invalid_pixels_are_unknown_whatever_marks_them(tmp_path, how):
    valid = np.indices((HEIGHT, WIDTH)).sum(axis=0) > 30
    values = np.where(valid, colours(), 0)
    if how == "faint alpha":  # the feathered rim of a mosaic shows something, too
        alpha = np.where(valid, 1 + np.indices(valid.shape)[1], 0).astype(np.uint8)
        values = np.concatenate([values, alpha[None]])
        path = write_raster(tmp_path / "o.tif", values, photometric="RGB", alpha="YES")
        values = values[:3]
    elif "alpha" in how:
        # The nodata value is none that marks anything here: the alpha band knows better.
        path = write_raster(tmp_path / "o.tif", values, valid=valid, nodata=255 if "nodata" in how else None)
    else:
        nodata = {"nodata": 0} if how == "nodata" else {}
        path = write_raster(tmp_path / "o.tif", values, photometric="RGB", **nodata)
    if how == "mask":
        with rasterio.open(path, "r+") as dataset:
            dataset.write_mask(valid)
    with open_bands(path, ground=ground_of(path)) as bands:
        assert not isinstance(bands.dataset, WarpedVRT)
        found = bands.read_bands(WHOLE)
    np.testing.assert_array_equal(np.isnan(found), np.broadcast_to(~valid, found.shape))
    np.testing.assert_array_equal(found[:, valid], values[:, valid])


def test_a_mask_band_decides_on_another_grid_too_although_the_file_has_a_nodata_value(tmp_path):
    valid = np.indices((HEIGHT, WIDTH))[1] >= 8
    path = write_raster(tmp_path / "o.tif", np.where(valid, colours(), 255), photometric="RGB", nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_mask(valid)
    with open_bands(path, ground=ground_of(path, scale=2.0, size=(10, 10))) as bands:
        assert isinstance(bands.dataset, WarpedVRT)
        found = bands.read_bands(Window(0, 0, 10, 10))
    assert np.isnan(found[:, :, :4]).all()
    assert np.isfinite(found[:, :, 4:]).all()


@pytest.mark.parametrize(
    ("shift", "scale"), [((0.5, 0), 1.0), ((0, 0), 2.0), ((0, 0), 1.001)], ids=["moved", "coarser", "nearly"]
)
def test_another_grid_is_averaged_onto(tmp_path, shift, scale):
    values = np.repeat(np.repeat(colours()[:, ::2, ::2], 2, axis=1), 2, axis=2)
    path = write_raster(tmp_path / "o.tif", values, photometric="RGB")
    size = (int(HEIGHT / scale) - 1, int(WIDTH / scale) - 1)
    with open_bands(path, ground=ground_of(path, shift, size, scale)) as bands:
        assert isinstance(bands.dataset, WarpedVRT)
        found = bands.read_bands(Window(0, 0, *size))
    if scale == 2.0:
        np.testing.assert_allclose(found, values[:, ::2, ::2][:, : size[0], : size[1]], atol=0.5)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("factor", [1.0, 2.0], ids=["own grid", "coarser"])
def test_values_have_the_scale_and_offset_that_the_file_states_for_their_band(tmp_path, factor):
    valid = np.indices((HEIGHT, WIDTH))[1] >= 8
    stored = np.where(valid, colours().astype(np.uint16) + 1000, 0)
    path = write_raster(tmp_path / "o.tif", stored, photometric="RGB", nodata=0)
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-3, 1e-3, 2e-3), (-1.0, 0.0, 0.0)
    plain = write_raster(tmp_path / "plain.tif", stored, photometric="RGB", nodata=0)
    window = Window(0, 0, int(HEIGHT / factor), int(WIDTH / factor))
    found = []
    for file in (path, plain):
        with open_bands(file, ground=ground_of(file, scale=factor, size=window.shape)) as bands:
            assert isinstance(bands.dataset, WarpedVRT) == (factor != 1)
            found.append(bands.read_bands(window))
    np.testing.assert_array_equal(np.isnan(found[0][0]), np.isnan(found[1][0]))
    means = found[1] * np.array([1e-3, 1e-3, 2e-3])[:, None, None] + np.array([-1.0, 0, 0])[:, None, None]
    np.testing.assert_allclose(found[0], means, rtol=1e-4, atol=1e-5)


def test_a_scale_of_zero_is_refused(tmp_path):
    path = write_raster(tmp_path / "o.tif", colours(), photometric="RGB")
    with rasterio.open(path, "r+") as dataset:
        dataset.scales = (1.0, 0.0, 1.0)
    with (
        pytest.raises(InputError, match=r"states the scale 0 .* for band 2"),
        open_bands(path, ground=ground_of(path)),
    ):
        pass


def test_bands_that_are_given_come_first_and_others_by_their_names(tmp_path):
    path = write_raster(tmp_path / "o.tif", colours(5))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Blue", "Green", "Red", "NIR", "Red edge")
    given = {"red": 1, "green": 2, "blue": 3}
    with open_bands(path, ground=ground_of(path), bands=given) as bands:
        assert bands.names == ("red", "green", "blue")
    with open_bands(path, ground=ground_of(path), bands=given, also_named=True) as bands:
        assert dict(zip(bands.names, bands.indexes, strict=True)) == given | {"nir": 4, "rededge": 5}
