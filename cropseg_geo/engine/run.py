"""Executing the blocks of a job: threads on this machine, or the same tasks on a dask cluster."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

from cropseg_geo.engine.blend import Sums
from cropseg_geo.engine.graph import BlockDone, Job
from cropseg_geo.engine.lanes import Lanes
from cropseg_geo.engine.workers import Workers
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Block

STAGE = "segment"


@dataclass(frozen=True)
class Tally:
    """What the blocks of a run amounted to."""

    tiles_inferred: int = 0
    tiles_empty: int = 0
    blocks_resumed: int = 0
    blocks_done: int = 0

    def plus(self, done: BlockDone | None) -> Tally:
        """With one block more; None is a block that an earlier run had finished."""
        if done is None:
            return replace(self, blocks_resumed=self.blocks_resumed + 1)
        return Tally(
            self.tiles_inferred + done.tiles_inferred,
            self.tiles_empty + done.tiles_empty,
            self.blocks_resumed,
            self.blocks_done + 1,
        )


class Progress:
    """What a job's blocks amounted to so far; tells the listener of each."""

    def __init__(self, job: Job, listener: Listener = ignore) -> None:
        self.blocks = list(job.plan.blocks.meeting(job.plan.extent))
        self.tally = Tally()
        self._sizes = {(b.i, b.j): (b.window & job.plan.extent).size for b in self.blocks}
        self.listener = listener

    def start(self) -> None:
        self.listener(StageStarted(STAGE, sum(self._sizes.values()), "px"))

    def note(self, block: Block, done: BlockDone | None) -> None:
        """A block is finished; None says that an earlier run had finished it."""
        self.tally = self.tally.plus(done)
        self.listener(StageAdvanced(STAGE, self._sizes[block.i, block.j]))

    def finish(self) -> None:
        self.listener(StageFinished(STAGE))


def computed_blocks(
    job: Job, *, workers: Workers, progress: Progress
) -> Generator[tuple[Block, Sums], None, None]:
    """The blocks of a job, row by row, with the sums over their footprints.

    They come as soon as they are computed, and the next ones are computed meanwhile.

    Raises
    ------
    CropsegError
        Whatever stopped a block; blocks that were finished stay in the store.
    """
    if workers.is_distributed:
        from cropseg_geo.engine.cluster import finished_in_order

        for block in finished_in_order(
            job, progress.blocks, workers=workers, note=progress.note, listener=progress.listener
        ):
            yield block, job.store.read(block)
        progress.finish()
        return
    for block, done, sums in Lanes(job, progress.blocks, lanes=workers.lane_count):
        progress.note(block, done)
        yield block, sums
        del sums
    progress.finish()
