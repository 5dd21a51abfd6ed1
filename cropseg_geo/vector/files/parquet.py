"""GeoParquet 1.1: WKB polygons with a bounding-box column, so that readers skip what lies elsewhere."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from pyproj import CRS

from cropseg_geo.vector.files.arrow import schema_of, to_batch, typed
from cropseg_geo.vector.files.layers import Layer

_GEOMETRY = "geometry"
_BBOX = "bbox"
_SIDES = ("xmin", "ymin", "xmax", "ymax")
_ROW_GROUP = 50_000
"""Rows that are compressed together, and the least that a reader can skip."""


class GeoParquetFile:
    """One layer as GeoParquet; the metadata are written when it closes, with the extent of all rows."""

    def __init__(self, path: Path, layer: Layer, crs: str, provenance: Mapping[str, object]) -> None:
        self._layer, self._crs, self._provenance = layer, crs, provenance
        self._rows_schema = schema_of(layer, _GEOMETRY)
        described = [
            pa.field(c.name, self._rows_schema.field(c.name).type, metadata={"description": c.description})
            for c in layer.columns
        ]
        bbox = pa.field(_BBOX, pa.struct([pa.field(side, pa.float64(), nullable=False) for side in _SIDES]))
        self._schema = pa.schema([*described, pa.field(_GEOMETRY, pa.binary()), bbox])
        self._waiting: list[pa.RecordBatch] = []
        self._extent = np.array([np.inf, np.inf, -np.inf, -np.inf])
        self._writer = pq.ParquetWriter(path, self._schema, compression="zstd")

    def append(self, columns: Mapping[str, Any], geometry: Any) -> None:
        # As the metadata promise; outlines of plots are drawn either way round.
        geometry = shapely.orient_polygons(typed(self._layer, geometry), exterior_cw=False)
        batch = to_batch(self._rows_schema, columns, geometry)
        bounds = shapely.bounds(geometry)
        bbox = pa.StructArray.from_arrays([pa.array(side) for side in bounds.T], fields=_sides(self._schema))
        self._waiting.append(pa.RecordBatch.from_arrays([*batch.columns, bbox], schema=self._schema))
        self._extent[:2] = np.minimum(self._extent[:2], bounds[:, :2].min(axis=0, initial=np.inf))
        self._extent[2:] = np.maximum(self._extent[2:], bounds[:, 2:].max(axis=0, initial=-np.inf))
        if sum(map(len, self._waiting)) >= _ROW_GROUP:
            self._flush()

    def close(self) -> None:
        self._flush()
        metadata = {"geo": json.dumps(self._geo()), "cropseg": _json(self._provenance)}
        self._writer.add_key_value_metadata(metadata)
        self._writer.close()

    def discard(self) -> None:
        self._waiting.clear()
        self._writer.close()

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.Table.from_batches(self._waiting, self._schema))
            self._waiting.clear()

    def _geo(self) -> dict[str, Any]:
        """The file's ``geo`` metadata."""
        column: dict[str, Any] = {
            "encoding": "WKB",
            "geometry_types": [self._layer.geometry_type],
            "crs": CRS.from_wkt(self._crs).to_json_dict(),
            "orientation": "counterclockwise",
            "edges": "planar",
            "covering": {"bbox": {side: [_BBOX, side] for side in _SIDES}},
        }
        if np.isfinite(self._extent).all():
            column["bbox"] = self._extent.tolist()
        return {"version": "1.1.0", "primary_column": _GEOMETRY, "columns": {_GEOMETRY: column}}


def _sides(schema: pa.Schema) -> list[pa.Field]:
    kind = schema.field(_BBOX).type
    return [kind.field(k) for k in range(kind.num_fields)]


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
