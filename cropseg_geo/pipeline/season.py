"""Segment many orthomosaics with one call: one that fails does not stop the others."""

from __future__ import annotations

import glob
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from inspect import signature
from pathlib import Path
from typing import Any

from cropseg_geo.errors import CropsegError, InputError
from cropseg_geo.events import (
    Event,
    Listener,
    RasterFinished,
    RasterStarted,
    Warned,
    ignore,
    told_of_outlines_once,
    warn,
)
from cropseg_geo.options import Options
from cropseg_geo.outputs.refusals import require_writable
from cropseg_geo.paths import is_remote, names_several, several_paths, without_query
from cropseg_geo.pipeline.decision import decide, read_plots_of
from cropseg_geo.pipeline.journal import Journal, digest_inputs
from cropseg_geo.pipeline.segmentation import SegmentResult, segment, segment_noted
from cropseg_geo.preflight import prepare, with_local_model
from cropseg_geo.raster.info import raster_stem
from cropseg_geo.runs import remove_finished
from cropseg_geo.space import season_shortage

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg", ".webp"})
"""What is taken for a raster when a folder is given."""

_OWN_OUTPUTS = ("_mask.tif", "_prob.tif")


@dataclass(frozen=True)
class Outcome:
    """What became of one orthomosaic.

    ``state`` is ``"done"``, ``"kept"`` (an earlier call had done it), ``"failed"`` or ``"refused"``; what is
    kept has its result, too, as its files say it.
    """

    raster: str
    stem: str
    state: str
    result: SegmentResult | None = None
    error: Exception | None = None
    seconds: float = 0.0

    @property
    def is_good(self) -> bool:
        return self.state in ("done", "kept")


def segment_many(
    rasters: Iterable[str | Path],
    out: str | Path,
    *,
    skip_refused: bool = False,
    overwrite: bool = False,
    listener: Listener | None = None,
    **arguments: Any,
) -> list[Outcome]:
    """Segment many orthomosaics into one folder, one after the other.

    Everything about all of them that can be refused is refused before any work. Then one that fails does not
    stop the others, and the same call does only those that are not done, such as new ones in a folder. What
    was done of inputs or with options that have changed since is refused, as other existing outputs are.

    Parameters
    ----------
    rasters
        Files, URLs, folders (their rasters, but for our own outputs) and patterns such as ``"2024/*.tif"``.
    out
        Folder for all outputs. Rasters of the same name are told apart by the names of their folders.
    skip_refused
        Do the others where some are refused, instead of refusing all.
    overwrite
        Replace existing outputs; without it they are refused.
    listener
        Called with progress events; each raster's lie between ``RasterStarted`` and ``RasterFinished``. What
        it raises stops the season.
    arguments
        Those of :func:`segment`, for all of them.

    Returns
    -------
    One :class:`Outcome` for each raster, in their order.

    Raises
    ------
    CropsegError
        If nothing is found, or some of the rasters are refused and ``skip_refused`` is not given.
    TypeError
        For arguments that :func:`segment` does not have.
    """
    _require_known(arguments)
    listener = told_of_outlines_once(listener or warn)
    folder, paths = Path(out), find_rasters(rasters)
    require_writable(folder)
    stems = distinct_stems(paths)
    journal = Journal(folder)
    outcomes: dict[str, Outcome] = {}
    inputs: dict[str, str] = {}
    needs = []
    for path, stem in zip(paths, stems, strict=True):
        try:
            kept = None if overwrite else _kept(journal, path, stem, arguments)
            if kept and kept.stem not in {outcome.stem for outcome in outcomes.values()}:
                outcomes[path] = kept
                continue
            decided = decide(path, folder, stem=stem, overwrite=overwrite, **arguments)
            # As they are before the work: what changes during it is not in its outputs.
            inputs[path] = digest_inputs(decided.ready, decided.layout, **arguments)
            needs.append((decided.ready.disk_bytes, decided.ready.finished_bytes))
        except CropsegError as err:
            outcomes[path] = Outcome(path, stem, "refused", error=err)
    _require_none_refused(list(outcomes.values()), len(paths), skip_refused=skip_refused)
    if not overwrite and (lacking := season_shortage(needs, folder)):  # else old files make room
        listener(Warned(lacking))
    for number, (path, stem) in enumerate(zip(paths, stems, strict=True), 1):
        listener(RasterStarted(path, number, len(paths)))
        if path not in outcomes:
            note = partial(journal.note, stem, inputs[path])
            outcomes[path] = _segmented(
                path, folder, note, stem=stem, overwrite=overwrite, listener=listener, **arguments
            )
        listener(RasterFinished(path, outcomes[path].state, str(outcomes[path].error or "")))
    return [outcomes[path] for path in paths]


def _require_known(arguments: dict[str, Any]) -> None:
    """Raise TypeError for what :func:`segment` does not take: where all are kept, nobody else would."""
    named = {name for name, p in signature(segment).parameters.items() if p.kind is p.KEYWORD_ONLY}
    known = (named - {"stem"}) | Options.__dataclass_fields__.keys()
    if unknown := [name for name in arguments if name not in known]:
        raise TypeError(f"segment_many() got an unexpected keyword argument {unknown[0]!r}")


def _kept(journal: Journal, path: str, stem: str, arguments: dict[str, Any]) -> Outcome | None:
    """What an earlier call made of the same raster with the same arguments, if it is there.

    Then it may have had its plain name: others of that name have come since.
    """
    names = [name for name in dict.fromkeys((stem, raster_stem(path))) if journal.knows(name)]
    if not names:
        return None
    options = {name: value for name, value in arguments.items() if name in Options.__dataclass_fields__}
    ready = prepare(path, with_local_model(Options(**options)))
    named = {name: arguments.get(name) for name in ("plot_id", "plots_crs")}
    layout = read_plots_of(arguments.get("plots"), ready, **named, listener=ignore)
    inputs = digest_inputs(ready, layout, **arguments)
    for name in names:
        if result := journal.kept(name, inputs, layout):
            remove_finished(journal.folder, name)  # a kill may have left its blocks
            return Outcome(path, name, "kept", result)
    return None


def _segmented(
    path: str,
    folder: Path,
    note: Callable[[SegmentResult], None],
    *,
    stem: str,
    listener: Listener,
    **arguments: Any,
) -> Outcome:
    start = time.monotonic()
    result, error = None, None
    raised: list[Exception] = []

    def tell(event: Event) -> None:
        try:
            listener(event)
        except Exception as err:
            raised.append(err)
            raise

    def noted(result: SegmentResult) -> None:
        try:
            note(result)
        except CropsegError as err:  # no room: the others are still done
            tell(Warned(f"{err.message}; the same command would not know that {path} is done"))

    try:
        result = segment_noted(path, folder, listener=tell, note=noted, stem=stem, **arguments)
    except Exception as err:  # noqa: BLE001 - whatever it is, it is told at the end, and the others are done
        if raised:  # but who listens may stop them all
            raise raised[0] from None
        error = err
    return Outcome(path, stem, "failed" if error else "done", result, error, time.monotonic() - start)


def _require_none_refused(outcomes: list[Outcome], n: int, *, skip_refused: bool) -> None:
    refused = [outcome for outcome in outcomes if outcome.state == "refused"]
    if not refused or (skip_refused and len(refused) < n):
        return
    if n == 1 and isinstance(refused[0].error, CropsegError):
        raise refused[0].error
    lines = [str(outcome.error) for outcome in refused]
    raise InputError(
        f"{len(refused)} of {n} rasters cannot be segmented, and nothing was done:\n" + "\n".join(lines),
        remedy="mend these or leave them out; --skip-refused does the others",
    )


def find_rasters(rasters: Iterable[str | Path]) -> list[str]:
    """Files, URLs, folders and patterns → rasters, each once, in the order given.

    Raises
    ------
    InputError
        If a folder or a pattern holds none.
    """
    found: dict[object, str] = {}
    for given in several_paths(rasters):
        for path in _expanded(given):
            found.setdefault(path if is_remote(path) else Path(path).resolve(), path)
    if not found:
        raise InputError(
            "no raster is given", remedy="name files, folders, or patterns such as 'flights/*.tif'"
        )
    return list(found.values())


def _expanded(given: str) -> Iterator[str]:
    if not names_several(given):
        yield given  # perhaps a subdataset, or a name that is refused in its place
        return
    is_folder = Path(given).is_dir()
    names = map(str, Path(given).iterdir()) if is_folder else glob.iglob(given, recursive=True)  # noqa: PTH207 - from any root
    paths = sorted(p for p in map(Path, names) if p.is_file() and not p.name.startswith("."))
    if is_folder:
        paths = [p for p in paths if p.suffix.lower() in RASTER_SUFFIXES]
    paths = [p for p in paths if not p.name.endswith(_OWN_OUTPUTS)]
    if not paths:
        kinds = f" ({', '.join(sorted(RASTER_SUFFIXES))})" if is_folder else ""
        raise InputError(f"{given}: holds no raster{kinds}", remedy="check the folder, or quote the pattern")
    yield from map(str, paths)


def distinct_stems(paths: list[str]) -> list[str]:
    """How the names of each raster's outputs begin: its own name, with those of folders where that is shared.

    >>> distinct_stems(["a/x.tif", "b/x.tif", "b/y.tif"])
    ['a_x', 'b_x', 'y']
    """
    parts = [_name_parts(path) for path in paths]
    depths = [1] * len(paths)
    while True:
        stems = ["_".join(p[-depth:]) for p, depth in zip(parts, depths, strict=True)]
        # Case as well: some disks do not tell it apart.
        shared = {stem for stem, n in Counter(map(str.casefold, stems)).items() if n > 1}
        deeper = [
            k for k, stem in enumerate(stems) if stem.casefold() in shared and depths[k] < len(parts[k])
        ]
        if not deeper:
            break
        for k in deeper:
            depths[k] += 1
    seen: Counter[str] = Counter()
    for k, stem in enumerate(stems):
        seen[stem.casefold()] += 1
        if stem.casefold() in shared:  # one folder, names that differ in their suffix alone
            stems[k] = f"{stem}_{seen[stem.casefold()]}"
    return stems


def _name_parts(path: str) -> list[str]:
    """The folders of a raster and its own name."""
    if is_remote(path):
        folders = without_query(path).rsplit("://", maxsplit=1)[-1].replace("!", "/").split("/")[:-1]
    else:
        folders = list(Path(path).resolve().parts[1:-1])
    return [*filter(None, folders), raster_stem(path)]
