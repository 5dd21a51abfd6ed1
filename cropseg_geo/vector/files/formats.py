"""Files of polygons by suffix: GeoPackage, FlatGeobuf, GeoParquet and GeoJSON.

All are written as the rows come, with flat memory. Sources: flatgeobuf.org; the GeoParquet specification
1.1.0 (geoparquet.org); RFC 7946 and RFC 8142 (GeoJSON, and as a text sequence by lines).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa
import pyogrio

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.ogr_paths import to_read, to_write
from cropseg_geo.vector.files.arrow import Stream, output_errors, require_rows, schema_of, to_batch, typed
from cropseg_geo.vector.files.geojson import GeoJsonFile
from cropseg_geo.vector.files.geopackage import GeoPackageWriter
from cropseg_geo.vector.files.layers import Layer
from cropseg_geo.vector.files.parquet import GeoParquetFile
from cropseg_geo.vector.files.styles import Style

FORMATS = {
    ".gpkg": "GeoPackage",
    ".fgb": "FlatGeobuf",
    ".parquet": "GeoParquet",
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".geojsonl": "GeoJSON by lines",
}


class VectorWriter(Protocol):
    """A vector file that is being written; complete when its ``with`` block ends."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def create_layer(self, layer: Layer) -> None:
        """Open a layer; only a GeoPackage takes more than one."""

    def append(self, name: str, columns: Mapping[str, Any], geometry: Any) -> None:
        """Add rows to the open layer: columns (n,) by name, shapely geometries (n,)."""

    def set_style(self, name: str, style: Style | None) -> None:
        """Change a layer's style; nothing where the format keeps none."""


TABLES = {".csv": "table without outlines"}
"""What statistics are written as beside the formats of polygons."""


def require_format(path: str | Path, formats: Mapping[str, str] = FORMATS) -> str:
    """The name of the format, one of ``formats`` by suffix, that the suffix of ``path`` asks for.

    Raises
    ------
    InputError
        For a suffix that none has.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in formats:
        known = ", ".join(f"{s} ({name})" for s, name in formats.items())
        raise InputError(
            f"{path}: {f'the suffix {suffix!r} names' if suffix else 'without a suffix, it names'} no format "
            "that is written here",
            remedy=f"give a file that ends in one of {known}",
        )
    return formats[suffix]


def create_vector_file(
    path: Path, *, crs: str, provenance: Mapping[str, object] | None = None, precision_m: float = 0.01
) -> VectorWriter:
    """A writer for the format of ``path``'s suffix.

    Parameters
    ----------
    path
        The file to create, under a temporary name with the final suffix.
    crs
        CRS of the rows, as WKT.
    provenance
        Kept in the file where the format has a place for it.
    precision_m
        Size of what must not be lost to rounding (m): the pixel.

    Raises
    ------
    InputError
        For an unknown suffix.
    OutputError
        If the file exists or cannot be written.
    """
    name = require_format(path)
    facts = dict(provenance or {})
    if name == "GeoPackage":
        return GeoPackageWriter(path, crs=crs, provenance=facts)
    if name == "FlatGeobuf":
        return _OneLayer(path, lambda layer: _FlatGeobufFile(path, layer, crs, facts))
    if name == "GeoParquet":
        return _OneLayer(path, lambda layer: GeoParquetFile(path, layer, crs, facts))
    by_lines = path.suffix.lower() == ".geojsonl"
    return _OneLayer(path, lambda layer: GeoJsonFile(path, layer, crs, facts, precision_m, by_lines=by_lines))


class _RowFile(Protocol):
    """One layer that takes rows; :meth:`close` completes it, :meth:`discard` gives it up."""

    def append(self, columns: Mapping[str, Any], geometry: Any) -> None: ...

    def close(self) -> None: ...

    def discard(self) -> None: ...


class _OneLayer:
    """A format of one layer a file behind the protocol of many."""

    def __init__(self, path: Path, create: Callable[[Layer], _RowFile]) -> None:
        self._path = path
        self._create = create
        self._file: _RowFile | None = None
        self._name = ""
        if path.exists():
            raise OutputError(f"{path} is there already", remedy="choose another name, or --overwrite")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is None:
            return
        if kind is not None:
            # On a full disk even closing fails; the file is given up, and the error at hand says why.
            with suppress(OSError, pa.ArrowException):
                self._file.discard()
            return
        with output_errors(self._path):
            self._file.close()

    def create_layer(self, layer: Layer) -> None:
        if self._file is not None:
            raise OutputError(
                f"{self._path} holds one layer, {self._name!r}; there is no place for {layer.name!r}",
                remedy="write a GeoPackage (.gpkg), which holds many",
            )
        with output_errors(self._path):
            self._file, self._name = self._create(layer), layer.name

    def append(self, name: str, columns: Mapping[str, Any], geometry: Any) -> None:
        if self._file is None or name != self._name:
            raise OutputError(f"{self._path} has no layer {name!r} to add to")
        with output_errors(self._path):
            self._file.append(columns, geometry)

    def set_style(self, name: str, style: Style | None) -> None:
        """These formats keep no style."""


class _FlatGeobufFile:
    """FlatGeobuf with its spatial index; its header tells where it comes from."""

    def __init__(self, path: Path, layer: Layer, crs: str, provenance: Mapping[str, object]) -> None:
        self._path, self._layer = path, layer
        self._rows = 0
        origin = json.dumps(provenance, ensure_ascii=False, sort_keys=True, default=str)

        def write(batches: pa.RecordBatchReader) -> None:
            with to_write(path) as place:
                pyogrio.write_arrow(
                    batches,
                    place,
                    layer=layer.name,
                    driver="FlatGeobuf",
                    geometry_name="geometry",
                    geometry_type=layer.geometry_type,
                    crs=crs,
                    layer_options={
                        "SPATIAL_INDEX": "YES",
                        "TITLE": layer.name,
                        "DESCRIPTION": f"{layer.description}\n{origin}",
                    },
                )

        self._stream = Stream(schema_of(layer, "geometry"), write)

    def append(self, columns: Mapping[str, Any], geometry: Any) -> None:
        self._stream.put(to_batch(self._stream.schema, columns, typed(self._layer, geometry)))
        self._rows += len(geometry)

    def close(self) -> None:
        self._stream.close()
        found = pyogrio.read_info(to_read(self._path), force_feature_count=True)["features"]
        require_rows(self._path, self._rows, found)

    def discard(self) -> None:
        self._stream.stop()
