"""What plots are called: in messages, and by which columns."""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from cropseg_geo.errors import listed


def are_plain(values: Iterable[object]) -> bool:
    """True for numbers and texts; False where one of the values is a list or an object, as in GeoJSON."""
    return all(isinstance(value, Hashable) for value in values)


def plainly(column: object) -> str:
    """A column's name without case, spaces and punctuation, by which usual names are known.

    >>> plainly("Plot-Nr."), plainly("Plot ID")
    ('plot_nr', 'plot_id')
    """
    return re.sub(r"[\W_]+", "_", str(column).casefold()).strip("_")


def free_name(name: str, taken: Collection[str]) -> str:
    """``name``, longer where it is among ``taken``, which are casefolded: files do not tell case apart.

    >>> free_name("Plot", {"plot", "plot_"})
    'Plot__'
    """
    while name.casefold() in taken:
        name += "_"
    return name


def as_whole(ids: pd.Series[Any]) -> pd.Series[Any]:
    """Ids that are whole numbers stored as floats, as integers; others as they are."""
    if pd.api.types.is_float_dtype(ids) and np.isfinite(ids).all() and (ids == np.floor(ids)).all():
        return ids.astype(np.int64)
    return ids


def named(ids: Sequence[object]) -> str:
    """``plot 7`` or ``plots 1, 2, 3 and 40 more``.

    >>> named(["a", "b"])
    'plots a, b'
    """
    return f"plot{'s' if len(ids) > 1 else ''} {listed(ids)}"
