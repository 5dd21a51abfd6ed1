"""Vector files: the canopy layer, the plots with their statistics, and tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import geopandas as gpd

from cropseg_geo.events import Listener
from cropseg_geo.plots.layout import Plots
from cropseg_geo.plots.stats import plot_stats, write_csv
from cropseg_geo.raster.mask import MaskFiles
from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.geopackage import GeoPackageWriter
from cropseg_geo.vector.layers import CANOPY, plots_layer
from cropseg_geo.vector.trace import trace


class CanopyLayer:
    """The ``canopy`` layer of an open GeoPackage, and how many polygons went into it."""

    def __init__(self, package: GeoPackageWriter) -> None:
        self.n_polygons = 0
        self._package = package
        package.create_layer(CANOPY)

    def written(self, batches: Iterable[CanopyBatch]) -> Iterator[Any]:
        """Write batches as they pass; yields their geometries (arrays of shapely polygons)."""
        for batch in batches:
            self._package.append(CANOPY.name, batch.to_frame())
            self.n_polygons += len(batch)
            yield batch.geometry


def write_layers(
    path: Path,
    mask: MaskFiles,
    *,
    classes: Sequence[str],
    listener: Listener,
    layout: Plots | None = None,
    min_area_m2: float = 0.0,
    tags: Mapping[str, str] | None = None,
) -> tuple[int, gpd.GeoDataFrame | None]:
    """Trace a mask into the ``canopy`` layer of a new GeoPackage; with plots, measure and add them.

    Returns
    -------
    The number of canopy polygons, and the plots' statistics.
    """
    ground = mask.info.ground
    with GeoPackageWriter(path, crs=ground.crs, provenance=tags) as package:
        canopy = CanopyLayer(package)
        batches = trace(mask, ground=ground, classes=classes, min_area_m2=min_area_m2, listener=listener)
        objects = canopy.written(batches)
        if layout is None:
            for _ in objects:
                pass
            return canopy.n_polygons, None
        # Counting the plots' objects needs every polygon once, and so does writing: one stream serves both.
        table = plot_stats(layout, mask, ground=ground, classes=classes, objects=objects, listener=listener)
        package.create_layer(plots_layer(table))
        package.append("plots", table)
    return canopy.n_polygons, table


def write_plot_table(path: Path, table: gpd.GeoDataFrame) -> None:
    """Statistics of plots as ``.csv``, or with their outlines as ``.gpkg``."""
    if path.suffix.lower() == ".csv":
        write_csv(path, table)
        return
    with GeoPackageWriter(path, crs=table.crs.to_wkt()) as package:
        package.create_layer(plots_layer(table))
        package.append("plots", table)
