"""Work on threads that keeps its order and stays a few items ahead: what is waiting stays small."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class Threads:
    """``n`` threads, one at least, that end with their ``with`` block.

    What a run does in turns is given to the same ones: memory that a thread has freed stays the thread's.
    """

    def __init__(self, n: int) -> None:
        self._n = max(1, n)
        self._pool = ThreadPoolExecutor(self._n, thread_name_prefix="trace")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._pool.shutdown()

    def in_order(self, items: Iterator[_Item], work: Callable[[_Item], _Result]) -> Iterator[_Result]:
        """``work`` of each item, one more than threads at a time, yielded in the items' order."""
        waiting: deque[Future[_Result]] = deque()
        for item in items:
            waiting.append(self._pool.submit(work, item))
            if len(waiting) > self._n:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
