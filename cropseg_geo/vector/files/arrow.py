"""Rows as Arrow record batches, and one call of OGR that is fed with them as they come.

OGR writes fastest in one call: one opening of the file, one transaction, the spatial index built at the
end. The call pulls its batches, tracing pushes them: a thread and a short queue stand between, so that
memory stays flat.
"""

from __future__ import annotations

import queue
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyogrio
import shapely

from cropseg_geo.errors import OutputError
from cropseg_geo.vector.arrays import Geometries
from cropseg_geo.vector.files.layers import Layer

GEOMETRY_EXTENSION = {"ARROW:extension:name": "geoarrow.wkb"}
_TYPES = {
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "date": pa.timestamp("ms"),
    "day": pa.date32(),
    "object": pa.string(),
}
_OGR_ERRORS = (
    pyogrio.errors.DataSourceError,
    pyogrio.errors.DataLayerError,
    pyogrio.errors.FeatureError,
    pyogrio.errors.FieldError,
    pyogrio.errors.GeometryError,
)
_QUEUED = 2
"""Batches that wait for the writer."""
_FULL_BYTES = 10_000_000
"""With less free space a file that could not be written was probably too large for it."""
_PATIENCE_S = 0.2
"""How often a full queue looks whether the writer is still there."""


def schema_of(layer: Layer, geometry_name: str) -> pa.Schema:
    """The layer's columns, then its geometry as WKB."""
    fields = [pa.field(c.name, _TYPES[c.dtype]) for c in layer.columns]
    return pa.schema([*fields, pa.field(geometry_name, pa.binary(), metadata=GEOMETRY_EXTENSION)])


def typed(layer: Layer, geometry: Any) -> Geometries:
    """Geometries (n,) of the layer's type: where that is MultiPolygon, polygons become ones of one part."""
    shapes = np.asarray(geometry)
    if layer.geometry_type == "MultiPolygon":
        shapes = shapes.copy()
        single = np.flatnonzero(shapely.get_type_id(shapes) == shapely.GeometryType.POLYGON)
        shapes[single] = shapely.multipolygons(shapes[single], indices=np.arange(len(single)))
    return shapes


def to_batch(schema: pa.Schema, columns: Mapping[str, Any], geometry: Any) -> pa.RecordBatch:
    """Columns (n,) by name, NaN and None as null, and shapely geometries (n,) → one batch."""
    # Another thread frees them, which Arrow's own pool answers by keeping much of what was freed.
    shapes = pa.array(shapely.to_wkb(np.asarray(geometry)), pa.binary(), memory_pool=pa.system_memory_pool())
    return pa.RecordBatch.from_arrays([*to_arrays(schema, columns), shapes], schema=schema)


def to_arrays(schema: pa.Schema, columns: Mapping[str, Any]) -> list[pa.Array]:
    """The columns of ``schema`` without its last field, the geometry."""
    arrays = [_array(columns[field.name], field.type) for field in list(schema)[:-1]]
    # Text of frames that were put together comes in the pieces that they had.
    return [a.combine_chunks() if isinstance(a, pa.ChunkedArray) else a for a in arrays]


def _array(values: Any, kind: pa.DataType) -> pa.Array | pa.ChunkedArray:
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.cast(kind)
    if not pa.types.is_string(kind):
        return pa.array(values, from_pandas=True).cast(kind, safe=False)
    try:
        return pa.array(values, kind, from_pandas=True)
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # a user's own column may mix numbers and text
        return pa.array([None if pd.isna(v) else str(v) for v in values], kind)


@contextmanager
def output_errors(path: Path) -> Iterator[None]:
    """What OGR, Arrow, SQLite and the system raise while a file is written → OutputError."""
    try:
        yield
    except (*_OGR_ERRORS, pa.ArrowException, sqlite3.Error, OSError) as err:
        if isinstance(err, OutputError):
            raise
        raise OutputError(
            f"{path} could not be written: {_disk_is_full(path)}{err}",
            remedy="check the folder's permissions and the free space on its disk",
        ) from err


def _disk_is_full(path: Path) -> str:
    """Says so where it is: on a full disk OGR complains of what it could not do next."""
    try:
        left = shutil.disk_usage(path.parent).free
    except OSError:
        return ""
    return f"{left / 1e6:.1f} MB are left on its disk; " if left < _FULL_BYTES else ""


def require_rows(path: Path, expected: int, found: int) -> None:
    """Raise OutputError where rows were lost: OGR does not report every write that failed."""
    if found != expected:
        raise OutputError(
            f"{path} holds {found} of {expected} rows: writing was cut short",
            remedy="check the free space on its disk",
        )


class _Stopped(Exception):  # noqa: N818  # not an error: how a stream is told to give up
    pass


class Stream:
    """Feeds ``write``, which runs in a thread of its own and pulls batches until they end.

    Parameters
    ----------
    schema
        Of the batches.
    write
        Called once with a reader of the batches.
    """

    def __init__(self, schema: pa.Schema, write: Callable[[pa.RecordBatchReader], None]) -> None:
        self.schema = schema
        self._write = write
        self._queue: queue.Queue[pa.RecordBatch | _Stopped | None] = queue.Queue(_QUEUED)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)
        self._thread.start()

    def put(self, batch: pa.RecordBatch) -> None:
        """Hand a batch over. Raises what the writer raised, if it did."""
        self._offer(batch)
        if not self._thread.is_alive():
            self.close()

    def close(self) -> None:
        """End the stream and wait until everything is written. Raises what the writer raised."""
        self._offer(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        """Give up: what was written is good for nothing."""
        self._offer(_Stopped())
        self._thread.join()

    def _offer(self, item: pa.RecordBatch | _Stopped | None) -> None:
        while self._thread.is_alive():
            try:
                self._queue.put(item, timeout=_PATIENCE_S)
            except queue.Full:
                continue
            return

    def _batches(self) -> Iterator[pa.RecordBatch]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, _Stopped):
                raise item
            yield item

    def _run(self) -> None:
        try:
            self._write(pa.RecordBatchReader.from_batches(self.schema, self._batches()))
        except BaseException as err:  # noqa: BLE001  # handed to the thread that puts
            self._error = err
