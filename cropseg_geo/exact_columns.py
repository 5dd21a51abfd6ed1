"""Columns of vector files as they are stored, where a frame of pandas would hold something else.

Whole numbers beside blanks would become decimals, of which large ones lose digits; dates points of time.
"""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import pandas as pd
import pyarrow as pa
import pyogrio

_NULLABLE = {
    pa.bool_(): pd.BooleanDtype(),
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
}


def inexact_columns(file: Any, layer: str, subset: str | None, frame: gpd.GeoDataFrame) -> pa.Table:
    """The columns of a layer of which pyogrio's frames may hold something else than the file does."""
    info = pyogrio.read_info(file, layer=layer)
    names = [
        name
        for name, kind in zip(info["fields"], info["dtypes"], strict=True)
        if name in frame
        and (kind == "datetime64[D]" or (kind.startswith(("int", "bool")) and frame[name].isna().any()))
    ]
    if not names:
        return pa.table({})
    return pyogrio.read_arrow(file, layer=layer, where=subset, columns=names, read_geometry=False)[1]


def as_stored(frame: gpd.GeoDataFrame, columns: pa.Table) -> gpd.GeoDataFrame:
    """The frame with the dates, and the whole numbers and truth values beside blanks, of ``columns``."""
    exact = {}
    for field in columns.schema:
        stored = columns[field.name]
        is_inexact = field.type == pa.date32() or (field.type in _NULLABLE and stored.null_count > 0)
        if field.name in frame and is_inexact:
            exact[field.name] = stored.to_pandas(types_mapper=_NULLABLE.get).array
    return frame.assign(**exact) if exact else frame
