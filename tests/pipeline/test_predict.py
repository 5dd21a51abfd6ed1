"""xarray in, lazy xarray out: the same probabilities as the files."""

from __future__ import annotations

from types import SimpleNamespace

import dask.array as da
import numpy as np
import pytest
import rasterio
import xarray as xr
from affine import Affine
from fakes import COUNTS, ConstantPredictor, CountingPredictor, fake_card
from odc.geo.geobox import GeoBox
from odc.geo.xr import wrap_xr
from rasters import ORIGIN, UTM, scene, write_raster

import cropseg_geo as cg
from cropseg_geo.errors import InputError


def georeferenced(values: np.ndarray, gsd: float = 0.01) -> xr.DataArray:
    box = GeoBox(values.shape[-2:], Affine(gsd, 0, ORIGIN[0], 0, -gsd, ORIGIN[1]), UTM)
    return wrap_xr(values, box, axis=1)


def opened(values: np.ndarray, **attrs) -> xr.DataArray:
    """As rioxarray opens a file: bands counted from 1, what the file says in attributes."""
    array = georeferenced(values).rename(time="band").assign_coords(band=range(1, len(values) + 1))
    array.encoding["rasterio_dtype"] = str(values.dtype)
    return array.assign_attrs(scale_factor=1.0, add_offset=0.0) if not attrs else array.assign_attrs(attrs)


def assert_as_segment(prob: xr.DataArray, raster, folder) -> None:
    with rasterio.open(cg.segment(raster, folder, overwrite=True).outputs.prob) as dataset:
        written = dataset.read(1)
    computed = prob.compute(scheduler="synchronous").to_numpy()
    rounded = np.rint(computed * 254)
    # What rounding would carry across the threshold stays on its side.
    expected = np.where(computed >= 0.5, np.maximum(rounded, 127), np.minimum(rounded, 126))
    np.testing.assert_array_equal(np.where(np.isnan(computed), 255, expected), written)


@pytest.mark.parametrize("chunks", [None, (3, 100, 230)])
def test_predict_equals_segment_and_is_lazy(tmp_path, chunks):
    values = scene(560, 610)
    array = georeferenced(values if chunks is None else da.from_array(values, chunks=chunks))
    prob = cg.predict(array, model="canopy-s")
    assert isinstance(prob.data, da.Array)
    assert prob.dims == array.dims[1:]
    assert prob.odc.geobox == array.odc.geobox
    assert prob.dtype == np.float32
    assert_as_segment(prob, write_raster(tmp_path / "a.tif", values), tmp_path / "out")


def test_each_tile_is_inferred_once_and_invalid_pixels_are_nan():
    values = np.random.default_rng(0).random((1, 130, 170), dtype=np.float32)
    values[:, :40, :60] = np.nan
    predictor = CountingPredictor(fake_card(gsd_range_m=(0.001, 0.1)))
    COUNTS.clear()
    prob = cg.predict(georeferenced(da.from_array(values, chunks=(1, 50, 50))), predictor, reflectance=False)
    assert not COUNTS
    out = prob.compute().to_numpy()
    assert set(COUNTS.values()) == {1}
    np.testing.assert_array_equal(np.isnan(out), np.isnan(values[0]))
    np.testing.assert_allclose(out[~np.isnan(out)], values[0][~np.isnan(out)], atol=1e-4)


def test_several_classes_give_a_class_dimension():
    card = fake_card(classes=("soil", "crop", "weed"), colours=("#000000", "#00ff00", "#ff0000"))

    class Thirds(ConstantPredictor):
        def predict(self, batch):
            return np.zeros((len(batch), 3, *batch.shape[-2:]), dtype=np.float32)

    prob = cg.predict(georeferenced(np.zeros((1, 40, 50), np.uint8)), Thirds(0.5, card))
    assert prob.dims[0] == "class"
    assert list(prob["class"].values) == ["soil", "crop", "weed"]
    np.testing.assert_allclose(prob.compute(), 1 / 3, atol=1e-4)


def test_what_cannot_work_is_refused_with_a_remedy():
    values = scene(64, 64)
    with pytest.raises(InputError, match="no CRS"):
        cg.predict(xr.DataArray(values, dims=("band", "y", "x")))
    with pytest.raises(InputError, match=r"has 2 data band\(s\)"):
        cg.predict(georeferenced(values)[:2])
    with pytest.raises(InputError, match="accepts"):
        cg.predict(georeferenced(values, gsd=0.5))
    with pytest.raises(InputError, match="no scale was given"):
        cg.predict(georeferenced(values.astype(np.uint16)))


@pytest.mark.parametrize(
    "wrong",
    [{"tile_px": 130}, {"tile_px": 0}, {"tile_px": 512.0}, {"overlap_px": 257}, {"batch_size": 0}],
    ids=str,
)
def test_tiles_that_do_not_fit_are_refused_before_anything_is_computed(wrong):
    with pytest.raises(InputError):
        cg.predict(georeferenced(scene(64, 64)), **wrong)


def test_what_is_no_array_of_the_right_order_on_a_regular_grid_is_refused():
    square = georeferenced(scene(64, 64)).rename(time="band")
    for other in (square.to_dataset(name="rgb"), square.to_numpy(), "ortho.tif"):
        with pytest.raises(InputError, match=r"xarray\.DataArray is expected"):
            cg.predict(other)
    for order in (("y", "x", "band"), ("band", "x", "y")):
        with pytest.raises(InputError, match=r"transpose\('band', 'y', 'x'\)"):
            cg.predict(square.transpose(*order))
    with pytest.raises(InputError, match=r"isel\(time=0\)"):
        cg.predict(square.expand_dims(time=[0]))
    with pytest.raises(InputError, match="not a regular grid"):
        cg.predict(square.isel(x=[0, 1, 2, 5, 9, 20]))
    with pytest.raises(InputError, match="object values"):
        cg.predict(square.astype(object))
    assert cg.predict(square.isel(y=slice(None, None, -1), x=slice(3, 40))).shape == (64, 37)


def test_a_model_that_is_none_is_refused_by_its_type():
    with pytest.raises(InputError, match=r"type dict.*\n.*save_model"):
        cg.predict(georeferenced(scene(64, 64)), {})
    with pytest.raises(InputError, match="leave them out"):
        cg.predict(georeferenced(np.zeros((1, 40, 50), np.uint8)), ConstantPredictor(0.5), device="cuda")


def test_bands_are_found_by_their_names_wherever_these_stand():
    values = scene(64, 64)
    expected = cg.predict(opened(values)).compute()
    names = ("Blue", "Green", "Red")
    file = opened(values[::-1], long_name=names)
    named = file.drop_attrs(deep=False).assign_coords(band=list(names))
    # Selected bands keep the names of all: their numbers tell which are whose.
    for array in (file, file.sel(band=[3, 1, 2]), file.drop_vars("band"), named, named[[1, 0, 2]]):
        np.testing.assert_array_equal(cg.predict(array).compute(), expected)
    chunked = cg.predict(file.chunk(band=1, x=30)).compute(scheduler="synchronous")
    np.testing.assert_array_equal(chunked, expected)
    for unknown in ([1, 2, 3], ["B1", "B2", "B3"]):
        np.testing.assert_array_equal(cg.predict(opened(values).assign_coords(band=unknown)), expected)
    # Without numbers nobody knows which three of four these are.
    of_four = opened(values, long_name=("Blue", *names)).drop_vars("band")
    np.testing.assert_array_equal(cg.predict(of_four), expected)
    with pytest.raises(InputError, match="names its bands nir, green, red"):
        cg.predict(file.assign_coords(band=["NIR", "Green", "Red"]))
    np.testing.assert_array_equal(cg.predict(file.drop_attrs(deep=False), bands=(3, 2, 1)), expected)


def test_an_alpha_band_means_validity_and_has_to_be_known(tmp_path):
    values, valid = scene(300, 310), np.ones((300, 310), dtype=bool)
    valid[:90, :80] = False
    raster = write_raster(tmp_path / "a.tif", values, valid=valid)
    array = opened(np.concatenate([values, np.where(valid, 255, 0)[None].astype(np.uint8)]))
    assert_as_segment(cg.predict(array, alpha_band=4), raster, tmp_path / "out")
    named = array.assign_coords(band=["red", "green", "blue", "Alpha"])
    xr.testing.assert_identical(cg.predict(named).compute(), cg.predict(array, alpha_band=4).compute())
    for unsaid in (array, array.assign_attrs(long_name=("red", "green", "blue", None))):
        with pytest.raises(InputError, match=r"has 4 bands.*\n.*alpha_band=4.* bands=\(1, 2, 3\)"):
            cg.predict(unsaid)
    with pytest.raises(InputError, match="has 4 bands"):
        cg.predict(array, alpha_band=5)
    assert not np.isnan(cg.predict(array, bands=(1, 2, 3))).any()


@pytest.mark.parametrize("key", ["_FillValue", "missing_value", "fill_value", "nodata", "nodatavals"])
def test_the_nodata_value_is_found_where_it_is_kept(key):
    values = scene(64, 64)
    values[:, :20] = 0
    prob = cg.predict(opened(values, **{key: (0, 0, 0) if key == "nodatavals" else 0}))
    assert (np.isnan(prob.compute()).to_numpy() == (values == 0).all(axis=0)).all()


def test_what_rioxarray_was_told_comes_first_and_what_is_no_number_is_refused(monkeypatch):
    values = scene(64, 64)
    values[:, :20] = 0
    for wrong in ("0", (0, 1, 0), (0, None)):
        with pytest.raises(InputError, match="one number is expected"):
            cg.predict(opened(values, _FillValue=wrong))
    told = SimpleNamespace(nodata=0)
    monkeypatch.setattr(xr.DataArray, "rio", told, raising=False)
    assert np.isnan(cg.predict(opened(values, _FillValue=255)).compute()).to_numpy()[:20].all()
    # It calls masked integers NaN where they have been.
    told.nodata = np.nan
    array = opened(values)
    array.encoding["_FillValue"] = 0
    assert np.isnan(cg.predict(array).compute()).to_numpy()[:20].all()


@pytest.mark.parametrize("kind", ["int16", "float32"])
def test_a_usual_nodata_value_that_is_not_declared_is_refused_when_it_is_computed(kind):
    values = scene(64, 64).astype(kind)
    values[:, :20] = -9999
    array = opened(values, AREA_OR_POINT="Area")
    with pytest.raises(InputError, match=r"the value -9999, .*\n.*_FillValue"):
        cg.predict(array, scale=(0, 255)).compute()
    prob = cg.predict(array.assign_attrs(_FillValue=-9999), scale=(0, 255)).compute()
    assert (np.isnan(prob).to_numpy() == (values == -9999).all(axis=0)).all()


def test_reflectance_is_what_it_is_in_a_file(tmp_path):
    light = (scene(300, 310) / 255) ** 2.2 / 2
    stored = np.rint(light * 10000).astype(np.uint16)
    raster = write_raster(tmp_path / "a.tif", stored)
    with rasterio.open(raster, "r+") as dataset:
        dataset.scales = [1e-4] * 3
    integers = opened(stored, scale_factor=1e-4, add_offset=0.0)
    assert_as_segment(cg.predict(integers), raster, tmp_path / "out")
    given = cg.predict(opened(stored), scale=(0, 10000), reflectance=True)
    assert_as_segment(given, raster, tmp_path / "out")

    decimals = light.astype(np.float32)
    raster = write_raster(tmp_path / "b.tif", decimals)
    assert_as_segment(cg.predict(opened(decimals)), raster, tmp_path / "out")
    assert_as_segment(cg.predict(georeferenced(decimals), reflectance=True), raster, tmp_path / "out")
    scaled = opened(decimals * 2, scale_factor=0.5, add_offset=0.0)
    xr.testing.assert_identical(cg.predict(scaled).compute(), cg.predict(opened(decimals)).compute())
    decoded = opened(decimals)
    decoded.encoding = {"dtype": "uint16", "scale_factor": 1e-4, "add_offset": 0.0}
    xr.testing.assert_identical(cg.predict(decoded).compute(), cg.predict(opened(decimals)).compute())


def test_decimals_that_were_computed_have_to_be_explained():
    values = scene(64, 64)
    photograph = opened(values)
    for computed in (photograph / np.float32(255), opened(values, scale_factor=1e-3, add_offset=0.0) * 1e-3):
        with pytest.raises(InputError, match=r"nothing says how .*\n.*reflectance="):
            cg.predict(computed)
    expected = cg.predict(photograph).compute()
    same = cg.predict(photograph / np.float32(255), reflectance=False).compute()
    np.testing.assert_allclose(same, expected, atol=1e-3)
    with pytest.raises(InputError, match="'gamma' is no answer"):
        cg.predict(photograph, reflectance="gamma")
    with pytest.raises(InputError, match="scale_factor"):
        cg.predict(opened(values.astype(np.uint16), scale_factor="1e-4"))


def test_decimals_that_are_no_share_of_white_are_refused_when_they_are_computed():
    values = scene(64, 64).astype(np.float32)
    with pytest.raises(InputError, match=r"decimals up to \d+ and no scale"):
        cg.predict(georeferenced(values), reflectance=False).compute()
    values[:, :9] = -9999
    array = georeferenced(values / np.float32(255))
    array.attrs["_FillValue"] = array.to_numpy()[0, 0, 0]
    given = cg.predict(array, scale=(0, 1)).compute()
    xr.testing.assert_identical(cg.predict(array, reflectance=False).compute(), given)
    assert np.isnan(given[:9]).all()
