"""The QGIS plugin and the command that packs it."""
