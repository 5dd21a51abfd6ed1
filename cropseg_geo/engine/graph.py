"""What a job is and what each of its blocks takes: no block needs another."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from cropseg_geo.engine import blend
from cropseg_geo.engine.plan import Plan
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.engine.tiles import cut_tile
from cropseg_geo.errors import CropsegError, InferenceError, ResourceError
from cropseg_geo.grid import Block, Window
from cropseg_geo.model.predictor import Predictor
from cropseg_geo.raster.scaling import ValueScale
from cropseg_geo.raster.source import RasterSource

Tile = tuple[int, int]
"""Row and column of a tile in the lattice."""


class Region(Protocol):
    """Which pixels of a window are wanted (an area of interest)."""

    def mask(self, window: Window) -> npt.NDArray[np.bool_]:
        """(H, W), True inside."""
        ...


@dataclass(frozen=True)
class Inference:
    """How pixels become probabilities: a recipe, never a loaded network."""

    predictor: Predictor
    scale: ValueScale
    plan: Plan
    batch_size: int = 1


@dataclass(frozen=True)
class Job:
    """Everything a worker needs to do any block: recipes, never open files or loaded networks."""

    source: RasterSource
    inference: Inference
    store: BlockStore
    region: Region | None = None

    @property
    def plan(self) -> Plan:
        return self.inference.plan


@dataclass(frozen=True)
class BlockDone:
    """What a block's task reports."""

    i: int
    j: int
    tiles_inferred: int
    tiles_empty: int


def run_block(job: Job, i: int, j: int) -> BlockDone | None:
    """Read a block's footprint, infer its tiles, keep the weighted sums in the store.

    None for a block that the store holds already, from an earlier run or from a worker that was lost later.
    """
    block = job.plan.blocks.block(i, j)
    if job.store.find(block) is not None:
        return None
    opened = read_block(job, block)
    job.store.write(block, infer_block(job.inference, opened))
    return block_done(opened)


def block_done(opened: OpenBlock) -> BlockDone:
    """The report of a block whose tiles are all inferred."""
    block, n = opened.block, len(opened.tiles)
    return BlockDone(block.i, block.j, n, len(block.tiles) - n)


def wanted_mask(extent: Window, window: Window, region: Region | None) -> npt.NDArray[np.bool_]:
    """(H, W) of ``window``: True inside the extent and the region."""
    mask = np.zeros(window.shape, dtype=bool)
    inside = extent & window
    mask[inside.relative_to(window).slices] = region.mask(inside) if region and inside else True
    return mask


@dataclass(eq=False)
class OpenBlock:
    """A block whose pixels are read, and its sums (C, H, W) as they grow; all over the block's footprint.

    ``valid`` says which pixels may serve as context, ``wanted`` (within it) which ones must be answered.
    ``tiles`` are those with a wanted pixel: each of them is inferred once, the others never.
    """

    block: Block
    where: Window
    values: npt.NDArray[Any]
    valid: npt.NDArray[np.bool_]
    wanted: npt.NDArray[np.bool_]
    sums: blend.Sums
    tiles: list[Tile]
    adding: threading.Lock = field(default_factory=threading.Lock)

    def finished_sums(self) -> blend.Sums:
        """The sums when all tiles are in: nodata where no answer is wanted."""
        return np.multiply(self.sums, self.wanted, out=self.sums)


def open_block(
    plan: Plan,
    block: Block,
    values: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.bool_],
) -> OpenBlock:
    """A block before its first tile is inferred."""
    grid, where = plan.tiles, plan.blocks.footprint(block)
    tiles = [t for t in block.tiles if wanted[(grid.tile(*t) & where).relative_to(where).slices].any()]
    sums = np.zeros((plan.channels, *where.shape), dtype=np.uint32)
    return OpenBlock(block, where, values, valid, wanted, sums, tiles)


def read_block(job: Job, block: Block) -> OpenBlock:
    """Read a block's footprint."""
    where = job.plan.blocks.footprint(block)
    values, valid = job.source.read(where)
    wanted = valid & wanted_mask(job.plan.extent, where, job.region)
    return open_block(job.plan, block, values, valid, wanted)


def infer_block(inference: Inference, opened: OpenBlock) -> blend.Sums:
    """Weighted sums (C, H, W) over a block's footprint."""
    for start in range(0, len(opened.tiles), inference.batch_size):
        infer_into(inference, opened, opened.tiles[start : start + inference.batch_size])
    return opened.finished_sums()


def infer_into(inference: Inference, opened: OpenBlock, tiles: list[Tile]) -> None:
    """Infer some of a block's tiles and add them to its sums; threads may share a block.

    Raises
    ------
    InferenceError
        As :func:`infer_tiles`.
    ResourceError
        If the memory does not hold even one tile; batches are halved before that.
    """
    grid, where = inference.plan.tiles, opened.where
    cut = [cut_tile(opened.values, opened.valid, where, grid.tile(*tile))[0] for tile in tiles]
    fixed = _infer_within_memory(inference, tiles, inference.scale.apply(np.stack(cut)))
    with opened.adding:
        for tile, steps in zip(tiles, fixed, strict=True):
            blend.add_tile(opened.sums, where, grid, tile, steps)


def _infer_within_memory(
    inference: Inference, tiles: list[Tile], batch: npt.NDArray[np.float32]
) -> blend.Fixed:
    """As :func:`infer_tiles`, in smaller batches where the memory does not hold this one."""
    try:
        return infer_tiles(inference, tiles, batch)
    except (MemoryError, InferenceError) as err:
        if not is_out_of_memory(err):
            raise
        if len(tiles) == 1:
            raise no_room_for_a_tile(inference.plan.tiles.tile_px, err) from err
    half = len(tiles) // 2
    parts = ((tiles[:half], batch[:half]), (tiles[half:], batch[half:]))
    return np.concatenate([_infer_within_memory(inference, *part) for part in parts])


def is_out_of_memory(err: BaseException | None) -> bool:
    """True if an error, or what caused it, says that memory is used up: numpy's, torch's or CUDA's."""
    while err is not None:
        text = str(err).lower()
        if isinstance(err, MemoryError) or "out of memory" in text or "can't allocate memory" in text:
            return True
        err = err.__cause__
    return False


def no_room_for_a_tile(side_px: int, err: BaseException) -> ResourceError:
    """What to say where there is nothing left to halve."""
    return ResourceError(
        f"the memory does not hold one tile of {side_px} × {side_px} px ({err})",
        remedy="close other programs, or choose fewer --lanes, a smaller --tile or --device cpu",
    )


def infer_tiles(inference: Inference, tiles: list[Tile], batch: npt.NDArray[np.float32]) -> blend.Fixed:
    """Blendable steps (N, C, T, T) of a batch of tiles (N, bands, T, T).

    Raises
    ------
    InferenceError
        If the model fails or returns a wrong shape or values that are not finite; names the tiles.
    """
    names = ", ".join(f"({i}, {j})" for i, j in tiles)
    first = inference.plan.tiles.tile(*tiles[0])
    try:
        logits = inference.predictor.predict(batch)
    except (CropsegError, MemoryError, KeyboardInterrupt):
        raise
    except Exception as err:
        raise InferenceError(
            f"the model failed on tile {names} ({first}): {err}",
            remedy="try another --backend, or --device cpu; if it stays, fetch the model file again",
        ) from err
    expected = (len(batch), len(inference.predictor.card.classes), *batch.shape[-2:])
    if logits.shape != expected:
        raise InferenceError(
            f"the model returned {logits.shape} for tile {names}; {expected} was expected",
            remedy="give a model whose card names the classes of its network",
        )
    if not np.isfinite(logits).all():
        raise InferenceError(
            f"the model returned values that are not finite for tile {names} ({first})",
            remedy="try --precision fp32; if it stays, the weights do not fit these pixels",
        )
    return blend.to_fixed(blend.probabilities(logits))
