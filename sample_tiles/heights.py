"""Terrain and surface of the same field at 4 cm, as photogrammetry gives them: smooth, a little noisy."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d

from cropseg_geo.grid import Window
from sample_tiles.field import Field
from sample_tiles.noise import Floats, smooth_noise
from sample_tiles.render import canopy
from sample_tiles.soil import wheel_tracks

FACTOR = 4  # orthomosaic pixels per height pixel
NODATA = -9999.0
QUANTUM_M = 1 / 1024  # heights are multiples of this: about a millimetre, and small when compressed
_BASE_M, _SLOPE_U, _SLOPE_V = 168.0, 0.016, -0.007
_MATCHING_PX = 3.0  # smoothing of a dense matcher, in orthomosaic pixels
_MARGIN = 16
_TERRAIN, _ROUGH = 300, 301


def _terrain(field: Field, window: Window) -> Floats:
    """Ground height above ``_BASE_M`` in m, per orthomosaic pixel."""
    u, v = field.frame(window)
    ground = (u * _SLOPE_U + v * _SLOPE_V) * 0.01
    for step, height in ((2600, 0.22), (900, 0.07), (260, 0.018)):
        ground += height * smooth_noise(window, step, field.seed, _TERRAIN)
    return np.asarray(ground - 0.025 * wheel_tracks(field, window), dtype=np.float32)


def _coarse(values: Floats) -> Floats:
    """Mean over ``FACTOR`` × ``FACTOR`` pixels."""
    h, w = values.shape[0] // FACTOR, values.shape[1] // FACTOR
    return values.reshape(h, FACTOR, w, FACTOR).mean(axis=(1, 3))


def heights(field: Field, window: Window) -> tuple[Floats, Floats]:
    """Surface and terrain in m for ``window``, which counts height pixels of 4 cm.

    Returns
    -------
    dsm, dtm
        (height, width) float32, ``NODATA`` where less than half of a pixel was surveyed.
    """
    fine = Window(*(FACTOR * n for n in (window.row, window.col, window.height, window.width)))
    covered = _coarse(field.surveyed(fine).astype(np.float32)) >= 0.5
    terrain = _coarse(_terrain(field, fine))
    wide = fine.grown(_MARGIN)
    grown = canopy(field, wide)
    crop = np.where(grown.vegetation, grown.height_cm, 0) * np.float32(0.01)
    for axis in (0, 1):
        crop = gaussian_filter1d(crop, _MATCHING_PX, axis=axis, truncate=4.0)
    rough = 0.006 * smooth_noise(fine, 12, field.seed, _ROUGH) + 0.004 * smooth_noise(
        fine, 40, field.seed, _ROUGH
    )
    surface = terrain + _coarse(np.ascontiguousarray(crop[_MARGIN:-_MARGIN, _MARGIN:-_MARGIN] + rough))
    dsm, dtm = (
        np.where(covered, np.rint(z / QUANTUM_M) * QUANTUM_M + _BASE_M, NODATA).astype(np.float32)
        for z in (surface, terrain)
    )
    return dsm, dtm
