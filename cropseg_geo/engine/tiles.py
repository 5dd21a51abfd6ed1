"""Cutting one tile out of a block's pixels: reflection at the raster's rim and across nodata edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from cropseg_geo.grid import Window


def reflect_fill(values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]) -> npt.NDArray[Any]:
    """Fill invalid pixels with the valid side of the nearest edge, mirrored.

    Parameters
    ----------
    values
        (C, H, W), any type.
    valid
        (H, W); at least one pixel is True.

    Returns
    -------
    A filled copy, or ``values`` itself where all pixels are valid. An invalid pixel ``x`` with nearest
    valid pixel ``n`` takes the value at ``2n − x`` where that is valid, else the value at ``n``.
    """
    if valid.all():
        return values
    nearest = ndimage.distance_transform_edt(~valid, return_distances=False, return_indices=True)
    rows, cols = np.nonzero(~valid)
    near_rows, near_cols = nearest[0][rows, cols], nearest[1][rows, cols]
    mirror_rows = np.clip(2 * near_rows - rows, 0, valid.shape[0] - 1)
    mirror_cols = np.clip(2 * near_cols - cols, 0, valid.shape[1] - 1)
    usable = valid[mirror_rows, mirror_cols]
    filled = values.copy()
    filled[:, rows, cols] = values[
        :, np.where(usable, mirror_rows, near_rows), np.where(usable, mirror_cols, near_cols)
    ]
    return filled


def cut_tile(
    values: npt.NDArray[Any], valid: npt.NDArray[np.bool_], footprint: Window, tile: Window
) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
    """One whole tile (C, T, T) and its validity (T, T) from a block's pixels.

    ``footprint`` is where ``values`` and ``valid`` lie; it holds all of the tile that lies in the raster.
    Pixels past the raster's rim are its reflection, and invalid.
    """
    inside = tile & footprint
    here = inside.relative_to(footprint).slices
    tile_values, tile_valid = reflect_fill(values[:, *here], valid[here]), valid[here]
    below, right = tile.row_stop - inside.row_stop, tile.col_stop - inside.col_stop
    if below or right:
        tile_values = np.pad(tile_values, ((0, 0), (0, below), (0, right)), mode="reflect")
        tile_valid = np.pad(tile_valid, ((0, below), (0, right)), constant_values=False)
    return tile_values, tile_valid
