"""Layers and their styles, written as GeoPackage, FlatGeobuf, GeoParquet or GeoJSON."""
