"""Mask → canopy polygons → GeoPackage."""
