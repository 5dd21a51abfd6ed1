"""Pictures and their masks, found by name in the ways in which people lay them out.

``images/a.jpg`` with ``masks/a.png`` (also in subfolders), or ``a.jpg`` with ``a_mask.png`` beside it. Upper
and lower case, and the ways to write é in Unicode, are one.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from cropseg_geo.errors import InputError
from training.sources.dataset import RUN_DATASET, is_dataset
from training.sources.pictures import SUFFIXES

IMAGE_FOLDERS = ("images", "image", "imgs", "img", "rgb", "jpegimages")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "gt", "segmentationclass")
_MASK_END = re.compile(
    r"[ ._-](mask|masks|label|labels|gt|seg|segmentation|annotation|truth)$", re.IGNORECASE
)
_IMAGE_END = re.compile(r"[ ._-](image|img|rgb)$", re.IGNORECASE)

LAYOUT = (
    "put pictures into images/ and masks of the same names into masks/, "
    "or name them a.jpg and a_mask.png side by side"
)

_NAMED = 5


@dataclass(frozen=True)
class PicturePair:
    """A picture and its mask; ``key`` is their name in lower case, without suffix, with its subfolders."""

    key: str
    image: Path
    mask: Path


def find_pairs(folder: Path, listener: Callable[[str], None] = lambda note: None) -> tuple[PicturePair, ...]:
    """The pairs of a folder, in natural order of their names.

    They lie in a folder of pictures and one of masks, or in such two in each of several subfolders (``train``
    and ``val``), or side by side. The listener is told of pictures that lie elsewhere. Datasets that ``tune``
    made, and the runs that hold one, are passed over.

    Raises
    ------
    InputError
        If there are none, a picture or mask has no partner, or two files claim one name.
    """
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder", remedy=LAYOUT)
    images, masks = _two_of_each(folder)
    if not images or not masks:
        raise InputError(f"{folder}: {len(images)} pictures and {len(masks)} masks found", remedy=LAYOUT)
    lonely = [str(images[key]) for key in images.keys() - masks.keys()]
    lonely += [str(masks[key]) for key in masks.keys() - images.keys()]
    if lonely:
        raise InputError(
            f"{len(lonely)} of {len(images) + len(masks)} files have no partner: {listed(lonely)}",
            remedy=f"{LAYOUT}; take out pictures without a mask",
        )
    if left_out := sorted({*_files(folder)} - {*images.values(), *masks.values()}):
        listener(
            f"{len(left_out)} files are left out, for they lie outside of the folders of pictures and masks; "
            f"the first is {left_out[0]}"
        )
    return tuple(PicturePair(key, images[key], masks[key]) for key in sorted(images, key=natural))


def natural(key: str) -> tuple[tuple[int, str], ...]:
    """Sorts numbers within names by value: a2 before a10."""
    parts = re.split(r"(\d+)", key.lower())
    return tuple((int(part), "") if part.isdigit() else (-1, part) for part in parts if part)


def listed(entries: Sequence[str]) -> str:
    """Some of the entries, one a line, and how many more there are."""
    shown = "\n  ".join(sorted(entries)[:_NAMED])
    more = f"\n  and {len(entries) - _NAMED} more" if len(entries) > _NAMED else ""
    return f"\n  {shown}{more}"


_ByKey = dict[str, Path]


def _two_of_each(folder: Path) -> tuple[_ByKey, _ByKey]:
    """Pictures and masks by key, in whichever of the layouts is there."""
    pictures, masks = _subfolder(folder, IMAGE_FOLDERS), _subfolder(folder, MASK_FOLDERS)
    if pictures and masks:
        return _in_folders(pictures, masks)
    if there := pictures or masks:
        raise InputError(f"{there} is there, but not the other of images/ and masks/", remedy=LAYOUT)
    parts = [
        (part.name, _in_folders(pictures, masks))
        for part in _folders(folder)
        if (pictures := _subfolder(part, IMAGE_FOLDERS)) and (masks := _subfolder(part, MASK_FOLDERS))
    ]
    if parts:
        return _below((name, images) for name, (images, _) in parts), _below((n, m) for n, (_, m) in parts)
    files = _files(folder)
    return (
        _by_key(folder, [f for f in files if not _MASK_END.search(f.stem)], _IMAGE_END),
        _by_key(folder, [f for f in files if _MASK_END.search(f.stem)], _MASK_END),
    )


def _in_folders(pictures: Path, masks: Path) -> tuple[_ByKey, _ByKey]:
    return (
        _by_key(pictures, _files(pictures), _IMAGE_END),
        _by_key(masks, _files(masks), _MASK_END),
    )


def _below(parts: Iterable[tuple[str, _ByKey]]) -> _ByKey:
    return {f"{name}/{key}": path for name, found in parts for key, path in found.items()}


def _subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of the folders of these names that holds pictures; without any, the first."""
    there = {path.name.lower(): path for path in _folders(folder)}
    named = [there[name] for name in names if name in there]
    return next((path for path in named if _files(path)), named[0] if named else None)


def _folders(folder: Path) -> list[Path]:
    there = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    return [path for path in there if not _is_made(path)]


def _files(folder: Path) -> list[Path]:
    """Pictures at any depth; hidden files, such as macOS makes beside others, are none."""
    found: list[Path] = []
    for top, folders, names in os.walk(folder):
        parent = Path(top)
        folders[:] = [name for name in folders if not name.startswith(".") and not _is_made(parent / name)]
        found += [parent / name for name in names if not name.startswith(".")]
    return sorted(path for path in found if path.suffix.lower() in SUFFIXES and path.is_file())


def _is_made(folder: Path) -> bool:
    """Whether a folder is a dataset, or the run that holds one."""
    return is_dataset(folder) or is_dataset(folder / RUN_DATASET)


def _by_key(folder: Path, files: Iterable[Path], ending: re.Pattern[str]) -> _ByKey:
    found: _ByKey = {}
    for path in files:
        name = path.relative_to(folder).with_name(ending.sub("", path.stem) or path.stem).as_posix()
        # macOS stores letters and their accents apart, others together: the same name to whoever reads it.
        key = unicodedata.normalize("NFC", name).lower()
        if key in found:
            raise InputError(
                f"{found[key]} and {path} have one name",
                remedy=f"if one is the other's mask, rename it {path.stem}_mask{path.suffix}; if both are "
                "pictures, rename one and its mask",
            )
        found[key] = path
    return found
