"""Plots from another datum: what PROJ could do better is told, what is exact is not."""

import warnings

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.transformer import TransformerGroup
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo.datums import doubtful_shift
from cropseg_geo.events import Event, Warned
from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.raster.aoi import read_aoi
from cropseg_geo.raster.bands import open_bands
from cropseg_geo.raster.heights import open_heights


def ground_at(crs: str, lon: float, lat: float) -> Ground:
    x, y = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform(lon, lat)
    return Ground(Affine(1, 0, x - 50, 0, -1, y + 50), CRS.from_user_input(crs).to_wkt("WKT1_GDAL"), 100, 100)


def _has_grids() -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return TransformerGroup("EPSG:4326", "EPSG:27700").best_available


@pytest.mark.skipif(_has_grids(), reason="PROJ's grids are installed")
@pytest.mark.parametrize(
    ("source", "target", "lon", "lat", "found"),
    [
        ("EPSG:4326", "EPSG:27700", 1.716, 52.658, "to about 2 m only"),
        ("EPSG:4326", "EPSG:26714", -99.0, 40.0, "m only"),
        ("EPSG:4267", "EPSG:26914", -99.0, 40.0, "with an unknown shift"),
        ("EPSG:31466", "EPSG:25832", 7.0, 51.0, "m only"),
    ],
)
def test_a_grid_that_is_missing_is_named_with_what_gets_it(source, target, lon, lat, found):
    ground = ground_at(target, lon, lat)
    note = doubtful_shift(CRS.from_user_input(source), ground)
    assert found in note
    assert "`pyproj sync --file " in note


@pytest.mark.parametrize(
    ("source", "target", "lon", "lat"),
    [
        ("EPSG:4326", "EPSG:32632", 9.0, 51.0),
        ("EPSG:4258", "EPSG:25832", 9.0, 51.0),
        ("EPSG:4326", "EPSG:25832", 9.0, 51.0),
        ("EPSG:32632", "EPSG:25832", 9.0, 51.0),
        ("EPSG:4326", "EPSG:3857", 9.0, 51.0),
        ("EPSG:4326", "EPSG:7855", 145.0, -37.0),
        ("EPSG:4326", "EPSG:4547", 114.0, 35.0),
        ("EPSG:27700", "EPSG:27700", 1.7, 52.6),
    ],
)
def test_what_is_exact_or_of_one_ensemble_is_not_told(source, target, lon, lat):
    assert doubtful_shift(CRS.from_user_input(source), ground_at(target, lon, lat)) is None


@pytest.mark.skipif(_has_grids(), reason="PROJ's grids are installed")
def test_reading_plots_areas_colours_and_heights_tells_it(tmp_path):
    ground, events = ground_at("EPSG:27700", 1.716, 52.658), list[Event]()

    def told() -> str:
        (text,) = (e.message for e in events if isinstance(e, Warned) and "uk_os_OSTN15" in e.message)
        events.clear()
        return text.partition(":")[0]

    plot = gpd.GeoDataFrame(geometry=[shapely.Point(1.716, 52.658).buffer(1e-5)], crs="EPSG:4326")
    read_plots(plot, ground=ground, listener=events.append)
    assert told() == "the plots"
    read_aoi(plot, ground, events.append)
    assert told() == "the area of interest"
    degrees = Affine(2e-5, 0, 1.715, 0, -2e-5, 52.659)
    colours = write_raster(
        tmp_path / "o.tif",
        np.ones((3, 99, 99), np.uint8),
        transform=degrees,
        crs="EPSG:4326",
        photometric="RGB",
    )
    with open_bands(colours, ground=ground, listener=events.append):
        assert told() == str(colours)
    model = write_raster(
        tmp_path / "m.tif", np.ones((1, 99, 99), np.float32), transform=degrees, crs="EPSG:4326"
    )
    away = write_raster(
        tmp_path / "n.tif", np.ones((1, 300, 300), np.float32), transform=ground.transform, crs="EPSG:27700"
    )
    with open_heights(model, away, ground=ground, listener=events.append):
        assert told() == str(model)


@pytest.mark.skipif(_has_grids(), reason="PROJ's grids are installed")
def test_check_and_segment_tell_it_of_an_area_of_interest(tmp_path):
    ground = ground_at("EPSG:27700", 1.716, 52.658)
    fine = ground.transform @ Affine.scale(0.01)
    raster = write_raster(tmp_path / "o.tif", scene(400, 400), transform=fine, crs="EPSG:27700")
    x, y = fine @ (200, 200)
    area = gpd.GeoDataFrame(geometry=[shapely.Point(x, y).buffer(1)], crs="EPSG:27700").to_crs(4326)
    assert any(
        "the area of interest: coordinates come from" in note for note in cg.check(raster, aoi=area).notes
    )
