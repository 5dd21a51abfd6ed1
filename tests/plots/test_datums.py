"""Plots from another datum: what PROJ could do better is told, what is exact is not."""

import warnings

import geopandas as gpd
import pytest
import shapely
from affine import Affine
from pyproj import CRS, Transformer
from pyproj.transformer import TransformerGroup

from cropseg_geo.datums import doubtful_shift
from cropseg_geo.events import Event, Warned
from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import read_plots


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
def test_reading_plots_tells_it():
    events: list[Event] = []
    plot = gpd.GeoDataFrame(geometry=[shapely.Point(1.716, 52.658).buffer(1e-5)], crs="EPSG:4326")
    read_plots(plot, ground=ground_at("EPSG:27700", 1.716, 52.658), listener=events.append)
    assert any("uk_os_OSTN15" in e.message for e in events if isinstance(e, Warned))
