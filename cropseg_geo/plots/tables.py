"""Columns of the user's own, brought into a form that every format of ours can write."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable
from typing import Any, TypeVar

import geopandas as gpd
import numpy as np
import pandas as pd

from cropseg_geo.plots.naming import are_plain, free_name

Frame = TypeVar("Frame", bound=pd.DataFrame)


def with_plain_names(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The frame with columns whose names are texts and differ by more than case; a named index is a column.

    Files do not tell names apart by case: the later of two columns gets a longer one.
    """
    index = [name for name in frame.index.names if name is not None and name not in frame.columns]
    frame = frame.reset_index(level=index).reset_index(drop=True) if index else frame.reset_index(drop=True)
    shapes = frame.geometry
    table = frame.drop(columns=shapes.name)
    names: list[str] = []
    taken = {"geometry"}
    for column in table.columns:
        names.append(free_name(str(column), taken))
        taken.add(names[-1].casefold())
    return gpd.GeoDataFrame(table.set_axis(names, axis=1), geometry=shapes.to_numpy(), crs=frame.crs)


def making_way(own: Frame, ours: Iterable[str], ending: str = "input") -> Frame:
    """A frame of the user's columns, ``<name>_<ending>`` where one of ``ours`` is called so.

    Where that name is taken as well, it is a longer one; case does not count.
    """
    names = {str(name).casefold() for name in ours}
    taken = names | {str(column).casefold() for column in own.columns}
    renamed: dict[object, str] = {}
    for column in own.columns:
        if str(column).casefold() in names:
            renamed[column] = free_name(f"{column}_{ending}", taken)
            taken.add(renamed[column].casefold())
    return own.rename(columns=renamed)


def with_geometry_named(frame: gpd.GeoDataFrame, name: object) -> gpd.GeoDataFrame:
    """The frame with its geometry called ``name``, where that is a text and no column is called so."""
    taken = {str(c).casefold() for c in frame.columns}
    is_free = isinstance(name, str) and name.casefold() not in taken
    return frame.rename_geometry(name) if is_free else frame


def with_plain_values(frame: gpd.GeoDataFrame) -> gpd.GeoDataFrame:
    """The frame with lists and objects, as GeoJSON has them, as their JSON text."""
    nested = [
        name
        for name in frame.columns
        if name != frame.geometry.name and frame[name].dtype == object and not are_plain(frame[name])
    ]
    return frame.assign(**{name: frame[name].map(_as_text) for name in nested}) if nested else frame


def _as_text(value: Any) -> Any:  # Any: whatever a cell holds
    if isinstance(value, Hashable):
        return value
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    return json.dumps(listed, ensure_ascii=False, default=str)
