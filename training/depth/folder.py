"""Depth of a folder of pictures: one TIFF each, resumable, never half a file.

A depth file is a float32 TIFF of the picture's size, relative inverse depth, higher = closer. ``depth.json``
beside them says which weights made them; a folder holds depth of one set of weights only.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.errors import NotGeoreferencedWarning, RasterioError

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.paths import replace_file
from training.data import read_image
from training.depth.sizes import DepthSize

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

IDENTITY = "depth.json"
SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})

_FREE_SPACE = "check the folder and the free space; finished pictures are kept"


@dataclass(frozen=True)
class Job:
    """A picture and the depth file to make of it."""

    picture: Path
    target: Path


@dataclass(frozen=True)
class Outcome:
    """How many were made, how many were there already, and why the others were not made."""

    made: int
    skipped: int
    failures: tuple[str, ...]


def plan_jobs(images: Path, out: Path) -> tuple[Job, ...]:
    """One job for each picture, in alphabetical order.

    Parameters
    ----------
    images
        A picture, or a folder that is searched with its subfolders.
    out
        Folder of the depth files; subfolders as in ``images``, ``rows/1.jpg`` → ``rows/1.tif``.

    Raises
    ------
    InputError
        If there are no pictures, two would share a depth file, or ``out`` lies within ``images``.
    """
    if images.is_file():
        return (Job(images, out / f"{images.stem}.tif"),)
    if not images.is_dir():
        raise InputError(f"no pictures: {images} does not exist", remedy="give a picture or a folder of them")
    if out.resolve().is_relative_to(images.resolve()):
        raise InputError(
            f"the output folder {out} lies within the pictures' folder {images}: "
            "its depth files would be taken for pictures",
            remedy="give a folder elsewhere",
        )
    pictures = sorted(path for path in images.rglob("*") if path.suffix.lower() in SUFFIXES)
    jobs = tuple(Job(path, out / path.relative_to(images).with_suffix(".tif")) for path in pictures)
    if not jobs:
        raise InputError(f"no pictures in {images}; expected files {', '.join(sorted(SUFFIXES))}")
    _refuse_shared_targets(jobs)
    return jobs


def run_jobs(
    jobs: Sequence[Job], estimate: Callable[[Pixels], Floats], *, on_picture: Callable[[], None]
) -> Outcome:
    """Make the depth files that are not there yet; a picture that cannot be used does not stop the others.

    Parameters
    ----------
    jobs
        See :func:`plan_jobs`.
    estimate
        Picture (H, W, 3) uint8 → inverse depth (H, W) float32.
    on_picture
        Called after each job, done or not.

    Raises
    ------
    OutputError
        If a file cannot be written.
    """
    made, skipped, failures = 0, 0, []
    for job in jobs:
        # Only complete files have their final name, so one that is there is done.
        if job.target.is_file():
            skipped += 1
        else:
            try:
                depth = estimate(read_image(job.picture))
            except InputError as err:
                failures.append(f"{job.picture}: {err.message}")
            else:
                write_depth(job.target, depth)
                made += 1
        on_picture()
    return Outcome(made, skipped, tuple(failures))


def claim_folder(out: Path, size: DepthSize, weights: Path) -> None:
    """Note in ``out`` which weights its depth comes from; refuse a folder of others.

    Raises
    ------
    InputError
        If the folder holds depth by another size or another file of weights.
    OutputError
        If the note cannot be written.
    """
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    identity = {
        "model": f"Depth Anything V2 {size.name}",
        "licence_of_weights": size.licence,
        "weights_sha256": digest,
        "unit": "relative inverse depth, higher is closer",
    }
    path = out / IDENTITY
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if found != identity:
            theirs = str(found.get("weights_sha256"))
            raise InputError(
                f"{out} holds depth by {found.get('model')}, weights {theirs[:12]}…; "
                f"asked for {identity['model']}, weights {digest[:12]}…",
                remedy="give another folder with --out, or delete this one",
            )
        return
    replace_file(path, (json.dumps(identity, indent=2, sort_keys=True) + "\n").encode())


def write_depth(path: Path, depth: Floats) -> None:
    """Write inverse depth (H, W); beside, then renamed: a file under its name is complete.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _write_tiff(part, depth)
        part.replace(path)
    except (OSError, RasterioError) as err:
        raise OutputError(f"cannot write {path}: {err}", remedy=_FREE_SPACE) from err
    finally:
        # Where not even the folder is there, neither is the part; the error above says why.
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _write_tiff(path: Path, depth: Floats) -> None:
    height, width = depth.shape
    with warnings.catch_warnings():
        # A picture has no place on the ground; rasterio would say so for each.
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        with rasterio.open(
            path,
            "w",
            driver="GTiff",
            height=height,
            width=width,
            count=1,
            dtype="float32",
            compress="deflate",
            # For floats: neighbours' differences, byte plane by byte plane.
            predictor=3,
        ) as file:
            file.write(depth, 1)


def _refuse_shared_targets(jobs: Sequence[Job]) -> None:
    sources: dict[Path, Path] = {}
    for job in jobs:
        if (other := sources.setdefault(job.target, job.picture)) != job.picture:
            raise InputError(
                f"{other} and {job.picture} would both become {job.target}", remedy="rename one of them"
            )
