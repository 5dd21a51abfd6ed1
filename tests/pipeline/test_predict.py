"""xarray in, lazy xarray out: the same probabilities as the files."""

from __future__ import annotations

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
from cropseg_geo.lazy import lazy_probability


def georeferenced(values: np.ndarray, gsd: float = 0.01) -> xr.DataArray:
    box = GeoBox(values.shape[-2:], Affine(gsd, 0, ORIGIN[0], 0, -gsd, ORIGIN[1]), UTM)
    return wrap_xr(values, box, axis=1)


@pytest.mark.parametrize("chunks", [None, (3, 100, 230)])
def test_predict_equals_segment_and_is_lazy(tmp_path, chunks):
    values = scene(560, 610)
    array = georeferenced(values if chunks is None else da.from_array(values, chunks=chunks))
    prob = cg.predict(array, model="canopy-s")
    assert isinstance(prob.data, da.Array)
    assert prob.dims == array.dims[1:]
    assert prob.odc.geobox == array.odc.geobox
    computed = prob.compute(scheduler="synchronous").to_numpy()
    assert computed.dtype == np.float32
    result = cg.segment(write_raster(tmp_path / "a.tif", values), tmp_path / "out")
    with rasterio.open(result.outputs.prob) as dataset:
        written = dataset.read(1)
    rounded = np.rint(computed * 254)
    # What rounding would carry across the threshold stays on its side.
    expected = np.where(computed >= 0.5, np.maximum(rounded, 127), np.minimum(rounded, 126))
    np.testing.assert_array_equal(expected, written)


def test_each_tile_is_inferred_once_and_invalid_pixels_are_nan():
    values = np.random.default_rng(0).random((1, 130, 170), dtype=np.float32)
    values[:, :40, :60] = np.nan
    predictor = CountingPredictor(fake_card(gsd_range_m=(0.001, 0.1)))
    COUNTS.clear()
    prob = lazy_probability(georeferenced(da.from_array(values, chunks=(1, 50, 50))), predictor)
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

    prob = lazy_probability(georeferenced(np.zeros((1, 40, 50), np.float32)), Thirds(0.5, card))
    assert prob.dims[0] == "class"
    assert list(prob["class"].values) == ["soil", "crop", "weed"]
    np.testing.assert_allclose(prob.compute(), 1 / 3, atol=1e-4)


def test_what_cannot_work_is_refused_with_a_remedy():
    values = scene(64, 64)
    with pytest.raises(InputError, match="no CRS"):
        cg.predict(xr.DataArray(values, dims=("band", "y", "x")))
    with pytest.raises(InputError, match=r"\(band, y, x\) with 3 bands"):
        cg.predict(georeferenced(values)[:2])
    with pytest.raises(InputError, match="accepts"):
        cg.predict(georeferenced(values, gsd=0.5))
    with pytest.raises(InputError, match="no scale was given"):
        cg.predict(georeferenced(values.astype(np.uint16)))


def test_what_is_no_array_of_the_right_order_on_a_regular_grid_is_refused():
    square = georeferenced(scene(64, 64)).rename(time="band")
    for other in (square.to_dataset(name="rgb"), square.to_numpy(), "ortho.tif"):
        with pytest.raises(InputError, match=r"xarray\.DataArray is expected"):
            cg.predict(other)
    with pytest.raises(InputError, match=r"\(band, y, x\) with 3 bands"):
        cg.predict(square.transpose("band", "x", "y"))
    with pytest.raises(InputError, match="not a regular grid"):
        cg.predict(square.isel(x=[0, 1, 2, 5, 9, 20]))
    with pytest.raises(InputError, match="object values"):
        cg.predict(square.astype(object))
    assert cg.predict(square.isel(y=slice(None, None, -1), x=slice(3, 40))).shape == (64, 37)


def test_bands_that_are_named_have_to_be_in_the_models_order():
    square = georeferenced(scene(64, 64)).rename(time="band")
    with pytest.raises(InputError, match="bands are blue, green, red; the model reads red, green, blue"):
        cg.predict(square.assign_coords(band=["blue", "green", "red"]))
    for names in (["Red", "Green", "Blue"], [1, 2, 3], ["B1", "B2", "B3"]):
        assert cg.predict(square.assign_coords(band=names)).shape == (64, 64)


def test_decimals_that_are_no_share_of_white_are_refused_when_they_are_computed():
    values = scene(64, 64).astype(np.float32)
    with pytest.raises(InputError, match=r"decimals up to \d+ and no scale"):
        cg.predict(georeferenced(values)).compute()
    values[:, :9] = -9999
    array = georeferenced(values / np.float32(255))
    array.attrs["_FillValue"] = array.to_numpy()[0, 0, 0]
    given = cg.predict(array, scale=(0, 1)).compute()
    xr.testing.assert_identical(cg.predict(array).compute(), given)
    assert np.isnan(given[:9]).all()
