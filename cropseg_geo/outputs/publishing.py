"""How a finished file comes to its final name: whole, and last of all."""

from __future__ import annotations

import glob
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from cropseg_geo.errors import OutputError, gone
from cropseg_geo.events import Listener, Written
from cropseg_geo.locks import locked
from cropseg_geo.ogr_paths import uncut
from cropseg_geo.outputs.names import Outputs
from cropseg_geo.outputs.refusals import refuse_existing, require_unused, require_utf8, require_writable
from cropseg_geo.paths import is_there, patiently


def publish(drafts: Outputs, final: Outputs, listener: Listener) -> None:
    """Move finished drafts to their final names."""
    for (kind, target), source in zip(final.by_kind, drafts.paths, strict=True):
        move(source, target)
        listener(Written(kind, str(target)))


def move(source: Path, target: Path) -> None:
    """Give a finished file its final name, in one step. Raises OutputError.

    Law: under a final name there is the old file or the whole new one, whenever the power goes.
    """
    if target.exists():
        require_unused(target)
    try:
        _sync(source)
        _allow_as_umask_says(source)
        patiently(lambda: source.replace(target))
    except OSError as err:
        raise OutputError(
            f"{target}: cannot be written ({err.strerror})", remedy="close programs that use it and try again"
        ) from err
    # Windows opens no folder, and shares of other machines sync none; the file is in place.
    with suppress(OSError):
        _sync(target.parent)


def _allow_as_umask_says(draft: Path) -> None:
    """Give a file the permissions of any other new one: SQLite lets groups read its files, and not write."""
    if draft.suffix == ".gpkg" and os.name != "nt":
        usual = draft.with_name(f"{draft.name}.usual")
        usual.touch()
        draft.chmod(stat.S_IMODE(usual.stat().st_mode))
        usual.unlink()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def drafted(final: Path, kind: str, *, overwrite: bool, listener: Listener) -> Iterator[Path]:
    """A hidden name beside ``final`` to write to; it becomes ``final`` when the block ends well.

    ``kind`` is what the file is called where it is announced.

    Raises
    ------
    OutputError
        If the file may not be written, or another run is writing it.
    """
    refuse_existing((final,), overwrite=overwrite)
    require_utf8(final)
    require_writable(final.parent)
    with locked([final]) as locks:
        draft = final.with_name(f".{uncut(final.stem)}.draft{final.suffix}")
        _remove(draft)
        try:
            yield draft
            for lock in locks:
                lock.require_held()
            refuse_existing((final,), overwrite=overwrite)  # it may have come since the work began
            move(draft, final)
        except Exception as err:
            if not is_there(final.parent):
                raise gone(final.parent) from err
            if not isinstance(err, OutputError):
                raise
            # What went wrong with the draft went wrong with the file that was asked for.
            raise OutputError(err.message.replace(str(draft), str(final)), remedy=err.remedy) from err
        finally:
            _remove(draft)
    listener(Written(kind, str(final)))


def write_text(path: Path, text: str) -> None:
    """Write a text file. Raises OutputError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise OutputError(
            f"{path} could not be written: {err.strerror}",
            remedy="check the folder's permissions and the free space on its disk",
        ) from err


def _remove(draft: Path) -> None:
    """The draft and what its writer keeps beside it: journals, spools of spatial indexes.

    No more, as the draft of another file may begin alike: of ``field.geojsonl``, of ``field.fgb``.
    """
    spool = draft.with_name(f"{draft.stem}_temp{draft.suffix.lower()}")
    for path in (draft, spool, *draft.parent.glob(f"{glob.escape(draft.name)}[-.]*")):
        path.unlink(missing_ok=True)
