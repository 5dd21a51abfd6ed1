"""Outlines that users give: one layer of any format that OGR opens, and the CRS that its coordinates are in.

What cannot be used is refused with a remedy, in the same words whatever it is read for.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from cropseg_geo.errors import InputError, listed
from cropseg_geo.events import Listener, WarnedOfOutlines, ignore
from cropseg_geo.exact_columns import as_stored, inexact_columns
from cropseg_geo.ogr_paths import to_read
from cropseg_geo.paths import is_pipe, is_remote, is_there, path_text
from cropseg_geo.vector_source import LAYER_MARK, VectorSource, parse_source

_TABLE_SUFFIXES = {".txt", ".xlsx", ".xls", ".ods", ".dbf"}
_TEXT_TABLE_SUFFIXES = {".csv", ".tsv"}
_OUTLINE_COLUMNS = "WKT,geometry,geom,the_geom,wkt_geom"
"""Columns of tables that hold outlines as WKT, in any case; ``wkt_geom`` is QGIS's, of copied features."""
_PARQUET_SUFFIXES = {".parquet", ".geoparquet"}
_PARQUET_BOX = "bbox"
"""The usual name of a GeoParquet file's column of bounding boxes, which is no column of the user's."""
_KML_MARKS = ("begin", "end", "altitudeMode", "tessellate", "extrude", "visibility", "drawOrder")
"""Columns that every layer of KML is read with."""
_READING_ERRORS = (RuntimeError, ValueError, OSError, OverflowError, shapely.errors.ShapelyError)
"""What pyogrio's, Arrow's and pyproj's errors derive from, and those of geometries that are none."""

_LINE_TYPES = (1, 2, 5)  # shapely type ids of LineString, LinearRing and MultiLineString


@dataclass(frozen=True)
class Purpose:
    """What outlines are read for.

    ``what`` is what messages call them, ``default_layer`` the one that is taken of several, ``crs_option``
    the option that names their CRS on the command line, where there is one.
    """

    what: str
    default_layer: str | None = None
    crs_option: str | None = None


PLOTS = Purpose("plots", "plots", "--plots-crs")
AREA = Purpose("area of interest")


def read_layer(
    path: str | Path, layer: str | None = None, *, purpose: Purpose = PLOTS, listener: Listener = ignore
) -> gpd.GeoDataFrame:
    """The features of one layer, as they are.

    Parameters
    ----------
    path
        A file, also a remote one (``/vsicurl/…``), or ``file|layername=x`` and the like as QGIS writes it:
        see :func:`cropseg_geo.vector_source.parse_source`. Tables count where a column holds outlines as WKT.
    layer
        Name of the layer, before one in ``path``; without one the only layer, or the purpose's default.
    purpose
        What the outlines are for.
    listener
        Told what GDAL says of a file that it reads only in part.

    Raises
    ------
    InputError
        The file is missing, is not a vector file, or leaves open which layer is meant; or what stands behind
        its name cannot be followed.
    """
    source = parse_source(path_text(path))
    if layer:
        source = replace(source, layer=layer, layer_id=None)
    if not is_remote(source.file):
        _require_readable(source.file, purpose)
    suffix = Path(source.file).suffix.lower()
    if suffix in _TABLE_SUFFIXES:
        raise _no_outlines(source.file, purpose)
    if suffix in _PARQUET_SUFFIXES:
        frame = _read_parquet(source, purpose)
    else:
        with _warnings_told(source.file, listener):
            read = _read_table if suffix in _TEXT_TABLE_SUFFIXES else _read_layer
            frame = read(source, purpose)
    if source.kind is None:
        return frame
    kinds = (shape and shape.geom_type.casefold().removeprefix("multi") for shape in frame.geometry)
    return frame[np.array([kind == source.kind for kind in kinds], bool)].reset_index(drop=True)


def _read_layer(source: VectorSource, purpose: Purpose) -> gpd.GeoDataFrame:
    try:
        rows = [(str(name), kind is not None) for name, kind in pyogrio.list_layers(to_read(source.file))]
    except _READING_ERRORS as err:
        raise InputError(
            f"{source.file} is not a vector file that GDAL opens",
            remedy=f"pass the {purpose.what} as GeoPackage, GeoJSON or Shapefile "
            "(with its .shx and .dbf beside it)",
        ) from err
    chosen = _choose_layer(source, rows, purpose)
    try:
        file = to_read(source.file)
        frame = pyogrio.read_dataframe(file, layer=chosen, where=source.subset)
        return _without_kml_marks(as_stored(frame, inexact_columns(file, chosen, source.subset, frame)))
    except _READING_ERRORS as err:
        raise _unreadable(source, f"layer {chosen!r} of {source.file}", err, purpose) from err


def _read_table(source: VectorSource, purpose: Purpose) -> gpd.GeoDataFrame:
    """Outlines that a table holds as WKT. All else stays the text that it is: 0101 is not 101."""
    try:
        frame = pyogrio.read_dataframe(
            to_read(source.file),
            where=source.subset,
            GEOM_POSSIBLE_NAMES=_OUTLINE_COLUMNS,
            KEEP_GEOM_COLUMNS="NO",
        )
    except _READING_ERRORS as err:
        raise _unreadable(source, source.file, err, purpose) from err
    if not isinstance(frame, gpd.GeoDataFrame):
        raise _no_outlines(source.file, purpose)
    return frame


def _unreadable(source: VectorSource, what: str, err: Exception, purpose: Purpose) -> InputError:
    remedy = _save_again(purpose)
    if source.subset is not None:
        remedy = f"correct its filter, subset={source.subset}, or save what it shows to a file of its own"
    return InputError(f"{what} cannot be read: {err}", remedy=remedy)


def _no_outlines(file: str, purpose: Purpose) -> InputError:
    return InputError(f"{file} is a table and holds no outlines", remedy=_save_again(purpose))


def _require_readable(file: str, purpose: Purpose) -> None:
    if not is_there(file):
        raise InputError(f"the {purpose.what} file {file} does not exist", remedy="check the path")
    if is_pipe(file):
        raise InputError(
            f"{file} is a pipe or a device", remedy=f"write the {purpose.what} to a file and give that"
        )
    if not os.access(file, os.R_OK):
        raise InputError(
            f"the {purpose.what} file {file} may not be read", remedy="change its permissions, or copy it"
        )


def _save_again(purpose: Purpose) -> str:
    return f"save the {purpose.what} as polygons, for example from QGIS to GeoPackage or GeoJSON"


@contextmanager
def _warnings_told(file: str, listener: Listener) -> Iterator[None]:
    """What GDAL complains of while it reads on goes to the listener, each complaint once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    # Out of the block: else what the listener itself warns of would be caught as well.
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        listener(WarnedOfOutlines(f"{file}: {text[:200]}"))


def _without_kml_marks(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """A frame from KML without the columns that say how a globe draws it.

    ``id`` is a name that programs give each other, often made up; what people call a plot is its ``Name``.
    """
    if not set(_KML_MARKS) <= set(frame.columns):
        return frame
    return frame.drop(columns=list(_KML_MARKS)).rename(columns={"id": "kml_id"})


def _read_parquet(source: VectorSource, purpose: Purpose) -> gpd.GeoDataFrame:
    """GeoParquet through Arrow: GDAL as it comes in wheels reads none."""
    file = source.file
    if source.subset is not None:
        raise InputError(
            f"{file}: a filter on GeoParquet (subset={source.subset}) is not understood",
            remedy="save what it shows to a file of its own",
        )
    if is_remote(file) and not file.startswith("file:"):
        raise InputError(
            f"{file}: GeoParquet is read from this machine's folders only", remedy="fetch the file first"
        )
    try:
        # Texts are checked here: read as they come, damaged ones fail wherever they are looked at.
        table = pq.read_table(file)
        table.validate(full=True)
        with np.errstate(all="ignore"):  # coordinates that are no numbers are refused later, with their plot
            frame = as_stored(gpd.read_parquet(file), table)
    # Arrow's errors, JSON of the header that is none, and what geopandas trips over in headers that lie.
    except (*_READING_ERRORS, pa.ArrowException, LookupError, TypeError, AttributeError) as err:
        raise InputError(
            f"{file} is no GeoParquet file with outlines: {err}", remedy=_save_again(purpose)
        ) from err
    return frame.drop(columns=[_PARQUET_BOX], errors="ignore")


def _choose_layer(source: VectorSource, rows: list[tuple[str, bool]], purpose: Purpose) -> str:
    """Of layers and whether they have geometries, in the order of the file, the name of the one meant."""
    file, names = source.file, [name for name, is_spatial in rows if is_spatial]
    if source.layer is not None:
        if source.layer not in names:
            raise InputError(
                f"{file} has no layer {source.layer!r}", remedy=f"choose one of {listed(map(repr, names))}"
            )
        return source.layer
    if not names:
        raise InputError(f"{file} has no layer with geometries", remedy=_save_again(purpose))
    if source.layer_id is not None:
        name, is_spatial = rows[source.layer_id] if source.layer_id < len(rows) else ("", False)
        if not is_spatial:
            raise InputError(
                f"{file} has no layer with geometries of number {source.layer_id}, counted from 0",
                remedy=f"name one of {listed(map(repr, names))}: {file}{LAYER_MARK}{names[0]}",
            )
        return name
    if len(names) == 1:
        return names[0]
    if purpose.default_layer in names:
        return purpose.default_layer
    unnamed = f" and none is named {purpose.default_layer!r}" if purpose.default_layer else ""
    raise InputError(
        f"{file} has {len(names)} layers ({listed(map(repr, names))}){unnamed}",
        remedy=f"name the one that holds the {purpose.what}: {file}{LAYER_MARK}{names[0]}",
    )


def with_closed_lines_drawn(
    geometry: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """What closed lines enclose in their place, as CAD and rovers draw outlines, and which (n,) they were.

    Lines that are open or cross themselves stay as they are. A ring in another of the same feature is a hole.
    """
    is_closed = np.isin(shapely.get_type_id(geometry), _LINE_TYPES) & shapely.is_closed(geometry)
    points, owner = shapely.get_coordinates(geometry, return_index=True)
    is_closed[owner[~np.isfinite(points).all(axis=1)]] = False  # of these nothing can be asked
    is_closed[is_closed] = shapely.is_simple(geometry[is_closed])
    drawn = geometry.copy()
    drawn[is_closed] = shapely.build_area(geometry[is_closed])
    return drawn, is_closed


def with_crs(
    frame: gpd.GeoDataFrame, crs: str | None = None, *, purpose: Purpose = PLOTS, listener: Listener = ignore
) -> gpd.GeoDataFrame:
    """The frame in the CRS that its coordinates are in: its own, or ``crs`` where that is given.

    Raises
    ------
    InputError
        Neither is known, or ``crs`` is not a CRS.
    """
    if crs is None:
        if frame.crs is None:
            remedy = f"pass {purpose.crs_option}, for example EPSG:32633"
            if purpose.crs_option is None:
                remedy = "assign the CRS of its coordinates and give it again"
            raise InputError(f"no CRS is stated for the {purpose.what}, and none is guessed", remedy=remedy)
        return frame
    try:
        given = CRS.from_user_input(crs)
    except CRSError as err:
        raise InputError(
            f"{crs!r} is not a CRS",
            remedy=f"pass {purpose.crs_option} as an EPSG code, for example EPSG:32633",
        ) from err
    if frame.crs is not None and frame.crs != given:
        listener(
            WarnedOfOutlines(
                f"coordinates of the {purpose.what} are read in {given.name!r} as told; "
                f"their file says {frame.crs.name!r}"
            )
        )
    return frame.set_crs(given, allow_override=True)
