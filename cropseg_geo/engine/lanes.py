"""Blocks on threads of this process: one reads ahead, lanes infer tiles, the caller takes blocks in order.

The overall strategy: blocks are opened (read) row by row, a few at a time; their tiles wait in one queue that
all lanes take from, so that no lane idles while a block is unfinished; whoever adds a block's last tile keeps
the block in the store. The caller draws finished blocks in their order and so can blend, write and trace
while the next ones are inferred. Sums are of integers: the order in which lanes add tiles changes no byte.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import BlockDone, Job, OpenBlock, Tile, block_done, infer_into, read_block
from cropseg_geo.errors import ResourceError
from cropseg_geo.grid import Block
from cropseg_geo.raster.source import close_handle

_LANES_A_READER = 4
"""Lanes that one reading thread feeds."""

_WAIT_S = 0.5
"""Waiting is cut into pieces so that Ctrl-C is heard on every system."""


@dataclass(eq=False)
class _Queued:
    """An open block, its tiles that no lane has taken, and how many are not added to its sums."""

    opened: OpenBlock
    waiting: list[Tile]
    missing: int


class Lanes:
    """The blocks of a job being computed; iterate to take them in order, with what they amounted to.

    Parameters
    ----------
    job
        What is computed.
    blocks
        In the order in which they are taken.
    lanes
        Threads that infer.
    """

    def __init__(self, job: Job, blocks: Sequence[Block], *, lanes: int) -> None:
        self._job, self._blocks, self._lanes = job, blocks, lanes
        self._to_open = iter(blocks)
        batch = job.inference.batch_size
        self._room = 2 + -(-lanes * batch // job.plan.blocks.tiles_per_side**2)
        self._readers = max(1, lanes // _LANES_A_READER)
        self._reading = self._inferring = 0
        self._queue: deque[_Queued] = deque()
        self._done: dict[Block, tuple[BlockDone | None, blend.Sums]] = {}
        self._error: BaseException | None = None
        self._stopped = False
        self._changed = threading.Condition()

    def __iter__(self) -> Iterator[tuple[Block, BlockDone | None, blend.Sums]]:
        """Blocks with their report (None if the store held them) and the sums over their footprint."""
        self._reading, self._inferring = self._readers, self._lanes
        threads = [
            threading.Thread(target=self._read, name=f"cropseg-reader-{k}") for k in range(self._readers)
        ]
        threads += [
            threading.Thread(target=self._infer, name=f"cropseg-lane-{k}") for k in range(self._lanes)
        ]
        for thread in threads:
            thread.start()
        try:
            for block in self._blocks:
                done, sums = self._take(block)
                yield block, done, sums
                del sums
        finally:
            with self._changed:
                self._stopped = True
                self._changed.notify_all()
            for thread in threads:
                thread.join()

    def _take(self, block: Block) -> tuple[BlockDone | None, blend.Sums]:
        with self._changed:
            while block not in self._done:
                if self._error is not None:
                    raise self._error
                self._changed.wait(_WAIT_S)
            self._room += 1
            self._changed.notify_all()
            return self._done.pop(block)

    def _read(self) -> None:
        """A reader: opens one block after the other as there is room."""
        try:
            while (block := self._next_to_open()) is not None:
                if (held := self._job.store.find(block)) is not None:
                    self._put(block, None, held)
                    continue
                opened = read_block(self._job, block)
                if not opened.tiles:
                    self._finish(opened)
                    continue
                with self._changed:
                    self._queue.append(_Queued(opened, opened.tiles, len(opened.tiles)))
                    self._changed.notify_all()
        except BaseException as err:  # noqa: BLE001 - raised again in the caller's thread
            self._fail(err)
        finally:
            close_handle()
            with self._changed:
                self._reading -= 1
                self._changed.notify_all()

    def _next_to_open(self) -> Block | None:
        with self._changed:
            self._changed.wait_for(lambda: self._room > 0 or self._stopped)
            block = None if self._stopped else next(self._to_open, None)
            self._room -= block is not None
            return block

    def _infer(self) -> None:
        """A lane: takes tiles of the block that waits longest, until none are left."""
        try:
            while (taken := self._next_tiles()) is not None:
                queued, tiles = taken
                try:
                    infer_into(self._job.inference, queued.opened, tiles)
                except ResourceError:
                    # Memory that lanes share: with one lane less, what is left may do.
                    if not self._retire(queued, tiles):
                        raise
                    return
                with self._changed:
                    queued.missing -= len(tiles)
                    is_last = not queued.missing
                if is_last:
                    self._finish(queued.opened)
        except BaseException as err:  # noqa: BLE001 - raised again in the caller's thread
            self._fail(err)

    def _next_tiles(self) -> tuple[_Queued, list[Tile]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._stopped or not self._reading)
            if self._stopped or not self._queue:
                self._inferring -= 1
                return None
            queued, n = self._queue[0], self._job.inference.batch_size
            tiles, queued.waiting = queued.waiting[:n], queued.waiting[n:]
            if not queued.waiting:
                self._queue.popleft()
            return queued, tiles

    def _retire(self, queued: _Queued, tiles: list[Tile]) -> bool:
        """Give tiles back and leave them to the other lanes; False if there is none."""
        with self._changed:
            if self._inferring < 2:
                return False
            self._inferring -= 1
            queued.waiting = tiles + queued.waiting
            if queued not in self._queue:
                self._queue.appendleft(queued)
            self._changed.notify_all()
            return True

    def _finish(self, opened: OpenBlock) -> None:
        sums = opened.finished_sums()
        self._job.store.write(opened.block, sums)
        self._put(opened.block, block_done(opened), sums)

    def _put(self, block: Block, done: BlockDone | None, sums: blend.Sums) -> None:
        with self._changed:
            self._done[block] = (done, sums)
            self._changed.notify_all()

    def _fail(self, err: BaseException) -> None:
        with self._changed:
            self._error = self._error or err
            self._stopped = True
            self._changed.notify_all()
