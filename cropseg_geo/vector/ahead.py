"""Work on a pool that keeps its order and stays a few items ahead: what is waiting stays small."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def in_order(
    pool: ThreadPoolExecutor, items: Iterator[_Item], work: Callable[[_Item], _Result], ahead: int
) -> Iterator[_Result]:
    """``work`` of each item on the pool, at most ``ahead`` at a time, yielded in the items' order."""
    waiting: deque[Future[_Result]] = deque()
    for item in items:
        waiting.append(pool.submit(work, item))
        if len(waiting) >= ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
