"""Executing the blocks of a job on a dask cluster: local processes, or workers on many machines.

The overall strategy is a sliding window. A few blocks for each lane are in flight at a time, and each one
that is done makes room for the next, so client and scheduler hold the same few tasks whatever the raster's
size. Results stay in the store: what travels is the job's recipe, once for each worker, and a few numbers a
block.

Workers may join, leave and die meanwhile. A block whose worker was lost is computed elsewhere, unless it was
in the store already; a block that fails or loses its worker again and again stops the run.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from queue import Empty, SimpleQueue
from typing import Any
from uuid import uuid4

from cropseg_geo.engine.fitness import require_able_workers
from cropseg_geo.engine.graph import BlockDone, Job, run_block
from cropseg_geo.engine.travel import sendable
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import CropsegError, InputError, ResourceError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Block

Note = Callable[[Block, BlockDone | None], None]
"""Hears of a block that is done, with its report; None where the store held it already."""

BLOCKS_PER_LANE = 3
"""Blocks in flight for each lane: one computed, one that waits at the worker, one at the scheduler."""

RETRIES = 2
"""Times that a block which fails is tried again, on whichever worker comes."""

PATIENCE_S = 300.0
"""Time without any worker after which a run gives up."""

_POLL_S = 1.0

_AGAIN = "mend that and run the same command again; finished blocks are kept"

_ANY_PORT = "127.0.0.1:0"


def finished_in_order(
    job: Job,
    blocks: Sequence[Block],
    *,
    workers: Workers,
    note: Note,
    listener: Listener = ignore,
) -> Iterator[Block]:
    """Compute blocks in other processes; yields them in their order as soon as they are in the store.

    Workers never wait for whoever takes the blocks. ``note`` hears of each block that is done, in any order
    and from another thread.

    Raises
    ------
    InputError
        If no scheduler answers.
    ResourceError
        If workers cannot do the job, none is left, or a block was lost with several of them.
    CropsegError
        Whatever stopped a block.
    """
    done, finished = SimpleQueue[Block](), set[Block]()
    stopped = threading.Event()

    def hear(block: Block, report: BlockDone | None) -> None:
        note(block, report)
        done.put(block)

    with ThreadPoolExecutor(1, thread_name_prefix="cropseg-cluster") as pool:
        computing = pool.submit(
            _compute, job, blocks, workers=workers, note=hear, listener=listener, stopped=stopped
        )
        try:
            for block in blocks:
                while block not in finished:
                    with suppress(Empty):
                        finished.add(done.get(timeout=_POLL_S))
                        continue
                    if computing.done():
                        computing.result()  # its error; without one, the queue holds all blocks
                finished.discard(block)
                yield block
        finally:
            stopped.set()


def _compute(
    job: Job,
    blocks: Sequence[Block],
    *,
    workers: Workers,
    note: Note,
    listener: Listener,
    stopped: threading.Event,
) -> None:
    with _client(workers) as client:
        if workers.scheduler:
            digest, job = job.inference.predictor.card.digest, sendable(job)
            require_able_workers(client, job, digest, address=workers.scheduler)
        _Feed(client, job, _Lanes(client, workers, listener), stopped).run(blocks, note)


@dataclass
class _Lanes:
    """How many lanes the cluster has at the moment."""

    client: Any
    workers: Workers
    listener: Listener
    _count: int = 0
    _looked_at: float = field(default=float("-inf"))
    _last_seen: float = field(default_factory=time.monotonic)
    _warned: bool = False

    def window(self) -> int:
        """Blocks to have in flight. Raises ResourceError if there has been no worker for too long."""
        now = time.monotonic()
        if now - self._looked_at > _POLL_S:
            self._count, self._looked_at = self._lanes(), now
            self._check(now)
        # Workers that may still come are counted in: a cluster grows only while blocks wait.
        expected = (self.workers.max_processes or self.workers.processes) * self.workers.lane_count
        return BLOCKS_PER_LANE * max(self._count, expected, 1)

    def _lanes(self) -> int:
        if self.client.status != "running":  # dask connects again, but its tasks are gone
            raise _scheduler_lost(self.client.status)
        try:
            return sum(self.client.nthreads().values())
        except OSError as err:
            raise _scheduler_lost(err) from err

    def _check(self, now: float) -> None:
        if self._count or self.workers.max_processes:
            self._last_seen, self._warned = now, False
            return
        if not self._warned and now - self._last_seen > _POLL_S:
            self.listener(Warned("no worker is left; the run waits for one"))
            self._warned = True
        if now - self._last_seen > PATIENCE_S:
            raise ResourceError(
                f"there has been no worker for {PATIENCE_S:.0f} s",
                remedy=f"start workers: {_AGAIN}",
            )


@dataclass
class _Feed:
    """Blocks on their way through the cluster."""

    client: Any
    job: Job
    lanes: _Lanes
    stopped: threading.Event
    _done: SimpleQueue[Any] = field(default_factory=SimpleQueue)
    _in_flight: dict[str, tuple[Any, Block]] = field(default_factory=dict)

    def run(self, blocks: Sequence[Block], note: Note) -> None:
        """Compute the blocks; on any way out, nothing of them stays behind in the cluster."""
        run_id = uuid4().hex[:12]  # two runs of one job on one scheduler do not share their tasks
        waiting = iter(blocks)
        try:
            # A task, not scattered data: where the workers that hold it are lost, it is made again.
            recipe = self.client.submit(_recipe, self.job, key=f"cropseg-job-{run_id}", pure=False)
            while not self.stopped.is_set():
                self._submit(recipe, islice(waiting, self._room()), run_id)
                if not self._in_flight:
                    return
                for block, done in self._collect():
                    note(block, done)
        except Exception as err:
            if (known := self._translated(err)) is not None:
                raise known from err
            raise
        finally:
            # A block that a worker is in the middle of is finished there, and kept.
            with suppress(Exception):  # the cluster may be what has failed
                self.client.cancel([future for future, _ in self._in_flight.values()], force=True)

    def _room(self) -> int:
        return max(0, self.lanes.window() - len(self._in_flight))

    def _submit(self, recipe: Any, blocks: Iterator[Block], run_id: str) -> None:
        for block in blocks:
            key = f"cropseg-block-{run_id}-{block.i}-{block.j}"
            future = self.client.submit(
                run_block, recipe, block.i, block.j, key=key, pure=False, retries=RETRIES
            )
            self._in_flight[key] = (future, block)
            future.add_done_callback(self._done.put)

    def _collect(self) -> list[tuple[Block, BlockDone | None]]:
        """Blocks that are done by now, with their reports; waits a moment for the first."""
        try:
            futures = [self._done.get(timeout=_POLL_S)]
        except Empty:
            return []
        while not self._done.empty():
            futures.append(self._done.get())
        results = self.client.gather(futures)
        blocks = [self._in_flight.pop(future.key)[1] for future in futures]
        return list(zip(blocks, results, strict=True))

    def _translated(self, err: BaseException) -> CropsegError | None:
        """An error of dask's in the user's words."""
        from distributed import CancelledError, KilledWorker
        from distributed.comm.core import CommClosedError

        if isinstance(err, KilledWorker):
            _, block = self._in_flight.get(str(err.task), (None, None))
            if block is None:  # the job's recipe, which comes before any block
                return ResourceError(
                    "the job was lost with each of the workers that tried to load it",
                    remedy=f"see in the workers' logs why they ended; {_AGAIN}",
                )
            return ResourceError(
                f"block ({block.i}, {block.j}) was lost with each of the workers that tried it: most likely "
                "they have too little memory for it",
                remedy=f"give workers more memory, or fewer threads each; {_AGAIN}",
            )
        if isinstance(err, CancelledError | CommClosedError):
            return _scheduler_lost(err)
        return None


def _scheduler_lost(why: object) -> ResourceError:
    said = str(why).partition("\n")[0]  # the rest is advice of dask's
    return ResourceError(f"the scheduler was lost ({said})", remedy=_AGAIN)


def _recipe(job: Job) -> Job:
    """What is a task on the scheduler is found again after its workers are lost."""
    return job


@contextmanager
def _client(workers: Workers) -> Iterator[Any]:
    from distributed import Client

    if workers.scheduler is None:
        with _local_cluster(workers) as cluster, Client(cluster, set_as_default=False) as client:
            yield client
        return
    try:
        client = Client(workers.scheduler, timeout="10s", set_as_default=False)
    except (OSError, ValueError) as err:
        raise InputError(
            f"no dask scheduler answers at {workers.scheduler} ({err})",
            remedy="start one with: dask scheduler; then: dask worker ADDRESS",
        ) from err
    with client:
        yield client


@contextmanager
def _local_cluster(workers: Workers) -> Iterator[Any]:
    try:
        cluster = _started(workers)
    except (RuntimeError, OSError) as err:
        raise ResourceError(
            f"worker processes could not be started ({err})",
            remedy='a script has to call it under if __name__ == "__main__":, for each worker process runs '
            "the rest of the script first; or leave --workers out",
        ) from err
    with cluster:
        if workers.max_processes:
            cluster.adapt(minimum=workers.processes, maximum=workers.max_processes)
        yield cluster


def _started(workers: Workers) -> Any:
    """A dask cluster of local worker processes."""
    from distributed import LocalCluster, Nanny, Scheduler, SpecCluster

    if not workers.gpus:
        return LocalCluster(
            n_workers=workers.processes,
            threads_per_worker=workers.lane_count,
            dashboard_address=_ANY_PORT,
            memory_limit=0,
        )
    # A process sees one GPU, so that "cuda" is another one in each.
    options: dict[str, Any] = {"nthreads": 1, "memory_limit": 0}
    specs = {
        k: {"cls": Nanny, "options": {**options, "env": {"CUDA_VISIBLE_DEVICES": gpu}}}
        for k, gpu in enumerate(workers.gpus[: workers.processes])
    }
    options = {"host": "127.0.0.1", "port": 0, "dashboard_address": _ANY_PORT}
    scheduler = {"cls": Scheduler, "options": options}
    return SpecCluster(workers=specs, scheduler=scheduler, silence_logs=logging.WARNING)
