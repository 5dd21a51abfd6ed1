"""Randomness that hangs on coordinates, not on the order of drawing: any window gives the same pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cropseg_geo.grid import Window

Floats = NDArray[np.float32]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


def hash_unit(*keys: ArrayLike) -> NDArray[np.float64]:
    """Uniform numbers in [0, 1), one per (broadcast) tuple of integer keys.

    Source: splitmix64 (Steele, Lea and Flood 2014), applied once per key.

    >>> bool(hash_unit(7, [1, 2])[0] == hash_unit(7, 1)[0])
    True
    """
    arrays = np.broadcast_arrays(*(np.atleast_1d(np.asarray(key, dtype=np.int64)) for key in keys))
    state = np.zeros(arrays[0].shape, dtype=np.uint64)
    for array in arrays:
        state = (state ^ array.astype(np.uint64)) + _GOLDEN
        state = (state ^ (state >> np.uint64(30))) * _MIX_1
        state = (state ^ (state >> np.uint64(27))) * _MIX_2
        state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _nodes(start: int, length: int, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64], Floats]:
    """Lattice nodes over ``length`` pixels, the lower node of every pixel, and its smoothstep weight."""
    pixel = np.arange(start, start + length, dtype=np.int64)
    lower = pixel // step
    t = ((pixel - lower * step) + 0.5) / step
    nodes = np.arange(lower[0], lower[-1] + 2, dtype=np.int64)
    return nodes, lower - lower[0], (t * t * (3.0 - 2.0 * t)).astype(np.float32)


def upsample(values: Floats, window: Window, step: int) -> Floats:
    """Lattice values → pixels, by smoothstep interpolation.  # (rows, cols) → (height, width)"""
    _, i, s = _nodes(window.row, window.height, step)
    _, j, t = _nodes(window.col, window.width, step)
    down = values[i] * (1 - s)[:, None] + values[i + 1] * s[:, None]
    return down[:, j] * (1 - t) + down[:, j + 1] * t


def lattice(window: Window, step: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Row and column indices of the lattice nodes that :func:`upsample` needs for ``window``."""
    return _nodes(window.row, window.height, step)[0], _nodes(window.col, window.width, step)[0]


def smooth_noise(window: Window, step: int, *keys: int) -> Floats:
    """Value noise in [-1, 1] with features of about ``step`` pixels.  # (height, width) float32"""
    rows, cols = lattice(window, step)
    values = (2.0 * hash_unit(*keys, step, rows[:, None], cols[None, :]) - 1.0).astype(np.float32)
    return upsample(values, window, step)


def noise_at(u: ArrayLike, v: ArrayLike, step: float, *keys: int) -> NDArray[np.float64]:
    """Value noise in [-1, 1] at scattered points, for what belongs to a plant or to a lattice node."""
    x, y = np.asarray(u, dtype=np.float64) / step, np.asarray(v, dtype=np.float64) / step
    i, j = np.floor(y).astype(np.int64), np.floor(x).astype(np.int64)
    s, t = y - i, x - j
    s, t = s * s * (3 - 2 * s), t * t * (3 - 2 * t)
    corner = [[2.0 * hash_unit(*keys, i + a, j + b) - 1.0 for b in (0, 1)] for a in (0, 1)]
    upper = corner[0][0] * (1 - t) + corner[0][1] * t
    lower = corner[1][0] * (1 - t) + corner[1][1] * t
    return upper * (1 - s) + lower * s
