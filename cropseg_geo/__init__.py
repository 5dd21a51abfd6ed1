"""Crop segmentation for drone orthomosaics: masks, canopy polygons and per-plot coverage."""

__version__ = "0.1.0"
