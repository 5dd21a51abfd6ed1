"""GeoPackage: layers appended in batches, styles, descriptions and provenance.

Rows go through OGR's Arrow interface, a layer in one call; what OGR does not write (styles, provenance,
descriptions of columns) is added with SQLite when the writer closes.
Source: OGC 12-128r18 (GeoPackage 1.3), tables and extensions named there.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyogrio

from cropseg_geo.errors import OutputError
from cropseg_geo.ogr_paths import to_read, to_write
from cropseg_geo.paths import path_text
from cropseg_geo.vector.files.arrow import Stream, output_errors, require_rows, schema_of, to_batch, typed
from cropseg_geo.vector.files.layers import Layer
from cropseg_geo.vector.files.styles import Style
from cropseg_geo.vector_source import parse_source

_VERSION = "1.2"
"""GeoPackage version: the newest that GDAL 3.6 and QGIS 3.22 open without a complaint."""

_GEOMETRY = "geom"
_SCHEMA_URL = "http://www.geopackage.org/spec130/#extension_schema"
_METADATA_URL = "http://www.geopackage.org/spec130/#extension_metadata"
_METADATA_STANDARD = "urn:cropseg-geo:provenance"

_TABLES = """
CREATE TABLE IF NOT EXISTS gpkg_extensions (table_name TEXT, column_name TEXT, extension_name TEXT NOT NULL,
  definition TEXT NOT NULL, scope TEXT NOT NULL,
  CONSTRAINT ge_tce UNIQUE (table_name, column_name, extension_name));
CREATE TABLE IF NOT EXISTS gpkg_data_columns (table_name TEXT NOT NULL, column_name TEXT NOT NULL, name TEXT,
  title TEXT, description TEXT, mime_type TEXT, constraint_name TEXT,
  CONSTRAINT pk_gdc PRIMARY KEY (table_name, column_name), CONSTRAINT gdc_tn UNIQUE (table_name, name));
CREATE TABLE IF NOT EXISTS gpkg_data_column_constraints (constraint_name TEXT NOT NULL,
  constraint_type TEXT NOT NULL, value TEXT, min NUMERIC, min_is_inclusive BOOLEAN, max NUMERIC,
  max_is_inclusive BOOLEAN, description TEXT,
  CONSTRAINT gdcc_ntv UNIQUE (constraint_name, constraint_type, value));
CREATE TABLE IF NOT EXISTS gpkg_metadata (id INTEGER CONSTRAINT m_pk PRIMARY KEY ASC NOT NULL,
  md_scope TEXT NOT NULL DEFAULT 'dataset', md_standard_uri TEXT NOT NULL,
  mime_type TEXT NOT NULL DEFAULT 'text/xml', metadata TEXT NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS gpkg_metadata_reference (reference_scope TEXT NOT NULL, table_name TEXT,
  column_name TEXT, row_id_value INTEGER,
  timestamp DATETIME NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')), md_file_id INTEGER NOT NULL,
  md_parent_id INTEGER, CONSTRAINT crmr_mfi_fk FOREIGN KEY (md_file_id) REFERENCES gpkg_metadata(id),
  CONSTRAINT crmr_mpi_fk FOREIGN KEY (md_parent_id) REFERENCES gpkg_metadata(id));
CREATE TABLE IF NOT EXISTS layer_styles (id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
  f_table_catalog TEXT(256), f_table_schema TEXT(256), f_table_name TEXT(256), f_geometry_column TEXT(256),
  styleName TEXT(30), styleQML TEXT, styleSLD TEXT, useAsDefault BOOLEAN, description TEXT, owner TEXT(30),
  ui TEXT(30), update_time DATETIME DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ','now')));
"""


class GeoPackageWriter:
    """Writes the layers of one new GeoPackage, one after the other; complete when the ``with`` block ends.

    Parameters
    ----------
    path
        The file to create, with the suffix ``.gpkg`` (OGR insists). The caller chooses a temporary name,
        such as ``.field.part.gpkg``, and renames it once the block has ended.
    crs
        CRS of every layer, as WKT.
    provenance
        Kept as one JSON document in ``gpkg_metadata``, for the whole file.

    Raises
    ------
    OutputError
        The file is there already, has another suffix, or cannot be written.
    """

    def __init__(self, path: str | Path, *, crs: str, provenance: Mapping[str, object] | None = None) -> None:
        self._path = Path(path)
        self._crs = crs
        self._provenance = dict(provenance or {})
        self._layers: dict[str, Layer] = {}
        self._rows: dict[str, int] = {}
        self._open: tuple[str, Stream] | None = None
        if self._path.suffix != ".gpkg":
            raise OutputError(f"{self._path} does not end in .gpkg", remedy="name the file <something>.gpkg")
        if self._path.exists():
            raise OutputError(f"{self._path} is there already", remedy="choose another name, or --overwrite")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._finish()
        elif self._open is not None:
            self._open[1].stop()

    def create_layer(self, layer: Layer) -> None:
        """Creates a layer, with its columns even if no row follows; ends the one before."""
        if layer.name in self._layers:
            raise OutputError(f"{self._path} has a layer {layer.name!r} already; a name is for one layer")
        self._close_layer()
        self._layers[layer.name] = layer
        self._rows[layer.name] = 0
        schema = schema_of(layer, _free_name(_GEOMETRY, layer))
        self._open = (layer.name, Stream(schema, lambda batches: self._write(layer, batches)))

    def append(self, name: str, columns: Mapping[str, Any], geometry: Any) -> None:
        """Adds rows to the layer that was created last: columns (n,) by name, shapely geometries (n,)."""
        if self._open is None or name != self._open[0]:
            found = f"it has {sorted(self._layers)}, of which the last can take rows"
            raise OutputError(f"{self._path} has no layer {name!r} to add to; {found}")
        stream = self._open[1]
        geometry = typed(self._layers[name], geometry)
        with output_errors(self._path):
            stream.put(to_batch(stream.schema, columns, geometry))
        self._rows[name] += len(geometry)

    def set_style(self, name: str, style: Style | None) -> None:
        """Gives a layer another style than it was created with."""
        self._layers[name] = replace(self._layers[name], style=style)

    def _close_layer(self) -> None:
        if self._open is None:
            return
        (name, stream), self._open = self._open, None
        with output_errors(self._path):
            stream.close()
            found = pyogrio.read_info(to_read(self._path), layer=name, force_feature_count=True)["features"]
        require_rows(self._path, self._rows[name], found)

    def _write(self, layer: Layer, batches: pa.RecordBatchReader) -> None:
        is_new = not self._path.exists()
        with to_write(self._path) as path:
            pyogrio.write_arrow(
                batches,
                path,
                layer=layer.name,
                driver="GPKG",
                geometry_name=_free_name(_GEOMETRY, layer),
                geometry_type=layer.geometry_type,
                crs=self._crs,
                dataset_options={"VERSION": _VERSION} if is_new else None,
                layer_options={
                    "SPATIAL_INDEX": "YES",
                    "GEOMETRY_NAME": _free_name(_GEOMETRY, layer),
                    "FID": _free_name("fid", layer),
                    "DESCRIPTION": layer.description,
                },
            )

    def _finish(self) -> None:
        self._close_layer()
        if not self._layers:
            return
        with output_errors(self._path), closing(sqlite3.connect(self._path)) as db, db:
            # One transaction: by themselves, statements of a script wait for the disk one by one.
            db.executescript(f"BEGIN;{_TABLES}")
            _register_extensions(db)
            for layer in self._layers.values():
                _describe_columns(db, layer)
                _add_style(db, layer)
            _add_provenance(db, self._provenance)


def read_provenance(path: str | Path) -> dict[str, str]:
    """What a GeoPackage of ours says of where it comes from; nothing of any other file.

    ``path`` may name a layer and a filter, see :func:`cropseg_geo.vector_source.parse_source`.
    """
    file = parse_source(path_text(path)).file
    if Path(file).suffix.casefold() != ".gpkg":
        return {}
    # Whatever layer is asked, GDAL tells what is said of the whole file; without one it warns of several.
    layer = str(pyogrio.list_layers(to_read(file))[0][0])
    said = pyogrio.read_info(to_read(file), layer=layer)["dataset_metadata"]
    stated: dict[str, str] = {}
    for text in (said or {}).values():
        with suppress(ValueError, RecursionError):
            document = json.loads(text)
            if isinstance(document, dict):
                stated |= {name: str(value) for name, value in document.items()}
    return stated


def _free_name(name: str, layer: Layer) -> str:
    """``name``, longer where a column of the layer is called that (SQLite does not tell case apart)."""
    taken = {c.name.casefold() for c in layer.columns}
    while name in taken:
        name += "_"
    return name


def _register_extensions(db: sqlite3.Connection) -> None:
    rows = [
        ("gpkg_data_columns", "gpkg_schema", _SCHEMA_URL),
        ("gpkg_data_column_constraints", "gpkg_schema", _SCHEMA_URL),
        ("gpkg_metadata", "gpkg_metadata", _METADATA_URL),
        ("gpkg_metadata_reference", "gpkg_metadata", _METADATA_URL),
    ]
    known = {row[0] for row in db.execute("SELECT table_name FROM gpkg_extensions")}
    rows = [row for row in rows if row[0] not in known]
    db.executemany("INSERT INTO gpkg_extensions VALUES (?, NULL, ?, ?, 'read-write')", rows)
    # An attribute table like any other to OGR; QGIS knows it by its name.
    db.execute(
        "INSERT OR IGNORE INTO gpkg_contents (table_name, data_type, identifier, description) "
        "VALUES ('layer_styles', 'attributes', 'layer_styles', 'Default styles of the layers')"
    )


def _describe_columns(db: sqlite3.Connection, layer: Layer) -> None:
    rows = [(layer.name, c.name, c.title or None, c.description) for c in layer.columns if c.description]
    db.executemany(
        "INSERT INTO gpkg_data_columns (table_name, column_name, title, description) VALUES (?, ?, ?, ?)",
        rows,
    )


def _add_style(db: sqlite3.Connection, layer: Layer) -> None:
    if layer.style is None:
        return
    place = (layer.name, _free_name(_GEOMETRY, layer), layer.name)
    db.execute(
        "INSERT INTO layer_styles (f_table_catalog, f_table_schema, f_table_name, f_geometry_column, "
        "styleName, styleQML, styleSLD, useAsDefault, description, owner) "
        "VALUES ('', '', ?, ?, ?, ?, ?, 1, ?, '')",
        (*place, layer.style.qml, layer.style.sld, f"Style of {layer.name}"),
    )


def _add_provenance(db: sqlite3.Connection, provenance: Mapping[str, object]) -> None:
    if not provenance:
        return
    text = json.dumps(provenance, ensure_ascii=False, indent=2, sort_keys=True, default=str)
    cursor = db.execute(
        "INSERT INTO gpkg_metadata (md_scope, md_standard_uri, mime_type, metadata) "
        "VALUES ('dataset', ?, 'application/json', ?)",
        (_METADATA_STANDARD, text),
    )
    db.execute(
        "INSERT INTO gpkg_metadata_reference (reference_scope, md_file_id) VALUES ('geopackage', ?)",
        (cursor.lastrowid,),
    )
