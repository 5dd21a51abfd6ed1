"""How many digits of a statistic are written: those that mean something."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt
import pandas as pd

from cropseg_geo.plots.columns import SUMMARY_COLUMNS

DIGITS = 6
"""Parts of pixels are summed in 32-bit weights, which are true to about 1e-7; half a unit of the sixth
significant digit is 5e-7 to 5e-6 of the value. A plot of 21.6 m² then reads 21.6, not 21.600000000529523."""

Table = TypeVar("Table", bound=pd.DataFrame)


def with_meaningful_digits(table: Table) -> Table:
    """The table with its statistics rounded to :data:`DIGITS` significant digits, to be written.

    Statistics are the columns from ``coverage`` on, or from the first of a season's summary; those before
    are the user's own and stay as they are.
    """
    columns = list(table.columns)
    first = next((name for name in ("coverage", SUMMARY_COLUMNS[0].name) if name in columns), None)
    if first is None:
        return table
    statistics = columns[columns.index(first) :]
    is_float = [name for name in statistics if pd.api.types.is_float_dtype(table[name].dtype)]
    rounded: Table = table.assign(**{name: significant(table[name].to_numpy()) for name in is_float})
    return rounded


def significant(values: npt.NDArray[np.floating], digits: int = DIGITS) -> npt.NDArray[np.float64]:
    """Values rounded to significant digits; NaN and infinities stay.

    >>> significant(np.array([21.600000000529523, 0.41828489, 1234567.8, -0.0])).tolist()
    [21.6, 0.418285, 1234570.0, 0.0]
    """
    # Through text, which is the number that is meant: by powers of ten, 0.3 would become 0.30000000000000004.
    texts = [f"{value:.{digits - 1}e}" for value in np.asarray(values, np.float64).ravel() + 0.0]
    return np.array([float(text) for text in texts]).reshape(np.shape(values))
