"""The hidden folder in which the engine works, beside the file that will come of it."""

from __future__ import annotations

import errno
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from .language import tr
from .process import Cancelled

_BLOCKS = "blocks.zarr"
_CLAIM = "claimed"
_ON_WINDOWS = os.name == "nt"
_TRIES, _WAIT_S = 5, 0.2
"""Windows moves and removes no file that is open, as for a moment those are that a virus scanner reads, or
that a killed program had."""

_LEFTOVERS = {".gpkg": ("-wal", "-shm"), ".tif": (".aux.xml", ".ovr"), ".tiff": (".aux.xml", ".ovr")}
"""What others keep beside a file, and what would be read with the one that replaces it."""


class PlaceError(Exception):
    """A finished file that could not be given its final name; ``str()`` says why and what to do."""


@contextmanager
def workspace(destination: Path, *, keep_blocks: bool) -> Iterator[Path]:
    """A hidden folder beside ``destination``, named after it, for one run at a time.

    It goes when the work is done. When the work stops early, half files go, and with ``keep_blocks`` the
    blocks that were finished stay: the same job, started again, goes on from them.

    Raises
    ------
    PlaceError
        If another run works there; its files are left alone.
    """
    # The engine starts in another folder: a name that counts from here would lead elsewhere from there.
    work = destination.absolute().with_name(f".{destination.stem}.cropseg")
    work.mkdir(parents=True, exist_ok=True)
    with _claimed(work, destination):
        try:
            yield work
        except BaseException as stopped:
            tidy(work, keep_blocks=keep_blocks)
            if isinstance(stopped, Cancelled):
                stopped.keeps_blocks = holds_blocks(work)
            raise
        tidy(work, keep_blocks=False)


@contextmanager
def _claimed(work: Path, destination: Path) -> Iterator[None]:
    """Keep other runs out of a folder, and remove it at the end if nothing is left in it."""
    path = work / _CLAIM
    with path.open("a", encoding="utf-8") as claim:
        if not _lock(claim):
            raise PlaceError(
                tr(
                    "Another run writes {} at this moment.\n→ wait until it is done, or choose another name"
                ).format(destination)
            )
        try:
            yield
        finally:
            claim.close()
            with suppress(OSError):  # finished blocks are in it, or what could not be removed
                path.unlink(missing_ok=True)
                work.rmdir()


def _lock(claim: TextIO) -> bool:
    """Lock a file until it is closed or this process ends; False if another one has it."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(claim.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def tidy(work: Path, *, keep_blocks: bool) -> None:
    """Remove all but the claim and, if they are to be kept, finished blocks.

    What cannot be removed is no reason to fail: it stays for the next run of that name.
    """
    kept = _BLOCKS if keep_blocks and holds_blocks(work) else None
    for _ in range(_TRIES):
        if _sweep(work, kept):
            break
        time.sleep(_WAIT_S)


def _sweep(work: Path, kept: str | None) -> bool:
    """One round of :func:`tidy`; True if every file went that should."""
    is_clean = True
    for folder, folders, names in os.walk(work, topdown=False):
        if kept not in Path(folder).parts:
            for name in names:
                if name != _CLAIM:
                    try:
                        Path(folder, name).unlink(missing_ok=True)
                    except OSError:
                        is_clean = False
            for name in folders:
                with suppress(OSError):  # something is in it
                    Path(folder, name).rmdir()
    return is_clean


def holds_blocks(work: Path) -> bool:
    """True if an engine that worked here finished at least one block: each leaves a file beside the facts."""
    return any(p.is_file() and p.name != "zarr.json" for p in work.glob(f"*/{_BLOCKS}/**/*"))


def place(source: Path, destination: Path) -> None:
    """Give a finished file its final name, replacing an earlier one, which stays whole until then.

    Raises
    ------
    PlaceError
        If it cannot have it.
    """
    destination.parent.mkdir(parents=True, exist_ok=True)
    try:
        _replace(source, destination)
        for leftover in _LEFTOVERS.get(destination.suffix.lower(), ()):
            destination.with_name(destination.name + leftover).unlink(missing_ok=True)
    except OSError as err:
        raise _hindered([destination], err) from err


def require_replaceable(paths: Iterable[Path]) -> None:
    """Raise PlaceError for files that Windows keeps in place, since a layer or another program has them open.

    It does not let them be renamed either, be it to their own names. Other systems replace any file.
    """
    held = {path: err for path in paths if _ON_WINDOWS and (err := _hindrance(path))}
    if held:
        reason = next(iter(held.values()))
        raise _hindered(held, reason) from reason


def _hindrance(path: Path) -> PermissionError | None:
    try:
        if path.exists():
            _move(path, path)
    except PermissionError as err:
        return err
    return None


def _hindered(paths: Iterable[Path], err: OSError) -> PlaceError:
    return PlaceError(
        tr(
            "{} cannot be written ({}).\n"
            "→ remove the layer that shows this file from the project, or choose another name"
        ).format(", ".join(map(str, paths)), err.strerror or err)
    )


def _move(source: Path, destination: Path) -> None:
    """Rename a file; on Windows it is tried for a while. Raises OSError."""
    for left in reversed(range(_TRIES if _ON_WINDOWS else 1)):
        try:
            source.replace(destination)
            return
        except PermissionError:
            if not left:
                raise
        time.sleep(_WAIT_S)


def _replace(source: Path, destination: Path) -> None:
    try:
        _move(source, destination)
    except OSError as err:
        if err.errno != errno.EXDEV:
            raise
        # Another file system: only what lies in the same folder takes a place at once.
        draft = destination.with_name(f".{destination.name}.draft")
        try:
            shutil.copyfile(source, draft)
            _move(draft, destination)
        finally:
            with suppress(OSError):
                draft.unlink(missing_ok=True)
