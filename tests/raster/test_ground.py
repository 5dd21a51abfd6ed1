"""Metres on the ground: pixel and polygon areas of any CRS are those of the ellipsoid."""

from __future__ import annotations

import math

import pytest
import shapely
from affine import Affine
from pyproj import CRS, Geod, Transformer
from pyproj.database import query_crs_info
from pyproj.enums import PJType
from pyproj.exceptions import ProjError

from cropseg_geo.errors import InputError
from cropseg_geo.ground import GRID_TOLERANCE, Ground

GRADS = ("4807", "4811", "4819", "4821", "4902", "26591", "27561", "27564", "27572", "30791")
"""Geographic in grads, or projected from such."""

SIDE_PX = 1000


def _some_of_epsg() -> list[str]:
    kinds = [PJType.PROJECTED_CRS, PJType.GEOGRAPHIC_2D_CRS]
    return [info.code for info in query_crs_info(auth_name="EPSG", pj_types=kinds)][::150]


@pytest.mark.parametrize("code", [*GRADS, *_some_of_epsg()])
def test_areas_are_those_of_the_ellipsoid_in_the_middle_of_any_crs(code):
    crs = CRS.from_epsg(int(code))
    area = crs.area_of_use
    east = area.east + (360 if area.east < area.west else 0)
    try:
        lonlat = Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        x, y = lonlat.transform((area.west + east) / 2, (area.south + area.north) / 2)
        grid = [(x, y), (x + 1, y), (x + 1, y - 1), (x, y - 1)]
        lonlat.transform(*zip(*grid, strict=True), direction="INVERSE", errcheck=True)
    except ProjError:
        pytest.skip("PROJ has no inverse of this projection, or a grid of it is missing")
    step = math.radians(1e-7) / crs.axis_info[0].unit_conversion_factor if crs.is_geographic else 0.01
    ground = Ground(Affine(step, 0, x, 0, -step, y), crs.to_wkt(), SIDE_PX, SIDE_PX)
    box = shapely.box(x, y - SIDE_PX * step, x + SIDE_PX * step, y)
    corners = lonlat.transform(*shapely.get_coordinates(box)[:-1].T, direction="INVERSE")
    truth = abs(Geod(ellps="WGS84").polygon_area_perimeter(*corners)[0])
    assert ground.pixel_area_m2() * SIDE_PX**2 == pytest.approx(truth, rel=1.1 * GRID_TOLERANCE)
    assert ground.area_m2(box).item() == pytest.approx(truth, rel=1.1 * GRID_TOLERANCE)


def test_a_crs_without_an_ellipsoid_is_refused_with_what_to_do(monkeypatch):
    monkeypatch.setattr(CRS, "get_geod", lambda self: None)
    ground = Ground(Affine(1e-7, 0, 9, 0, -1e-7, 51), CRS(4326).to_wkt(), 10, 10)
    for measure in (ground.pixel_area_m2, lambda: ground.area_m2([shapely.box(9, 50, 10, 51)])):
        with pytest.raises(InputError, match="has no ellipsoid") as caught:
            measure()
        assert "assign the CRS" in caught.value.remedy


def test_a_turned_raster_has_its_shape_and_its_outline():
    ground = Ground(Affine(0.3, 0.4, 500_000, 0.4, -0.3, 5_000_000), CRS(32632).to_wkt(), 10, 20)
    assert ground.shape == (10, 20)
    corners = [(500_000, 5_000_000), (500_006, 5_000_008), (500_010, 5_000_005), (500_004, 4_999_997)]
    assert ground.outline.equals_exact(shapely.Polygon(corners), 1e-6)
