"""From a plan to dask tasks: one task a block, no edges between blocks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from dask.delayed import delayed

from cropseg_geo.engine import blend
from cropseg_geo.engine.plan import Plan
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.engine.tiles import cut_tile
from cropseg_geo.errors import CropsegError, InferenceError
from cropseg_geo.grid import Block, Window
from cropseg_geo.model.predictor import Predictor
from cropseg_geo.raster.scaling import ValueScale
from cropseg_geo.raster.source import RasterSource


class InterruptedTask(Exception):  # noqa: N818 - a signal, not an error
    """A task that stopped because the run was told to stop."""


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
    wanted_px: int


_stopped: set[str] = set()
"""Fingerprints of the runs in this process whose block tasks are to stop at the next tile."""


def stop_tasks(plan: Plan) -> None:
    """Make the running block tasks of a run in this process stop before their next tile."""
    _stopped.add(plan.fingerprint)


def allow_tasks(plan: Plan) -> None:
    """Undo :func:`stop_tasks`."""
    _stopped.discard(plan.fingerprint)


def block_tasks(job: Job, blocks: Iterable[Block]) -> list[Any]:
    """One lazy task (``dask.delayed``) a block; computing it yields a :class:`BlockDone`."""
    shared = delayed(job, traverse=False)
    run = delayed(run_block, pure=False)
    return [
        run(shared, b.i, b.j, dask_key_name=f"block-{job.plan.fingerprint[:8]}-{b.i}-{b.j}") for b in blocks
    ]


def run_block(job: Job, i: int, j: int) -> BlockDone:
    """Read a block's footprint, infer its tiles, keep the weighted sums in the store."""
    block = job.plan.blocks.block(i, j)
    where = job.plan.blocks.footprint(block)
    values, valid = job.source.read(where)
    wanted = valid & wanted_mask(job.plan.extent, where, job.region)
    sums, inferred = infer_block(job.inference, block, values, valid, wanted)
    job.store.write(block, sums)
    own = wanted[: block.window.height, : block.window.width]
    return BlockDone(i, j, inferred, len(block.tiles) - inferred, int(np.count_nonzero(own)))


def wanted_mask(extent: Window, window: Window, region: Region | None) -> npt.NDArray[np.bool_]:
    """(H, W) of ``window``: True inside the extent and the region."""
    mask = np.zeros(window.shape, dtype=bool)
    inside = extent & window
    mask[inside.relative_to(window).slices] = region.mask(inside) if region and inside else True
    return mask


def infer_block(
    inference: Inference,
    block: Block,
    values: npt.NDArray[Any],
    valid: npt.NDArray[np.bool_],
    wanted: npt.NDArray[np.bool_],
) -> tuple[blend.Sums, int]:
    """Weighted sums (C, H, W) over a block's footprint, and the number of tiles inferred.

    ``valid`` says which pixels may serve as context, ``wanted`` (within it) which ones must be answered.
    Each tile with a wanted pixel is inferred once; the others never.
    """
    grid = inference.plan.blocks
    where = grid.footprint(block)
    sums = np.zeros((inference.plan.channels, *where.shape), dtype=np.uint32)
    tiles = [t for t in block.tiles if wanted[(grid.tiles.tile(*t) & where).relative_to(where).slices].any()]
    for start in range(0, len(tiles), inference.batch_size):
        if inference.plan.fingerprint in _stopped:
            raise InterruptedTask
        batch = tiles[start : start + inference.batch_size]
        cut = [cut_tile(values, valid, where, grid.tiles.tile(*tile))[0] for tile in batch]
        fixed = infer_tiles(inference, batch, inference.scale.apply(np.stack(cut)))
        for tile, steps in zip(batch, fixed, strict=True):
            blend.add_tile(sums, where, grid.tiles, tile, steps)
    sums[:, ~wanted] = blend.NODATA
    return sums, len(tiles)


def infer_tiles(
    inference: Inference, tiles: list[tuple[int, int]], batch: npt.NDArray[np.float32]
) -> blend.Fixed:
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
        raise InferenceError(f"the model failed on tile {names} ({first}): {err}") from err
    expected = (len(batch), len(inference.predictor.card.classes), *batch.shape[-2:])
    if logits.shape != expected:
        raise InferenceError(f"the model returned {logits.shape} for tile {names}; {expected} was expected")
    if not np.isfinite(logits).all():
        raise InferenceError(
            f"the model returned values that are not finite for tile {names} ({first})",
            remedy="try --precision fp32; if it stays, the weights do not fit these pixels",
        )
    return blend.to_fixed(blend.probabilities(logits))
