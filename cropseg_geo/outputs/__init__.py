"""The files of a run: their names, what forbids writing them, the rasters' layout, the last rename."""
