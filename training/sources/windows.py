"""How large pictures are cut: even windows, the unit of drawing and, in one survey, of holding out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise, product
from typing import TypeVar

import numpy as np

from cropseg_geo.grid import Window

SIDE_PX = 1024
"""Longest side of a window: a crop from a drone's height (0.25×) of 256 px just fits without mirroring."""

LEAST_SIDE_PX = 64
ENOUGH = 8
"""Windows with labels below which windows are made smaller: a fifth of them is to be held out."""

MOST_PX = 384 * SIDE_PX**2
"""Pixels of a dataset's windows. All are held in memory while training, 4 bytes a pixel: 1.6 GB."""

T = TypeVar("T")


def cut(region: Window, side_px: int) -> tuple[Window, ...]:
    """Windows of about equal size, none longer than ``side_px``, that partition a region, row by row.

    >>> [str(window) for window in cut(Window(0, 0, 10, 4), 6)]
    ['rows 0–4, columns 0–3', 'rows 5–9, columns 0–3']
    """
    rows = _edges(region.row, region.height, side_px)
    cols = _edges(region.col, region.width, side_px)
    return tuple(
        Window(top, left, bottom - top, right - left)
        for (top, bottom), (left, right) in product(pairwise(rows), pairwise(cols))
    )


def cut_enough(region: Window, is_labelled: Callable[[Window], bool]) -> tuple[Window, ...]:
    """The windows of a region that have labels; smaller ones where there are fewer than eight."""
    side_px, windows = SIDE_PX, tuple(filter(is_labelled, cut(region, SIDE_PX)))
    while len(windows) < ENOUGH and side_px > LEAST_SIDE_PX:
        side_px //= 2
        windows = tuple(filter(is_labelled, cut(region, side_px)))
    return windows


def thin(items: Sequence[T], most: int) -> tuple[T, ...]:
    """At most ``most`` of the items, evenly spread over their order."""
    if len(items) <= most:
        return tuple(items)
    return tuple(items[int(index)] for index in np.linspace(0, len(items) - 1, most).round())


def how_many(windows: Sequence[Window], listener: Callable[[str], None]) -> int:
    """How many of a dataset's windows memory allows; the listener is told if these are not all."""
    total_px = sum(window.size for window in windows)
    if total_px <= MOST_PX:
        return len(windows)
    most = max(1, len(windows) * MOST_PX // total_px)
    listener(
        f"{most} of {len(windows)} labelled windows are used, evenly spread: training holds all that it uses "
        f"in memory, up to {MOST_PX / 1e6:.0f} Mpx"
    )
    return most


def _edges(start: int, length: int, side_px: int) -> list[int]:
    count = max(1, -(-length // side_px))
    return [start + length * k // count for k in range(count + 1)]
