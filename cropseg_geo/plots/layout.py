"""Plot layouts: outlines with unique ids in the raster's CRS, from any polygon file."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from pyproj import CRS

from cropseg_geo.datums import doubtful_shift
from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, WarnedOfOutlines, ignore
from cropseg_geo.ground import Ground
from cropseg_geo.paths import path_text
from cropseg_geo.plots.ids import PLOT_ID, ids_of, why_counted
from cropseg_geo.plots.naming import named
from cropseg_geo.plots.tables import making_way, with_geometry_named, with_plain_names, with_plain_values
from cropseg_geo.vector_input import read_layer, with_closed_lines_drawn, with_crs

MAX_PLOT_SIDE_M = 10_000.0
"""Longer than any field that is one plot. Beyond, it is a mistake in the coordinates, and its rows and cells
would fill the memory."""

_FARTHEST = 1e9
"""Largest coordinate of a place on Earth, in the units of any CRS."""

_POLYGON_TYPES = (3, 6)  # shapely type ids of Polygon and MultiPolygon
_COLLECTION_TYPE = 7


class PlotsElsewhereError(InputError):
    """None of the plots meets the raster."""


@dataclass(frozen=True)
class Plots:
    """Plots of one survey.

    ``frame`` is in the raster's CRS, with a unique ``plot_id``, the user's own columns as they came, and
    valid, non-empty polygons or multipolygons; its rows, its index and the name of its geometry are those of
    the plots as they were given, as far as they have an outline. ``id_field`` is where the ids came from,
    None if counted.
    """

    frame: gpd.GeoDataFrame
    id_field: str | None

    def __len__(self) -> int:
        return len(self.frame)

    @property
    def ids(self) -> list[Any]:  # ids are the user's: numbers or text
        return list(self.frame[PLOT_ID])

    @property
    def geometry(self) -> npt.NDArray[Any]:
        """The outlines (n,), shapely."""
        return np.asarray(self.frame.geometry.values)


def read_plots(
    plots: str | Path | gpd.GeoDataFrame,
    *,
    ground: Ground,
    id_field: str | None = None,
    plots_crs: str | None = None,
    may_miss: bool = False,
    listener: Listener = ignore,
) -> Plots:
    """Reads plots and brings them onto the raster's CRS.

    Parameters
    ----------
    plots
        A polygon file of any format that OGR opens, ``file|layername=x`` and the like, or a frame.
    ground
        The raster's grid: says which CRS the plots go to and whether they meet the raster.
    id_field
        Column of the plots' ids. Without one: ``plot_id`` or the first usual name (plot, id, name …)
        whose values are unique; without that, plots are counted from 1.
    plots_crs
        CRS that the plots' coordinates are in, for files that do not say or say it wrong.
    may_miss
        Take plots none of which meets the raster; else they are refused.
    listener
        Told of repaired plots, of plots outside the raster and of those left out, as they have no outline.

    Raises
    ------
    InputError
        Nothing that can be measured as plots; the message says what was found and the remedy what to do.
        ``PlotsElsewhereError`` where only the raster is another's.
    """
    given = _features(plots, listener)
    frame = with_crs(with_plain_names(given), plots_crs, listener=listener)
    ids, used = ids_of(frame, id_field)
    if used is None and len(frame.columns) > 1:
        listener(WarnedOfOutlines(f"{why_counted(frame)}; --plot-id names one"))
    is_drawn = _drawn(np.asarray(frame.geometry.values), ids, listener)
    given, frame, ids = given[is_drawn], frame[is_drawn], ids[is_drawn]
    geometry = _polygons(np.asarray(frame.geometry.values), ids, listener)
    geometry = _onto_raster(geometry, ids, frame.crs, ground, listener, may_miss=may_miss)
    own = frame.drop(columns=[frame.geometry.name, *([used] if used == PLOT_ID else [])])
    # Explicit ids win over a column of the same name, which is kept under another.
    own = making_way(own, [PLOT_ID])
    own.insert(0, PLOT_ID, ids)
    placed = gpd.GeoDataFrame(own, geometry=list(geometry), crs=ground.crs)
    # Columns are assigned by the index, so that one of the result fits the frame that it came from.
    placed.index = given.index.set_names([None] * given.index.nlevels)  # names are columns by now
    return Plots(with_plain_values(with_geometry_named(placed, given.geometry.name)), used)


def _features(plots: str | Path | gpd.GeoDataFrame, listener: Listener) -> gpd.GeoDataFrame:
    """The plots as they came, at least one, with a column of outlines."""
    if not isinstance(plots, str | PathLike | gpd.GeoDataFrame):
        raise InputError(
            f"plots are given as {type(plots).__name__}; a path or a GeoDataFrame is expected",
            remedy="make one of outlines and their CRS: geopandas.GeoDataFrame(columns, geometry=…, crs=…)",
        )
    frame = plots if isinstance(plots, gpd.GeoDataFrame) else read_layer(path_text(plots), listener=listener)
    if not isinstance(frame, gpd.GeoDataFrame) or not len(frame):
        raise InputError("the plots hold no feature", remedy="check that the right file and layer are named")
    if frame.active_geometry_name is None:
        raise InputError(
            "the plots have no column of outlines that is their geometry",
            remedy="name it with set_geometry(…)",
        )
    return frame


def _drawn(geometry: npt.NDArray[Any], ids: pd.Series[Any], listener: Listener) -> npt.NDArray[np.bool_]:
    """Which plots (n,) have an outline at all, one at least; those without are told of."""
    is_blank = shapely.is_missing(geometry) | shapely.is_empty(geometry)
    if is_blank.all():
        raise InputError(
            "none of the plots has an outline", remedy="check that the right file and layer are named"
        )
    if is_blank.any():
        listener(WarnedOfOutlines(f"left out, because they have no outline: {named(list(ids[is_blank]))}"))
    return np.asarray(~is_blank)


def _polygons(geometry: npt.NDArray[Any], ids: pd.Series[Any], listener: Listener) -> npt.NDArray[Any]:
    """Valid, two-dimensional polygons; repaired where that leaves an area, else refused by id."""
    geometry, is_line = with_closed_lines_drawn(_unpacked(geometry))
    if is_line.any():
        listener(WarnedOfOutlines(f"closed lines are taken for outlines: {named(list(ids[is_line]))}"))
    other = np.flatnonzero(~np.isin(shapely.get_type_id(geometry), _POLYGON_TYPES))
    if len(other):
        kinds = sorted({str(g.geom_type) for g in geometry[other]})
        raise InputError(
            f"{len(other)} of {len(geometry)} plots are {' and '.join(kinds)}, not polygons "
            f"({named(list(ids.iloc[other]))})",
            remedy="plots are outlines: close lines and convert them to polygons; buffer points",
        )
    flat = shapely.force_2d(geometry)
    # Beyond the Earth there is nothing, and areas of what lies there are no numbers.
    coordinates, owner = shapely.get_coordinates(flat, return_index=True)
    flat[owner[~(np.abs(coordinates) < _FARTHEST).all(axis=1)]] = None
    is_invalid = ~shapely.is_valid(flat) & ~shapely.is_missing(flat)
    fixed = _repaired(flat)
    is_polygon = np.isin(shapely.get_type_id(fixed), _POLYGON_TYPES)
    is_usable = is_polygon & (shapely.area(fixed) > 0) & np.isfinite(shapely.area(fixed))
    if not is_usable.all():
        raise InputError(
            f"{named(list(ids[~is_usable]))}: the outline encloses no area or leaves the Earth",
            remedy="draw these plots again, or remove them",
        )
    if is_invalid.any():
        listener(WarnedOfOutlines(f"repaired outlines that cross themselves: {named(list(ids[is_invalid]))}"))
    return fixed


def _unpacked(geometry: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The geometries, with a polygon or multipolygon in place of a collection that holds nothing else."""
    unpacked = geometry.copy()
    for i in np.flatnonzero(shapely.get_type_id(geometry) == _COLLECTION_TYPE):
        members = shapely.get_parts(geometry[i])
        if np.isin(shapely.get_type_id(members), _POLYGON_TYPES).all():
            polygons = shapely.get_parts(members)
            unpacked[i] = polygons[0] if len(polygons) == 1 else shapely.multipolygons(polygons)
    return unpacked


def _repaired(geometry: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The geometries, with valid ones in place of those that cross themselves."""
    fixed = geometry.copy()
    is_invalid = ~shapely.is_valid(fixed) & ~shapely.is_missing(fixed)
    fixed[is_invalid] = shapely.make_valid(fixed[is_invalid], method="structure", keep_collapsed=False)
    return fixed


def _onto_raster(
    geometry: npt.NDArray[Any],
    ids: pd.Series[Any],
    crs: CRS,
    ground: Ground,
    listener: Listener,
    *,
    may_miss: bool,
) -> npt.NDArray[Any]:
    """Outlines in the raster's CRS; refused if none meets it, with a warning if some do not."""
    series = gpd.GeoSeries(list(geometry), crs=crs)
    moved = series if crs == CRS.from_wkt(ground.crs) else series.to_crs(ground.crs)
    if note := doubtful_shift(crs, ground):
        listener(Warned(note))
    geometry = np.asarray(moved.values)
    is_finite = np.isfinite(shapely.bounds(geometry)).all(axis=1)
    geometry[is_finite] = _repaired(geometry[is_finite])
    extent = ground.outline
    is_inside = np.zeros(len(geometry), np.bool_)
    is_inside[is_finite] = shapely.intersects(geometry[is_finite], extent)
    if not (is_inside.any() or may_miss):
        raise PlotsElsewhereError(
            f"no plot meets the raster: plots {_box(series.total_bounds)} in {crs.name!r}, "
            f"raster {_box(extent.bounds)} in {CRS.from_wkt(ground.crs).name!r}",
            remedy="check that the plots belong to this survey; if their coordinates are in another CRS "
            "than their file says, pass it with --plots-crs",
        )
    if not is_finite.all():
        lost = np.flatnonzero(~is_finite)
        raise InputError(
            f"{named(list(ids.iloc[lost]))}: the coordinates have no place in the raster's CRS",
            remedy="correct these outlines, or pass the CRS they are in with --plots-crs",
        )
    _refuse_huge(geometry, ids, ground)
    if not is_inside.all():
        listener(
            Warned(f"outside the raster, reported with valid_fraction 0: {named(list(ids[~is_inside]))}")
        )
    return geometry


def _refuse_huge(geometry: npt.NDArray[Any], ids: pd.Series[Any], ground: Ground) -> None:
    unit_m = ground.gsd_m / math.sqrt(abs(ground.transform.determinant))
    left, bottom, right, top = shapely.bounds(geometry).T
    side_m = np.maximum(right - left, top - bottom) * unit_m
    if (huge := np.flatnonzero(side_m > MAX_PLOT_SIDE_M)).size:
        raise InputError(
            f"{named(list(ids.iloc[huge]))}: {side_m[huge[0]] / 1000:,.0f} km across; "
            f"a plot has {MAX_PLOT_SIDE_M / 1000:g} at most",
            remedy="check its coordinates and their CRS",
        )


def _box(bounds: Sequence[float]) -> str:
    return "(" + ", ".join(f"{v:.10g}" for v in bounds) + ")"
