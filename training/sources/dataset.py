"""Dataset folders: written beside their place, renamed when complete, taken up again when there."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from cropseg_geo.errors import CropsegError, InputError, OutputError, listed
from training.data import UNKNOWN, Pair, Pixels, read_pairs, write_manifest
from training.sources.split import Labels, hold_out

SOURCES = "sources.json"
RUN_DATASET = "dataset"
"""Name of the dataset folder within a run's."""
_KIND = "cropseg-dataset/"
FORMAT = f"{_KIND}3"
"""Counts up when the same files give other pixels or other words about them."""
_SEED = 20260

Option = str | int | float | bool | None | list[str]


@dataclass(frozen=True, eq=False)
class Piece:
    """A labelled picture of a dataset, or a window of one.

    ``image`` (H, W, 3) uint8; ``mask`` (H, W) uint8: 0 background, 1 vegetation, 255 unknown. ``name`` is
    unique; ``group`` joins what a split must not tear apart; ``source`` is the user's picture that it shows,
    where there are several.
    """

    name: str
    group: str
    image: Pixels
    mask: Pixels
    source: str = ""


@dataclass(frozen=True)
class Origin:
    """Where a dataset comes from: equal origins give equal datasets.

    Parameters
    ----------
    kind
        ``pairs``, ``polygons`` or ``heights``.
    dataset
        Name of the dataset: lower-case letters, digits, '.', '_' and '-'.
    licence
        Licence of the pictures and labels, as the user states it; may be empty.
    inputs
        The user's files.
    options
        Everything else that decides on the pixels.
    gsd_m
        Metres per pixel of the pieces; None where nobody knows.
    named
        The inputs that a person is told of; empty for all of them.
    """

    kind: str
    dataset: str
    licence: str
    inputs: tuple[Path, ...]
    options: Mapping[str, Option] = field(default_factory=dict)
    gsd_m: float | None = None
    named: tuple[Path, ...] = ()

    @property
    def identity(self) -> str:
        """Digest of all of it, the files by name, size and time of their last change."""
        stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in self.inputs]
        facts = (FORMAT, self.kind, self.dataset, self.licence, sorted(self.options.items()), self.gsd_m)
        return hashlib.sha256(repr((facts, stats)).encode()).hexdigest()


@dataclass(frozen=True)
class Dataset:
    """A dataset folder that is complete; ``pictures`` counts what it holds, windows where these are cut."""

    folder: Path
    identity: str
    name: str
    kind: str
    licence: str
    source: str
    gsd_m: float | None
    pictures: int
    held_out: tuple[str, ...]
    labels: Labels

    def pairs(self, split: str) -> tuple[Pair, ...]:
        """Its pairs of split ``train`` or ``test`` (held out)."""
        return read_pairs(self.folder, split=split)


def write_dataset(
    folder: Path, origin: Origin, pieces: Iterable[Piece], *, on_piece: Callable[[], None] = lambda: None
) -> Dataset:
    """Make a dataset folder, or take up the one that the same origin made.

    Parameters
    ----------
    folder
        The folder; it appears under its name only when it is complete.
    origin
        Where the pieces come from.
    pieces
        Iterated once, and not at all where the dataset is there already; pieces without a labelled pixel are
        left out.
    on_piece
        Called after each piece.

    Raises
    ------
    InputError
        If the folder holds anything else, or the labels cannot be split (:func:`hold_out`).
    OutputError
        If it cannot be written.
    """
    if (found := _existing(folder, origin)) is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}.", suffix=".part"))
    except OSError as err:
        raise OutputError(f"cannot write {folder}: {err}", remedy="choose another --run folder") from err
    try:
        _write(part, origin, pieces, on_piece)
        # mkdtemp makes the folder private; a dataset is as readable as any other folder.
        part.chmod(0o755)
        if folder.is_dir():
            folder.rmdir()
        part.replace(folder)
    except CropsegError:
        raise
    except OSError as err:
        raise OutputError(f"cannot write {folder}: {err}", remedy="check the folder and the space") from err
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return read_dataset(folder)


def read_dataset(folder: Path) -> Dataset:
    """What ``sources.json`` says of a dataset folder. Raises InputError if there is none."""
    path = folder / SOURCES
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return Dataset(
            folder=folder,
            identity=document["identity"],
            name=document["dataset"],
            kind=document["kind"],
            licence=document["licence"],
            source=document["source"],
            gsd_m=document["gsd_m"],
            pictures=document["pictures"],
            held_out=tuple(document["held_out"]),
            labels=Labels(**document["labels"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as err:
        raise InputError(
            f"{path} does not describe a dataset ({type(err).__name__}: {err})",
            remedy="delete the folder and make the dataset again",
        ) from err


def is_dataset(folder: Path) -> bool:
    """Whether a folder holds a dataset that this module made, in this version or an earlier one."""
    return _format_of(folder).startswith(_KIND)


def _format_of(folder: Path) -> str:
    try:
        document = json.loads((folder / SOURCES).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return str(document.get("format", "")) if isinstance(document, dict) else ""


def name_of(text: str) -> str:
    """A name as datasets and models have them.

    >>> name_of("Müller's Field 3.tif")
    'm-ller-s-field-3.tif'
    """
    kept = "".join(letter if letter in _LETTERS else "-" for letter in text.lower()).strip("._-")
    while "--" in kept:
        kept = kept.replace("--", "-")
    if not kept:
        raise InputError(
            f"no name can be made of {text!r}", remedy="give one with --name, for example maize-2026"
        )
    return kept


_LETTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789._-")


def _existing(folder: Path, origin: Origin) -> Dataset | None:
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return None
    if not (folder / SOURCES).is_file():
        raise InputError(f"{folder} is there and is no dataset", remedy="give another folder with --run")
    found = read_dataset(folder)
    if found.identity != origin.identity:
        raise InputError(
            f"{folder} holds a dataset of other files or options, or the files changed since"
            if _format_of(folder) == FORMAT
            else f"{folder} was made by another version, which reads the same files otherwise",
            remedy="give another folder with --run, or delete this one",
        )
    return found


def _write(part: Path, origin: Origin, pieces: Iterable[Piece], on_piece: Callable[[], None]) -> None:
    for name in ("images", "masks"):
        (part / name).mkdir()
    rows: list[dict[str, str]] = []
    groups: dict[str, Labels] = {}
    for piece in pieces:
        labels = count_labels(piece.mask)
        on_piece()
        if labels.known == 0:
            continue
        rows.append(_save(part, piece, labels, origin))
        groups[piece.group] = groups.get(piece.group, Labels()) + labels
    held_out = hold_out(groups, np.random.default_rng(_SEED)) if groups else _refuse_empty(origin)
    write_manifest(part, ({**row, "split": "test" if row["group"] in held_out else "train"} for row in rows))
    document = {
        "format": FORMAT,
        "identity": origin.identity,
        "kind": origin.kind,
        "dataset": origin.dataset,
        "licence": origin.licence,
        "source": source_of(origin),
        "inputs": [str(path.resolve()) for path in origin.inputs],
        "options": dict(origin.options),
        "gsd_m": origin.gsd_m,
        "pictures": len(rows),
        "groups": len(groups),
        "held_out": sorted(held_out),
        "labels": vars(sum(groups.values(), Labels())),
    }
    text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False)
    (part / SOURCES).write_text(text + "\n", encoding="utf-8")


def count_labels(mask: Pixels) -> Labels:
    """Pixels of a mask by what they say."""
    unknown, background = int(np.sum(mask == UNKNOWN)), int(np.sum(mask == 0))
    return Labels(mask.size - unknown - background, background, unknown)


def source_of(origin: Origin) -> str:
    """The user's files in a few words; names without their folders, which are nobody else's business."""
    return listed((path.name for path in origin.named or origin.inputs), 3)


def _save(part: Path, piece: Piece, labels: Labels, origin: Origin) -> dict[str, str]:
    image, mask = f"images/{piece.name}.png", f"masks/{piece.name}.png"
    # Level 1: these files are read once or twice, so speed is worth more than size.
    Image.fromarray(piece.image).save(part / image, compress_level=1)
    Image.fromarray(piece.mask).save(part / mask, compress_level=1)
    digest = hashlib.sha256(piece.image.tobytes() + piece.mask.tobytes()).hexdigest()
    return {
        "dataset": origin.dataset,
        "image": image,
        "mask": mask,
        "width": str(piece.mask.shape[1]),
        "height": str(piece.mask.shape[0]),
        "species": "",
        "frac_crop": f"{labels.vegetation / piece.mask.size:.4f}",
        "frac_weed": "0.0",
        "licence": origin.licence,
        "source": piece.source or source_of(origin),
        "group": piece.group,
        "sha256_16": digest[:16],
    }


def _refuse_empty(origin: Origin) -> frozenset[str]:
    raise InputError(
        f"{source_of(origin)}: not one pixel is labelled",
        remedy="check that labels and valid pixels (alpha, nodata) lie in the same place",
    )
