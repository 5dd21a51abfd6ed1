"""Executing the blocks of a job: threads on this machine, or the same tasks on a dask cluster."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dask
from dask.callbacks import Callback

from cropseg_geo.engine.graph import BlockDone, Job, allow_tasks, block_tasks, stop_tasks
from cropseg_geo.engine.plan import Plan
from cropseg_geo.errors import InputError, ResourceError
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.raster.source import close_handle

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

    def plus(self, done: BlockDone) -> Tally:
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
    finished = job.store.finished()
    blocks = list(job.plan.blocks.meeting(job.plan.extent))
    pending = [b for b in blocks if (b.i, b.j) not in finished]
    tally = Tally(blocks_resumed=len(blocks) - len(pending))
    sizes = {(b.i, b.j): (b.window & job.plan.extent).size for b in blocks}
    listener(StageStarted(STAGE, sum(sizes.values()), "px"))
    if tally.blocks_resumed:
        listener(StageAdvanced(STAGE, sum(sizes[b.i, b.j] for b in blocks if (b.i, b.j) in finished)))

    def note(done: BlockDone) -> None:
        nonlocal tally
        tally = tally.plus(done)
        listener(StageAdvanced(STAGE, sizes[done.i, done.j]))

    tasks = block_tasks(job, pending)
    if workers.scheduler or workers.processes:
        _run_distributed(tasks, workers, note)
    else:
        _run_threads(job.plan, tasks, workers.lane_count, note)
    listener(StageFinished(STAGE))
    return tally


def _run_threads(plan: Plan, tasks: list[Any], lanes: int, note: Callable[[BlockDone], None]) -> None:
    if not tasks:
        return
    allow_tasks(plan)
    pool = ThreadPoolExecutor(lanes, thread_name_prefix="cropseg-lane")

    def posttask(key: str, result: Any, *_: Any) -> None:
        if isinstance(result, BlockDone):
            note(result)

    try:
        with Callback(posttask=posttask), dask.config.set(pool=pool):
            dask.compute(*tasks, scheduler="threads", optimize_graph=False)
    except BaseException:
        stop_tasks(plan)
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
        close_handle()


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
