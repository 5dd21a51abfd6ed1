"""Names, layout and provenance of a run's files, and how they come to be: whole, and last of all."""

from __future__ import annotations

import glob
import json
import os
import sqlite3
import stat
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cropseg_geo import __version__
from cropseg_geo.errors import InputError, OutputError, gone
from cropseg_geo.events import Listener, Written
from cropseg_geo.ground import Ground
from cropseg_geo.locks import locked
from cropseg_geo.paths import is_there
from cropseg_geo.raster.cog import PROBABILITY_STEPS, CogLayout

if TYPE_CHECKING:  # a mask is vectorized without the engine: what it needs is loaded where a run needs it
    from cropseg_geo.preflight import Preflight

CANOPY_FORMATS = ("gpkg", "fgb", "parquet", "geojson")
"""Formats of a run's canopy polygons, which are their files' suffixes."""


_KINDS = {".csv": "table", **dict.fromkeys((".html", ".htm", ".png", ".pdf"), "report"), ".svg": "chart"}
"""What a file written by itself is, by its suffix; the others hold layers."""


@dataclass(frozen=True)
class Outputs:
    """Paths of a run's files.

    ``layers`` holds the canopy polygons, and where it is a GeoPackage the plots as well; else the plots have
    a GeoPackage of their own, ``plots_layer``.
    """

    mask: Path
    prob: Path
    layers: Path
    plots_csv: Path | None
    plots_layer: Path | None = None

    @classmethod
    def named(cls, folder: Path, stem: str, *, with_plots: bool, canopy_format: str = "gpkg") -> Outputs:
        """Final names: ``<stem>_mask.tif``, ``<stem>_prob.tif``, ``<stem>.gpkg``, ``<stem>_plots.csv``.

        Raises
        ------
        InputError
            For a format that does not exist.
        """
        if canopy_format not in CANOPY_FORMATS:
            raise InputError(
                f"canopy polygons cannot be written as {canopy_format!r}",
                remedy=f"choose one of {', '.join(CANOPY_FORMATS)}",
            )
        apart = with_plots and canopy_format != "gpkg"
        return cls(
            folder / f"{stem}_mask.tif",
            folder / f"{stem}_prob.tif",
            folder / f"{stem}.{canopy_format}",
            folder / f"{stem}_plots.csv" if with_plots else None,
            folder / f"{stem}_plots.gpkg" if apart else None,
        )

    @classmethod
    def drafted(cls, work: Path, *, with_plots: bool, canopy_format: str = "gpkg") -> Outputs:
        """Names within a work folder."""
        return cls.named(work, "draft", with_plots=with_plots, canopy_format=canopy_format)

    @property
    def by_kind(self) -> tuple[tuple[str, Path], ...]:
        """What each file is, and its path."""
        files = (
            ("mask", self.mask),
            ("probability", self.prob),
            ("layers", self.layers),
            ("plots", self.plots_csv),
            ("plots", self.plots_layer),
        )
        return tuple((kind, path) for kind, path in files if path is not None)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for _, path in self.by_kind)


def require_nameable(folder: Path, stem: str) -> None:
    """Raise InputError for names that no file system, or no driver of GDAL's, can hold."""
    room = 255
    with suppress(AttributeError, OSError, ValueError):  # no POSIX, or a folder that is to be made
        room = os.pathconf(folder, "PC_NAME_MAX")
    if "\0" in str(folder) or any(len(os.fsencode(part)) > 255 for part in folder.parts):
        raise InputError(
            f"{str(folder)!r} cannot be the name of a folder", remedy="choose another --out folder"
        )
    if any(ord(letter) < 32 or letter in "/\\\x7f" for letter in stem):
        raise InputError(
            f"outputs cannot be named after {stem!r}: it holds a slash or a control character",
            remedy="rename the raster",
        )
    if (length := len(os.fsencode(stem))) > room - _LONGEST_ENDING:
        raise InputError(
            f"outputs cannot be named after {stem[:20]}…: {length} bytes, and {folder} takes names of {room}",
            remedy=f"rename the raster: up to {room - _LONGEST_ENDING} bytes",
        )


_LONGEST_ENDING = len("._report.html.lock.takeover")
"""Letters that the names of a run's files, hidden ones included, have besides their stem."""


def refuse_existing(paths: tuple[Path, ...], *, overwrite: bool, own: frozenset[str] = frozenset()) -> None:
    """Raise OutputError if an output exists and may not be replaced, or is in use.

    ``own`` are names of files that the same run had put in place when it was stopped: they may be replaced.
    """
    existing = [p for p in paths if is_there(p)]
    foreign = [p for p in existing if p.name not in own]
    if foreign and not overwrite:
        folder = foreign[0].parent
        raise OutputError(
            f"{'this folder' if folder == Path() else folder}: already holds "
            f"{', '.join(p.name for p in foreign)}",
            remedy="pass --overwrite to replace them, or choose another --out",
        )
    for path in existing:
        require_unprotected(path)
        require_unused(path)


def require_unprotected(path: Path) -> None:
    """Raise OutputError if a file is marked as read-only.

    Renaming another file over it would work on most systems: who protected it did not mean that.
    """
    if not path.stat().st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise OutputError(
            f"{path}: is read-only", remedy="allow writing to it in its properties, or choose another --out"
        )


def require_writable(folder: Path) -> None:
    """Make the output folder. Raises OutputError if that or writing into it is not possible."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as err:  # a name with a NUL, for one
        raise OutputError(
            f"{folder}: cannot be written ({getattr(err, 'strerror', err)})",
            remedy="choose another --out folder",
        ) from err


def require_unused(path: Path) -> None:
    """Raise OutputError if another program has a GeoPackage open.

    Replacing it would leave that program with the old file, and a write-ahead log that lies beside it (as
    QGIS keeps one) would be applied to the new one. Source: sqlite.org/howtocorrupt.html, section 1.4.
    """
    if path.suffix.lower() != ".gpkg":
        return
    logs = [f"{path.name}{end}" for end in ("-wal", "-shm", "-journal")]
    found = [name for name in logs if path.with_name(name).exists()]
    if not found and not _is_locked(path):
        return
    why = f"its {found[0]} is there" if found else "it is locked"
    remedy = "close it there (in QGIS: remove its layers from the project), then try again"
    if found:
        remedy += f"; if no program has it open, a crash left {found[0]}: open and close {path.name} once"
    raise OutputError(f"{path}: is open in another program ({why})", remedy=remedy)


def _is_locked(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True, timeout=0)) as db:
            db.execute("BEGIN EXCLUSIVE")
            db.rollback()
    except sqlite3.OperationalError as err:
        return getattr(err, "sqlite_errorname", "").startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))
    except sqlite3.DatabaseError:  # no SQLite file at all: nobody can hold it as one
        return False
    return False


def publish(drafts: Outputs, final: Outputs, listener: Listener) -> None:
    """Move finished drafts to their final names."""
    for (kind, target), source in zip(final.by_kind, drafts.paths, strict=True):
        move(source, target)
        listener(Written(kind, str(target)))


def move(source: Path, target: Path) -> None:
    """Give a finished file its final name, in one step. Raises OutputError.

    Law: under a final name there is the old file or the whole new one, whenever the power goes.
    """
    if target.exists():
        require_unused(target)
    try:
        _sync(source)
        _allow_as_umask_says(source)
        source.replace(target)
        if os.name != "nt":  # where a folder cannot be opened
            _sync(target.parent)
    except OSError as err:
        raise OutputError(
            f"{target}: cannot be written ({err.strerror})", remedy="close programs that use it and try again"
        ) from err


def _allow_as_umask_says(draft: Path) -> None:
    """Give a file the permissions of any other new one: SQLite lets groups read its files, and not write."""
    if draft.suffix == ".gpkg" and os.name != "nt":
        usual = draft.with_name(f"{draft.name}.usual")
        usual.touch()
        draft.chmod(stat.S_IMODE(usual.stat().st_mode))
        usual.unlink()


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def drafted(final: Path, *, overwrite: bool, listener: Listener) -> Iterator[Path]:
    """A hidden name beside ``final`` to write to; it becomes ``final`` when the block ends well.

    Raises
    ------
    OutputError
        If the file may not be written, or another run is writing it.
    """
    refuse_existing((final,), overwrite=overwrite)
    require_writable(final.parent)
    with locked([final]) as locks:
        draft = final.with_name(f".{final.stem}.draft{final.suffix}")
        _remove(draft)
        try:
            yield draft
            for lock in locks:
                lock.require_held()
            move(draft, final)
        except Exception as err:
            if not is_there(final.parent):
                raise gone(final.parent) from err
            if not isinstance(err, OutputError):
                raise
            # What went wrong with the draft went wrong with the file that was asked for.
            raise OutputError(err.message.replace(str(draft), str(final)), remedy=err.remedy) from err
        finally:
            _remove(draft)
    listener(Written(_KINDS.get(final.suffix.lower(), "layers"), str(final)))


def write_text(path: Path, text: str) -> None:
    """Write a text file. Raises OutputError."""
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as err:
        raise OutputError(
            f"{path} could not be written: {err.strerror}",
            remedy="check the folder's permissions and the free space on its disk",
        ) from err


def _remove(draft: Path) -> None:
    """The draft and what its writer keeps beside it: journals, spools of spatial indexes."""
    for pattern in (f"{glob.escape(draft.name)}*", f"{glob.escape(draft.stem)}_temp*"):
        for path in draft.parent.glob(pattern):
            path.unlink(missing_ok=True)


def output_ground(ready: Preflight) -> Ground:
    """The grid that masks and probabilities are written on, and metres on it."""
    transform = ready.info.transform if ready.writes_source_grid else ready.source.transform
    extent = ready.output_extent
    corner = transform @ transform.translation(extent.col, extent.row)
    return Ground(corner, ready.info.crs, *extent.shape)


def raster_layouts(ready: Preflight) -> tuple[CogLayout, CogLayout]:
    """What the mask and the probability raster look like."""
    ground, card, tags = output_ground(ready), ready.card, provenance(ready)
    mask = CogLayout(
        shape=(ground.height, ground.width),
        transform=ground.transform,
        crs=ready.info.crs,
        overview_resampling="mode",
        descriptions=("class",),
        tags=tags,
        colours={i: _rgb(colour) for i, colour in enumerate(card.colours)},
    )
    names = card.classes if ready.plan.channels > 1 else card.classes[-1:]
    prob = CogLayout(
        shape=mask.shape,
        transform=ground.transform,
        crs=ready.info.crs,
        overview_resampling="average",
        descriptions=tuple(f"probability of {name}" for name in names),
        tags=tags | {"CROPSEG_PROBABILITY": f"value / {PROBABILITY_STEPS}"},
        scale=1 / PROBABILITY_STEPS,
    )
    return mask, prob


def provenance(ready: Preflight) -> dict[str, str]:
    """Where a result comes from, as tags; no time stamps, so that equal runs write equal bytes."""
    card, tiles, predictor = ready.card, ready.plan.tiles, ready.predictor
    return {
        "CROPSEG_VERSION": __version__,
        "CROPSEG_MODEL": f"{card.name} {card.version}",
        "CROPSEG_MODEL_DIGEST": card.digest,
        "CROPSEG_MODEL_LICENCE": card.licence,
        "CROPSEG_BACKEND": f"{predictor.backend}, {predictor.device}, {predictor.precision}",
        "CROPSEG_RUN": ready.plan.fingerprint,
        "CROPSEG_SOURCE": Path(ready.info.path).name,
        "CROPSEG_CLASSES": json.dumps(dict(enumerate(card.classes))),
        "CROPSEG_THRESHOLD": f"{ready.threshold:g}",
        "CROPSEG_WORKING_GSD_M": f"{ready.source.ground.gsd_m:.6g}",
        "CROPSEG_TILE_PX": str(tiles.tile_px),
        "CROPSEG_OVERLAP_PX": str(tiles.overlap_px),
    }


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.lstrip("#"))
    return red, green, blue
