"""The same command on real orthomosaics (where the data folder is there)."""

from __future__ import annotations

import os
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.vrt import WarpedVRT

import cropseg_geo as cg
from cropseg_geo.errors import InputError
from cropseg_geo.events import Warned

ROOT = Path(__file__).resolve().parents[2]
ORTHOS = Path(os.environ.get("CROPSEG_DATA", ROOT.parent / "shared" / "data")) / "orthos"

pytestmark = pytest.mark.skipif(not ORTHOS.is_dir(), reason=f"real orthomosaics are not at {ORTHOS}")


def segment(name: str, out: Path, **options):
    events: list[object] = []
    result = cg.segment(ORTHOS / name, out, listener=events.append, **options)
    return result, [e.message for e in events if isinstance(e, Warned)]


def test_soy_trial_finds_the_plants_of_its_own_mask(tmp_path):
    folder = "pliman_soy_dsm"
    result, _ = segment(f"{folder}/soy_ortho.tif", tmp_path, plots=ORTHOS / folder / "plots.geojson")
    assert len(result.plots) == 15
    assert result.plots["coverage"].between(0, 1).all()
    truth_path = ORTHOS / folder / "plant_mask_0soil_1plant_255nodata.tif"
    with rasterio.open(result.outputs.mask) as mask, rasterio.open(truth_path) as truth:
        with WarpedVRT(
            truth, crs=mask.crs, transform=mask.transform, height=mask.height, width=mask.width
        ) as v:
            plants = v.read(1)
        found = mask.read(1)
    known = (plants != 255) & (found != 255)
    both = ((plants == 1) & (found == 1) & known).sum()
    either = (((plants == 1) | (found == 1)) & known).sum()
    assert both / either > 0.6


def test_maize_beside_stubble_with_areas_in_two_crs(tmp_path):
    folder, tables = "deepness_maize", []
    for name in ("dummy_fotomap_area.gpkg", "dummy_fotomap_area_3857.gpkg"):
        result, _ = segment(
            f"{folder}/dummy_fotomap_small.tif", tmp_path / name, plots=ORTHOS / folder / name
        )
        tables.append(result.plots)
    np.testing.assert_allclose(tables[0]["coverage"], tables[1]["coverage"], atol=2e-3)
    np.testing.assert_allclose(tables[0]["plot_area_m2"], tables[1]["plot_area_m2"], rtol=1e-3)
    canopy = gpd.read_file(result.outputs.layers, layer="canopy")
    assert canopy.geometry.is_valid.all()


def test_an_unflagged_alpha_band_is_noticed_and_can_be_named(tmp_path):
    result, notes = segment("plantcv_geospatial/rgb.tif", tmp_path / "a")
    assert any("--alpha-band 4" in note for note in notes)
    named, _ = segment("plantcv_geospatial/rgb.tif", tmp_path / "b", alpha_band=4)
    assert named.summary.valid_area_m2 < 0.6 * result.summary.valid_area_m2


def test_five_float_bands_with_nodata_are_read_as_reflectance(tmp_path):
    result, notes = segment("plantcv_geospatial/615.tif", tmp_path)
    assert any("reflectance" in note for note in notes)
    with rasterio.open(ORTHOS / "plantcv_geospatial/615.tif") as source:
        valid = source.dataset_mask() > 0
    with rasterio.open(result.outputs.mask) as mask:
        np.testing.assert_array_equal(mask.read(1) != 255, valid)


def test_sixteen_bit_without_crs_is_refused(tmp_path):
    with pytest.raises(InputError, match="no coordinate reference system"):
        segment("plantcv_geospatial/rgb_uint16.tif", tmp_path)
