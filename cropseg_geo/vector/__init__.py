"""Mask → canopy polygons → GeoPackage."""

from cropseg_geo.vector.canopy import CanopyBatch
from cropseg_geo.vector.geopackage import GeoPackageWriter
from cropseg_geo.vector.layers import CANOPY, Column, Layer, plots_layer
from cropseg_geo.vector.source import MaskSource
from cropseg_geo.vector.trace import trace

__all__ = [
    "CANOPY",
    "CanopyBatch",
    "Column",
    "GeoPackageWriter",
    "Layer",
    "MaskSource",
    "plots_layer",
    "trace",
]
