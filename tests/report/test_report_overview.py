"""The report's photograph: valid where the engine's reader says so, whatever marks it, on whatever grid."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasters import ORIGIN, UTM, write_raster

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.raster.source import GdalSource
from cropseg_geo.report.overview import read_overview

SIDE = 128
NORTH = Affine(0.1, 0, ORIGIN[0], 0, -0.1, ORIGIN[1])
TURNED = NORTH @ Affine.rotation(90, (SIDE / 2, SIDE / 2))


def marked(folder, how: str):
    """RGB with an empty strip, black leaves and one without red; ``how`` the strip is marked as empty."""
    image = np.random.default_rng(0).integers(1, 200, (3, SIDE, SIDE)).astype(np.uint8)
    image[:, :30] = image[:, 60:70, 60:90] = image[0, 80:90, 60:90] = 0
    valid = np.ones((SIDE, SIDE), bool)
    valid[:30] = False
    if how == "alpha":
        return write_raster(folder / "alpha.tif", image, transform=NORTH, valid=valid, nodata=0)
    path = write_raster(folder / "plain.tif", image, transform=NORTH, photometric="RGB")
    if how == "mask":
        with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as dataset:
            dataset.nodata = 0
            dataset.write_mask(valid)
        return path
    bands = [
        f'<VRTRasterBand dataType="Byte" band="{k}">{"<NoDataValue>0</NoDataValue>" if k == 1 else ""}'
        '<SimpleSource><SourceFilename relativeToVRT="1">plain.tif</SourceFilename>'
        f"<SourceBand>{k}</SourceBand></SimpleSource></VRTRasterBand>"
        for k in (1, 2, 3)
    ]
    place = ", ".join(map(str, NORTH.to_gdal()))
    text = f"<SRS>{UTM}</SRS><GeoTransform>{place}</GeoTransform>{''.join(bands)}"
    vrt = folder / "one_band.vrt"
    vrt.write_text(f'<VRTDataset rasterXSize="{SIDE}" rasterYSize="{SIDE}">{text}</VRTDataset>')
    return vrt


@pytest.mark.parametrize("grid", ["aligned", "turned"])
@pytest.mark.parametrize("how", ["alpha", "mask", "nodata of one band"])
def test_the_photograph_is_valid_where_the_reader_says_so(tmp_path, how, grid):
    raster = marked(tmp_path, how)
    valid = GdalSource(inspect_raster(raster), (1, 2, 3), (SIDE, SIDE)).read(Window(0, 0, SIDE, SIDE))[1]
    assert 0.5 < valid.mean() < 1
    place = NORTH if grid == "aligned" else TURNED
    mask = write_raster(tmp_path / "m.tif", np.ones((1, SIDE, SIDE), np.uint8), transform=place, nodata=255)
    with open_mask(mask) as source:
        alpha = read_overview(source, raster).photo[..., 3]
    np.testing.assert_array_equal(alpha > 0, valid if grid == "aligned" else np.rot90(valid))


@pytest.mark.parametrize("how", ["alpha", "mask", "nodata of one band"])
def test_of_the_pixels_under_one_of_the_overview_the_one_in_the_middle_decides(tmp_path, how):
    mask = write_raster(tmp_path / "m.tif", np.ones((1, SIDE, SIDE), np.uint8), transform=NORTH, nodata=255)
    with open_mask(mask) as source:
        alpha = read_overview(source, marked(tmp_path, how), longest_px=16).photo[..., 3]
    np.testing.assert_array_equal(alpha[:, 0] > 0, np.arange(16) >= 4)  # 8 rows in one; 30 are 3 × 8 + 6


@pytest.mark.parametrize("name", ["mask", "photograph"])
def test_pixels_that_cannot_be_decoded_are_told_with_what_to_do(tmp_path, name):
    tiles = {"tiled": True, "blockxsize": 16, "blockysize": 16, "compress": "deflate", "transform": NORTH}
    values = np.random.default_rng(0).integers(0, 2, (3, SIDE, SIDE)).astype(np.uint8)
    files = {
        "mask": write_raster(tmp_path / "mask.tif", values[:1], nodata=255, **tiles),
        "photograph": write_raster(tmp_path / "photograph.tif", values, photometric="RGB", **tiles),
    }
    data = files[name].read_bytes()
    files[name].write_bytes(data[: len(data) * 2 // 3])
    with (
        open_mask(files["mask"]) as source,
        pytest.raises(ReadError, match=f"{name}.*cannot be read") as caught,
    ):
        read_overview(source, files["photograph"])
    assert "export the file again" in caught.value.remedy


def test_a_photograph_from_which_nothing_leads_to_the_mask_is_refused(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.ones((1, SIDE, SIDE), np.uint8), transform=NORTH, nodata=255)
    place, moon = Affine(1e-6, 0, 9, 0, -1e-6, 50), "IAU_2015:30100"
    raster = write_raster(tmp_path / "moon.tif", np.ones((3, 9, 9), np.uint8), transform=place, crs=moon)
    with open_mask(mask) as source, pytest.raises(InputError, match="nothing leads from the mask's CRS"):
        read_overview(source, raster)
