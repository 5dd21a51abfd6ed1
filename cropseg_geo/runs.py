"""The hidden folder of a run: what an unfinished one leaves for the same command to take up again.

It lies beside the outputs, is named after the run, and says in ``run.json`` what the run is: so that a
changed input, model or option is noticed and told, and that files which a stopped run had already put in
place are known as its own.
"""

from __future__ import annotations

import glob
import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cropseg_geo.engine.places import is_url, remove
from cropseg_geo.engine.plan import Plan
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.errors import CropsegError, InputError, gone
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.paths import is_there, patiently
from cropseg_geo.raster.cog import disk_errors

_RECORD = "run.json"
_BLOCKS = "blocks.zarr"

Stamp = list[int]

_WORDS = {
    "source": "the raster (it has changed since)",
    "pixels": "other pixels",
    "model": "another model",
    "engine": "another version of CropSeg-Geo",
    "extent": "another extent",
    "aoi": "another area of interest",
    "lattice": "other tiles or another GSD",
}


@dataclass(frozen=True)
class RunFolder:
    """The folder of one run.

    Parameters
    ----------
    out
        Folder of the outputs.
    stem
        How the outputs' names begin.
    plan
        What the run is.
    store_url
        Where finished blocks are kept, if not in the folder itself: anything that fsspec knows.
    """

    out: Path
    stem: str
    plan: Plan
    store_url: str | None = None

    @property
    def path(self) -> Path:
        return self.out / f".{self.stem}-{self.plan.fingerprint[:12]}.cropseg"

    @cached_property
    def store(self) -> BlockStore:
        """The store of finished blocks."""
        return BlockStore(self._store_path, self.plan.blocks, self.plan.channels, self.plan.fingerprint)

    @property
    def _store_path(self) -> str:
        if self.store_url is None:
            return str((self.path / _BLOCKS).resolve())
        # Runs of one job into two folders do not share blocks: the first to finish deletes its own.
        where = hashlib.sha256(str(self.out.resolve()).encode()).hexdigest()[:8]
        return f"{self.store_url.rstrip('/')}/{self.stem}-{self.plan.fingerprint[:12]}-{where}.zarr"

    @property
    def longest_paths(self) -> tuple[str, ...]:
        """The longest paths of files that the work makes: blocks, and drafts with what GDAL adds to them."""
        blocks = () if self.store_url and is_url(self.store_url) else (self.store.longest_path,)
        return (*blocks, str(self.path.resolve() / "draft_plots.gpkg.tmp_rtree_plots.db-journal"))

    def require_no_other(self, *, overwrite: bool, discard: bool = True) -> None:
        """Refuse where an unfinished run of other input, model or options is there; discard it if asked to.

        ``discard=False`` leaves that for later, when the run holds the locks of its outputs.

        Raises
        ------
        InputError
            Says what differs.
        """
        if discard:
            remove_finished(self.out, self.stem)
        for folder in _folders(self.out, self.stem):
            record = _read_record(folder)
            if folder == self.path and (not record or record["store"] == self._recorded["store"]):
                continue
            if record and not overwrite:
                differing = [
                    _WORDS.get(name, f"another {name}")
                    for name, fact in self._recorded["facts"].items()
                    if record["facts"].get(name) != fact
                ]
                raise InputError(
                    f"{self.out}: an unfinished run of {self.stem!r} is there, of "
                    f"{', '.join(differing) or 'another --store'}",
                    remedy="give what was given then to go on with it, or --overwrite to discard it",
                )
            if discard:
                _discard(folder)

    @contextmanager
    def opened(
        self, listener: Listener = ignore, *, is_ours: Callable[[], bool] = lambda: True
    ) -> Iterator[Path]:
        """The folder, made if need be; deleted when the run is complete, and ``listener`` told if that fails.

        When the run is stopped, finished blocks stay for the same command; where there are none, it goes. All
        stays where it is no longer ``is_ours``: another run has taken it over.

        Raises
        ------
        OutputError
            If it cannot be written, or was taken away during the block.
        """
        with disk_errors(self.path):
            self.path.mkdir(exist_ok=True)
            self._remove_drafts()
            self._record({})
        try:
            yield self.path
        except BaseException as err:
            if isinstance(err, Exception) and not is_there(self.path):
                raise gone(self.path) from err
            if not is_ours():
                raise
            self._remove_drafts()
            if not self.store.may_hold_anything():
                with suppress(CropsegError):
                    _discard(self.path)
            raise
        try:
            _discard(self.path)
        except CropsegError as err:
            listener(Warned(f"{err.message}; the next run of {self.stem!r} into {self.out} tries again"))

    def record_published(self, files: dict[Path, Path | None]) -> None:
        """Say which files (by their final names) come from which drafts, before the first is put in place.

        Raises OutputError if the disk is full.
        """
        with disk_errors(self.path):
            self._record({final.name: stamp_of(draft) if draft else None for final, draft in files.items()})

    def _remove_drafts(self) -> None:
        for draft in (p for p in self.path.glob("*") if p.is_file() and p.name != _RECORD):
            with suppress(OSError):  # still open in a library call that cannot be stopped
                draft.unlink()

    @cached_property
    def _recorded(self) -> dict[str, Any]:
        store = None if self.store_url is None else self._store_path
        return {"facts": self.plan.facts, "store": store}

    def _record(self, stamps: Mapping[str, Stamp | None]) -> None:
        """Write ``run.json``; stamps are added to those of earlier attempts, whose files may be left."""
        published = _read_record(self.path).get("published", {})
        for name, stamp in stamps.items():
            published[name] = [*published.get(name, []), stamp]
        draft = self.path / f"{_RECORD}.draft"
        draft.write_text(json.dumps({**self._recorded, "published": published}), encoding="utf-8")
        patiently(lambda: draft.replace(self.path / _RECORD))


def published_by_unfinished(out: Path, stem: str) -> frozenset[str]:
    """Names of files that a run had put in place when it was stopped, and that nobody has changed since."""
    names = set[str]()
    for folder in _folders(out, stem):
        for name, stamps in _read_record(folder).get("published", {}).items():
            with suppress(OSError):
                if None in stamps or stamp_of(out / name) in stamps:
                    names.add(name)
    return frozenset(names)


def _folders(out: Path, stem: str, ending: str = "") -> list[Path]:
    """Folders of unfinished runs, or with another ending."""
    named = re.compile(re.escape(f".{stem}-") + rf"[0-9a-f]{{12}}\.cropseg{re.escape(ending)}")
    return sorted(p for p in out.glob(f".{glob.escape(stem)}-*.cropseg*") if named.fullmatch(p.name))


def remove_finished(out: Path, stem: str) -> None:
    """Remove what a kill had left of finished runs."""
    for done in _folders(out, stem, ".done"):
        with suppress(CropsegError):
            _remove(done)


def _read_record(folder: Path) -> dict[str, Any]:
    """What ``run.json`` says; empty where a run was stopped before it said anything, or it is damaged."""
    try:
        record = json.loads((folder / _RECORD).read_text(encoding="utf-8"))
        facts, store, stamps = record["facts"], record["store"], record["published"].values()
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return {}
    is_ours = isinstance(facts, dict) and all(isinstance(entry, list) for entry in stamps)
    is_ours &= store is None or isinstance(store, str)
    return record if is_ours else {}


def _discard(folder: Path) -> None:
    """Delete the folder of a run and its blocks: first by name, so that a kill leaves no half of it.

    Raises
    ------
    CropsegError
        If blocks kept elsewhere could not be deleted; what is left of the folder says where they are.
    """
    done = folder.with_name(f"{folder.name}.done")
    with suppress(OSError):
        folder.rename(done)
    _remove(done if done.exists() else folder)


def _remove(folder: Path) -> None:
    store = _read_record(folder).get("store")
    if store and _is_store_of(folder, store):
        remove(store)
    if folder.is_symlink():
        folder.unlink()
    else:
        shutil.rmtree(folder, ignore_errors=True)


def _is_store_of(folder: Path, store: str) -> bool:
    """True for a place with the name of this run's blocks: a record from elsewhere deletes nothing else."""
    run = folder.name.removesuffix(".done").removesuffix(".cropseg").removeprefix(".")
    return re.fullmatch(re.escape(run) + r"-[0-9a-f]{8}\.zarr", store.rpartition("/")[2]) is not None


def stamp_of(path: Path) -> Stamp:
    """Tells a file from others; renaming keeps it."""
    stat = path.stat()
    return [stat.st_size, stat.st_mtime_ns]
