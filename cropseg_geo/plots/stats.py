"""Canopy statistics of plots by exact fractions of pixels.

The overall strategy is to measure in pixels and to convert by areas: outlines are moved to pixel
coordinates through the inverse transform, so that a rotated raster is an ordinary grid; exactextract
weighs each pixel by the part of it that lies in the plot; and the plot's area on the ground tells what
a pixel of it is worth. Nodata is in neither numerator nor denominator.

Law: over plots that tile an extent, the canopy areas add up to the canopy area of the extent.
Source: exactextract (github.com/isciences/exactextract).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.ground import Ground
from cropseg_geo.plots.layout import Plots
from cropseg_geo.plots.zonal import MaskSource, Sums, zonal_sums

STAGE = "plots"
STATISTICS = (
    "coverage", "canopy_area_m2", "plot_area_m2", "valid_fraction", "mean_prob", "n_objects",
)  # fmt: skip
_SLIVER_PX = 1e-6
"""Objects that reach less deep into a plot than this share a border with it, not an area."""


def plot_stats(
    plots: Plots,
    source: MaskSource,
    *,
    ground: Ground,
    classes: Sequence[str],
    objects: Iterable[npt.NDArray[Any]] | None = None,
    listener: Listener = ignore,
) -> gpd.GeoDataFrame:
    """One row of statistics for each plot.

    Parameters
    ----------
    plots
        Plots in the CRS of ``ground``.
    source
        Mask and probability.
    ground
        Where the source's pixels are.
    classes
        Names by class id, background first; every class but the background counts as canopy.
    objects
        Canopy polygons in the CRS of ``ground``, as arrays of shapely geometries; streamed.
    listener
        Told of the stage ``"plots"`` in plots.

    Returns
    -------
    ``plot_id``, the user's columns (``<name>_input`` where a statistic has their name), then

    - ``coverage``: canopy ÷ valid area (0–1), NaN without a valid pixel; with more than one canopy class
      also ``coverage_<class>`` for each;
    - ``canopy_area_m2``, ``plot_area_m2``: on the ground;
    - ``valid_fraction``: valid ÷ plot area (0–1);
    - ``mean_prob``: mean probability of the valid area, NaN without one;
    - ``n_objects``: polygons of ``objects`` that share area with the plot (missing without ``objects``).
    """
    if (source.height, source.width) != (ground.height, ground.width):
        raise InputError(
            f"the mask has {source.height} × {source.width} px, "
            f"but its ground {ground.height} × {ground.width}",
            remedy="build the ground from the mask's own size and transform",
        )
    listener(StageStarted(STAGE, len(plots), "plot"))
    outlines_px = to_pixels(plots.geometry, ground)
    told = 0

    def on_progress(fraction: float) -> None:
        nonlocal told
        done = int(fraction * len(plots))
        if done > told:
            listener(StageAdvanced(STAGE, done - told))
            told = done

    sums = zonal_sums(outlines_px, source, n_classes=len(classes), on_progress=on_progress)
    columns = _columns(plots, outlines_px, sums, ground, classes)
    if objects is not None:
        columns["n_objects"] = _count_objects(outlines_px, objects, ground)
    on_progress(1.0)
    listener(StageFinished(STAGE))
    return _beside_own_columns(plots, columns)


def to_pixels(geometry: npt.NDArray[Any], ground: Ground) -> npt.NDArray[Any]:
    """Geometries in the CRS of ``ground`` → pixel coordinates, x = column, y = −row (so y runs up)."""
    t = ~ground.transform

    def move(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        x, y = xy[:, 0], xy[:, 1]
        return np.column_stack([t.a * x + t.b * y + t.c, -(t.d * x + t.e * y + t.f)])

    return np.asarray(shapely.transform(geometry, move))


def _columns(
    plots: Plots, outlines_px: npt.NDArray[Any], sums: Sums, ground: Ground, classes: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    plot_px = shapely.area(outlines_px)
    plot_m2 = ground.area_m2(plots.geometry)
    canopy = sums.by_class.sum(axis=1)

    def ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        quotient = np.full(len(part), np.nan)
        np.divide(part, whole, out=quotient, where=whole > 0)
        return quotient

    columns = {"coverage": ratio(canopy, sums.valid)}
    if len(classes) > 2:
        for k, name in enumerate(classes[1:]):
            columns[f"coverage_{name}"] = ratio(sums.by_class[:, k], sums.valid)
    return {
        **columns,
        "canopy_area_m2": canopy / plot_px * plot_m2,
        "plot_area_m2": plot_m2,
        "valid_fraction": np.minimum(sums.valid / plot_px, 1.0),
        "mean_prob": ratio(sums.prob, sums.prob_weight),
    }


def _count_objects(
    outlines_px: npt.NDArray[Any], objects: Iterable[npt.NDArray[Any]], ground: Ground
) -> npt.NDArray[np.int64]:
    """Objects that share area with each plot. Shrunk by a sliver, a plot loses those it only touches."""
    tree = shapely.STRtree(shapely.buffer(outlines_px, -_SLIVER_PX, join_style="mitre"))
    counts = np.zeros(len(outlines_px), np.int64)
    for batch in objects:
        _, plot = tree.query(to_pixels(np.asarray(batch), ground), predicate="intersects")
        counts += np.bincount(plot, minlength=len(counts))
    return counts


def _beside_own_columns(plots: Plots, columns: dict[str, npt.NDArray[Any]]) -> gpd.GeoDataFrame:
    """``plot_id``, the user's columns, the statistics, the geometry; names differ in more than case."""
    frame = plots.frame
    taken = {name.casefold() for name in (*columns, *STATISTICS)}
    own = frame.drop(columns=[frame.geometry.name])
    own = own.rename(columns={c: f"{c}_input" for c in own.columns if str(c).casefold() in taken})
    table = pd.concat([own, pd.DataFrame(columns, index=own.index)], axis=1)
    return gpd.GeoDataFrame(table, geometry=list(plots.geometry), crs=frame.crs)


def write_csv(path: str | Path, frame: gpd.GeoDataFrame) -> None:
    """Writes the statistics without their geometry; the file appears complete or not at all.

    Raises
    ------
    OutputError
        The folder is missing or cannot be written.
    """
    path = Path(path)
    table = pd.DataFrame(frame.drop(columns=[frame.geometry.name]))
    temporary = path.with_name(f".{path.name}.part")
    try:
        try:
            table.to_csv(temporary, index=False, lineterminator="\n", encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as err:
        raise OutputError(
            f"{path} could not be written: {err}", remedy="check the folder's permissions and free space"
        ) from err
