"""Overlap blending in integers: exact, whatever the order.

Probabilities are held as unsigned 16-bit steps, window weights as integers whose products sum to 2¹⁶ over
every pixel. Sums of integers do not depend on their order, so blocks, workers and schedulers cannot change
a byte (law 3); the weights sum to 1 exactly (law 1); and a value on which all tiles agree comes out as it
went in (law 2). The value 0 is kept for "no valid pixel", so one array carries probability and validity.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from cropseg_geo.grid import Axis, Block, BlockGrid, TileGrid, Window

ONE = 256
"""Weight that stands for 1 along one axis; over both axes the weights sum to ``ONE ** 2 == 2 ** 16``."""

STEPS = 65534
"""Probability 0 is stored as 1, probability 1 as ``STEPS + 1``."""

NODATA = 0

Fixed = npt.NDArray[np.uint16]
Sums = npt.NDArray[np.uint32]


def to_fixed(probability: npt.NDArray[np.floating]) -> Fixed:
    """Probabilities in 0–1 as 16-bit steps, 1 … 65535."""
    steps = np.multiply(probability, np.float32(STEPS), dtype=np.float32)
    np.rint(steps, out=steps)
    steps += 1
    fixed: Fixed = steps.astype(np.uint16)
    return fixed


def from_fixed(fixed: Fixed) -> npt.NDArray[np.float32]:
    """16-bit steps as float32 probabilities; NaN where there is no valid pixel."""
    probability = (fixed.astype(np.float32) - 1) / np.float32(STEPS)
    probability[fixed == NODATA] = np.nan
    return probability


def probabilities(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Class logits (N, K, H, W) → probabilities (N, C, H, W).

    Two classes give one channel, the probability of the second class; more give one channel for each class.
    """
    if logits.shape[1] > 2:
        shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)
    margin: npt.NDArray[np.float32] = logits[:, :1] - logits[:, 1:]
    # 1 / (1 + e^−x), in place; where e^−x overflows the probability is 0, as it should be.
    with np.errstate(over="ignore"):
        np.exp(margin, out=margin)
    margin += 1
    return np.reciprocal(margin, out=margin)


def ramp(overlap_px: int) -> npt.NDArray[np.uint32]:
    """Rising integer weights over the overlap: sin² at pixel centres, 0 … ``ONE``.

    ``ramp(n) + ramp(n)[::-1] == ONE`` in every pixel.
    """
    phase = (np.arange(overlap_px) + 0.5) / max(overlap_px, 1)
    rising: npt.NDArray[np.uint32] = np.rint(ONE * np.sin(0.5 * np.pi * phase) ** 2).astype(np.uint32)
    half = overlap_px // 2
    rising[overlap_px - half :] = ONE - rising[:half][::-1]
    if overlap_px % 2:
        rising[half] = ONE // 2
    return rising


def axis_weights(axis: Axis, index: int) -> npt.NDArray[np.uint32]:
    """Weights of tile ``index`` along one axis: full where it is alone, ramps where a neighbour shares."""
    weights = np.full(axis.tile, ONE, dtype=np.uint32)
    if axis.overlap == 0:
        return weights
    if index > 0:
        weights[: axis.overlap] = ramp(axis.overlap)
    if index < axis.count - 1:
        weights[-axis.overlap :] = ramp(axis.overlap)[::-1]
    return weights


def add_tile(sums: Sums, footprint: Window, grid: TileGrid, tile: tuple[int, int], fixed: Fixed) -> None:
    """Add a tile's weighted steps (C, T, T) to the sums (C, H, W) of a block's footprint, in place."""
    window = grid.tile(*tile) & footprint
    here = window.relative_to(grid.tile(*tile))
    weights = (
        axis_weights(grid.rows, tile[0])[here.slices[0], None]
        * axis_weights(grid.cols, tile[1])[here.slices[1]]
    )
    target = sums[:, *window.relative_to(footprint).slices]
    target += weights * fixed[:, *here.slices]


def normalised(sums: Sums) -> Fixed:
    """Sums of weighted steps → blended steps, rounded to nearest."""
    rounded = sums + np.uint32(ONE**2 // 2)
    rounded >>= np.uint32(16)
    return rounded.astype(np.uint16)


def joined(
    blocks: Iterable[tuple[Block, Sums]], grid: BlockGrid, channels: int, extent: Window
) -> Iterator[tuple[Window, Fixed]]:
    """Blended steps (C, H, W) of blocks, clipped to ``extent``; adds what neighbours reach into each other.

    Parameters
    ----------
    blocks
        Every block that meets ``extent``, row by row, with the sums (C, H, W) over its footprint or more.

    Yields
    ------
    Each window of ``extent`` once, in the order of the blocks. What reaches into the next row of blocks is
    carried in one strip of ``overlap_px`` rows, so memory does not follow the raster's height.
    """
    overlap, row = grid.tiles.overlap_px, -1
    below = np.zeros((channels, overlap, grid.tiles.width + overlap), dtype=np.uint32)
    above, right = below, np.zeros((channels, 0, overlap), dtype=np.uint32)
    for block, sums in blocks:
        window, (height, width) = block.window, block.window.shape
        if block.i != row:
            row, above, below = block.i, below, np.zeros_like(below)
            right = np.zeros((channels, height, overlap), dtype=np.uint32)
        own = sums[:, :height, :width].copy()
        own[:, :overlap] += above[:, : min(overlap, height), window.slices[1]]
        own[:, :, :overlap] += right[:, :, : min(overlap, width)]
        right = np.zeros_like(right)
        beside, under = sums[:, :height, width : width + overlap], sums[:, height : height + overlap]
        right[:, :, : beside.shape[2]] = beside
        under = under[:, :, : width + overlap]
        below[:, : under.shape[1], window.col : window.col + under.shape[2]] += under
        if inside := window & extent:
            yield inside, normalised(own[:, *inside.relative_to(window).slices])
