"""Canopy cover around plots as a coarse image, looked up from the plane that plots are laid out in."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt
from affine import Affine
from pyproj import CRS, Transformer
from scipy.ndimage import map_coordinates

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.plots.making.plane import Plane, Points
from cropseg_geo.plots.measuring.zonal import NODATA, MaskSource

_STRIP_PX = 1024
"""Rows of the mask that are held at once."""


@dataclass(frozen=True)
class Cover:
    """Cover of crop by cells.

    ``share`` (H, W) float32 in 0–1, 0 where nothing is known; ``known`` (H, W) float32, the valid part of a
    cell, both with a rim of zeros; ``matrix`` (2, 3) takes metres east, north to row and column of cell
    centres. Looked up between cells (``is_smooth``) or, several times as fast, by the cell.
    """

    share: npt.NDArray[np.float32] = field(repr=False)
    known: npt.NDArray[np.float32] = field(repr=False)
    matrix: npt.NDArray[np.float64] = field(repr=False)
    is_smooth: bool = True

    def by_cells(self) -> Cover:
        return replace(self, is_smooth=False)

    def at(self, points: Points) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
        """Crop and known part (N,) at points (N, 2) of the plane."""
        places = self.matrix[:, :2] @ points.T + self.matrix[:, 2:]
        if not self.is_smooth:
            height, width = self.share.shape
            row = np.clip(np.rint(places[0]).astype(np.int32), 0, height - 1)
            flat = row * width + np.clip(np.rint(places[1]).astype(np.int32), 0, width - 1)
            return self.share.ravel()[flat], self.known.ravel()[flat]
        crop = map_coordinates(self.share, places, order=1, mode="constant")
        return crop, map_coordinates(self.known, places, order=1, mode="constant")


def read_cover(
    source: MaskSource,
    ground: Ground,
    plane: Plane,
    bounds_m: tuple[float, float, float, float],
    cell_m: float,
) -> Cover:
    """The mask within bounds (west, south, east, north in the plane) as cells of about ``cell_m``.

    Raises
    ------
    InputError
        The mask does not reach there.
    """
    to_pixels = _plane_to_pixels(plane, ground, bounds_m)
    west, south, east, north = bounds_m
    corners = np.array([[west, south], [east, south], [east, north], [west, north]])
    col, row = to_pixels[:, :2] @ corners.T + to_pixels[:, 2:]
    size = max(1, round(cell_m / ground.gsd_m))
    top, left = max(0, math.floor(row.min())), max(0, math.floor(col.min()))
    height = min(source.height, math.ceil(row.max())) - top
    width = min(source.width, math.ceil(col.max())) - left
    if height < size or width < size:
        raise InputError(
            "the mask to snap to does not reach the plots",
            remedy="check that --snap names this field's mask, and --crs the CRS of the coordinates",
        )
    share, known = _cells(source, Window(top, left, height, width), size)
    scale = np.array([[0.0, 1.0], [1.0, 0.0]]) @ to_pixels / size
    scale[:, 2] -= np.array([top, left]) / size + 0.5 - 1.0  # half a cell to its centre, one cell of rim
    return Cover(np.pad(share, 1), np.pad(known, 1), scale)


def _plane_to_pixels(
    plane: Plane, ground: Ground, bounds_m: tuple[float, float, float, float]
) -> npt.NDArray[np.float64]:
    """(2, 3): metres → column, row of the mask. Over a field, map projections differ by an affine map."""
    west, south, east, north = bounds_m
    grid = np.array([(e, n) for e in np.linspace(west, east, 5) for n in np.linspace(south, north, 5)])
    to_mask = Transformer.from_crs(CRS.from_wkt(plane.crs), CRS.from_wkt(ground.crs), always_xy=True)
    x, y = to_mask.transform(*plane.to_crs(grid).T)
    inverse: Affine = ~ground.transform
    col = inverse.a * np.asarray(x) + inverse.b * np.asarray(y) + inverse.c
    row = inverse.d * np.asarray(x) + inverse.e * np.asarray(y) + inverse.f
    if not (np.isfinite(col).all() and np.isfinite(row).all()):
        raise InputError(
            "the plots have no place in the CRS of the mask to snap to",
            remedy="check that --snap names this field's mask, and --crs the CRS of the coordinates",
        )
    design = np.column_stack([grid, np.ones(len(grid))])
    solution, *_ = np.linalg.lstsq(design, np.column_stack([col, row]), rcond=None)
    matrix: npt.NDArray[np.float64] = solution.T
    return matrix


def _cells(
    source: MaskSource, window: Window, size: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Crop and known part of cells of ``size``² pixels; pixels that fill no cell are left out."""
    rows, cols = window.height // size, window.width // size
    share, known = np.zeros((rows, cols), np.float32), np.zeros((rows, cols), np.float32)
    step = max(1, _STRIP_PX // size)
    for first in range(0, rows, step):
        n = min(step, rows - first)
        classes = source.read_mask(Window(window.row + first * size, window.col, n * size, cols * size))
        blocks = classes.reshape(n, size, cols, size)
        known[first : first + n] = (blocks != NODATA).mean(axis=(1, 3), dtype=np.float32)
        share[first : first + n] = ((blocks != 0) & (blocks != NODATA)).mean(axis=(1, 3), dtype=np.float32)
    return share, known
