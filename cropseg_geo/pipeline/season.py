"""Segment many orthomosaics with one call: one that fails does not stop the others."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

from cropseg_geo.errors import CropsegError, InputError, InUseError, OutputError, listed
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
from cropseg_geo.locks import is_locked, locked
from cropseg_geo.options import Options
from cropseg_geo.outputs.names import Outputs
from cropseg_geo.outputs.refusals import require_writable
from cropseg_geo.pipeline.decision import decide, read_plots_of
from cropseg_geo.pipeline.finding import distinct_stems, find_rasters
from cropseg_geo.pipeline.journal import Journal, digest_inputs
from cropseg_geo.pipeline.segmentation import SegmentResult, segment, segment_noted
from cropseg_geo.preflight import Preflight, chosen_predictor, prepare, with_local_model
from cropseg_geo.raster.info import raster_stem
from cropseg_geo.runs import remove_finished
from cropseg_geo.space import disk_bytes, season_shortage

_LOOK_S = 2.0
"""Time between two looks whether other runs have finished what they share."""


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
    share: bool = False,
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
    share
        Other processes make the same call with the same folder, such as the jobs of a batch system: leave to
        them what they have begun, and wait for it at the end. What one of them left unfinished is taken up.
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
        If nothing is found, some of the rasters are refused and ``skip_refused`` is not given, or both
        ``share`` and ``overwrite`` are.
    TypeError
        For arguments that :func:`segment` does not have.
    """
    _require_known(arguments)
    listener = told_of_outlines_once(listener or warn)
    folder, paths = Path(out), find_rasters(rasters)
    require_writable(folder)
    if share and overwrite:
        raise InputError(
            "processes that share a season cannot overwrite it: each would do again what others have done",
            remedy="delete the old outputs, or leave out one of --share and --overwrite",
        )
    items = [_Item(*each) for each in zip(count(1), paths, distinct_stems(paths), strict=False)]
    season = (_SharedSeason if share else _Season)(folder, arguments, overwrite=overwrite)
    for item in items:
        season.look_at(item)
    _require_none_refused(list(season.outcomes.values()), len(items), skip_refused=skip_refused)
    if not overwrite and (lacking := season_shortage(season.needs, folder)):  # else old files make room
        listener(Warned(lacking))
    waiting = list(items)
    while waiting:
        item = season.next_of(waiting, listener)
        waiting.remove(item)
        with season.alone_with(item) as is_alone:
            if is_alone:
                listener(RasterStarted(item.path, item.number, len(items)))
                season.do(item, listener)
        if (outcome := season.outcomes.get(item.path)) is None:
            waiting.append(item)
        else:
            listener(RasterFinished(item.path, outcome.state, str(outcome.error or "")))
    return [season.outcomes[path] for path in paths]


class _Item(NamedTuple):
    number: int
    path: str
    stem: str


@dataclass
class _Season:
    """What is known of the rasters of a season so far.

    ``inputs`` are the digests of those that are to be done, as they were before the work: what changes during
    it is not in its outputs. ``needs`` are their bytes on disk, while at work and finished.
    """

    folder: Path
    arguments: dict[str, Any]
    overwrite: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    computed: dict[str, dict[str, str]] = field(default_factory=dict)
    needs: list[tuple[int, int]] = field(default_factory=list)

    def look_at(self, item: _Item) -> None:
        """Find out whether a raster is done or refused; else its inputs are digested."""
        try:
            if not self._is_kept(item):
                self._decide(item)
        except CropsegError as err:
            self.outcomes[item.path] = Outcome(item.path, item.stem, "refused", error=err)

    def next_of(self, waiting: Sequence[_Item], _listener: Listener) -> _Item:
        """The raster whose turn it is."""
        return waiting[0]

    def alone_with(self, _item: _Item) -> AbstractContextManager[bool]:
        """A time in which no other process begins a raster; false where one has it."""
        return nullcontext(enter_result=True)

    def do(self, item: _Item, listener: Listener) -> None:
        """Segment a raster, unless its outcome is known."""
        if item.path in self.outcomes:
            return
        facts = self.inputs[item.path], self.computed[item.path]
        note = partial(Journal(self.folder).note, item.stem, *facts)
        arguments = self.arguments | {"stem": item.stem, "overwrite": self.overwrite}
        self.outcomes[item.path] = _segmented(item.path, self.folder, note, listener=listener, **arguments)

    def _decide(self, item: _Item) -> None:
        arguments = self.arguments | {"stem": item.stem, "overwrite": self.overwrite}
        decided = decide(item.path, self.folder, **arguments)
        self.inputs[item.path] = digest_inputs(decided.ready, decided.layout, **self.arguments)
        self.computed[item.path] = _computed(decided.ready)
        needed = disk_bytes(decided.ready, decided.folder, decided.store)
        self.needs.append((needed, decided.ready.finished_bytes))

    def _is_kept(self, item: _Item) -> bool:
        if self.overwrite:
            return False
        kept = _kept(Journal(self.folder), item.path, item.stem, self.arguments)
        if kept is None or kept.stem in {outcome.stem for outcome in self.outcomes.values()}:
            return False
        self.outcomes[item.path] = kept
        return True


@dataclass
class _SharedSeason(_Season):
    """A season of several processes: whoever holds the lock of a raster's mask does it, the others wait."""

    def __post_init__(self) -> None:
        # What one machine has measured is not what all of them would do.
        tile_px = self.arguments.get("tile_px") or chosen_predictor(_options(self.arguments)).card.tile_px
        self.arguments = self.arguments | {"tile_px": tile_px}

    def look_at(self, item: _Item) -> None:
        super().look_at(item)
        outcome = self.outcomes.get(item.path)
        if outcome is None or outcome.state != "refused":
            return
        # Another process has it, or has finished it since the journal was asked.
        del self.outcomes[item.path]
        if not (isinstance(outcome.error, InUseError) or is_locked(self._mask(item)) or self._is_kept(item)):
            self.outcomes[item.path] = replace(outcome, error=self._explained(item) or outcome.error)

    def next_of(self, waiting: Sequence[_Item], listener: Listener) -> _Item:
        """The first raster that no other process has; waits where they have them all."""
        is_told = False
        while True:
            for item in waiting:
                if item.path in self.outcomes or not is_locked(self._mask(item)):
                    return item
            if not is_told:
                listener(Warned(f"waiting for what other processes have begun: {_names(waiting)}"))
                is_told = True
            time.sleep(_LOOK_S)

    @contextmanager
    def alone_with(self, item: _Item) -> Iterator[bool]:
        with ExitStack() as stack:
            try:
                stack.enter_context(locked([self._mask(item)]))
            except InUseError:  # another one was faster
                yield False
                return
            except OutputError as err:
                self.outcomes[item.path] = Outcome(item.path, item.stem, "failed", error=err)
            yield True

    def do(self, item: _Item, listener: Listener) -> None:
        if item.path not in self.outcomes:
            try:
                if item.path not in self.inputs or Journal(self.folder).knows(item.stem):
                    self.look_at(item)
            except Exception as err:  # noqa: BLE001 - as during the work: it is told, and the others are done
                self.outcomes[item.path] = Outcome(item.path, item.stem, "failed", error=err)
        if item.path in self.inputs:
            super().do(item, listener)
        outcome = self.outcomes.get(item.path)
        if outcome is None or isinstance(outcome.error, InUseError):  # another of its files is in use
            self.outcomes.pop(item.path, None)
            time.sleep(_LOOK_S)

    def _mask(self, item: _Item) -> Path:
        return Outputs.named(self.folder, item.stem, with_plots=False).mask

    def _explained(self, item: _Item) -> InputError | None:
        """What to say of a raster that another machine has done in another way."""
        there = Journal(self.folder).computed(item.stem)
        if not there:
            return None
        here = _computed(prepare(item.path, _options(self.arguments)))
        differing = sorted(name for name in here if there.get(name) != here[name])
        if not differing:
            return None
        ways = (", ".join(f"{name} {way.get(name)}" for name in differing) for way in (there, here))
        return InputError(
            "{}: is computed by {} on another machine that shares this season, by {} here".format(
                item.path, *ways
            ),
            remedy="give all of them the same --backend, --device, --precision and --tile",
        )


def _computed(ready: Preflight) -> dict[str, str]:
    """By what a raster is computed, so far as its values depend on it."""
    return {**ready.predictor.identity, "tile": str(ready.plan.tiles.tile_px)}


def _options(arguments: dict[str, Any]) -> Options:
    named = {name: value for name, value in arguments.items() if name in Options.__dataclass_fields__}
    return with_local_model(Options(**named))


def _names(items: Sequence[_Item]) -> str:
    return listed((Path(item.path).name for item in items), 3)


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
    ready = prepare(path, _options(arguments))
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
