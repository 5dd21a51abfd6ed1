"""Names of vector layers: a file, and behind it what QGIS writes to say which of its features are meant."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cropseg_geo.errors import InputError
from cropseg_geo.paths import is_there

LAYER_MARK = "|layername="
_PART = re.compile(r"\|[a-z]+[=:]", re.IGNORECASE)
_GEOMETRY_TYPE = re.compile(r"\|geometrytype=([a-z0-9]*)", re.IGNORECASE)
_SUBSET = re.compile(r"\|subset=", re.IGNORECASE)
_DIMENSIONS = re.compile(r"(25d|zm|z|m)$")
_KINDS = ("point", "linestring", "polygon")


@dataclass(frozen=True)
class VectorSource:
    """Features of one file: of a layer by name or by number (from 0), a filter (SQL) and a kind of geometry.

    ``kind`` is ``point``, ``linestring`` or ``polygon``, single or multiple. None: whatever there is.
    """

    file: str
    layer: str | None = None
    layer_id: int | None = None
    subset: str | None = None
    kind: str | None = None


def parse_source(text: str) -> VectorSource:
    """A file's path, or ``file|layername=x|layerid=0|subset=…|geometrytype=Polygon`` with any of these parts.

    >>> parse_source("a.gpkg|layername=plots|subset=n = '1|2'|geometrytype=MultiPolygonZ")
    VectorSource(file='a.gpkg', layer='plots', layer_id=None, subset="n = '1|2'", kind='polygon')

    Raises
    ------
    InputError
        For any other part: passed over, it would change which features are meant.
    """
    first = _PART.search(text)
    if first is None or is_there(text):
        return VectorSource(text)
    file, parts = text[: first.start()], text[first.start() :]
    # QGIS writes the type behind the filter, which otherwise goes on to the end and may hold a | itself.
    if typed := _GEOMETRY_TYPE.search(parts):
        parts = parts[: typed.start()] + parts[typed.end() :]
    parts, *subset = _SUBSET.split(parts, maxsplit=1)
    stated = {}
    for part in parts.split("|")[1:]:
        name, _, value = part.partition("=")
        is_known = name.casefold() == "layername" or (name.casefold() == "layerid" and value.isdecimal())
        if not is_known:
            raise _refusal(file, part)
        stated[name.casefold()] = value
    number = stated.get("layerid")
    return VectorSource(
        file,
        stated.get("layername") or None,
        None if number is None else int(number),
        (subset[0] if subset else None) or None,
        _kind(file, typed[1]) if typed else None,
    )


def _kind(file: str, geometry_type: str) -> str:
    kind = _DIMENSIONS.sub("", geometry_type.casefold()).removeprefix("multi")
    if kind not in _KINDS:
        raise _refusal(file, f"geometrytype={geometry_type}")
    return kind


def _refusal(file: str, part: str) -> InputError:
    return InputError(
        f"{file}: {part!r} behind the file's name is not understood",
        remedy=f"name the layer alone, {file}{LAYER_MARK}NAME; layerid=NUMBER, geometrytype=Polygon "
        "and, last, subset=FILTER are known, too",
    )
