"""Mask → canopy polygons, streamed by blocks and joined across their seams.

Laws: the areas of the polygons of a class that follow the pixels add up to its pixels × pixel area (and
those of the holes that were filled); no polygon depends on the block size; polygons never overlap, and
edges that they share are the same points wherever outlines are not plainly those of the pixels. Memory
follows the block size and the largest polygon, not the raster's size: outlines that are open wait on disk.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence, Sized
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from typing import Generic, TypeVar

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.vector import simplify
from cropseg_geo.vector.ahead import Threads
from cropseg_geo.vector.blocks import Above, PaddedBlock, Wanted, row_of_blocks
from cropseg_geo.vector.canopy import BatchMaker, CanopyBatch
from cropseg_geo.vector.contour import edges_of, places_of
from cropseg_geo.vector.corners import Components, Found, Rims, corners_of
from cropseg_geo.vector.filled import FilledMask
from cropseg_geo.vector.marks import Marks, marks_of
from cropseg_geo.vector.measures import GroundField
from cropseg_geo.vector.options import AS_TRACED, Outlines
from cropseg_geo.vector.parting.cuts import Cuts, CutsAhead
from cropseg_geo.vector.pieces import Pieces, PieceStore
from cropseg_geo.vector.seams import CLOSED_AT_ONCE, Frontier, OpenPart, join
from cropseg_geo.vector.simplify import simplified
from cropseg_geo.vector.source import MaskSource, threshold_of
from cropseg_geo.vector.stretches import StretchStore

STAGE = "vectorize"
MAX_BLOCK_PX = 32_768
"""Pixels of a block are counted in 32 bits."""

_PARTED_PX = 1024
"""Largest block where plants are parted: it holds their numbers and marks as well, many bytes a pixel."""
_TOLD_CHANGE = 0.01
"""Change of the whole area by simpler outlines, as a part of it, that is told."""

_Made = TypeVar("_Made", bound=Sized)


@dataclass(frozen=True)
class _Traced(Generic[_Made]):
    """One block: what was made of its complete components; those that reach its rims, with their pieces."""

    made: _Made
    components: Components
    rims: Rims
    pieces: Pieces
    above: Above
    window: Window


@dataclass(frozen=True)
class _Work:
    """How a run is cut into blocks, the probability its outlines follow, the threads that trace them, and
    where plants are parted."""

    block_px: int
    level: float | None
    threads: Threads
    plants: CutsAhead | None = None


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
        The mask and, where there is one, its probability. Read from the caller's thread only, and once;
        where plants are parted, the mask is also read ahead. Contours need its ``threshold``, see
        :func:`cropseg_geo.vector.source.threshold_of`.
    ground
        Where the pixels are; its size must be the source's.
    classes
        Names by class id, background first: ``("background", "crop")``.
    options
        How the polygons are drawn.
    block_px
        Side of the blocks (px): bounds the memory, never changes the polygons. Simplification has blocks
        of its own, and those of plants that are parted are smaller.
    listener
        Told of the stage ``"vectorize"`` in pixels, once for each time that they are gone through, and
        warned where contours cannot be followed, and where simpler outlines hold another area than the mask.
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
    maker = BatchMaker(ground.transform, ground.crs, GroundField.over(ground), tuple(classes), options)
    side = block_px if options.objects == "touching" else min(block_px, _PARTED_PX)
    side = simplify.TILE_PX if options.simplify_m > 0.0 else side
    return _stage(source, maker, _Work(side, level, Threads(threads)), listener)


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


def _stage(source: MaskSource, maker: BatchMaker, work: _Work, listener: Listener) -> Iterator[CanopyBatch]:
    """The stage of one pass, or of those that are needed to part plants as well."""
    options, size_px = maker.options, source.height * source.width
    is_split, fills = options.objects == "split", options.fill_holes_m2 > 0.0
    listener(StageStarted(STAGE, size_px * (1 + is_split + (is_split and fills)), "px"))

    def advance(px: int) -> None:
        listener(StageAdvanced(STAGE, px))

    with work.threads, ExitStack() as stack:
        if is_split:
            if fills:
                # Holes first: what lies around one is no neck.
                holes = stack.enter_context(StretchStore())
                whole = replace(maker, options=replace(options, simplify_m=0.0))
                for some in _trace(source, whole, replace(work, level=None), whole.filled_pixels, advance):
                    holes.add(some)
                source = FilledMask(source, holes)
                maker = replace(maker, options=replace(options, fill_holes_m2=0.0))
            work = replace(work, plants=_plants(source, maker, work.threads, advance))
        batches = _trace(source, maker, work, maker.make, advance)
        yield from _areas_told(batches, maker, listener) if options.simplify_m > 0.0 else batches
    listener(StageFinished(STAGE))


def _areas_told(
    batches: Iterator[CanopyBatch], maker: BatchMaker, listener: Listener
) -> Iterator[CanopyBatch]:
    """The batches; at their end, tells if simpler outlines hold much more or less than the pixels."""
    drawn_m2 = mask_m2 = 0.0
    for batch in batches:
        drawn_m2 += float(batch.area_m2.sum())
        mask_m2 += maker.mask_area_m2(batch)
        yield batch
    change = drawn_m2 / mask_m2 - 1.0 if mask_m2 > 0.0 else 0.0
    if abs(change) > _TOLD_CHANGE:
        more = "more" if change > 0.0 else "less"
        listener(
            Warned(
                f"outlines simplified by {maker.options.simplify_m:g} m hold {abs(change):.1%} {more} area "
                "than the mask's pixels: a smaller --simplify changes less"
            )
        )


def _plants(
    source: MaskSource, maker: BatchMaker, threads: Threads, advance: Callable[[int], None]
) -> CutsAhead:
    from cropseg_geo.vector.parting.split import cuts_of  # loads what tracing alone does without

    middle = maker.field.at(np.array([source.height / 2]), np.array([source.width / 2]))
    across_m, down_m, _ = middle[0].tolist()
    return cuts_of(source, len(maker.classes), down_m / across_m, threads, advance)


def _trace(
    source: MaskSource,
    maker: BatchMaker,
    work: _Work,
    make: Callable[[Pieces, Components], _Made],
    advance: Callable[[int], None],
) -> Iterator[_Made]:
    """What ``make`` makes of complete components, block by block, but for what is empty."""
    frontier, above = Frontier.at_top(source.width), Above.top(source.width)
    wanted = Wanted(padded_prob=work.level is not None, occupied=maker.options.fill_holes_m2 > 0.0)
    with PieceStore() as store:
        for row in range(0, source.height, work.block_px):
            stop = min(row + work.block_px, source.height)
            cuts = None if work.plants is None else work.plants.of_rows(max(0, row - 1), stop)
            traced = partial(_trace_block, maker=maker, work=work, cuts=cuts, make=make)
            blocks = row_of_blocks(source, row, work.block_px, above, len(maker.classes), wanted)
            # What a row needed is gone when its generator has ended; the next one need not wait for that.
            parts, lines = yield from _row(work.threads.in_order(blocks, traced), store, advance)
            above = above.followed_by(lines)
            frontier = yield from _joined(frontier, parts, store, make)


def _row(
    blocks: Iterator[_Traced[_Made]], store: PieceStore, advance: Callable[[int], None]
) -> Generator[_Made, None, tuple[list[OpenPart], list[Above]]]:
    """Yields what was made within each block of a row; returns what reaches beyond."""
    parts: list[OpenPart] = []
    lines: list[Above] = []
    for found in blocks:
        parts.append(OpenPart(found.window.col, store.add(found.pieces), found.components, found.rims))
        lines.append(found.above)
        advance(found.window.size)
        if len(found.made):
            yield found.made
    return parts, lines


def _joined(
    frontier: Frontier, parts: list[OpenPart], store: PieceStore, make: Callable[[Pieces, Components], _Made]
) -> Generator[_Made, None, Frontier]:
    """Yields what is made of the components that a row of blocks completes; returns what is still open."""
    following, closed = join(frontier, parts)
    for group in closed.in_groups(store, CLOSED_AT_ONCE):
        if len(made := make(*group)):
            yield made
    store.forget_all_but(following.spans)
    return following


def _trace_block(
    item: tuple[PaddedBlock, Above],
    maker: BatchMaker,
    work: _Work,
    cuts: Cuts | None,
    make: Callable[[Pieces, Components], _Made],
) -> _Traced[_Made]:
    block, above = item
    if cuts is not None:
        block = cuts.parted(block)
    found = corners_of(block)
    n = len(found.components)
    is_open = np.zeros(n, np.bool_)
    is_open[found.rims.touched] = True
    number = np.where(is_open, np.cumsum(is_open), np.cumsum(~is_open)).astype(np.int32) - np.int32(1)
    pieces = Pieces(found.corners, _marks(block, found, maker, work))
    return _Traced(
        make(pieces.of(~is_open, number), found.components.take(~is_open)),
        found.components.take(is_open),
        found.rims.relabelled(number),
        pieces.by_component(is_open, number),
        above,
        block.window,
    )


def _marks(block: PaddedBlock, found: Found, maker: BatchMaker, work: _Work) -> Marks | None:
    """Where the block's outlines are drawn through; None where they follow the pixels."""
    simplify_m, window = maker.options.simplify_m, block.window
    if work.level is None and simplify_m == 0.0 and block.classes is None:
        return None
    edges = edges_of(block, work.level)
    places = places_of(edges)
    if simplify_m > 0.0:
        centre = np.array([window.row + window.height / 2]), np.array([window.col + window.width / 2])
        pixel_m2 = float(maker.field.at(*centre)[0, 2])
        places = simplified(block, edges, places, simplify_m / math.sqrt(pixel_m2))
    return marks_of(places, found.runs, window.row - 1, window.col - 1)
