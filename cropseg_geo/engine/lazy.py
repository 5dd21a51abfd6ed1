"""The same tiling and blending as a lazy dask array, with nothing kept on disk."""

from __future__ import annotations

from typing import Any

import dask.array as da
import numpy as np
import numpy.typing as npt
from dask.delayed import delayed

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import Inference, infer_block, open_block
from cropseg_geo.grid import Block, Window


def blended_array(inference: Inference, values: da.Array, valid: da.Array) -> da.Array:
    """Probabilities (C, H, W) float32 over dask arrays, NaN where invalid.

    The strategy: one task infers a block and returns its sums over the whole footprint; a second task
    adds what the three blocks above and to the left reach into it. A tile is inferred once, and a
    block's sums are held only until its three later neighbours are done.

    Parameters
    ----------
    inference
        Recipe of predictor, scale and plan.
    values, valid
        (bands, H, W) in the stored type and (H, W) boolean.
    """
    grid = inference.plan.blocks
    rows, cols = grid.shape
    shared = delayed(inference, traverse=False)
    sums = {}
    for block in grid:
        where = grid.footprint(block)
        sums[block.i, block.j] = delayed(_sums)(shared, block, values[:, *where.slices], valid[where.slices])
    lines = []
    for i in range(rows):
        line = []
        for j in range(cols):
            block = grid.block(i, j)
            around = [(i - 1, j - 1), (i - 1, j), (i, j - 1), (i, j)]
            parts = [(k, sums[k]) for k in around if k in sums]
            joined = delayed(_joined)(shared, block, parts)
            shape = (inference.plan.channels, *block.window.shape)
            line.append(da.from_delayed(joined, shape=shape, dtype=np.float32))
        lines.append(line)
    array: da.Array = da.block(lines)
    return array


def _sums(
    inference: Inference, block: Block, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_]
) -> blend.Sums:
    known = np.asarray(valid)
    return infer_block(inference, open_block(inference.plan, block, np.asarray(values), known, known))


def _joined(
    inference: Inference, block: Block, parts: list[tuple[tuple[int, int], blend.Sums]]
) -> npt.NDArray[np.float32]:
    grid, window = inference.plan.blocks, block.window
    total = np.zeros((inference.plan.channels, *window.shape), dtype=np.uint32)
    for (i, j), sums in parts:
        where = grid.footprint(grid.block(i, j))
        shared: Window = where & window
        total[:, *shared.relative_to(window).slices] += sums[:, *shared.relative_to(where).slices]
    return blend.from_fixed(blend.normalised(total))
