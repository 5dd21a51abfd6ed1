"""Where finished blocks are kept: a folder, or any URL that fsspec knows.

What serves a URL raises errors of its own, not all of them OSErrors (botocore's are not). Here they become
ours, with what can be done about them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import uuid4

from cropseg_geo.errors import CropsegError, InputError, OutputError
from cropseg_geo.paths import existing_parent

_INSTALL = {"s3": "pip install s3fs", "s3a": "pip install s3fs"}
_AGAIN = "run the same command again; finished blocks are kept"


def is_url(place: str) -> bool:
    """True for what is no folder of this machine.

    >>> is_url("s3://bucket/run"), is_url("file:///data/run"), is_url("/data/run")
    (True, False, False)
    """
    return "://" in place and not place.startswith("file://")


def require_usable(place: str, *, make: bool = True) -> None:
    """Write, list, read and delete a small file there: what a run does with its blocks.

    A folder is made for that; ``make=False`` does it in the nearest one above that is there.

    Raises
    ------
    InputError
        If what serves such URLs is not installed, or the URL names nothing.
    OutputError
        If the place cannot be reached, or does not allow one of these.
    """
    with reported(place, "cannot hold the finished blocks"):
        filesystem, path = _opened(place)
        if not is_url(place):
            if make:
                filesystem.makedirs(path, exist_ok=True)
            else:
                path = str(existing_parent(Path(path)))
        probe = f"{path}/.cropseg-{uuid4().hex}"
        filesystem.pipe_file(probe, b"cropseg")
        filesystem.find(probe)
        filesystem.cat_file(probe)
        filesystem.rm_file(probe)


def holds_files(place: str) -> bool:
    """True if there is at least one file at or below a place. Raises as :func:`require_usable`."""
    with reported(place, "cannot be looked at"):
        filesystem, path = _opened(place)
        return bool(filesystem.find(path))


def remove(place: str) -> None:
    """Delete all that is there, if anything is. Raises as :func:`require_usable`."""
    with reported(place, "the blocks there could not be deleted"), suppress(FileNotFoundError):
        filesystem, path = _opened(place)
        filesystem.rm(path, recursive=True)


def put(file: Path, place: str) -> None:
    """Copy a file to a place in a folder or below a URL that exist. Raises as :func:`require_usable`."""
    with reported(place, "cannot be written"):
        filesystem, path = _opened(place)
        filesystem.put_file(str(file), path)


def bring(place: str, file: Path) -> None:
    """Copy what lies at a place to a file. Raises as :func:`require_usable`."""
    with reported(place, "cannot be read"):
        filesystem, path = _opened(place)
        filesystem.get_file(path, str(file))


@contextmanager
def reported(place: str, failure: str) -> Iterator[None]:
    """Whatever a place refuses within becomes an error of ours: ``place: failure (why)``, and a remedy."""
    try:
        yield
    except (CropsegError, MemoryError):
        raise
    except ImportError as err:
        raise InputError(f"{place}: {err}", remedy=_INSTALL.get(_scheme(place), str(err))) from err
    except Exception as err:
        why = (str(err).splitlines() or [type(err).__name__])[0]
        raise OutputError(f"{place}: {failure} ({why})", remedy=_remedy(place, err)) from err


def _opened(place: str) -> tuple[Any, str]:  # Any: fsspec is not typed
    """The file system of a place, and the path within it."""
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(place)
    except ValueError as err:
        raise InputError(
            f"{place}: no such kind of URL ({err})",
            remedy="give a folder, or a URL such as s3://bucket/folder",
        ) from err
    if not path.strip("/"):
        raise InputError(f"{place}: names no place", remedy="name it, as in s3://bucket/folder")
    # Other processes have written since the last look.
    filesystem.invalidate_cache()
    return filesystem, path.rstrip("/")


def _scheme(place: str) -> str:
    return place.partition("://")[0].lower()


def _remedy(place: str, err: Exception) -> str:
    if not is_url(place) and isinstance(err, FileNotFoundError):
        return f"see that the folder and its disk are there and its name is not too long, then {_AGAIN}"
    if not is_url(place):
        return f"check the folder and free some disk space, then {_AGAIN}"
    is_s3 = _scheme(place) in _INSTALL
    if isinstance(err, FileNotFoundError):
        return "correct the URL, or make the bucket first"
    if isinstance(err, PermissionError) or "Credentials" in type(err).__name__:
        who = " of AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY" if is_s3 else ""
        return f"check the credentials{who}: they must allow to list, read, write and delete there"
    where = ", and AWS_ENDPOINT_URL for a server that is not Amazon's" if is_s3 else ""
    return f"check the network{where}; then {_AGAIN}"
