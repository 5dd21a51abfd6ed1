"""Areas of interest: a pixel is inside where its centre is."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from rasters import ORIGIN, UTM

from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.raster.aoi import read_aoi

HEIGHT, WIDTH = 40, 60
AT = Affine(0.01, 0, ORIGIN[0], 0, -0.01, ORIGIN[1])
GROUND = Ground(AT, CRS(UTM).to_wkt(), HEIGHT, WIDTH)


def outline(*points: tuple[float, float]) -> shapely.Polygon:
    """A polygon in the CRS through points (col, row) in pixels."""
    return shapely.Polygon([AT @ point for point in points])


@pytest.mark.parametrize("pixel", [(1.0, 1.0), (2.5, 2.4), (0.4, 0.5)], ids=str)
def test_an_area_is_the_same_in_pixels_of_any_size(pixel):
    tall, wide = pixel
    corners = [(5.3, 3.1), (54.2, 11.7), (20.9, 38.4)]
    size = (round(HEIGHT / tall), round(WIDTH / wide))
    found = read_aoi(outline(*corners), GROUND).scaled(pixel).mask(Window(0, 0, *size))
    row, col = np.indices(size) + 0.5
    np.testing.assert_array_equal(
        found, shapely.contains_xy(shapely.Polygon(corners), col * wide, row * tall)
    )


def test_an_outline_that_crosses_itself_is_all_that_it_encloses():
    found = read_aoi(outline((10, 5), (50, 35), (50, 5), (10, 35)), GROUND).mask(Window(0, 0, HEIGHT, WIDTH))
    row, col = np.indices((HEIGHT, WIDTH)) + 0.5
    from_middle = np.abs(col - 30) / 20
    np.testing.assert_array_equal(found, (np.abs(row - 20) / 15 < from_middle) & (from_middle < 1))
