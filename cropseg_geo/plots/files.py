"""Plots files: one layer of any format that OGR opens, refused with a remedy where it cannot be plots."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import geopandas as gpd
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyogrio
import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.paths import is_pipe, is_there, path_text

_TABLE_SUFFIXES = {".csv", ".tsv", ".txt", ".xlsx", ".xls", ".ods", ".dbf"}
_PARQUET_SUFFIXES = {".parquet", ".geoparquet"}
_PARQUET_BOX = "bbox"
"""The usual name of a GeoParquet file's column of bounding boxes, which is no column of the user's."""
_KML_MARKS = ("begin", "end", "altitudeMode", "tessellate", "extrude", "visibility", "drawOrder")
"""Columns that every layer of KML is read with."""
_READING_ERRORS = (RuntimeError, ValueError, OSError, OverflowError, shapely.errors.ShapelyError)
"""What pyogrio's, Arrow's and pyproj's errors derive from, and those of geometries that are none."""

_LAYER_MARK = "|layername="
DEFAULT_LAYER = "plots"


def read_layer(path: str | Path, layer: str | None, *, listener: Listener = ignore) -> gpd.GeoDataFrame:
    """The features of one layer, as they are.

    Parameters
    ----------
    path
        A file, or ``file|layername=x`` as QGIS writes it.
    layer
        Name of the layer; without one the only layer, or the one named ``plots``.
    listener
        Told what GDAL says of a file that it reads only in part.

    Raises
    ------
    InputError
        The file is missing, is not a vector file, or leaves open which layer is meant.
    """
    name, _, marked = path_text(path).partition(_LAYER_MARK)
    file = Path(name)
    layer = layer or marked.partition("|")[0] or None
    if not is_there(file):
        raise InputError(f"the plots file {file} does not exist", remedy="check the path")
    if is_pipe(file):
        raise InputError(f"{file} is a pipe or a device", remedy="write the plots to a file and give that")
    if not os.access(file, os.R_OK):
        raise InputError(
            f"the plots file {file} may not be read", remedy="change its permissions, or copy it"
        )
    if file.suffix.lower() in _TABLE_SUFFIXES:
        raise InputError(
            f"{file} is a table; plots need outlines",
            remedy="save the plots as polygons, for example from QGIS to GeoPackage or GeoJSON",
        )
    if file.suffix.lower() in _PARQUET_SUFFIXES:
        return _read_parquet(file)
    with _warnings_told(file, listener):
        try:
            names = [str(row[0]) for row in pyogrio.list_layers(file) if row[1] is not None]
        except _READING_ERRORS as err:
            raise InputError(
                f"{file} is not a vector file that GDAL opens",
                remedy="pass plots as GeoPackage, GeoJSON or Shapefile (with its .shx and .dbf beside it)",
            ) from err
        chosen = _choose_layer(file, names, layer)
        try:
            return _without_kml_marks(pyogrio.read_dataframe(file, layer=chosen))
        except _READING_ERRORS as err:
            raise InputError(
                f"layer {chosen!r} of {file} cannot be read: {err}",
                remedy="save the plots again, for example from QGIS to GeoPackage",
            ) from err


@contextmanager
def _warnings_told(file: Path, listener: Listener) -> Iterator[None]:
    """What GDAL complains of while it reads on goes to the listener, each complaint once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            yield
        finally:
            for text in dict.fromkeys(str(warning.message) for warning in caught):
                listener(Warned(f"{file}: {text[:200]}"))


def _without_kml_marks(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """A frame from KML without the columns that say how a globe draws it.

    ``id`` is a name that programs give each other, often made up; what people call a plot is its ``Name``.
    """
    if not set(_KML_MARKS) <= set(frame.columns):
        return frame
    return frame.drop(columns=list(_KML_MARKS)).rename(columns={"id": "kml_id"})


def _read_parquet(file: Path) -> gpd.GeoDataFrame:
    """GeoParquet through Arrow: GDAL as it comes in wheels reads none."""
    try:
        # Texts are checked here: read as they come, damaged ones fail wherever they are looked at.
        pq.read_table(file).validate(full=True)
        with np.errstate(all="ignore"):  # coordinates that are no numbers are refused later, with their plot
            frame = gpd.read_parquet(file)
    # Arrow's errors, JSON of the header that is none, and what geopandas trips over in headers that lie.
    except (*_READING_ERRORS, pa.ArrowException, LookupError, TypeError, AttributeError) as err:
        raise InputError(
            f"{file} is no GeoParquet file with outlines: {err}",
            remedy="save the plots as polygons, for example from QGIS to GeoPackage",
        ) from err
    return frame.drop(columns=[_PARQUET_BOX], errors="ignore")


def _choose_layer(file: Path, names: list[str], layer: str | None) -> str:
    if layer is not None:
        if layer not in names:
            raise InputError(f"{file} has no layer {layer!r}", remedy=f"choose one of {_listed(names)}")
        return layer
    if not names:
        raise InputError(
            f"{file} has no layer with geometries; plots need outlines",
            remedy="save the plots as polygons, for example from QGIS to GeoPackage",
        )
    if len(names) == 1:
        return names[0]
    if DEFAULT_LAYER in names:
        return DEFAULT_LAYER
    raise InputError(
        f"{file} has {len(names)} layers ({_listed(names)}) and none is named {DEFAULT_LAYER!r}",
        remedy=f"name one: {file}{_LAYER_MARK}{names[0]}",
    )


def with_crs(frame: gpd.GeoDataFrame, plots_crs: str | None, listener: Listener) -> gpd.GeoDataFrame:
    """The frame in the CRS that its coordinates are in: its own, or ``plots_crs`` where that is given.

    Raises
    ------
    InputError
        Neither is known, or ``plots_crs`` is not a CRS.
    """
    if plots_crs is None:
        if frame.crs is None:
            raise InputError(
                "the plots have no CRS, and none is guessed",
                remedy="pass --plots-crs, for example EPSG:32633",
            )
        return frame
    try:
        given = CRS.from_user_input(plots_crs)
    except CRSError as err:
        raise InputError(
            f"{plots_crs!r} is not a CRS", remedy="pass --plots-crs as an EPSG code, for example EPSG:32633"
        ) from err
    if frame.crs is not None and frame.crs != given:
        listener(Warned(f"the plots are read in {given.name!r} as told; their file says {frame.crs.name!r}"))
    return frame.set_crs(given, allow_override=True)


def _listed(values: list[str], most: int = 10) -> str:
    shown = ", ".join(repr(v) for v in values[:most])
    return shown if len(values) <= most else f"{shown} and {len(values) - most} more"
