"""GeoJSON as RFC 7946 wants it: WGS 84 longitude, latitude; shells counter-clockwise; no ``crs`` member;
cut at the antimeridian."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from pyproj import CRS, Transformer

from cropseg_geo.vector.arrays import Floats
from cropseg_geo.vector.files.antimeridian import between_180, cut_at_antimeridian
from cropseg_geo.vector.files.arrow import schema_of, to_arrays
from cropseg_geo.vector.files.layers import Layer

WGS84 = "EPSG:4326"
_LEAST_DECIMALS = 7
"""A centimetre: what most readers expect."""
_METRES_PER_DEGREE = 111_320.0
_CENTROID = ("centroid_x", "centroid_y")


def decimals_for(precision_m: float) -> int:
    """Decimals of a degree whose rounding moves nothing by more than 1/20 of ``precision_m``.

    >>> decimals_for(1.0), decimals_for(0.01)
    (7, 9)
    """
    step = precision_m / 10 / _METRES_PER_DEGREE
    return max(_LEAST_DECIMALS, math.ceil(-math.log10(step)))


class GeoJsonFile:
    """One layer as a FeatureCollection, or by lines as one feature a line (``.geojsonl``).

    Coordinates have seven decimals, and more where a pixel is too small for that: at seven, outlines that
    follow pixels of 1 cm would be bent by half a pixel.
    """

    def __init__(
        self,
        path: Path,
        layer: Layer,
        crs: str,
        provenance: Mapping[str, object],
        precision_m: float,
        *,
        by_lines: bool,
    ) -> None:
        self._schema = schema_of(layer, "geometry")
        self._decimals = decimals_for(precision_m)
        source = CRS.from_wkt(crs)
        self._to_lonlat = Transformer.from_crs(source, WGS84, always_xy=True)
        # Longitudes beyond 180° stay as they are only where nothing is computed.
        self._may_jump = not source.is_geographic or self._to_lonlat.transform(350.0, 0.0)[0] < 180.0
        self._by_lines = by_lines
        self._rows = 0
        self._file = path.open("x", encoding="utf-8", newline="\n")
        if not by_lines:
            # Members that the standard does not know are allowed; readers leave them alone.
            head = {"type": "FeatureCollection", "name": layer.name, "cropseg": provenance}
            text = json.dumps(head, ensure_ascii=False, default=str)
            self._file.write(f'{text[:-1]}, "features": [')

    def append(self, columns: Mapping[str, Any], geometry: Any) -> None:
        lonlat = cut_at_antimeridian(
            np.asarray(shapely.transform(geometry, self._lonlat)),
            decimals=self._decimals,
            may_jump=self._may_jump,
        )
        lonlat = shapely.orient_polygons(lonlat, exterior_cw=False)
        columns = dict(columns)
        if set(_CENTROID) <= set(columns):
            xy = np.column_stack([np.asarray(columns[name], np.float64) for name in _CENTROID])
            lon, lat = self._lonlat(xy).T
            columns.update(zip(_CENTROID, (np.round(between_180(lon), self._decimals), lat), strict=True))
        for feature in self._features(columns, shapely.to_geojson(lonlat)):
            if self._rows and not self._by_lines:
                self._file.write(",")
            if self._rows or not self._by_lines:
                self._file.write("\n")
            self._file.write(feature)
            self._rows += 1

    def close(self) -> None:
        self._file.write("\n]}\n" if not self._by_lines else "\n" if self._rows else "")
        self._file.close()

    def discard(self) -> None:
        self._file.close()

    def _lonlat(self, xy: Floats) -> Floats:
        lonlat = np.column_stack(self._to_lonlat.transform(xy[:, 0], xy[:, 1]))
        return np.round(lonlat, self._decimals)

    def _features(self, columns: Mapping[str, Any], shapes: Iterable[str]) -> Iterator[str]:
        names = [json.dumps(name, ensure_ascii=False) for name in self._schema.names[:-1]]
        # Through Arrow, so that every format holds the same values and nulls.
        texts = [_texts(array.to_pylist()) for array in to_arrays(self._schema, columns)]
        for k, (shape, *values) in enumerate(zip(shapes, *texts, strict=True), self._rows + 1):
            members = ", ".join(f"{name}: {value}" for name, value in zip(names, values, strict=True))
            yield f'{{"type": "Feature", "id": {k}, "properties": {{{members}}}, "geometry": {shape}}}'


def _texts(values: list[Any]) -> list[str]:
    """Values as JSON; names of classes and plots repeat, so they are spelled once."""
    spelled: dict[Any, str] = {}
    texts = []
    for value in values:
        if isinstance(value, float):
            texts.append(repr(value) if math.isfinite(value) else "null")
            continue
        if value not in spelled:
            spelled[value] = json.dumps(value, ensure_ascii=False, default=str)
        texts.append(spelled[value])
    return texts
