"""Scenes on disk: a folder that ``training.data`` reads like any other labelled data."""

from __future__ import annotations

import csv
import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from cropseg_geo.errors import InputError
from training.data import write_manifest
from training.simulator.scenes import KINDS, Scene, make_scene

DATASET, ON_COVERS = "simulator", "covers"
"""Names of the datasets: on soils alone, and on covers, too."""

HEIGHT_UNIT_M = 0.001
"""Heights are stored as uint16 multiples of this."""

_COLUMNS = (
    "split", "dataset", "image", "mask", "width", "height", "species", "frac_crop", "frac_weed", "licence",
    "source", "group", "sha256_16", "height_map", "gsd_m",
)  # fmt: skip
_RENDERER = 1
"""Counted up when scenes of the same seed become others, so that no corpus is half of one kind."""

_STREAM = 4107  # keeps the scenes' random numbers apart from those of other uses of the same seed


def write_corpus(
    folder: Path,
    *,
    count: int,
    seed: int,
    size_px: int = 384,
    covers: bool = False,
    workers: int = 1,
    on_scene: Callable[[int], None] = lambda index: None,
) -> Path:
    """Render ``count`` scenes into ``folder``; what is there already is kept.

    A scene depends on (seed, index, size) alone: neither workers nor interruptions change it, and a larger
    corpus begins with the smaller one. The manifest is written last.

    Parameters
    ----------
    covers
        Some of the ground is no soil: asphalt, gravel, film and the like.
    on_scene
        Called with the index of every scene once it is on disk.

    Returns
    -------
    pathlib.Path
        The manifest.

    Raises
    ------
    InputError
        If the folder holds scenes of another seed, size or version of the simulator, or anything else.
    """
    if count < 1:
        raise InputError(f"a corpus of {count} scenes", remedy="ask for at least one with --count")
    dataset = ON_COVERS if covers else DATASET
    _claim(folder, f"{dataset}, seed {seed}, {size_px} px, renderer {_RENDERER}, licence Apache-2.0\n")
    for name in ("images", "masks", "heights", "rows"):
        (folder / name).mkdir(exist_ok=True)
    write = partial(_write_scene, folder, seed, size_px, dataset)
    missing = [index for index in range(count) if not _row_path(folder, index).is_file()]
    for index in sorted(set(range(count)) - set(missing)):
        on_scene(index)
    if workers < 2:
        for index in missing:
            on_scene(write(index))
    else:
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(workers, mp_context=context, initializer=_end_with_parent) as pool:
            for index in pool.map(write, missing):
                on_scene(index)
    rows = [_read_row(_row_path(folder, index)) for index in range(count)]
    return write_manifest(folder, rows, columns=_COLUMNS)


def _end_with_parent() -> None:
    """Let this process end when its parent is gone, which cannot say so where it was killed."""

    def wait() -> None:
        if parent := multiprocessing.parent_process():
            parent.join()
            os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def scene_at(seed: int, index: int, *, size_px: int = 384, covers: bool = False) -> Scene:
    """The scene of a corpus by its index."""
    rng = np.random.default_rng([_STREAM, seed, index])
    return make_scene(rng, size_px=size_px, kind=kind_at(index), covers=covers)


def kind_at(index: int) -> str:
    """The kind of a corpus's scene: by a fixed order that holds every kind in its share."""
    names = list(KINDS)
    shares = np.array([KINDS[name].share for name in names])
    edges = np.cumsum(shares / shares.sum())
    # Steps by the golden ratio spread the kinds evenly over any stretch of indices.
    return names[int(np.searchsorted(edges, (index * 0.6180339887498949 + 0.35) % 1.0))]


def _claim(folder: Path, description: str) -> None:
    path = folder / "CORPUS.txt"
    if not path.is_file():
        # File managers leave hidden files in folders that look empty.
        if folder.is_dir() and any(not path.name.startswith(".") for path in folder.iterdir()):
            raise InputError(
                f"{folder} holds other things than a corpus of scenes",
                remedy="give a new or empty folder with -o",
            )
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(description, encoding="utf-8")
    elif (found := path.read_text(encoding="utf-8")) != description:
        raise InputError(
            f"{folder} holds a corpus of {found.strip()!r}, asked for {description.strip()!r}",
            remedy="give another folder with -o, or remove this one",
        )


def _write_scene(folder: Path, seed: int, size_px: int, dataset: str, index: int) -> int:
    """Render and store one scene; its manifest row comes last and says that it is complete."""
    scene = scene_at(seed, index, size_px=size_px, covers=dataset == ON_COVERS)
    name = f"{index:05d}.png"
    heights = np.clip(np.rint(scene.height_m / HEIGHT_UNIT_M), 0, 65535).astype(np.uint16)
    _save(Image.fromarray(scene.image), folder / "images" / name)
    _save(Image.fromarray(scene.mask), folder / "masks" / name)
    _save(Image.fromarray(heights), folder / "heights" / name)
    digest = hashlib.sha256((folder / "images" / name).read_bytes()).hexdigest()[:16]
    row = {
        "split": "train", "dataset": dataset, "image": f"images/{name}", "mask": f"masks/{name}",
        "width": str(size_px), "height": str(size_px), "species": scene.species,
        "frac_crop": f"{scene.mask.mean():.4f}", "frac_weed": "0.0", "licence": "Apache-2.0 (generated)",
        "source": "training.simulator", "group": scene.kind, "sha256_16": digest,
        "height_map": f"heights/{name}", "gsd_m": f"{scene.gsd_m:.6f}",
    }  # fmt: skip
    path = _row_path(folder, index)
    temporary = path.with_suffix(f".{os.getpid()}")
    with temporary.open("w", newline="", encoding="utf-8") as file:
        csv.DictWriter(file, _COLUMNS, lineterminator="\n").writerow(row)
    temporary.replace(path)
    return index


def _save(image: Image.Image, path: Path) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    image.save(temporary, "PNG", compress_level=4)
    temporary.replace(path)


def _row_path(folder: Path, index: int) -> Path:
    return folder / "rows" / f"{index:05d}.csv"


def _read_row(path: Path) -> dict[str, str]:
    with path.open(newline="", encoding="utf-8") as file:
        return next(csv.DictReader(file, _COLUMNS))
