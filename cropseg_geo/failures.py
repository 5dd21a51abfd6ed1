"""What stopped a job or a command, in words for the program that reads its events."""

from __future__ import annotations

from cropseg_geo.addresses import without_secrets
from cropseg_geo.errors import CropsegError
from cropseg_geo.events import Failed


def failure_of(err: Exception) -> Failed:
    """The last event of what an error has ended."""
    if isinstance(err, CropsegError):
        return Failed(type(err).__name__, err.message, err.remedy)
    if isinstance(err, MemoryError):
        return Failed(
            "ResourceError",
            f"the memory of this machine is used up ({err})",
            "close other programs, or use fewer lanes, or smaller batches",
        )
    if isinstance(err, ImportError):
        # A package that is missing or damaged is no mistake of the engine's code; its cause says which file.
        while isinstance(err.__cause__, ImportError):
            err = err.__cause__
        return Failed(
            "BrokenInstallation",
            f"a part of the engine cannot be loaded ({err})",
            "install the engine again; where a virus scanner removes files, except its folder first",
        )
    return Failed(
        "InternalError",
        without_secrets(f"{type(err).__name__}: {err}"),
        "this is a mistake in the engine; please report it with its log",
    )
