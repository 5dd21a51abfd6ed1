"""Executing the blocks of a job: threads on this machine, or the same tasks on a dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from cropseg_geo.engine.blend import Sums
from cropseg_geo.engine.graph import BlockDone, Job, block_tasks
from cropseg_geo.engine.lanes import Lanes
from cropseg_geo.errors import InputError, ResourceError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Block

STAGE = "segment"

MAX_LANES = 8
"""Lanes chosen at most: each takes memory, and the lanes share one disk. ``--lanes`` says otherwise."""


@dataclass(frozen=True)
class Workers:
    """Where blocks are computed.

    Parameters
    ----------
    lanes
        Threads of a process that each take a block at a time; None chooses.
    processes
        Local worker processes, for one machine with many cores; 0 stays in this process.
    scheduler
        Address of a running dask scheduler (``tcp://…``); its workers must see input and output paths.
    """

    lanes: int | None = None
    processes: int = 0
    scheduler: str | None = None

    @property
    def lane_count(self) -> int:
        """Lanes as given; else one thread a worker process, or a lane a core, up to eight."""
        return self.lanes or (1 if self.processes or self.scheduler else min(MAX_LANES, os.cpu_count() or 1))


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


def run_blocks(job: Job, *, workers: Workers, listener: Listener = ignore) -> Tally:
    """Compute every block of the plan that the store does not hold yet.

    Raises
    ------
    CropsegError
        Whatever stopped a block; blocks that were finished stay in the store.
    """
    progress = Progress(job, listener)
    progress.start()
    for _ in computed_blocks(job, workers=workers, progress=progress):
        pass
    return progress.tally


class Progress:
    """What a job's blocks amounted to so far; tells the listener of each."""

    def __init__(self, job: Job, listener: Listener = ignore) -> None:
        self.blocks = list(job.plan.blocks.meeting(job.plan.extent))
        self.tally = Tally()
        self._sizes = {(b.i, b.j): (b.window & job.plan.extent).size for b in self.blocks}
        self._listener = listener

    def start(self) -> None:
        self._listener(StageStarted(STAGE, sum(self._sizes.values()), "px"))

    def note(self, block: Block, done: BlockDone | None) -> None:
        """A block is finished; None says that an earlier run had finished it."""
        self.tally = self.tally.plus(done)
        self._listener(StageAdvanced(STAGE, self._sizes[block.i, block.j]))

    def finish(self) -> None:
        self._listener(StageFinished(STAGE))


def computed_blocks(job: Job, *, workers: Workers, progress: Progress) -> Iterator[tuple[Block, Sums]]:
    """The blocks of a job, row by row, with the sums over their footprints.

    In this process they come as soon as they are computed, and the next ones are computed meanwhile; from
    worker processes and clusters, when all are in the store.

    Raises
    ------
    CropsegError
        Whatever stopped a block; blocks that were finished stay in the store.
    """
    if workers.scheduler or workers.processes:
        held = job.store.finished()
        by_index = {(b.i, b.j): b for b in progress.blocks}
        for index in held & by_index.keys():
            progress.note(by_index[index], None)
        pending = [b for b in progress.blocks if (b.i, b.j) not in held]
        tasks = block_tasks(job, pending)
        _run_distributed(tasks, workers, lambda done: progress.note(by_index[done.i, done.j], done))
        progress.finish()
        yield from ((block, job.store.read(block)) for block in progress.blocks)
        return
    for block, done, sums in Lanes(job, progress.blocks, lanes=workers.lane_count):
        progress.note(block, done)
        yield block, sums
        del sums
    progress.finish()


def _run_distributed(tasks: list[Any], workers: Workers, note: Callable[[BlockDone], None]) -> None:
    from distributed import as_completed

    with _client(workers) as client, client.as_current():
        futures = client.compute(tasks, optimize_graph=False)
        try:
            for _, done in as_completed(futures, with_results=True):
                note(done)
        except BaseException:
            client.cancel(futures, force=True)
            raise


@contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    from distributed import Client, LocalCluster

    if workers.scheduler:
        try:
            client = Client(workers.scheduler, timeout="10s", set_as_default=False)
        except (OSError, ValueError) as err:
            raise InputError(
                f"no dask scheduler answers at {workers.scheduler} ({err})",
                remedy="start one with: dask scheduler; then: dask worker ADDRESS",
            ) from err
        with client:
            if not client.scheduler_info()["workers"]:
                raise ResourceError(
                    f"the scheduler at {workers.scheduler} has no workers",
                    remedy=f"start some with: dask worker {workers.scheduler}",
                )
            yield client
        return
    cluster = LocalCluster(
        n_workers=workers.processes,
        threads_per_worker=workers.lane_count,
        dashboard_address=None,
        memory_limit=0,
    )
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client
