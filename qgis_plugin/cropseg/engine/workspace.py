"""The hidden folder in which the engine works, beside the file that will come of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_BLOCKS = "blocks.zarr"


class PlaceError(Exception):
    """A finished file that could not be given its final name; ``str()`` says why and what to do."""


@contextmanager
def workspace(destination: Path, *, keep_blocks: bool) -> Iterator[Path]:
    """A hidden folder beside ``destination``, named after it.

    It goes when the work is done. When the work stops early, half files go, and with ``keep_blocks`` the
    blocks that were finished stay: the same job, started again, goes on from them.
    """
    work = destination.with_name(f".{destination.stem}.cropseg")
    work.mkdir(parents=True, exist_ok=True)
    try:
        yield work
    except BaseException:
        tidy(work, keep_blocks=keep_blocks)
        raise
    shutil.rmtree(work, ignore_errors=True)


def tidy(work: Path, *, keep_blocks: bool) -> None:
    """Remove all but finished blocks, and the folder itself if there are none."""
    if not (keep_blocks and holds_blocks(work)):
        shutil.rmtree(work, ignore_errors=True)
        return
    for folder, _, names in os.walk(work):
        if _BLOCKS not in Path(folder).parts:
            for name in names:
                Path(folder, name).unlink(missing_ok=True)


def holds_blocks(work: Path) -> bool:
    """True if an engine that worked here finished at least one block: each leaves a chunk in ``done``."""
    return any(p.is_file() and p.name != "zarr.json" for p in work.glob(f"*/{_BLOCKS}/done/**/*"))


def place(source: Path, destination: Path) -> None:
    """Give a finished file its final name, replacing an earlier one. Raises PlaceError."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        if destination.suffix.lower() == ".gpkg":
            for leftover in ("-wal", "-shm"):
                destination.with_name(destination.name + leftover).unlink(missing_ok=True)
        shutil.move(source, destination)
    except OSError as err:
        raise PlaceError(
            f"{destination} cannot be written ({err.strerror or err}).\n"
            "→ remove the layer that shows this file from the project, or choose another name"
        ) from err
