"""Anything GDAL opens: the same pixels come out of every way of storing them."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasters import ORIGIN, UTM, scene, write_raster

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.options import Options
from cropseg_geo.preflight import prepare
from cropseg_geo.raster.band_choice import choose_bands
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.raster.sample import sample_raster, unflagged_alpha
from cropseg_geo.raster.scaling import ValueScale, choose_scale
from cropseg_geo.raster.source import GdalSource, close_handle

RGB = ("red", "green", "blue")


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_handle()


def source_of(path, *, bands=None, shape=None) -> GdalSource:
    info = inspect_raster(path)
    return GdalSource(info, choose_bands(info, RGB, bands), shape or (info.height, info.width))


@pytest.mark.parametrize(
    "profile",
    [
        {"tiled": True, "blockxsize": 128, "blockysize": 128},
        {"blockysize": 7},
        {"interleave": "band"},
        {"compress": "lzw", "predictor": 2, "bigtiff": "YES"},
        {"driver": "PNG"},
        {"driver": "JP2OpenJPEG", "reversible": "YES", "quality": 100},
        {"driver": "COG"},
    ],
    ids=lambda p: "-".join(map(str, p.values())),
)
def test_every_lossless_layout_reads_the_same(tmp_path, profile):
    values = scene(200, 300)
    if profile.get("driver") in ("PNG", "JP2OpenJPEG", "COG"):
        first = write_raster(tmp_path / "first.tif", values)
        path = tmp_path / f"image.{profile['driver'].lower()}"
        options = {k: v for k, v in profile.items() if k != "driver"}
        from rasterio import shutil

        shutil.copy(first, path, driver=profile["driver"], **options)
    else:
        path = write_raster(tmp_path / "image.tif", values, **profile)
    read, valid = source_of(path).read(Window(10, 20, 100, 150))
    np.testing.assert_array_equal(read, values[:, 10:110, 20:170])
    assert valid.all()


def test_jpeg_in_ycbcr_reads_as_rgb(tmp_path):
    values = scene(256, 256)
    path = write_raster(
        tmp_path / "j.tif", values, compress="JPEG", photometric="YCBCR", tiled=True, jpeg_quality=95
    )
    read, _ = source_of(path).read(Window(0, 0, 256, 256))
    assert np.abs(read.astype(int) - values).mean() < 8


def test_a_virtual_raster_reads_like_its_parts(tmp_path):
    values = scene(120, 200)
    write_raster(tmp_path / "a.tif", values)
    vrt = tmp_path / "a.vrt"
    from rasterio import shutil

    shutil.copy(tmp_path / "a.tif", vrt, driver="VRT")
    np.testing.assert_array_equal(source_of(vrt).read(Window(5, 5, 50, 60))[0], values[:, 5:55, 5:65])


def test_validity_is_alpha_then_mask_then_nodata_and_never_a_colour(tmp_path):
    values = scene(60, 80)
    values[:, :10] = 0
    valid = np.ones((60, 80), dtype=bool)
    valid[30:] = False
    window = Window(0, 0, 60, 80)

    black_is_fine = source_of(write_raster(tmp_path / "black.tif", values))
    assert black_is_fine.read(window)[1].all()

    alpha = source_of(write_raster(tmp_path / "alpha.tif", values, valid=valid))
    assert alpha.info.validity == "alpha"
    np.testing.assert_array_equal(alpha.read(window)[1], valid)
    np.testing.assert_array_equal(alpha.read_valid(window), valid)
    half = np.concatenate([values, np.where(valid, 128, 0)[None].astype(np.uint8)])
    half[3, :2] = 1  # the feathered rim of a mosaic shows something, too
    feathered = source_of(write_raster(tmp_path / "half.tif", half, photometric="RGB", alpha="YES"))
    np.testing.assert_array_equal(feathered.read(window)[1], valid)
    np.testing.assert_array_equal(feathered.read_valid(window), valid)

    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        masked_path = write_raster(tmp_path / "mask.tif", values)
        with rasterio.open(masked_path, "r+") as dataset:
            dataset.write_mask(valid)
    masked = source_of(masked_path)
    assert masked.info.validity == "mask"
    np.testing.assert_array_equal(masked.read(window)[1], valid)

    # A pixel is nodata where all bands are: one bright band does not make a hole.
    values[:, 30:] = 255
    values[0, 0, 0] = 255
    nodata = source_of(write_raster(tmp_path / "nodata.tif", values, nodata=255))
    np.testing.assert_array_equal(nodata.read(window)[1], valid)


@pytest.mark.parametrize("marked", [{2}, {1, 2}])
def test_of_bands_with_a_nodata_value_beside_others_one_that_holds_something_is_enough(tmp_path, marked):
    values = np.maximum(scene(40, 50), 1)
    holes = {1: slice(5, 20), 2: slice(12, 30)}
    for band in marked:
        values[band - 1, :, holes[band]] = 0
    valid = (values[[band - 1 for band in marked]] > 0).any(axis=0)
    write_raster(tmp_path / "plain.tif", values, photometric="RGB")
    bands = [
        f'<VRTRasterBand dataType="Byte" band="{k}">{"<NoDataValue>0</NoDataValue>" if k in marked else ""}'
        '<SimpleSource><SourceFilename relativeToVRT="1">plain.tif</SourceFilename>'
        f"<SourceBand>{k}</SourceBand></SimpleSource></VRTRasterBand>"
        for k in (1, 2, 3)
    ]
    (tmp_path / "v.vrt").write_text(
        f'<VRTDataset rasterXSize="50" rasterYSize="40"><SRS>{UTM}</SRS>'
        f"<GeoTransform>0, 0.01, 0, 0, 0, -0.01</GeoTransform>{''.join(bands)}</VRTDataset>"
    )
    source = source_of(tmp_path / "v.vrt")
    assert source.info.validity == "nodata"
    np.testing.assert_array_equal(source.read(Window(0, 0, 40, 50))[1], valid)


def test_nan_is_invalid_even_without_a_nodata_value(tmp_path):
    values = (scene(40, 50) / 255).astype(np.float32)
    values[1, 3, 4] = np.nan
    source = source_of(write_raster(tmp_path / "f.tif", values))
    valid = source.read(Window(0, 0, 40, 50))[1]
    assert not valid[3, 4]
    assert valid.sum() == valid.size - 1


def test_bands_go_by_colour_then_by_order_then_by_choice(tmp_path):
    values = np.stack([np.full((20, 20), i, dtype=np.uint8) for i in range(1, 6)])
    path = write_raster(tmp_path / "five.tif", values)
    with rasterio.open(path, "r+") as dataset:
        colours = ["blue", "green", "red", "undefined", "undefined"]
        dataset.colorinterp = [rasterio.enums.ColorInterp[c] for c in colours]
    assert source_of(path).bands == (3, 2, 1)
    assert source_of(path, bands=(5, 4, 2)).bands == (5, 4, 2)
    with pytest.raises(InputError, match=r"--bands names band 9.*\[1, 2, 3, 4, 5\]"):
        source_of(path, bands=(9, 1, 2))
    with pytest.raises(InputError, match="--bands names 2 bands; the model reads 3 bands"):
        source_of(path, bands=(1, 2))


def test_a_file_that_names_other_bands_than_the_models_is_refused_until_bands_are_chosen(tmp_path):
    path = write_raster(tmp_path / "m.tif", np.ones((4, 20, 20), dtype=np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Green", "Red", "RedEdge", "NIR")
    with pytest.raises(InputError, match="names its bands green, red, rededge, nir; the model reads 3 bands"):
        source_of(path)
    assert source_of(path, bands=(2, 1, 3)).bands == (2, 1, 3)
    with rasterio.open(path, "r+") as dataset:  # what it names lies where it is looked for
        dataset.descriptions = ("Red", "", "", "NIR")
    assert source_of(path).bands == (1, 2, 3)


def test_numbered_bands_are_not_taken_for_colours(tmp_path):
    path = write_raster(tmp_path / "n.tif", np.ones((3, 20, 20), dtype=np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("B1", "B2", "B03")
    assert source_of(path).bands == (1, 2, 3)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("B475", "G560", "R668")
    assert source_of(path).bands == (3, 2, 1)


def test_bands_whose_colours_only_their_descriptions_name_are_found_by_them(tmp_path):
    path = write_raster(tmp_path / "five.tif", np.ones((5, 20, 20), dtype=np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Blue-444", "Blue", "Green", "Red", "Red edge")
    assert inspect_raster(path).colours == ("blue", "undefined", "green", "red", "rededge")
    assert source_of(path).bands == (4, 3, 1)
    # Where the file says it twice, the colour interpretation decides.
    with rasterio.open(path, "r+") as dataset:
        colours = ["undefined", "red", "green", "blue", "undefined"]
        dataset.colorinterp = [rasterio.enums.ColorInterp[c] for c in colours]
    assert source_of(path).bands == (2, 3, 4)


def test_descriptions_overrule_what_gdal_calls_the_first_three_bands_by_itself(tmp_path):
    path = write_raster(tmp_path / "bgr.tif", np.ones((3, 20, 20), dtype=np.uint8))
    assert inspect_raster(path).colours == ("red", "green", "blue")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Blue", "Green", "Red")
    assert source_of(path).bands == (3, 2, 1)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("NIR", "Red", "Green")
    with pytest.raises(InputError, match="names its bands nir, red, green"):
        source_of(path)
    with rasterio.open(path, "r+") as dataset:  # no three colours: nothing to go by
        dataset.descriptions = ("Red", "Red", "Green")
    assert source_of(path).bands == (1, 2, 3)


@pytest.mark.parametrize(
    "names",
    [
        ("Blue (475 nm)", "Green (560 nm)", "Red (668 nm)", "NIR (842 nm)"),
        ("Band 1: Blue", "Band 2: Green", "Band 3: Red", "Band 4: Near IR"),
        ("B02 Blue", "B03 Green", "B04 Red", "B8A NIR"),
        ("blue_reflectance", "green_reflectance", "Red (0.665 Micrometers)", "N"),
        ("475 nm", "560 nm", "668 nm", "842 Nanometers"),
    ],
    ids=lambda names: names[2],
)
@pytest.mark.parametrize("count", [3, 4])
def test_names_with_wavelengths_numbers_and_other_words_are_understood(tmp_path, names, count):
    # Of three bytes GDAL itself says that they are red, green and blue.
    values = np.ones((count, 20, 20), dtype=np.uint8 if count == 3 else np.uint16)
    path = write_raster(tmp_path / "n.tif", values)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = names[:count]
    assert inspect_raster(path).colours == ("blue", "green", "red", "nir")[:count]
    assert source_of(path).bands == (3, 2, 1)


@pytest.mark.parametrize("name", ["NIR (842 nm)", "Infrared", "Red edge", "IR"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_light_beyond_red_is_never_taken_for_a_colour(tmp_path, name, dtype):
    path = write_raster(tmp_path / "cir.tif", np.ones((3, 20, 20), dtype=dtype))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = (name, "Red (668 nm)", "Green (560 nm)")
    with pytest.raises(InputError, match=r"names its bands [a-z]+, red, green; the model reads"):
        source_of(path)


def test_wavelengths_name_bands_that_nothing_else_names(tmp_path):
    path = write_raster(tmp_path / "w.tif", np.ones((6, 20, 20), dtype=np.uint16))
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Coast", "Green", "", "", "", "")
        for band, nm in zip((1, 3, 4, 5), (444, 630, 660, 740), strict=True):
            dataset.update_tags(band, wavelength=nm, wavelength_units="Nanometers")
        dataset.update_tags(6, ns="IMAGERY", CENTRAL_WAVELENGTH_UM="0.842")
    # Of two bands in the red, the one that is more like other cameras' red.
    assert inspect_raster(path).colours == ("blue", "green", "undefined", "red", "rededge", "nir")
    assert source_of(path).bands == (4, 2, 1)


def test_an_envi_file_whose_bands_gdal_names_with_wavelengths_is_refused(tmp_path):
    path = write_raster(tmp_path / "s.bsq", np.ones((4, 20, 20), dtype=np.uint16), driver="ENVI")
    for beside in tmp_path.glob("*.aux.xml"):
        beside.unlink()
    with path.with_suffix(".hdr").open("a") as header:
        header.write("band names = {Green, Red, Red edge, NIR}\nwavelength units = Nanometers\n")
        header.write("wavelength = {550, 660, 735, 790}\n")
    with rasterio.open(path) as dataset:
        assert dataset.descriptions[1] == "Red (660 Nanometers)"
    with pytest.raises(InputError, match="names its bands green, red, rededge, nir; the model reads"):
        source_of(path)


def test_names_that_say_no_colour_are_quoted_and_beside_light_beyond_red_refused(tmp_path):
    path = write_raster(tmp_path / "f.tif", np.stack([scene(60, 60)[0]] * 4), photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Bleu", "Band 2", "Rouge", "Proche infrarouge")
    with pytest.raises(InputError, match="names its bands 'Bleu', unnamed, 'Rouge', infrared"):
        source_of(path)
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Bleu", "Band 2", "Rouge", "")
    notes = prepare(path).notes
    assert any("bands (1, 2, 3), which it calls 'Bleu', nothing, 'Rouge', are taken as" in n for n in notes)


def test_an_alpha_band_that_only_the_user_knows_is_none_of_the_colours(tmp_path):
    values = np.stack([np.full((20, 20), i, dtype=np.uint8) for i in range(1, 5)])
    info = inspect_raster(write_raster(tmp_path / "argb.tif", values, photometric="MINISBLACK"))
    assert choose_bands(info, RGB, None, alpha_band=1) == (2, 3, 4)
    with pytest.raises(InputError, match=r"--bands names band 1.*data bands \[2, 3, 4\]"):
        choose_bands(info, RGB, (1, 2, 3), alpha_band=1)
    path = write_raster(tmp_path / "named.tif", values, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:  # whatever the file calls it
        dataset.descriptions = ("Red", "Red", "Green", "Blue")
    assert choose_bands(inspect_raster(path), RGB, None, alpha_band=1) == (2, 3, 4)
    rgb = inspect_raster(write_raster(tmp_path / "rgb.tif", values[:3]))
    with pytest.raises(InputError, match="2 data band"):
        choose_bands(rgb, RGB, None, alpha_band=3)


def test_a_few_valid_pixels_that_no_patch_meets_are_still_looked_at(tmp_path):
    values = np.full((3, 3000, 3000), np.nan, dtype=np.float32)
    values[:, 2990:2994, 2990:2994] = 200.0
    sparse = source_of(write_raster(tmp_path / "sparse.tif", values, tiled=True, compress="deflate"))
    sample = sample_raster(sparse, Window(0, 0, 3000, 3000))
    assert sample.values.shape == (3, 16)
    # They are no reflectance, which they were taken for where none of them was seen.
    with pytest.raises(InputError, match="--scale"):
        choose_scale(sparse.info, (1, 2, 3), sample.values)


def test_a_rotated_geotransform_keeps_its_gsd(tmp_path):
    rotated = Affine.translation(*ORIGIN) @ Affine.rotation(17) @ Affine.scale(0.02, -0.02)
    path = write_raster(tmp_path / "r.tif", scene(50, 60), transform=rotated)
    assert inspect_raster(path).ground.gsd_m == pytest.approx(0.02)


@pytest.mark.parametrize(
    ("crs", "step", "gsd_m"),
    [
        (UTM, 0.01, 0.01),
        ("EPSG:2225", 0.05, 0.05 * 1200 / 3937),
        ("EPSG:4326", 1e-7, None),
        ("EPSG:3857", 0.02, None),
    ],
)
def test_gsd_is_metres_on_the_ground_in_any_crs(tmp_path, crs, step, gsd_m):
    origin = {"EPSG:4326": (11.0, 52.0), "EPSG:3857": (1224514.4, 6800125.5), "EPSG:2225": (6e6, 2e6)}
    x, y = origin.get(crs, ORIGIN)
    path = write_raster(tmp_path / "g.tif", scene(40, 40), crs=crs, transform=Affine(step, 0, x, 0, -step, y))
    found = inspect_raster(path).ground.gsd_m
    if gsd_m is None:
        from pyproj import Geod

        # One degree of latitude and longitude at 52° N, and Web Mercator's scale there.
        geod = Geod(ellps="GRS80")
        east = geod.inv(11, 52, 11 + 1e-3, 52)[2] / 1e-3
        north = geod.inv(11, 52 - 5e-4, 11, 52 + 5e-4)[2] / 1e-3
        degrees = step if crs == "EPSG:4326" else None
        gsd_m = (
            np.sqrt(degrees * east * degrees * north)
            if degrees
            else step * np.sqrt(east * north * np.cos(np.radians(52))) / (6378137 * np.pi / 180)
        )
    assert found == pytest.approx(gsd_m, rel=2e-4)


@pytest.mark.parametrize("shape", [(100, 150), (137, 190), (400, 600)])
def test_resampled_reads_do_not_depend_on_the_window(tmp_path, shape):
    valid = np.ones((200, 300), dtype=bool)
    valid[:40, :90] = False
    source = source_of(write_raster(tmp_path / "w.tif", scene(200, 300), valid=valid), shape=shape)
    whole, whole_valid = source.read(Window(0, 0, *shape))
    window = Window(13, 21, 60, 70)
    part, part_valid = source.read(window)
    np.testing.assert_array_equal(part, whole[:, *window.slices])
    np.testing.assert_array_equal(part_valid, whole_valid[window.slices])


def test_scale_is_given_or_stated_or_implied_and_else_refused(tmp_path):
    rng = np.random.default_rng(0)
    sixteen = rng.integers(0, 9000, (3, 30, 30)).astype(np.uint16)
    info = inspect_raster(write_raster(tmp_path / "u16.tif", sixteen))
    sample = sixteen.reshape(3, -1).astype(np.float64)
    with pytest.raises(InputError, match="no scale in the file") as refused:
        choose_scale(info, (1, 2, 3), sample)
    assert "--scale" in refused.value.remedy
    assert choose_scale(info, (1, 2, 3), sample, scale=(0, 9000)) == ValueScale(0, 9000)

    twelve_bit = inspect_raster(write_raster(tmp_path / "u12.tif", sixteen // 4, nbits=12))
    assert choose_scale(twelve_bit, (1, 2, 3), sample) == ValueScale(0, 4095)

    reflectance = (sixteen / 20000).astype(np.float32)
    info = inspect_raster(write_raster(tmp_path / "f32.tif", reflectance))
    assert choose_scale(info, (1, 2, 3), sample / 20000) == ValueScale(0, 1, encode_srgb=True)
    with pytest.raises(InputError, match="float32 values"):
        choose_scale(info, (1, 2, 3), sample)
    with pytest.raises(InputError, match="upper end must lie above"):
        ValueScale(5, 5)


def test_a_scale_that_is_said_to_be_of_reflectance_means_what_one_in_the_file_means(tmp_path):
    stored = np.random.default_rng(0).integers(600, 20_000, (3, 60, 60)).astype(np.uint16)
    silent = write_raster(tmp_path / "silent.tif", stored, photometric="RGB")
    stated = write_raster(tmp_path / "stated.tif", stored, photometric="RGB")
    with rasterio.open(stated, "r+") as dataset:
        dataset.scales = (1 / 32_768,) * 3
    said = prepare(silent, Options(scale=(0, 32_768), reflectance=True))
    assert said.scale == prepare(stated).scale == ValueScale(0, 32_768, encode_srgb=True)
    photograph = prepare(silent, Options(scale=(0, 32_768)))
    assert photograph.scale == ValueScale(0, 32_768)
    assert photograph.plan.fingerprint != said.plan.fingerprint


@pytest.mark.parametrize(
    ("lowest", "highest", "dtype", "photograph", "reflectance"),
    [
        (600, 20_000, np.uint16, "710,20000", "0,32768 or --scale 0,65535"),
        (300, 9_000, np.uint16, "350,9000", "0,10000 or --scale 0,32768 or --scale 0,65535"),
        (0, 65_535, np.uint16, "0,65535", "0,65535"),
        (1, 70, np.float32, "1.4,70", "0,100"),
        (0, 250, np.float32, "0,255", None),
    ],
)
def test_advice_on_wide_values_names_full_ranges_that_fit(
    tmp_path, lowest, highest, dtype, photograph, reflectance
):
    values = np.random.default_rng(0).uniform(lowest, highest, (3, 60, 60)).astype(dtype)
    with pytest.raises(InputError, match="no scale in the file") as refused:
        prepare(write_raster(tmp_path / "w.tif", values, photometric="RGB"))
    assert f"for example --scale {photograph}" in refused.value.remedy
    full = (
        f"full reflectance, --reflectance --scale {reflectance};"
        if reflectance
        else "if they are reflectance"
    )
    assert full in refused.value.remedy


def test_only_the_bands_that_are_read_need_one_scale(tmp_path):
    stored = np.stack([scene(60, 60)[0]] * 5).astype(np.uint16) * 100
    path = write_raster(tmp_path / "thermal.tif", stored, photometric="MINISBLACK")
    with rasterio.open(path, "r+") as dataset:
        dataset.descriptions = ("Blue", "Green", "Red", "LWIR", "alpha")
        dataset.scales, dataset.offsets = (1e-4, 1e-4, 1e-4, 0.01, 1.0), (0, 0, 0, -273.15, 0)
    assert prepare(path).scale == ValueScale(0, 1e4, encode_srgb=True)
    with pytest.raises(InputError, match=r"different scales and offsets for bands \(4, 2, 1\)") as refused:
        prepare(path, Options(bands=(4, 2, 1)))
    assert "--scale 0,4000" not in refused.value.remedy  # whose numbers would be none of this file's


def test_stated_offsets_are_added_to_what_the_factor_makes_of_stored_values(tmp_path):
    """As in Sentinel-2's L2A, whose 1000 is no light."""
    stored = np.random.default_rng(0).integers(1000, 11_001, (3, 60, 60)).astype(np.uint16)
    path = write_raster(tmp_path / "l2a.tif", stored, photometric="RGB")
    with rasterio.open(path, "r+") as dataset:
        dataset.scales, dataset.offsets = (1e-4,) * 3, (-0.1,) * 3
    scale = prepare(path).scale
    assert (scale.low, scale.high, scale.encode_srgb) == (pytest.approx(1000), pytest.approx(11_000), True)


def test_scaling_maps_the_range_to_zero_and_one():
    unit = ValueScale(100, 300).apply(np.array([0, 100, 200, 300, 999], dtype=np.uint16))
    np.testing.assert_allclose(unit, [0, 0, 0.5, 1, 1])
    assert unit.dtype == np.float32
    # IEC 61966-2-1: linear 0.18 is about 0.46 in sRGB.
    encoded = ValueScale(0, 1, encode_srgb=True).apply(np.array([0.0, 0.001, 0.18, 1.0]))
    np.testing.assert_allclose(encoded, [0, 0.01292, 0.461, 1], atol=2e-3, rtol=1e-3)


def test_a_raster_without_a_valid_pixel_is_refused_and_one_pixel_is_enough(tmp_path):
    valid = np.zeros((300, 300), dtype=bool)
    empty = source_of(write_raster(tmp_path / "empty.tif", scene(300, 300), valid=valid))
    with pytest.raises(InputError, match=r"not one of its 90,000 pixels here is valid.*alpha"):
        sample_raster(empty, Window(0, 0, 300, 300))
    valid = np.zeros((2000, 2000), dtype=bool)
    valid[1777, 1234] = True
    almost = source_of(
        write_raster(tmp_path / "almost.tif", np.zeros((3, 2000, 2000), np.uint8), valid=valid)
    )
    assert sample_raster(almost, Window(0, 0, 2000, 2000)).valid_share < 0.01


@pytest.mark.parametrize("mark", [-10000.0, float(np.finfo(np.float32).min)])
def test_a_nodata_value_that_nobody_declared_is_no_light(tmp_path, mark):
    values = (scene(60, 60) / 255).astype(np.float32)
    values[:, :, :20] = mark
    undeclared = write_raster(tmp_path / "u.tif", values)
    with pytest.raises(InputError, match="is not declared as nodata") as caught:
        prepare(undeclared, Options(scale=(0.0, 1.0)))
    assert f"rio edit-info --nodata {mark:.17g} FILE" in caught.value.remedy
    assert prepare(write_raster(tmp_path / "d.tif", values, nodata=mark)).sample.values.min() >= 0
    values[0, 30, 30] = mark  # in one band, of a pixel that the others have
    prepare(write_raster(tmp_path / "e.tif", values, nodata=mark))


@pytest.mark.parametrize("value", [0, 255])
def test_a_background_that_the_file_does_not_mark_is_noted(tmp_path, value):
    values = scene(200, 200)
    values[:, :, :80] = value
    (note,) = prepare(write_raster(tmp_path / "o.tif", values, photometric="RGB")).notes
    assert f"pixels are {value} in all bands" in note
    assert f"rio edit-info --nodata {value} FILE" in note
    assert not prepare(write_raster(tmp_path / "n.tif", values, photometric="RGB", nodata=value)).notes


@pytest.mark.parametrize("value", [0, 255])
def test_a_background_is_noted_although_the_file_has_means_to_mark_it(tmp_path, value):
    values = scene(200, 200)
    values[:, :, :80] = value
    opaque = np.ones((200, 200), dtype=bool)
    (note,) = prepare(write_raster(tmp_path / "opaque.tif", values, valid=opaque)).notes
    assert f"valid pixels are {value} in all bands, and the alpha band is opaque everywhere" in note
    assert f"nearblack -color {value},{value},{value} " in note

    opaque[:20] = False
    (note,) = prepare(write_raster(tmp_path / "partly.tif", values, valid=opaque)).notes
    assert "the alpha band is opaque there" in note

    other = write_raster(tmp_path / "other.tif", values, photometric="RGB", nodata=255 - value)
    (note,) = prepare(other).notes
    assert f"valid pixels are {value} in all bands, which the file's nodata does not mark" in note

    marked = np.indices((200, 200))[1] >= 80
    assert not prepare(write_raster(tmp_path / "marked.tif", values, valid=marked)).notes


def test_pictures_without_colours_and_in_false_ones_are_noted(tmp_path):
    red, green, blue = scene(200, 200)
    infrared = np.clip(green * 1.6 + 20, 0, 255).astype(np.uint8)
    for name, bands, said in (
        ("grey", (green, green, green), "hold the same values"),
        ("false", (infrared, red // 2, green // 2 + 8), "pinkish, as leaves where near infrared"),
    ):
        (note,) = prepare(write_raster(tmp_path / f"{name}.tif", np.stack(bands), photometric="RGB")).notes
        assert said in note
    assert not prepare(
        write_raster(tmp_path / "rgb.tif", np.stack([red, green, blue]), photometric="RGB")
    ).notes


def test_an_alpha_band_that_nobody_flagged_is_noticed(tmp_path):
    values = np.concatenate([scene(100, 100), np.full((1, 100, 100), 255, np.uint8)])
    path = write_raster(tmp_path / "four.tif", values, photometric="MINISBLACK", alpha="NO")
    assert unflagged_alpha(source_of(path)) == 4
    infrared = np.concatenate([scene(100, 100), scene(100, 100, seed=1)[:1]])
    path = write_raster(tmp_path / "nir.tif", infrared, photometric="MINISBLACK", alpha="NO")
    assert unflagged_alpha(source_of(path)) is None
