"""Masks that others made: their nodata counts as declared, black and white is soil and crop."""

from __future__ import annotations

import geopandas as gpd
import geopandas.testing
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp, Resampling
from rasters import write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import InputError
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


@pytest.mark.parametrize("nodata", [None, 255, "NaN"])
@pytest.mark.parametrize("dtype", ["i1", "u2", "i2", "i4", "i8", "f4", "f8"])
def test_classes_may_have_any_type(tmp_path, dtype, nodata):
    if (nodata == "NaN" and dtype[0] != "f") or (nodata == 255 and dtype == "i1"):
        nodata = -1 if dtype[0] == "i" else 9
    hole = np.nan if nodata == "NaN" or (nodata is None and dtype[0] == "f") else (nodata or 0)
    values = np.where(HOLE, hole, CROP * 7.0)
    path = write_raster(tmp_path / "m.tif", values[None].astype(dtype), nodata=nodata)
    classes, names, notes = read(path)
    np.testing.assert_array_equal(classes, np.where(HOLE & (hole != 0), 255, CROP * 7 * ~HOLE))
    assert (len(names), notes) == (8, [])


def test_what_qgis_calculates_is_a_mask(tmp_path):
    lowest = float(np.finfo("f4").min)
    values = np.where(HOLE, lowest, CROP)[None].astype("f4")
    np.testing.assert_array_equal(read(write_raster(tmp_path / "m.tif", values, nodata=lowest))[0], EXPECTED)


def test_black_and_white_beside_nan_is_soil_and_crop(tmp_path):
    values = np.where(HOLE, np.nan, CROP * 255.0)[None].astype("f4")
    classes, _, (note,) = read(write_raster(tmp_path / "m.tif", values))
    np.testing.assert_array_equal(classes, EXPECTED)
    assert "255 is read as crop" in note


@pytest.mark.parametrize(("dtype", "value"), [("f4", 0.5), ("f4", np.inf), ("u2", 256), ("i2", -1)])
def test_a_value_that_is_no_class_is_refused_by_name_and_place(tmp_path, dtype, value):
    values = CROP.astype(dtype)
    values[33, 44] = value
    path = write_raster(tmp_path / "m.tif", values[None], tiled=True, blockxsize=16, blockysize=16)
    with open_mask(path) as mask, pytest.raises(InputError, match=f"holds {value:g} in row 33, column 44"):
        mask.read_mask(Window(30, 40, 10, 20))


def test_means_in_overviews_are_no_reason_to_refuse_a_mask(tmp_path):
    path = write_raster(
        tmp_path / "m.tif", np.random.default_rng(0).integers(0, 2, (1, 512, 512)).astype("f4")
    )
    with rasterio.open(path, "r+") as dataset:
        dataset.build_overviews([4], Resampling.average)
    with open_mask(path) as mask:
        assert set(np.unique(mask.read_reduced(128, 128))) == {0, 1}


@pytest.mark.parametrize(
    ("dtype", "factor", "scale"),
    [("f4", 1, None), ("f8", 100, 0.01), ("u2", 10_000, 1e-4), ("u1", 254, None), ("u1", 100, 0.01)],
)
def test_a_probability_may_be_decimals_or_have_a_scale(tmp_path, dtype, factor, scale):
    expected = np.where(CROP == 1, 0.75, 0.25)
    steps = np.where(HOLE, np.nan if dtype[0] == "f" else 255, np.round(expected * factor, 6))
    nodata = np.nan if dtype[0] == "f" else 255
    prob = write_raster(tmp_path / "p.tif", steps[None].astype(dtype), nodata=nodata)
    if scale:
        with rasterio.open(prob, "r+") as dataset:
            dataset.scales = (scale,)
    with open_mask(write_raster(tmp_path / "m.tif", EXPECTED[None].astype("u1")), prob) as mask:
        found = mask.read_prob(WHOLE)
    np.testing.assert_allclose(found, np.where(HOLE, np.nan, expected), atol=0.002)


def test_of_several_bands_of_decimals_the_highest_counts(tmp_path):
    bands = np.stack([np.where(CROP == 1, 0.2, 0.7), np.where(HOLE, np.nan, 0.4)]).astype("f4")
    mask = write_raster(tmp_path / "m.tif", CROP[None])
    with open_mask(mask, write_raster(tmp_path / "p.tif", bands)) as source:
        np.testing.assert_allclose(source.read_prob(WHOLE), np.fmax(*bands))


def test_percent_for_a_probability_is_refused_by_its_value(tmp_path):
    prob = write_raster(tmp_path / "p.tif", CROP[None].astype("f4") * 80)
    with (
        open_mask(write_raster(tmp_path / "m.tif", CROP[None]), prob) as mask,
        pytest.raises(InputError, match="holds 80 in row 10, column 5; a probability is 0 to 1"),
    ):
        mask.read_prob(WHOLE)


def test_a_mask_of_decimals_gives_the_same_polygons_and_figures(tmp_path):
    files = {}
    for name, dtype, top in (("bytes", "u1", 254), ("decimals", "f4", 1)):
        mask = write_raster(tmp_path / f"{name}.tif", EXPECTED[None].astype(dtype), nodata=255)
        steps = np.where(HOLE, 255, np.where(CROP == 1, 1.0, 0.0) * top)
        files[name] = mask, write_raster(tmp_path / f"{name}_p.tif", steps[None].astype(dtype), nodata=255)
    plots = write_plots(tmp_path / "plots.gpkg", [(0, 0, 0.3, 0.4), (0.3, 0, 0.6, 0.4)])
    found = []
    for mask, prob in files.values():
        cg.vectorize(mask, tmp_path / "canopy.gpkg", prob=prob, overwrite=True)
        cg.make_report(mask, tmp_path / "report.html", prob=prob, plots=plots, overwrite=True)
        found.append(
            (
                gpd.read_file(tmp_path / "canopy.gpkg", layer="canopy"),
                cg.measure_plots(mask, plots, prob=prob),
            )
        )
    for one, other in zip(*found, strict=True):
        gpd.testing.assert_geodataframe_equal(one, other)
