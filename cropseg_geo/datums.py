"""How far places can be trusted that come from another CRS: datums, and the grids that lead between them."""

from __future__ import annotations

import warnings

from pyproj import CRS, Transformer
from pyproj.exceptions import ProjError
from pyproj.transformer import AreaOfInterest, TransformerGroup

from cropseg_geo.ground import Ground

_SAME_EARTH_M = 1.0
"""Datums of the satellite age (ETRS89, CGCS2000 …) share one ellipsoid; taken for each other they are within
metres, and those of the age before are off by hundreds."""


def doubtful_shift(source: CRS, ground: Ground, what: str = "the plots") -> str | None:
    """What to tell where the coordinates of ``what`` reach the raster's CRS less exactly than they could.

    ``source`` is the CRS that they are in. None where PROJ's best way between both is at hand, as between
    CRSs of one datum.
    """
    target = CRS.from_wkt(ground.crs)
    if source == target:
        return None
    x, y = ground.transform @ (ground.width / 2, ground.height / 2)
    try:
        lon, lat = Transformer.from_crs(target, "EPSG:4326", always_xy=True).transform(x, y, errcheck=True)
        here = AreaOfInterest(lon, lat, lon, lat)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # what is said here, without a remedy
            ways = TransformerGroup(source, target, always_xy=True, area_of_interest=here)
    except ProjError:
        return None  # nothing leads there: that is told where the coordinates are moved
    if not ways.transformers:
        return None
    accuracy = ways.transformers[0].accuracy
    so = f"to about {accuracy:g} m only" if accuracy >= 0 else "with an unknown shift between their datums"
    text = f"{what}: coordinates come from {source.name!r} to the raster's {target.name!r} {so}"
    better = [] if ways.best_available else ways.unavailable_operations[0].grids
    if missing := [grid.short_name for grid in better if not grid.available]:
        return (
            f"{text}: PROJ's grid {missing[0]} is not installed. `pyproj sync --file {missing[0]}` gets it, "
            "PROJ_NETWORK=ON fetches it, or save them in the raster's CRS with software that has it"
        )
    if accuracy < 0 and _is_other_earth(source, target):
        return f"{text}: PROJ knows no way there; save them in the raster's CRS with software that does"
    return None


def _is_other_earth(a: CRS, b: CRS) -> bool:
    if a.ellipsoid is None or b.ellipsoid is None:
        return False
    return abs(a.ellipsoid.semi_major_metre - b.ellipsoid.semi_major_metre) > _SAME_EARTH_M
