"""The committed sample files: what the README promises of them, and that the generator made them."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
from rasterio.enums import ColorInterp
from rasterio.features import geometry_mask
from rasterio.windows import Window as RasterWindow

import sample_tiles
from cropseg_geo.grid import Window
from sample_tiles.field import CRS, PLOT_LENGTH, PLOT_WIDTH, Field
from sample_tiles.heights import NODATA, heights
from sample_tiles.render import view

FOLDER = Path(sample_tiles.__file__).parent
FILES = ("field.tif", "field_truth.tif", "field_dsm.tif", "field_dtm.tif", "plots.gpkg")
SAMPLE = Window(1700, 2300, 320, 320)


def _read(name: str, window: Window | None = None) -> np.ndarray:
    place = window and RasterWindow(window.col, window.row, window.width, window.height)
    with rasterio.open(FOLDER / name) as source:
        return source.read(window=place)


@pytest.fixture(scope="module")
def plots() -> gpd.GeoDataFrame:
    return gpd.read_file(FOLDER / "plots.gpkg", layer="plots")


def test_all_files_together_are_small() -> None:
    assert sum((FOLDER / name).stat().st_size for name in FILES) < 25_000_000


def test_orthomosaic_is_tiled_rgba_at_one_centimetre_with_overviews() -> None:
    with rasterio.open(FOLDER / "field.tif") as ortho:
        assert min(ortho.shape) >= 4096
        assert ortho.crs == rasterio.CRS.from_string(CRS)
        assert ortho.res == pytest.approx((0.01, 0.01))
        assert ortho.colorinterp[3] == ColorInterp.alpha
        assert ortho.block_shapes[0] == (512, 512)
        assert ortho.overviews(1)


def test_rasters_share_one_extent_and_system() -> None:
    places = []
    for name in FILES[:4]:
        with rasterio.open(FOLDER / name) as source:
            places.append((source.crs, tuple(round(edge, 6) for edge in source.bounds)))
    assert len(set(places)) == 1


def test_a_third_of_the_raster_or_more_is_transparent_and_truth_agrees() -> None:
    alpha, truth = _read("field.tif")[3], _read("field_truth.tif")[0]
    assert set(np.unique(alpha)) == {0, 255}
    assert 0.33 < (alpha == 0).mean() < 0.45
    np.testing.assert_array_equal(truth == 255, alpha == 0)


def test_committed_truth_is_what_the_generator_draws() -> None:
    seen = view(Field(), SAMPLE)
    # a pixel or two may turn where another Pillow rounds a leaf's corner differently
    assert (_read("field_truth.tif", SAMPLE)[0] != seen.truth).mean() < 1e-3
    stored = _read("field.tif", SAMPLE)
    np.testing.assert_array_equal(stored[3], seen.rgba[3])
    assert np.abs(stored[:3].astype(int) - seen.rgba[:3]).mean() < 8


def test_committed_heights_are_what_the_generator_computes() -> None:
    window = Window(420, 560, 64, 64)
    for name, surface in zip(("field_dsm.tif", "field_dtm.tif"), heights(Field(), window), strict=True):
        assert np.abs(_read(name, window)[0] - surface).max() < 0.02


def test_surface_is_never_below_the_terrain() -> None:
    dsm, dtm = _read("field_dsm.tif")[0], _read("field_dtm.tif")[0]
    inside = dsm != NODATA
    np.testing.assert_array_equal(inside, dtm != NODATA)
    assert (dsm - dtm)[inside].min() > -0.05


def test_plots_are_many_named_valid_and_of_their_exact_size(plots: gpd.GeoDataFrame) -> None:
    assert len(plots) >= 24
    assert plots.plot_id.is_unique
    assert {"plot_id", "block", "row", "column", "treatment", "variety"} <= set(plots.columns)
    assert plots.is_valid.all()
    assert plots.crs == CRS
    np.testing.assert_allclose(plots.area, PLOT_WIDTH * PLOT_LENGTH / 1e4, rtol=1e-6)


def test_plots_lie_inside_the_survey_and_range_from_sparse_to_closed(plots: gpd.GeoDataFrame) -> None:
    truth = _read("field_truth.tif")[0]
    covers = []
    with rasterio.open(FOLDER / "field_truth.tif") as source:
        for shape in plots.geometry:
            inside = ~geometry_mask([shape], truth.shape, source.transform)
            assert not (truth[inside] == 255).any()
            covers.append(float((truth[inside] == 1).mean()))
    assert min(covers) < 0.12
    assert max(covers) > 0.85
