"""Plots made for tests, on a raster of a metre a pixel."""

import geopandas as gpd
import pytest
import shapely
from affine import Affine
from pyproj import CRS

from cropseg_geo.errors import InputError
from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import read_plots

UTM = "EPSG:32633"
GROUND = Ground(Affine(1, 0, 500_000, 0, -1, 5_000_100), CRS.from_user_input(UTM).to_wkt(), 100, 100)


def square(col: float, row: float, side: float = 10) -> shapely.Polygon:
    """A square of the raster, its upper left corner at a pixel's."""
    return shapely.box(500_000 + col, 5_000_100 - row - side, 500_000 + col + side, 5_000_100 - row)


def frame_of(*geometries, crs=UTM, **columns) -> gpd.GeoDataFrame:
    return gpd.GeoDataFrame(columns, geometry=list(geometries), crs=crs)


TWO = (square(0, 0), square(20, 0))


def refused(plots, message: str, remedy: str = "", **options) -> None:
    with pytest.raises(InputError, match=message) as caught:
        read_plots(plots, ground=GROUND, **options)
    assert remedy in caught.value.remedy
