"""Metres on the ground for pixels of any CRS: GSD, pixel area, polygon area.

Plane or ellipsoid? In a projected CRS whose grid is true to 0.5 % where the raster lies (UTM, state plane,
national grids) areas are grid areas, unit converted: what the surveyor's software says, and exactly
pixels × pixel area. Elsewhere (degrees, Web Mercator) they are measured on the ellipsoid.
Source: C. F. F. Karney, "Algorithms for geodesics" (2013), as implemented in PROJ's geodesic routines.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from pyproj import CRS, Geod, Transformer
from pyproj.exceptions import ProjError

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window

GRID_TOLERANCE = 0.005
"""Largest relative error of a projected grid's areas for which grid areas are reported."""

_REMEDY = "assign the CRS of the survey, for example with rio edit-info --crs EPSG:32633 FILE (a GeoTIFF)"

_EARTH_RADIUS_M = 6_371_000.0

_PROBE_M = 10.0
"""Side of the square on which scales are probed: large enough for float64, small enough to be local."""


@dataclass(frozen=True)
class Ground:
    """Measures windows and polygons of one raster grid on the ground.

    Parameters
    ----------
    transform
        Pixel (column, row) → CRS coordinates; may be rotated.
    crs
        CRS of the raster, as WKT (a string, so that the value pickles and compares).
    height, width
        Raster size in pixels; says where on Earth the grid is probed.

    Raises
    ------
    InputError
        For a CRS that is neither projected nor geographic (a local engineering CRS without a datum).
    """

    transform: Affine
    crs: str
    height: int
    width: int

    def __post_init__(self) -> None:
        try:
            known = self._crs.is_projected or self._crs.is_geographic
        except ProjError as err:
            raise InputError(f"the raster's CRS is none that can be used: {err}", remedy=_REMEDY) from err
        if not known:
            raise InputError(
                f"the CRS {self._crs.name!r} is neither projected nor geographic: its lengths are unknown",
                remedy=_REMEDY,
            )

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.height, self.width

    @property
    def outline(self) -> shapely.Polygon:
        """The raster's outline in its CRS."""
        corners = ((0, 0), (self.width, 0), (self.width, self.height), (0, self.height))
        return shapely.Polygon([self.transform @ corner for corner in corners])

    @cached_property
    def _crs(self) -> CRS:
        return CRS.from_wkt(self.crs)

    @cached_property
    def unit_m(self) -> float:
        """Metres per unit of a projected CRS (0.3048… for feet), radians per unit of a geographic one."""
        return float(self._crs.axis_info[0].unit_conversion_factor)

    @cached_property
    def _geodetic(self) -> CRS:
        geodetic = self._crs.geodetic_crs
        if geodetic is None:
            raise InputError(f"the CRS {self._crs.name!r} has no geodetic base CRS", remedy=_REMEDY)
        return geodetic

    @cached_property
    def _geod(self) -> Geod:
        geod = self._crs.get_geod()
        if geod is None:
            raise InputError(f"the CRS {self._crs.name!r} has no ellipsoid", remedy=_REMEDY)
        return geod

    @cached_property
    def _to_geodetic(self) -> Transformer:
        try:
            return Transformer.from_crs(self._crs, self._geodetic, always_xy=True)
        except ProjError as err:
            raise InputError(
                f"nothing leads from {self._crs.name!r} to the Earth: {err}", remedy=_REMEDY
            ) from err

    def _lonlat_of(self, xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Coordinates (N, 2) in the CRS → longitude from its prime meridian, latitude (N, 2) in degrees."""
        degrees = math.degrees(
            self._geodetic.axis_info[0].unit_conversion_factor
        )  # grads in some old systems
        return degrees * np.column_stack(self._to_geodetic.transform(xy[:, 0], xy[:, 1]))

    @cached_property
    def is_planar(self) -> bool:
        """True where areas and lengths are the grid's own (unit converted); see the module's text."""
        if self._crs.is_geographic:
            return False
        steps = self._geodesic_steps(Window(0, 0, self.height, self.width))
        planar = abs(self.transform.determinant) * self.unit_m**2
        return abs(planar / steps[2] - 1.0) <= GRID_TOLERANCE

    def _geodesic_steps(self, window: Window) -> tuple[float, float, float]:
        """Length of a column step and of a row step (m) and pixel area (m²) at the window's centre."""
        geod = self._geod
        side = math.sqrt(abs(self.transform.determinant))
        unit = self.unit_m * (_EARTH_RADIUS_M if self._crs.is_geographic else 1.0)
        half = max(0.5, 0.5 * _PROBE_M / (side * unit))
        col = window.col + window.width / 2
        row = window.row + window.height / 2
        corners = [(-half, -half), (half, -half), (half, half), (-half, half)]
        cross = [(-half, 0.0), (half, 0.0), (0.0, -half), (0.0, half)]
        xy = [self.transform @ (col + dc, row + dr) for dc, dr in corners + cross]
        lon, lat = self._lonlat_of(np.array(xy)).T
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise InputError(
                f"the raster's corner at {xy[0]} cannot be placed on Earth in {self._crs.name!r}",
                remedy="check that the file's CRS is the one its coordinates are in",
            )
        area, _ = geod.polygon_area_perimeter(lon[:4], lat[:4])
        _, _, steps = geod.inv(lon[[4, 6]], lat[[4, 6]], lon[[5, 7]], lat[[5, 7]])
        n = 2 * half
        sizes = (float(steps[0]) / n, float(steps[1]) / n, abs(float(area)) / (n * n))
        if not all(0 < size < math.inf for size in sizes):
            raise InputError(
                f"pixels of the size {self.transform.a:g} × {self.transform.e:g} have no size on the ground "
                f"in {self._crs.name!r}",
                remedy="check the file's geotransform and that the CRS is the one its coordinates are in",
            )
        return sizes

    def pixel_steps_m(self, window: Window | None = None) -> tuple[float, float]:
        """Ground length (m) of one step along a row and of one step along a column, at ``window``."""
        if self.is_planar:
            t = self.transform
            return (math.hypot(t.a, t.d) * self.unit_m, math.hypot(t.b, t.e) * self.unit_m)
        steps = self._geodesic_steps(window or Window(0, 0, self.height, self.width))
        return steps[0], steps[1]

    def pixel_area_m2(self, window: Window | None = None) -> float:
        """Ground area (m²) of one pixel at the centre of ``window`` (of the raster without one)."""
        if self.is_planar:
            return abs(self.transform.determinant) * self.unit_m**2
        return self._geodesic_steps(window or Window(0, 0, self.height, self.width))[2]

    @cached_property
    def gsd_m(self) -> float:
        """Ground sampling distance (m) at the raster's centre: the side of a square of one pixel's area."""
        return math.sqrt(self.pixel_area_m2())

    def area_m2(self, geometries: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Ground areas (m²) of shapely (multi)polygons in the raster's CRS, measured like the pixels."""
        if self.is_planar:
            return np.asarray(shapely.area(geometries) * self.unit_m**2, dtype=np.float64)
        geod = self._geod
        is_straight = self._crs.is_geographic
        dense = geometries if is_straight else shapely.segmentize(geometries, _PROBE_M / self.unit_m)
        lonlat = shapely.transform(dense, self._lonlat_of)
        areas = [abs(geod.geometry_area_perimeter(shapely.orient_polygons(g))[0]) for g in np.ravel(lonlat)]
        return np.array(areas, dtype=np.float64).reshape(np.shape(geometries))
