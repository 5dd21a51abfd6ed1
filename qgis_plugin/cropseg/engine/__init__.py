"""The engine as this plugin sees it: another program in its own Python. Nothing here imports QGIS."""
