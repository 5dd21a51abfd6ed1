"""Cutting one tile out of a block's pixels: reflection at the raster's rim and across nodata edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Window

Longs = npt.NDArray[np.int64]


def load_fill() -> None:
    """Load what :func:`reflect_fill` needs: a quarter of a second that rasters without nodata are spared.

    Not left to the first tile, when other threads load libraries, too, and all lanes would wait for it.
    """
    from scipy import ndimage

    del ndimage


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
    A filled copy, or ``values`` itself where all pixels are valid. An invalid pixel ``x`` that is close to
    the valid pixel ``n`` takes the value at ``2n − x`` where that is valid, else the value at ``n``.
    """
    if valid.all():
        return values
    height, width = valid.shape
    hidden = np.flatnonzero(~valid)
    rows, cols = np.divmod(hidden, width)
    near_rows, near_cols = _nearest_valid(valid, rows, cols)
    mirrored = np.clip(2 * near_rows - rows, 0, height - 1) * width + np.clip(
        2 * near_cols - cols, 0, width - 1
    )
    source = np.where(valid.ravel().take(mirrored), mirrored, near_rows * width + near_cols)
    filled = values.copy()
    for band, out in zip(values, filled, strict=True):
        out.reshape(-1)[hidden] = band.reshape(-1).take(source)
    return filled


_CELL_PX = 4


def _nearest_valid(valid: npt.NDArray[np.bool_], rows: Longs, cols: Longs) -> tuple[Longs, Longs]:
    """Row and column of a valid pixel close to each of some pixels: the first one of the nearest cell.

    Exact distances of pixels take five times as long, and a few pixels more or less do not matter to what
    only serves as context.
    """
    from scipy import ndimage  # see load_fill

    height, width = (-(-n // _CELL_PX) for n in valid.shape)
    padded = np.zeros((height * _CELL_PX, width * _CELL_PX), dtype=bool)
    padded[: valid.shape[0], : valid.shape[1]] = valid
    cells = padded.reshape(height, _CELL_PX, width, _CELL_PX).swapaxes(1, 2).reshape(height, width, -1)
    i, j = ndimage.distance_transform_edt(~cells.any(axis=2), return_distances=False, return_indices=True)
    first_rows, first_cols = np.divmod(cells.argmax(axis=2)[i, j], _CELL_PX)
    cell = (rows // _CELL_PX) * width + cols // _CELL_PX
    return (i * _CELL_PX + first_rows).ravel().take(cell), (j * _CELL_PX + first_cols).ravel().take(cell)


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
