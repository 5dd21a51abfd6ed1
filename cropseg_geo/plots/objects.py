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
from cropseg_geo.plots.frame import to_pixels

_SLIVER_PX = 1e-6
"""Objects that reach less deep into a plot than this share a border with it, not an area."""

_MAX_VERTICES = 256
"""Larger objects are cut into pieces before plots are cut out of them: cost follows vertices × plots."""


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
    is_cut = ~shapely.covers(outlines_px[plot], objects_px[which])
    is_large = shapely.get_num_coordinates(objects_px)[which] > _MAX_VERTICES
    simple = np.flatnonzero(is_cut & ~is_large)
    shared = shapely.intersection(objects_px[which[simple]], outlines_px[plot[simple]])
    area[simple] = shapely.area(shared)
    for large in np.unique(which[is_cut & is_large]):
        pairs = np.flatnonzero((which == large) & is_cut)
        area[pairs] = _areas_in_pieces(objects_px[large], outlines_px[plot[pairs]])
    return area


def _areas_in_pieces(polygon: Any, outlines_px: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Area (px²) of one large polygon in each outline, piece by piece."""
    pieces = np.array(_halved(polygon), dtype=object)
    # Clipping to rectangles is fast because it does not look for rings that come to touch themselves.
    is_torn = ~shapely.is_valid(pieces)
    pieces[is_torn] = shapely.make_valid(pieces[is_torn], method="structure", keep_collapsed=False)
    outline, piece = shapely.STRtree(pieces).query(outlines_px, predicate="intersects")
    shared = shapely.area(shapely.intersection(pieces[piece], outlines_px[outline]))
    return np.asarray(np.bincount(outline, shared, minlength=len(outlines_px)), np.float64)


def _halved(polygon: Any) -> list[Any]:
    """Parts of a polygon (shapely) of few vertices each that make it up."""
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
