"""Measure plots on a finished mask."""

from __future__ import annotations

from pathlib import Path

import geopandas as gpd

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, ignore
from cropseg_geo.layers import write_plot_table
from cropseg_geo.outputs import (
    drafted,
)
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.stats import plot_stats
from cropseg_geo.raster.mask import MaskFiles, mask_classes, open_mask
from cropseg_geo.vector.trace import trace


def measure_plots(
    mask: str | Path,
    plots: str | Path | gpd.GeoDataFrame,
    out: str | Path | None = None,
    *,
    prob: str | Path | None = None,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    overwrite: bool = False,
    listener: Listener = ignore,
) -> gpd.GeoDataFrame:
    """Statistics of plots on a finished mask; see :func:`cropseg_geo.plots.stats.plot_stats` for the columns.

    Parameters
    ----------
    mask, prob
        Class mask and probability raster as written by :func:`segment`.
    plots
        Plot polygons, any CRS.
    out
        A ``.csv`` or ``.gpkg`` file to write; None writes nothing.

    Raises
    ------
    CropsegError
        If mask or plots cannot be used or the file cannot be written.
    """
    if out is not None and Path(out).suffix.lower() not in (".csv", ".gpkg"):
        raise InputError(f"{out}: plot statistics are written as .csv or .gpkg", remedy="choose one of them")
    with open_mask(mask, prob) as source:
        table = _plot_table(source, plots, plot_id, plots_crs, listener)
    if out is not None:
        with drafted(Path(out), overwrite=overwrite, listener=listener) as draft:
            write_plot_table(draft, table)
    return table


def _plot_table(
    source: MaskFiles,
    plots: str | Path | gpd.GeoDataFrame,
    plot_id: str | None,
    plots_crs: str | None,
    listener: Listener,
) -> gpd.GeoDataFrame:
    ground, classes = source.info.ground, mask_classes(source)
    layout = read_plots(plots, ground=ground, id_field=plot_id, plots_crs=plots_crs, listener=listener)
    objects = (batch.geometry for batch in trace(source, ground=ground, classes=classes, listener=listener))
    return plot_stats(layout, source, ground=ground, classes=classes, objects=objects, listener=listener)
