"""Ids of plots: unique and complete, from the column that holds them, or counted."""

from __future__ import annotations

from typing import Any

import geopandas as gpd
import numpy as np
import pandas as pd

from cropseg_geo.errors import InputError, listed
from cropseg_geo.plots.naming import are_plain, as_whole, plainly

PLOT_ID = "plot_id"

ID_NAMES = (
    "plot_id", "plotid", "plot_ids", "plot", "plot_no", "plot_nr", "plotno", "plotnr", "plot_number",
    "plot_name", "plotname", "id", "name", "fid", "uid", "label",
)  # fmt: skip
"""What columns of ids are usually called, see ``plainly``; the first that tells all plots apart counts."""


def ids_of(frame: gpd.GeoDataFrame, id_field: str | None) -> tuple[pd.Series[Any], str | None]:
    """The plots' ids, unique and complete, and the column they came from; counted from 1 where that is None.

    Raises
    ------
    InputError
        ``id_field`` is no column; ids are missing, repeated or lists.
    """
    columns = {plainly(c): str(c) for c in reversed(frame.columns) if c != frame.geometry.name}
    if id_field is not None:
        name = id_field if id_field in frame.columns else columns.get(plainly(id_field))
        if name is None:
            raise InputError(
                f"the plots have no column {id_field!r}",
                remedy=f"choose one of {listed(sorted(columns.values()))}, or none to count the plots",
            )
    elif PLOT_ID in columns:
        name = columns[PLOT_ID]
    else:
        found = (columns[n] for n in ID_NAMES if n in columns)
        name = next((c for c in found if _can_tell_apart(frame[c])), None)
    if name is None:
        return pd.Series(np.arange(1, len(frame) + 1)), None
    ids = frame[name]
    _check_ids(ids, name)
    return as_whole(ids), name


def _can_tell_apart(column: pd.Series[Any]) -> bool:
    return bool(are_plain(column) and column.notna().all() and column.is_unique)


def _check_ids(ids: pd.Series[Any], name: str) -> None:
    if not are_plain(ids):
        raise InputError(
            f"column {name!r} holds lists; an id is a number or a text",
            remedy="choose another column with --plot-id",
        )
    missing = np.flatnonzero(ids.isna()) + 1
    if len(missing):
        raise InputError(
            f"column {name!r} has no id for {len(missing)} of {len(ids)} plots "
            f"(rows {listed(list(missing))})",
            remedy="give every plot an id, or choose another column with --plot-id",
        )
    repeated = ids[ids.duplicated()].unique()
    if len(repeated):
        raise InputError(
            f"column {name!r} names more than one plot {listed(list(repeated))}",
            remedy="make the ids unique, or choose another column with --plot-id",
        )


def why_counted(frame: gpd.GeoDataFrame) -> str:
    """What to tell where plots have no column of ids."""
    usual = [str(c) for c in frame.columns if plainly(c) in ID_NAMES]
    faulty = f" ({listed(usual)}: not unique, or not complete)" if usual else ""
    return f"the plots have no column of unique ids{faulty} and are counted from 1"
