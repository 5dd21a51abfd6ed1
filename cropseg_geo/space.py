"""Disk and memory: what a run needs against what there is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from cropseg_geo.engine.places import is_url
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import OutputError, ResourceError
from cropseg_geo.machine import usable_memory_bytes
from cropseg_geo.paths import existing_parent
from cropseg_geo.preflight import Preflight


def disk_bytes(ready: Preflight, folder: Path, store: str | None) -> int:
    """Disk that a run needs where ``folder`` lies; ``store``, if any, is where its blocks are kept."""
    if store is None or _is_on_disk_of(folder, store):
        return ready.disk_bytes
    return ready.disk_bytes - ready.plan.block_bytes


def _is_on_disk_of(folder: Path, store: str) -> bool:
    if is_url(store):
        return False
    here, there = (existing_parent(place).stat().st_dev for place in (folder, _folder(store)))
    return here == there


def _folder(store: str) -> Path:
    """The folder that a store, which is no other URL, is in."""
    return Path(store.removeprefix("file://"))


def require_space(
    ready: Preflight, folder: Path, workers: Workers, *, own: Path | None = None, store: str | None = None
) -> None:
    """Refuse a run that would fill the disk or the memory.

    What lies in ``own`` is there already: the folder of the same run, which was stopped. ``store`` is where
    its finished blocks are kept, if not there. The memory of a cluster's machines is not known here.

    Raises
    ------
    OutputError
        If the disk of the output folder, or of the blocks, is too small.
    ResourceError
        If there is less memory than this process or its workers need.
    """
    free, needed = shutil.disk_usage(existing_parent(folder)).free, disk_bytes(ready, folder, store)
    if free < needed and free + _size(own) < needed:
        raise OutputError(
            f"{folder}: {human_bytes(free)} free; about {human_bytes(needed)} are needed",
            remedy="free some space, choose another --out, or restrict the work with --bbox or --aoi",
        )
    if store is not None:
        _require_store_space(ready, store)
    if workers.scheduler is None:
        _require_memory(ready, workers)


def _require_memory(ready: Preflight, workers: Workers) -> None:
    processes, memory = workers.process_count, usable_memory_bytes()
    needed = ready.memory_bytes(workers.lane_count) * processes
    if memory >= needed:
        return
    who, fewer = "this process", "--lanes"
    if processes > 1:
        who, fewer = f"{processes} worker processes", "--workers or --lanes"
    raise ResourceError(
        f"{who} may use {human_bytes(memory)} of memory; about {human_bytes(needed)} are needed",
        remedy=f"use fewer {fewer}, a smaller --batch-size or a smaller --tile",
    )


def _require_store_space(ready: Preflight, store: str) -> None:
    if is_url(store):  # of those nothing is known
        return
    place, needed = _folder(store), ready.plan.block_bytes
    free = shutil.disk_usage(existing_parent(place)).free
    if free < needed and free + _size(place) < needed:
        raise OutputError(
            f"{store}: {human_bytes(free)} free; finished blocks need about {human_bytes(needed)}",
            remedy="free some space, or name another --store",
        )


def season_shortage(needs: Sequence[tuple[int, int]], folder: Path) -> str | None:
    """What many runs, one after the other, lack in space; None where there is enough for all.

    ``needs`` are bytes: what each run needs while it is at work, and what it keeps of that.
    """
    free = shutil.disk_usage(existing_parent(folder)).free
    needed = sum(kept for _, kept in needs) + max((all_ - kept for all_, kept in needs), default=0)
    if free >= needed or len(needs) < 2:  # one by itself is refused
        return None
    return (
        f"{folder}: {human_bytes(free)} free; these {len(needs)} rasters may need {human_bytes(needed)} "
        "together, and the last ones may find no room: free some space, or choose another --out for some"
    )


def _size(folder: Path | None) -> int:
    """Bytes of all that lies in a folder, 0 where there is none."""
    size = 0
    for file in folder.rglob("*") if folder is not None else ():
        with suppress(OSError):  # gone again: another process may be at work there
            size += file.stat().st_size
    return size


def human_bytes(n: float) -> str:
    """1536 → ``1.5 KB`` (powers of 1000).

    >>> human_bytes(1_234_000_000)
    '1.2 GB'
    """
    for unit in ("B", "KB", "MB", "GB"):
        if n < 1000:
            return f"{n:.0f} {unit}" if unit == "B" else f"{n:.1f} {unit}"
        n /= 1000
    return f"{n:.1f} TB"
