"""Canopy objects of plots: how many share area with each, and how large they are in it.

Objects are cut to the plot. A plant on the border counts with the part that grows here, and a row that runs
through many plots, or a closed canopy that is one object from one end of the field to the other, says of
each plot what is in it. So the areas of a plot's objects add up to its canopy area.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely

from cropseg_geo.ground import Ground
from cropseg_geo.plots.measuring.frame import to_pixels
from cropseg_geo.plots.measuring.shared import shared_areas

_SLIVER_PX = 1e-6
"""Objects that reach less deep into a plot than this share a border with it, not an area."""

_MAX_VERTICES = 4096
"""Larger objects are cut into pieces first: all edges above a plot are looked at, and pieces have fewer."""


@dataclass(frozen=True)
class ObjectTotals:
    """Of n plots (n,): number of objects, their area in the plot and the largest one's (px²)."""

    count: npt.NDArray[np.int64]
    area_px: npt.NDArray[np.float64]
    largest_px: npt.NDArray[np.float64]


def measure_objects(
    outlines_px: npt.NDArray[Any], objects: Iterable[npt.NDArray[Any]], ground: Ground
) -> ObjectTotals:
    """Count and measure objects, in batches of shapely polygons in the CRS of ``ground``, in each plot."""
    n = len(outlines_px)
    totals = ObjectTotals(np.zeros(n, np.int64), np.zeros(n), np.zeros(n))
    shapely.prepare(outlines_px)
    # Shrunk by a sliver, a plot loses the objects that it only touches.
    tree = shapely.STRtree(shapely.buffer(outlines_px, -_SLIVER_PX, join_style="mitre"))
    for batch in objects:
        objects_px = to_pixels(np.asarray(batch), ground)
        which, plot = tree.query(objects_px, predicate="intersects")
        if len(which):
            area = _shared_areas(objects_px, which, outlines_px, plot)
            totals.count[:] += np.bincount(plot, minlength=n)
            totals.area_px[:] += np.bincount(plot, area, minlength=n)
            np.maximum.at(totals.largest_px, plot, area)
    return totals


def _shared_areas(
    objects_px: npt.NDArray[Any], which: npt.NDArray[np.intp],
    outlines_px: npt.NDArray[Any], plot: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Area (px²) of object ``which[i]`` in plot ``plot[i]``."""
    area = shapely.area(objects_px)[which]
    cut = np.flatnonzero(~shapely.covers(outlines_px[plot], objects_px[which]))
    if not len(cut):
        return area
    halves = {k: _halved(objects_px[k]) for k in np.unique(which[cut])}
    owner = np.repeat(list(halves), [len(parts) for parts in halves.values()])
    pieces = np.array([piece for parts in halves.values() for piece in parts], dtype=object)
    near, piece = shapely.STRtree(pieces).query(outlines_px)
    # Pieces lie near plots that their object shares nothing with, too, or lies in as a whole.
    n = len(outlines_px)
    cut = cut[np.argsort(which[cut] * n + plot[cut])]
    key, wanted = owner[piece] * n + near, which[cut] * n + plot[cut]
    at = np.minimum(np.searchsorted(wanted, key), len(wanted) - 1)
    is_wanted = wanted[at] == key
    shared = shared_areas(pieces, outlines_px, piece[is_wanted], near[is_wanted])
    area[cut] = np.bincount(at[is_wanted], shared, minlength=len(cut))
    return area


def _halved(polygon: Any) -> list[Any]:
    """Parts of a polygon (shapely) of few vertices each that make it up.

    Clipping to rectangles is fast because it leaves rings that touch themselves; areas do not mind.
    """
    pieces, waiting = [], [polygon]
    while waiting:
        part = waiting.pop()
        left, bottom, right, top = shapely.bounds(part)
        # A part as small as a pixel is not halved any more, whatever its outline.
        if shapely.get_num_coordinates(part) <= _MAX_VERTICES or max(right - left, top - bottom) < 1:
            pieces.append(part)
            continue
        col, row = (left + right) / 2, (bottom + top) / 2
        is_wide = right - left >= top - bottom
        halves = (
            shapely.clip_by_rect(part, left, bottom, *((col, top) if is_wide else (right, row))),
            shapely.clip_by_rect(part, *((col, bottom) if is_wide else (left, row)), right, top),
        )
        waiting += [half for half in halves if shapely.area(half) > 0]
    return pieces
