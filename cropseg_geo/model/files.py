"""Model files on disk, whatever their format."""

from __future__ import annotations

import hashlib
from pathlib import Path

from cropseg_geo.errors import ModelError

FETCH_AGAIN = "fetch the model file again, or reinstall CropSeg-Geo"
_SAME_EVERYWHERE = "install the same version of CropSeg-Geo on all machines"


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
