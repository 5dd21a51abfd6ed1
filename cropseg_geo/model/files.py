"""Model files on disk, whatever their format."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path

from cropseg_geo.errors import ModelError, OutputError

FETCH_AGAIN = "fetch the model file again, or reinstall CropSeg-Geo"
_SAME_EVERYWHERE = "install the same version of CropSeg-Geo on all machines"


def replace_file(path: Path, content: bytes) -> None:
    """Write beside the target, then rename: a reader sees the old file or the new one, never a part.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".part")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            # mkstemp makes the file private; a model is as readable as any other file of the project.
            Path(name).chmod(0o644)
            Path(name).replace(path)
        finally:
            Path(name).unlink(missing_ok=True)
    except OSError as err:
        raise OutputError(
            f"cannot write {path}: {err}", remedy="check the folder and the free space"
        ) from err


def file_digest(path: Path) -> str:
    """SHA-256 of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_digest(path: Path, digest: str) -> None:
    """Raise ModelError if a file is not the one that another machine means by its name."""
    try:
        found = file_digest(path)
    except OSError as err:
        raise ModelError(f"cannot read the model file {path}: {err}", remedy=_SAME_EVERYWHERE) from err
    if found != digest:
        raise ModelError(
            f"{path}: is another file (SHA-256 {found[:12]}…) than where the job was given ({digest[:12]}…)",
            remedy=_SAME_EVERYWHERE,
        )
