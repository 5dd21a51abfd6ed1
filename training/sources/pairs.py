"""A folder of pictures and masks → a dataset folder."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from training.data import UNKNOWN
from training.sources.dataset import Dataset, Origin, Piece, write_dataset
from training.sources.finding import PicturePair, find_pairs, listed, natural
from training.sources.masks import open_mask, read_mask, to_vegetation
from training.sources.palettes import masks_by_colour
from training.sources.pictures import open_picture, orientation_of, same_place, shape_of
from training.sources.white import white_means_unknown
from training.sources.windows import SIDE_PX, cut, cut_enough, how_many, thin

_COUNTER = re.compile(r"[ ._-]*\d+$")

LEAST_PX = 32
"""The network's stride: smaller pictures are less than one cell of its coarsest map."""

_RUNS = 5


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
        Told what 255 in the masks was taken for, and black in palettes of several classes, if not all that
        is there is used, and of pictures that are turned by their EXIF.
    on_piece
        Called after each piece.

    Raises
    ------
    InputError
        If a picture or mask has no partner, a pair differs in size or place, a picture is there twice, or a
        file cannot be read; names some. Nothing of the dataset is left then.
    """
    pairs = find_pairs(folder, listener)
    inputs = tuple(path for pair in pairs for path in (pair.image, pair.mask))
    origin = Origin("pairs", name, licence, inputs, named=tuple(pair.image for pair in pairs))
    shapes = require_fitting(pairs)
    _refuse_copies(pairs)
    _tell_of_turned(pairs, listener)
    by_colour = masks_by_colour((pair.mask for pair in pairs), listener)
    masks = ((pair.mask, shapes[pair.key]) for pair in pairs)
    white_is_unknown = white_means_unknown(masks, listener, by_colour=by_colour)
    pieces = _pieces(pairs, shapes, listener, by_colour=by_colour, white_is_unknown=white_is_unknown)
    return write_dataset(target, origin, pieces, on_piece=on_piece)


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
            aside = (
                "; it is turned as its EXIF says, the mask is not" if orientation_of(pair.image) != 1 else ""
            )
            wrong.append(f"{pair.image}: {sizes}{aside if shape == mask_shape[::-1] else ''}")
        elif min(shape) < LEAST_PX:
            wrong.append(f"{pair.image}: {shape[1]} × {shape[0]} px; a network needs {LEAST_PX} px a side")
        elif not same_place(pair.image, pair.mask):
            wrong.append(f"{pair.image}: lies at other coordinates than its mask")
    if wrong:
        raise InputError(
            f"{len(wrong)} of {len(pairs)} pairs cannot be used: {listed(wrong)}",
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
            f"{len(copies)} of {len(pairs)} pictures are there twice: {listed(copies)}",
            remedy="keep one of each, with its mask: a copy of what is held out would be trained on",
        )


def _tell_of_turned(pairs: Sequence[PicturePair], listener: Callable[[str], None]) -> None:
    """Say which pictures are turned and their masks are not, though both have one size: nobody can tell."""
    turned = [p.image for p in pairs if orientation_of(p.image) not in (1, orientation_of(p.mask))]
    if turned:
        listener(
            f"{len(turned)} pictures are turned as their EXIF says, and their masks have no such mark: these "
            f"are taken to be painted over the turned picture; the first is {turned[0]}"
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


def _series(key: str) -> str:
    return _COUNTER.sub("", key) or "series"


def _pieces(
    pairs: Sequence[PicturePair],
    shapes: Mapping[str, tuple[int, int]],
    listener: Callable[[str], None],
    *,
    by_colour: Collection[Path],
    white_is_unknown: bool,
) -> Iterator[Piece]:
    groups = groups_of([pair.key for pair in pairs])
    numbers = {pair.key: number for number, pair in enumerate(pairs, start=1)}
    jobs = [(pair, window) for pair in pairs for window in _windows(shapes[pair.key], len(pairs))]
    jobs = list(thin(jobs, how_many([window for _, window in jobs], listener)))
    for pair, members in groupby(jobs, key=lambda job: job[0]):
        picture, mask = open_picture(pair.image), open_mask(pair.mask, by_colour=pair.mask in by_colour)
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
                # With its subfolders, in which other pictures may have the same name.
                "/".join((*pair.key.split("/")[:-1], pair.image.name)),
            )


def _windows(shape: tuple[int, int], n_pairs: int) -> tuple[Window, ...]:
    whole = Window(0, 0, *shape)
    return cut(whole, SIDE_PX) if n_pairs > 1 else cut_enough(whole, lambda _: True)
