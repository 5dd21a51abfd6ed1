"""Mask → canopy polygons, streamed by blocks and joined across their seams.

Laws: the areas of the polygons of a class that follow the pixels add up to its pixels × pixel area (and
those of the holes that were filled); no polygon depends on the block size; polygons never overlap, and
edges that they share are the same points wherever outlines are not plainly those of the pixels. Memory
follows the block size and the outlines that are still open, not the raster's size.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector import simplify, split
from cropseg_geo.vector.arrays import Singles
from cropseg_geo.vector.blocks import Above, PaddedBlock, Wanted, row_of_blocks
from cropseg_geo.vector.canopy import BatchMaker, CanopyBatch
from cropseg_geo.vector.contour import edges_of, places_of
from cropseg_geo.vector.corners import Found, corners_of
from cropseg_geo.vector.marks import Marks, marks_of
from cropseg_geo.vector.measures import GroundField
from cropseg_geo.vector.options import AS_TRACED, Outlines
from cropseg_geo.vector.seams import Frontier, OpenPart, Pieces, join
from cropseg_geo.vector.simplify import simplified
from cropseg_geo.vector.source import MaskSource, read_probability, threshold_of
from cropseg_geo.vector.split import is_small_enough

STAGE = "vectorize"
MAX_BLOCK_PX = 32_768
"""Pixels of a block are counted in 32 bits."""


@dataclass(frozen=True)
class _Traced:
    """One block: its complete polygons, and what reaches its rims."""

    batch: CanopyBatch
    part: OpenPart
    above: Above
    size_px: int


@dataclass(frozen=True)
class _Work:
    """How a run is cut into blocks, the probability its outlines follow, and what blocks have to hold."""

    block_px: int
    level: float | None
    wanted: Wanted


def trace(
    source: MaskSource,
    *,
    ground: Ground,
    classes: Sequence[str],
    options: Outlines = AS_TRACED,
    block_px: int = 2048,
    listener: Listener = ignore,
    threads: int = 1,
) -> Iterator[CanopyBatch]:
    """Traces every 4-connected region of one class, as the options draw it.

    Parameters
    ----------
    source
        The mask and, where there is one, its probability. Read from the caller's thread only, and once
        (where plants are parted, the probability of those that seams cut is read again). Contours need
        its ``threshold``; see :func:`cropseg_geo.vector.source.threshold_of`.
    ground
        Where the pixels are; its size must be the source's.
    classes
        Names by class id, background first: ``("background", "crop")``.
    options
        How the polygons are drawn.
    block_px
        Side of the blocks (px): bounds the memory, never changes the polygons. Simplification has blocks
        of its own.
    listener
        Told of the stage ``"vectorize"`` in pixels, and warned where contours cannot be followed or areas
        are too large to be parted.
    threads
        Blocks that are traced at the same time while the next one is read; does not change the result.

    Yields
    ------
    Batches of complete polygons, each in the row-major order of their first pixels; none is empty.

    Raises
    ------
    InputError
        A block size out of range, a ground of another size, a class without a name, or contours without
        a probability.
    ReadError
        The source returned another shape than it was asked for.
    """
    _check(source, ground, block_px)
    level = _level(source, options, listener)
    wanted = Wanted(padded_prob=level is not None, occupied=options.fill_holes_m2 > 0.0)
    side = simplify.TILE_PX if options.simplify_m > 0.0 else block_px
    if options.objects == "split":
        side = min(side, math.isqrt(split.LARGEST_PX))
    work = _Work(side, level, wanted)
    centre = np.array([ground.height / 2]), np.array([ground.width / 2])
    field = GroundField.over(ground)
    maker = BatchMaker(ground.transform, ground.crs, field, centre, tuple(classes), options)
    return _trace(source, maker, work, listener, threads)


def _check(source: MaskSource, ground: Ground, block_px: int) -> None:
    if not 1 <= block_px <= MAX_BLOCK_PX:
        raise InputError(
            f"blocks of {block_px} px; expected 1 to {MAX_BLOCK_PX}", remedy="choose a block of about 2048 px"
        )
    if (source.height, source.width) != (ground.height, ground.width):
        raise InputError(
            f"the mask has {source.height} × {source.width} px, "
            f"but its ground {ground.height} × {ground.width}",
            remedy="build the ground from the mask's own size and transform",
        )


def _level(source: MaskSource, options: Outlines, listener: Listener) -> float | None:
    """The probability that outlines follow, or None where they follow the pixels."""
    if options.outline == "pixel":
        return None
    if source.read_prob(Window(0, 0, 1, 1)) is None:
        raise InputError(
            "contour outlines follow the probability, and there is none",
            remedy="give the probability raster that was written with the mask, or choose pixel outlines",
        )
    threshold = threshold_of(source)
    if threshold is None:
        listener(Warned("the mask has several classes or no known threshold: outlines follow its pixels"))
    return threshold


def _trace(
    source: MaskSource, maker: BatchMaker, work: _Work, listener: Listener, threads: int
) -> Iterator[CanopyBatch]:
    frontier, above = Frontier.at_top(source.width), Above.top(source.width)
    n_classes, n_whole = len(maker.classes), 0
    listener(StageStarted(STAGE, source.height * source.width, "px"))
    with ThreadPoolExecutor(max(1, threads), thread_name_prefix="trace") as pool:
        for row in range(0, source.height, work.block_px):
            parts: list[OpenPart] = []
            pieces: list[Above] = []
            blocks = row_of_blocks(source, row, work.block_px, above, n_classes, work.wanted)
            for traced in _in_order(pool, blocks, maker, work, threads + 1):
                parts.append(traced.part)
                pieces.append(traced.above)
                listener(StageAdvanced(STAGE, traced.size_px))
                if len(traced.batch):
                    yield traced.batch
            above = above.followed_by(pieces)
            frontier, closed, components = join(frontier, parts)
            if not len(components):
                continue
            if maker.options.objects == "split":
                n_whole += int(np.count_nonzero(~is_small_enough(closed.corners, len(components))))
            if len(batch := maker.make_unordered(closed, components, partial(read_probability, source))):
                yield batch
    if n_whole:
        listener(Warned(f"{n_whole} connected areas are too large to be parted into plants and stay whole"))
    listener(StageFinished(STAGE))


def _in_order(
    pool: ThreadPoolExecutor,
    blocks: Iterator[tuple[PaddedBlock, Above]],
    maker: BatchMaker,
    work: _Work,
    ahead: int,
) -> Iterator[_Traced]:
    """Traces blocks on the pool, at most ``ahead`` at a time, and yields them in their order."""
    waiting: deque[Future[_Traced]] = deque()
    for block, above in blocks:
        waiting.append(pool.submit(_trace_block, block, above, maker, work))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _trace_block(block: PaddedBlock, above: Above, maker: BatchMaker, work: _Work) -> _Traced:
    found = corners_of(block)
    n = len(found.components)
    is_open = np.zeros(n, np.bool_)
    is_open[found.rims.touched] = True
    number = np.where(is_open, np.cumsum(is_open), np.cumsum(~is_open)).astype(np.int32) - np.int32(1)
    pieces = Pieces(found.corners, _marks(block, found, maker, work))
    part = OpenPart(
        block.window.col,
        pieces.of(is_open, number),
        found.components.take(is_open),
        found.rims.relabelled(number),
    )
    closed = pieces.of(~is_open, number)
    batch = maker.make(closed, found.components.take(~is_open), partial(_within, block))
    return _Traced(batch, part, above, block.window.size)


def _within(block: PaddedBlock, window: Window) -> Singles | None:
    """The probability of a window of the block."""
    row, col = window.row - block.window.row, window.col - block.window.col
    return None if block.prob is None else block.prob[row : row + window.height, col : col + window.width]


def _marks(block: PaddedBlock, found: Found, maker: BatchMaker, work: _Work) -> Marks | None:
    """Where the block's outlines are drawn through; None where they follow the pixels."""
    simplify_m, window = maker.options.simplify_m, block.window
    if work.level is None and simplify_m == 0.0 and maker.options.objects == "touching":
        return None
    edges = edges_of(block, work.level)
    places = places_of(edges)
    if simplify_m > 0.0:
        centre = np.array([window.row + window.height / 2]), np.array([window.col + window.width / 2])
        pixel_m2 = float(maker.field.at(*centre)[0, 2])
        places = simplified(block, edges, places, simplify_m / math.sqrt(pixel_m2))
    return marks_of(places, found.runs, window.row - 1, window.col - 1)
