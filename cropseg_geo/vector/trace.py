"""Mask → canopy polygons, streamed by blocks and joined across their seams.

Laws: the areas of the polygons of a class add up to its pixels × pixel area; and the polygons do not
depend on the block size. Memory follows the block size and the outlines that are still open, not the
raster's size.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector.canopy import BatchMaker, CanopyBatch, GroundField
from cropseg_geo.vector.corners import Bytes, PaddedBlock, corners_of
from cropseg_geo.vector.seams import Frontier, OpenPart, join
from cropseg_geo.vector.source import MaskSource, read_classes, read_probability

STAGE = "vectorize"
MAX_BLOCK_PX = 32_768
"""Pixels of a block are counted in 32 bits."""


@dataclass(frozen=True)
class _Traced:
    """One block: its complete polygons, and what reaches its rims."""

    batch: CanopyBatch
    part: OpenPart
    last_row: Bytes
    size_px: int


def trace(
    source: MaskSource,
    *,
    ground: Ground,
    classes: Sequence[str],
    block_px: int = 2048,
    min_area_m2: float = 0.0,
    listener: Listener = ignore,
    threads: int = 1,
) -> Iterator[CanopyBatch]:
    """Traces every 4-connected region of one class along its pixels' edges.

    Parameters
    ----------
    source
        The mask and, where there is one, its probability. Read from the caller's thread only.
    ground
        Where the pixels are; its size must be the source's.
    classes
        Names by class id, background first: ``("background", "crop")``.
    block_px
        Side of the blocks (px): bounds the memory, never changes the polygons.
    min_area_m2
        Smallest ground area (m²) of a polygon, holes not counted, after the join: a plant that a seam
        cuts is measured whole.
    listener
        Told of the stage ``"vectorize"`` in pixels.
    threads
        Blocks that are traced at the same time while the next one is read; does not change the result.

    Yields
    ------
    Batches of complete polygons, each in the row-major order of their first pixels; none is empty.

    Raises
    ------
    InputError
        An option out of range, a ground of another size, or a class without a name.
    ReadError
        The source returned another shape than it was asked for.
    """
    _check(source, ground, block_px, min_area_m2)
    return _trace(source, ground, tuple(classes), block_px, min_area_m2, listener, threads)


def _check(source: MaskSource, ground: Ground, block_px: int, min_area_m2: float) -> None:
    if not 1 <= block_px <= MAX_BLOCK_PX:
        raise InputError(
            f"blocks of {block_px} px; expected 1 to {MAX_BLOCK_PX}", remedy="choose a block of about 2048 px"
        )
    if not min_area_m2 >= 0.0:
        raise InputError(
            f"the minimum area is {min_area_m2} m²; expected 0 or more",
            remedy="pass --min-area in square metres, for example 0.01",
        )
    if (source.height, source.width) != (ground.height, ground.width):
        raise InputError(
            f"the mask has {source.height} × {source.width} px, "
            f"but its ground {ground.height} × {ground.width}",
            remedy="build the ground from the mask's own size and transform",
        )


def _trace(
    source: MaskSource,
    ground: Ground,
    classes: tuple[str, ...],
    block_px: int,
    min_area_m2: float,
    listener: Listener,
    threads: int,
) -> Iterator[CanopyBatch]:
    maker = BatchMaker(ground.transform, ground.crs, GroundField.over(ground), classes, min_area_m2)
    frontier = Frontier.at_top(source.width)
    above = np.zeros(source.width + 1, np.uint8)
    listener(StageStarted(STAGE, source.height * source.width, "px"))
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="trace") as pool:
        for row in range(0, source.height, block_px):
            parts: list[OpenPart] = []
            last_row = [np.zeros(1, np.uint8)]
            blocks = _read_row(source, row, block_px, above, len(classes))
            for traced in _in_order(pool, blocks, maker, threads + 1):
                parts.append(traced.part)
                last_row.append(traced.last_row)
                listener(StageAdvanced(STAGE, traced.size_px))
                if len(traced.batch):
                    yield traced.batch
            above = np.concatenate(last_row)
            frontier, corners, components = join(frontier, parts)
            if len(components) and len(batch := maker.make_unordered(corners, components)):
                yield batch
    listener(StageFinished(STAGE))


def _read_row(
    source: MaskSource, row: int, block_px: int, above: Bytes, n_classes: int
) -> Iterator[PaddedBlock]:
    """One row of blocks; ``above`` (width + 1,) are the pixels above it, one of background in front."""
    height = min(block_px, source.height - row)
    is_last_row = row + height == source.height
    left = np.zeros(height, np.uint8)
    for col in range(0, source.width, block_px):
        width = min(block_px, source.width - col)
        is_last_col = col + width == source.width
        window = Window(row, col, height, width)
        pixels = np.zeros((height + 1 + is_last_row, width + 1 + is_last_col), np.uint8)
        pixels[1 : height + 1, 1 : width + 1] = read_classes(source, window, n_classes)
        pixels[1 : height + 1, 0] = left
        pixels[0, : width + 1] = above[col : col + width + 1]
        left = pixels[1 : height + 1, width]
        yield PaddedBlock(window, pixels, read_probability(source, window))


def _in_order(
    pool: ThreadPoolExecutor, blocks: Iterator[PaddedBlock], maker: BatchMaker, ahead: int
) -> Iterator[_Traced]:
    """Traces blocks on the pool, at most ``ahead`` at a time, and yields them in their order."""
    waiting: deque[Future[_Traced]] = deque()
    for block in blocks:
        waiting.append(pool.submit(_trace_block, block, maker))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _trace_block(block: PaddedBlock, maker: BatchMaker) -> _Traced:
    corners, components, rims = corners_of(block)
    is_open = np.zeros(len(components), np.bool_)
    is_open[rims.touched] = True
    number = np.where(is_open, np.cumsum(is_open), np.cumsum(~is_open)).astype(np.int32) - np.int32(1)
    is_held = is_open[corners.component]
    renumbered = corners.owned_by(number[corners.component])
    part = OpenPart(
        block.window.col, renumbered.take(is_held), components.take(is_open), rims.relabelled(number)
    )
    batch = maker.make(renumbered.take(~is_held), components.take(~is_open))
    last_row = block.pixels[block.window.height, 1 : block.window.width + 1].copy()
    return _Traced(batch, part, last_row, block.window.size)
