"""A plane in metres around a field, in which plots are laid out before they go to their CRS.

The plane is the azimuthal equidistant projection about the field on the ellipsoid of the CRS: lengths
through its centre are geodesic, others 1 km away are wrong by less than 1e-8. So a plot of 5 m is 5 m on the
ground in any CRS: in degrees, in feet, in UTM (whose grid is up to 0.04 % short), in Web Mercator.
Source: PROJ, aeqd; J. P. Snyder, "Map Projections: A Working Manual" (1987), p. 191.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from pyproj import CRS, Transformer
from pyproj.crs import ProjectedCRS
from pyproj.crs.coordinate_operation import AzimuthalEquidistantConversion
from pyproj.exceptions import CRSError

from cropseg_geo.errors import InputError

Points = npt.NDArray[np.float64]
"""Coordinates (N, 2): x, y of a CRS, or metres east, metres north in a plane."""


def parse_crs(text: str | CRS | None) -> CRS:
    """A CRS from what the user gave; InputError where it is missing, unknown or not on Earth."""
    if text is None:
        raise InputError("the coordinates have no CRS, and none is guessed", remedy="pass --crs EPSG:32633")
    try:
        crs = CRS.from_user_input(text)
    except CRSError as err:
        raise InputError(
            f"{text!r} is not a CRS", remedy="pass --crs as an EPSG code, for example EPSG:32633"
        ) from err
    _base(crs)
    return crs


@dataclass(frozen=True)
class Plane:
    """The plane about one point.

    Parameters
    ----------
    crs
        CRS of the coordinates, as WKT.
    lon_deg, lat_deg
        The plane's centre in the CRS's own geodetic base, from its prime meridian.
    """

    crs: str
    lon_deg: float
    lat_deg: float

    @classmethod
    def around(cls, points: Points, crs: CRS) -> Plane:
        """The plane about the middle of points (N, 2) in ``crs``.

        Raises
        ------
        InputError
            The points have no place on Earth in that CRS.
        """
        base = _base(crs)
        middle = (points.min(axis=0) + points.max(axis=0)) / 2
        lon, lat = Transformer.from_crs(_horizontal(crs), base, always_xy=True).transform(*middle)
        degrees = math.degrees(base.axis_info[0].unit_conversion_factor)  # grads in some old systems
        lon, lat = lon * degrees, lat * degrees
        if not (math.isfinite(lon) and abs(lat) <= 90.0):
            raise InputError(
                f"the coordinates near {middle[0]:.10g}, {middle[1]:.10g} have no place on Earth in "
                f"{crs.name!r}",
                remedy="give them as x,y (longitude,latitude in degrees) in the CRS that --crs names",
            )
        return cls(crs.to_wkt(), float(lon), float(lat))

    @property
    def is_in_area_of_use(self) -> bool:
        """False where the CRS is not made for this part of the Earth; True where it does not say."""
        crs = CRS.from_wkt(self.crs)
        area, meridian = crs.area_of_use, crs.prime_meridian
        if area is None:
            return True
        lon = self.lon_deg
        if meridian is not None:
            lon += meridian.longitude * math.degrees(float(meridian.unit_conversion_factor))
        lon = (lon - area.west) % 360.0
        width = (area.east - area.west) % 360.0 or 360.0
        return lon <= width and area.south <= self.lat_deg <= area.north

    @cached_property
    def _transformer(self) -> Transformer:
        horizontal = _horizontal(CRS.from_wkt(self.crs))
        conversion = AzimuthalEquidistantConversion(self.lat_deg, self.lon_deg)
        plane = ProjectedCRS(conversion, geodetic_crs=horizontal.geodetic_crs)
        return Transformer.from_crs(plane, horizontal, always_xy=True)

    def from_crs(self, points: Points) -> Points:
        """Coordinates (N, 2) → metres east, north (N, 2)."""
        return np.column_stack(self._transformer.transform(points[:, 0], points[:, 1], direction="INVERSE"))

    def to_crs(self, points: Points) -> Points:
        """Metres east, north (N, 2) → coordinates (N, 2)."""
        return np.column_stack(self._transformer.transform(points[:, 0], points[:, 1]))


def _base(crs: CRS) -> CRS:
    """The longitudes and latitudes that a CRS is made from; InputError where it is not on Earth."""
    base = _horizontal(crs).geodetic_crs
    if base is None:
        raise InputError(
            f"the CRS {crs.name!r} has no place on Earth: its lengths are unknown",
            remedy="pass --crs as an EPSG code, for example EPSG:32633",
        )
    return base


def _horizontal(crs: CRS) -> CRS:
    """The CRS without its heights."""
    return _horizontal(crs.sub_crs_list[0]) if crs.is_compound else crs.to_2d()
