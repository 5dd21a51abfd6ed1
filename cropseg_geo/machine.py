"""Cores and memory that this process may use, which on shared machines are fewer than there are.

Batch systems and containers bind a process to some cores (its affinity) or give it a share of time and memory
(its control group, and those above it, whose limits count as well).
Source: cgroups(7); kernel documentation, admin-guide/cgroup-v2 (cpu.max, memory.max), cgroup-v1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import psutil

_ROOT = Path("/")


def usable_cores(root: Path = _ROOT) -> int:
    """Cores that this process is bound to, or its share of time, rounded up, where that is less.

    ``root`` is where the system's ``proc`` and ``sys`` are.
    """
    bound = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min([bound or 1, *_core_shares(root)]))


def usable_memory_bytes(root: Path = _ROOT) -> int:
    """The machine's memory, or what this process is given of it."""
    return min([int(psutil.virtual_memory().total), *_memory_limits(root)])


def free_memory_bytes(root: Path = _ROOT) -> int:
    """Memory that nobody uses, at most what this process is given."""
    return min([int(psutil.virtual_memory().available), *_memory_limits(root)])


def _core_shares(root: Path) -> Iterator[int]:
    for group in _groups("cpu", root):
        numbers = _numbers(group / "cpu.max", group / "cpu.cfs_quota_us", group / "cpu.cfs_period_us")
        if len(numbers) == 2:  # without a limit the period stands alone
            quota_us, period_us = numbers
            yield -(-quota_us // max(period_us, 1))


def _memory_limits(root: Path) -> Iterator[int]:
    for group in _groups("memory", root):
        yield from _numbers(group / "memory.max", group / "memory.limit_in_bytes")


def _groups(controller: str, root: Path) -> Iterator[Path]:
    """Folders of the control groups that this process is in, each with those above it; versions 1 and 2.

    In a container the own one may not be seen by its name; then the topmost that is seen stands for it.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _number, controllers, path = line.split(":", maxsplit=2)
        if controllers and controller not in controllers.split(","):
            continue
        top = root / "sys/fs/cgroup" / (controller if controllers else "")
        own = top / path.lstrip("/")
        yield from (group for group in (own, *own.parents) if group.is_relative_to(top))


def _numbers(*files: Path) -> list[int]:
    """The whole numbers in some files, one after the other; ``max`` and -1 (no limit) are none."""
    return [int(word) for file in files for word in _text(file).split() if word.isdecimal()]


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:  # not Linux, or nothing of this kind is limited
        return ""
