"""A folder of pictures and masks → a dataset folder.

Pairs are found by name: ``images/a.jpg`` with ``masks/a.png`` (also in subfolders), or ``a.jpg`` with
``a_mask.png`` beside it. Upper and lower case, and the ways to write é in Unicode, are one.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from training.data import UNKNOWN
from training.sources.dataset import Dataset, Origin, Piece, write_dataset
from training.sources.masks import open_mask, read_mask, to_vegetation
from training.sources.pictures import SUFFIXES, is_turned, open_picture, same_place, shape_of
from training.sources.white import white_means_unknown
from training.sources.windows import SIDE_PX, cut, cut_enough, how_many, thin

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "rgb")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "gt")
_MASK_END = re.compile(
    r"[ ._-](mask|masks|label|labels|gt|seg|segmentation|annotation|truth)$", re.IGNORECASE
)
_IMAGE_END = re.compile(r"[ ._-](image|img|rgb)$", re.IGNORECASE)
_COUNTER = re.compile(r"[ ._-]*\d+$")

LAYOUT = (
    "put pictures into images/ and masks of the same names into masks/, "
    "or name them a.jpg and a_mask.png side by side"
)
LEAST_PX = 32
"""The network's stride: smaller pictures are less than one cell of its coarsest map."""

_NAMED = 5
_RUNS = 5


@dataclass(frozen=True)
class PicturePair:
    """A picture and its mask; ``key`` is their name in lower case, without suffix, with its subfolders."""

    key: str
    image: Path
    mask: Path


def prepare_pairs(
    folder: Path,
    target: Path,
    *,
    name: str,
    licence: str = "",
    listener: Callable[[str], None] = lambda note: None,
    on_piece: Callable[[], None] = lambda: None,
) -> Dataset:
    """Make a dataset of the pairs in a folder.

    Parameters
    ----------
    folder
        Where the pictures are.
    target
        The dataset folder; taken up again where it is there already.
    name, licence
        Of the dataset.
    listener
        Told what 255 in the masks was taken for, and if not all that is labelled is used.
    on_piece
        Called after each piece.

    Raises
    ------
    InputError
        If a picture or mask has no partner, a pair differs in size or place, a picture is there twice, or a
        file cannot be read; names some. Nothing of the dataset is left then.
    """
    pairs = find_pairs(folder)
    origin = Origin("pairs", name, licence, tuple(path for pair in pairs for path in (pair.image, pair.mask)))
    shapes = require_fitting(pairs)
    _refuse_copies(pairs)
    white_is_unknown = white_means_unknown(((pair.mask, shapes[pair.key]) for pair in pairs), listener)
    pieces = _pieces(pairs, shapes, listener, white_is_unknown=white_is_unknown)
    return write_dataset(target, origin, pieces, on_piece=on_piece)


def find_pairs(folder: Path) -> tuple[PicturePair, ...]:
    """The pairs of a folder, in natural order of their names.

    Raises
    ------
    InputError
        If there are none, a picture or mask has no partner, or two files claim one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", remedy=LAYOUT)
    image_folder, mask_folder = _subfolder(folder, IMAGE_FOLDERS), _subfolder(folder, MASK_FOLDERS)
    if (image_folder is None) != (mask_folder is None):
        there = image_folder or mask_folder
        raise InputError(f"{there} is there, but not the other of images/ and masks/", remedy=LAYOUT)
    if image_folder and mask_folder:
        images = _by_key(image_folder, _files(image_folder), _IMAGE_END)
        masks = _by_key(mask_folder, _files(mask_folder), _MASK_END)
    else:
        files = _files(folder)
        images = _by_key(folder, [f for f in files if not _MASK_END.search(f.stem)], _IMAGE_END)
        masks = _by_key(folder, [f for f in files if _MASK_END.search(f.stem)], _MASK_END)
    if not images or not masks:
        raise InputError(f"{folder}: {len(images)} pictures and {len(masks)} masks found", remedy=LAYOUT)
    lonely = [str(images[key]) for key in images.keys() - masks.keys()]
    lonely += [str(masks[key]) for key in masks.keys() - images.keys()]
    if lonely:
        raise InputError(
            f"{len(lonely)} of {len(images) + len(masks)} files have no partner: {_listed(lonely)}",
            remedy=f"{LAYOUT}; take out pictures without a mask",
        )
    return tuple(PicturePair(key, images[key], masks[key]) for key in sorted(images, key=natural))


def require_fitting(pairs: Sequence[PicturePair]) -> dict[str, tuple[int, int]]:
    """Rows and columns of each pair by its key; from the files' headers alone.

    Raises
    ------
    InputError
        If files cannot be read, are too small, or a mask has another size than its picture, or other
        coordinates; names some.
    """
    shapes: dict[str, tuple[int, int]] = {}
    wrong: list[str] = []
    for pair in pairs:
        try:
            shape, mask_shape = shape_of(pair.image), shape_of(pair.mask)
        except InputError as err:
            wrong.append(err.message)
            continue
        shapes[pair.key] = shape
        if shape != mask_shape:
            sizes = f"{shape[1]} × {shape[0]}, its mask {mask_shape[1]} × {mask_shape[0]} px"
            aside = "; it is turned as its EXIF says, the mask is not" if is_turned(pair.image) else ""
            wrong.append(f"{pair.image}: {sizes}{aside if shape == mask_shape[::-1] else ''}")
        elif min(shape) < LEAST_PX:
            wrong.append(f"{pair.image}: {shape[1]} × {shape[0]} px; a network needs {LEAST_PX} px a side")
        elif not same_place(pair.image, pair.mask):
            wrong.append(f"{pair.image}: lies at other coordinates than its mask")
    if wrong:
        raise InputError(
            f"{len(wrong)} of {len(pairs)} pairs cannot be used: {_listed(wrong)}",
            remedy="a mask has one pixel for each of its picture; export these again or take them out",
        )
    return shapes


def _refuse_copies(pairs: Sequence[PicturePair]) -> None:
    """A copy in training of what is held out would flatter the score."""
    first: dict[bytes, Path] = {}
    copies: list[str] = []
    for pair in pairs:
        with pair.image.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").digest()
        if first.setdefault(digest, pair.image) != pair.image:
            copies.append(f"{pair.image} is {first[digest]}")
    if copies:
        raise InputError(
            f"{len(copies)} of {len(pairs)} pictures are there twice: {_listed(copies)}",
            remedy="keep one of each, with its mask: a copy of what is held out would be trained on",
        )


def groups_of(keys: Sequence[str]) -> dict[str, str]:
    """Key → group: what is held out together.

    Pictures in two or more subfolders are grouped by subfolder. Otherwise by series, names that differ in a
    counter at their end; a series with more than a quarter of all pictures falls into runs of neighbours in
    order of their counters, a fifth of all pictures each.
    """
    parents = {key: key.rpartition("/")[0] for key in keys}
    if len(set(parents.values())) > 1:
        return {key: parent or "." for key, parent in parents.items()}
    groups: dict[str, str] = {}
    ordered = sorted(keys, key=lambda key: (_series(key), natural(key)))
    run = max(1, len(keys) // _RUNS)
    for series, members in groupby(ordered, key=_series):
        names = list(members)
        too_long = len(names) > max(1, len(keys) // 4)
        for index, key in enumerate(names):
            # The last run takes what is left over.
            number = min(index // run, max(0, len(names) // run - 1))
            groups[key] = f"{series} {number + 1}" if too_long else series
    return groups


def natural(key: str) -> tuple[tuple[int, str], ...]:
    """Sorts numbers within names by value: a2 before a10."""
    parts = re.split(r"(\d+)", key.lower())
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts if part)


def _series(key: str) -> str:
    return _COUNTER.sub("", key) or "series"


def _pieces(
    pairs: Sequence[PicturePair],
    shapes: Mapping[str, tuple[int, int]],
    listener: Callable[[str], None],
    *,
    white_is_unknown: bool,
) -> Iterator[Piece]:
    groups = groups_of([pair.key for pair in pairs])
    numbers = {pair.key: number for number, pair in enumerate(pairs, start=1)}
    jobs = [(pair, window) for pair in pairs for window in _windows(shapes[pair.key], len(pairs))]
    jobs = list(thin(jobs, how_many([window for _, window in jobs], listener)))
    for pair, members in groupby(jobs, key=lambda job: job[0]):
        picture, mask = open_picture(pair.image), open_mask(pair.mask)
        for _, window in members:
            pixels, valid = picture.read(window)
            labels = to_vegetation(read_mask(mask, window), white_is_unknown=white_is_unknown)
            place = "" if window.shape == picture.shape else f"_r{window.row}_c{window.col}"
            stem = re.sub(r"[^\w.-]+", "-", pair.key)
            yield Piece(
                # The number keeps names apart that differ only in what file names cannot hold.
                f"{numbers[pair.key]:04d}_{stem}{place}",
                # One picture alone is held out by its windows, as an orthomosaic is.
                groups[pair.key] if len(pairs) > 1 else f"r{window.row}_c{window.col}",
                pixels,
                np.where(valid, labels, np.uint8(UNKNOWN)),
            )


def _windows(shape: tuple[int, int], n_pairs: int) -> tuple[Window, ...]:
    whole = Window(0, 0, *shape)
    return cut(whole, SIDE_PX) if n_pairs > 1 else cut_enough(whole, lambda _: True)


def _subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    there = {path.name.lower(): path for path in folder.iterdir() if path.is_dir()}
    return next((there[name] for name in names if name in there), None)


def _files(folder: Path) -> list[Path]:
    """Pictures at any depth; hidden files, such as macOS makes beside others, are none."""
    return [
        path
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _by_key(folder: Path, files: Iterable[Path], ending: re.Pattern[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in files:
        name = path.relative_to(folder).with_name(ending.sub("", path.stem) or path.stem).as_posix()
        # macOS stores letters and their accents apart, others together: the same name to whoever reads it.
        key = unicodedata.normalize("NFC", name).lower()
        if key in found:
            raise InputError(
                f"{found[key]} and {path} have one name",
                remedy="keep one of them, or rename it and its partner",
            )
        found[key] = path
    return found


def _listed(entries: Sequence[str]) -> str:
    shown = "\n  ".join(sorted(entries)[:_NAMED])
    more = f"\n  and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return f"\n  {shown}{more}"
