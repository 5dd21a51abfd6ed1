"""Masks that others made: their nodata counts as declared, black and white is soil and crop."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasters import write_raster

from cropseg_geo.events import Warned
from cropseg_geo.grid import Window
from cropseg_geo.raster.mask import mask_classes, open_mask

SHAPE = (40, 60)
WHOLE = Window(0, 0, *SHAPE)
CROP = np.zeros(SHAPE, dtype=np.uint8)
CROP[10:25, 5:40] = 1
HOLE = np.zeros(SHAPE, dtype=bool)
HOLE[:15, 30:] = True
EXPECTED = np.where(HOLE, 255, CROP)


def read(path) -> tuple[np.ndarray, tuple[str, ...], list[str]]:
    notes: list[str] = []
    with open_mask(
        path, listener=lambda e: notes.append(e.message) if isinstance(e, Warned) else None
    ) as mask:
        assert (mask.read_reduced(*SHAPE) == mask.read_mask(WHOLE)).all()
        return mask.read_mask(WHOLE), mask_classes(mask), notes


@pytest.mark.parametrize("nodata", [2, 254, 255])
def test_declared_nodata_is_no_class(tmp_path, nodata):
    path = write_raster(tmp_path / "m.tif", np.where(HOLE, nodata, CROP)[None].astype("u1"), nodata=nodata)
    classes, names, notes = read(path)
    np.testing.assert_array_equal(classes, EXPECTED)
    assert (names, notes) == (("background", "crop"), [])


def test_background_declared_as_nodata_is_told(tmp_path):
    path = write_raster(tmp_path / "m.tif", CROP[None], nodata=0)
    classes, _, (note,) = read(path)
    np.testing.assert_array_equal(classes, np.where(CROP == 1, 1, 255))
    assert "declares 0 as nodata" in note


@pytest.mark.parametrize("is_internal", [True, False])
@pytest.mark.parametrize("crop", [1, 255])
def test_a_mask_band_counts(tmp_path, is_internal, crop):
    path = write_raster(tmp_path / "m.tif", CROP[None] * np.uint8(crop))
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=is_internal), rasterio.open(path, "r+") as dataset:
        dataset.write_mask(~HOLE)
    np.testing.assert_array_equal(read(path)[0], EXPECTED)


def test_an_alpha_band_counts(tmp_path):
    values = np.stack([CROP, np.where(HOLE, 0, 255).astype(np.uint8)])
    path = write_raster(tmp_path / "m.tif", values, alpha="YES", photometric="MINISBLACK")
    with rasterio.open(path) as dataset:
        assert dataset.colorinterp[1] is ColorInterp.alpha
    np.testing.assert_array_equal(read(path)[0], EXPECTED)


def test_black_and_white_is_soil_and_crop_and_that_is_told(tmp_path):
    classes, names, (note,) = read(write_raster(tmp_path / "m.tif", CROP[None] * np.uint8(255)))
    np.testing.assert_array_equal(classes, CROP)
    assert names == ("background", "crop")
    assert "255 is read as crop" in note


def test_white_beside_classes_is_nodata(tmp_path):
    classes, _, notes = read(write_raster(tmp_path / "m.tif", EXPECTED[None].astype("u1")))
    np.testing.assert_array_equal(classes, EXPECTED)
    assert not notes


def test_a_mask_that_names_its_classes_is_taken_at_its_word(tmp_path):
    path = write_raster(tmp_path / "m.tif", CROP[None] * np.uint8(255))
    with rasterio.open(path, "r+") as dataset:
        dataset.update_tags(CROPSEG_CLASSES='{"0": "background", "1": "crop"}')
    classes, _, notes = read(path)
    np.testing.assert_array_equal(classes, np.where(CROP == 1, 255, 0))
    assert not notes


def test_only_classes_up_to_the_highest_that_occurs_are_named(tmp_path):
    assert read(write_raster(tmp_path / "m.tif", CROP[None] * np.uint8(3)))[1][2:] == ("class 2", "class 3")


def test_white_alone_is_a_closed_canopy_and_that_is_told(tmp_path):
    classes, _, (note,) = read(write_raster(tmp_path / "m.tif", np.full((1, *CROP.shape), 255, np.uint8)))
    assert (classes == 1).all()
    assert "nothing but 255: 255 is read as crop" in note


def test_white_beside_black_that_is_declared_as_nodata_is_crop(tmp_path):
    classes, _, notes = read(write_raster(tmp_path / "m.tif", CROP[None] * np.uint8(255), nodata=0))
    np.testing.assert_array_equal(classes, np.where(CROP == 1, 1, 255))
    assert any("255 is read as crop" in note for note in notes)
