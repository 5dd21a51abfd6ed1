"""The rasters of a season, one after the other: what is known of each, and whose turn it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cropseg_geo.errors import CropsegError, InputError, InUseError, OutputError, listed
from cropseg_geo.events import Event, Listener, Warned, ignore
from cropseg_geo.locks import is_locked, locked
from cropseg_geo.options import Options
from cropseg_geo.outputs.names import Outputs
from cropseg_geo.pipeline.decision import decide, read_plots_of
from cropseg_geo.pipeline.journal import Journal, digest_inputs
from cropseg_geo.pipeline.segmentation import SegmentResult, segment_noted
from cropseg_geo.preflight import Preflight, chosen_predictor, prepare, with_local_model
from cropseg_geo.raster.info import raster_stem
from cropseg_geo.runs import remove_finished
from cropseg_geo.space import disk_bytes

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


class Item(NamedTuple):
    """A raster of a season, counted from 1, and how the names of its outputs begin."""

    number: int
    path: str
    stem: str


@dataclass
class Season:
    """What is known of the rasters of a season so far.

    ``inputs`` are the digests of those that are to be done, as they were before the work: what changes during
    it is not in its outputs. ``computed`` says by what they will be computed, ``needs`` are their bytes on
    disk, while at work and finished.
    """

    folder: Path
    arguments: dict[str, Any]
    overwrite: bool
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)
    computed: dict[str, dict[str, str]] = field(default_factory=dict)
    needs: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begun = Journal(self.folder)

    def journal(self) -> Journal:
        """What was done when the season began."""
        return self._begun

    def look_at(self, item: Item) -> None:
        """Find out whether a raster is done or refused; else its inputs are digested."""
        try:
            if not self._is_kept(item):
                self._decide(item)
        except CropsegError as err:
            self.outcomes[item.path] = Outcome(item.path, item.stem, "refused", error=err)

    def next_of(self, waiting: Sequence[Item], _listener: Listener) -> Item:
        """The raster whose turn it is."""
        return waiting[0]

    def alone_with(self, _item: Item) -> AbstractContextManager[bool]:
        """A time in which no other process begins a raster; false where one has it."""
        return nullcontext(enter_result=True)

    def do(self, item: Item, listener: Listener) -> None:
        """Segment a raster, unless its outcome is known."""
        if item.path in self.outcomes:
            return
        facts = self.inputs[item.path], self.computed[item.path]
        note = partial(self.journal().note, item.stem, *facts)
        arguments = self.arguments | {"stem": item.stem, "overwrite": self.overwrite}
        self.outcomes[item.path] = _segmented(item.path, self.folder, note, listener=listener, **arguments)

    def _decide(self, item: Item) -> None:
        arguments = self.arguments | {"stem": item.stem, "overwrite": self.overwrite}
        decided = decide(item.path, self.folder, **arguments)
        self.inputs[item.path] = digest_inputs(decided.ready, decided.layout, **self.arguments)
        self.computed[item.path] = _computed(decided.ready)
        needed = disk_bytes(decided.ready, decided.folder, decided.store)
        self.needs.append((needed, decided.ready.finished_bytes))

    def _is_kept(self, item: Item) -> bool:
        if self.overwrite:
            return False
        kept = _kept(self.journal(), item.path, item.stem, self.arguments)
        if kept is None or kept.stem in {outcome.stem for outcome in self.outcomes.values()}:
            return False
        self.outcomes[item.path] = kept
        return True


@dataclass
class SharedSeason(Season):
    """A season of several processes: whoever holds the lock of a raster's mask does it, the others wait."""

    def __post_init__(self) -> None:
        super().__post_init__()
        # What one machine has measured is not what all of them would do.
        tile_px = self.arguments.get("tile_px") or chosen_predictor(_options(self.arguments)).card.tile_px
        self.arguments = self.arguments | {"tile_px": tile_px}

    def journal(self) -> Journal:
        """What is done by now: others write it, too."""
        return Journal(self.folder)

    def look_at(self, item: Item) -> None:
        super().look_at(item)
        outcome = self.outcomes.get(item.path)
        if outcome is None or outcome.state != "refused":
            return
        # Another process has it, or has finished it since the journal was asked.
        del self.outcomes[item.path]
        if not (isinstance(outcome.error, InUseError) or is_locked(self._mask(item)) or self._is_kept(item)):
            self.outcomes[item.path] = replace(outcome, error=self._explained(item) or outcome.error)

    def next_of(self, waiting: Sequence[Item], listener: Listener) -> Item:
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
    def alone_with(self, item: Item) -> Iterator[bool]:
        with ExitStack() as stack:
            try:
                stack.enter_context(locked([self._mask(item)]))
            except InUseError:  # another one was faster
                yield False
                return
            except OutputError as err:
                self.outcomes[item.path] = Outcome(item.path, item.stem, "failed", error=err)
            yield True

    def do(self, item: Item, listener: Listener) -> None:
        if item.path not in self.outcomes:
            try:
                if item.path not in self.inputs or self.journal().knows(item.stem):
                    self.look_at(item)
            except Exception as err:  # noqa: BLE001 - as during the work: it is told, and the others are done
                self.outcomes[item.path] = Outcome(item.path, item.stem, "failed", error=err)
        if item.path in self.inputs:
            super().do(item, listener)
        outcome = self.outcomes.get(item.path)
        if outcome is None or isinstance(outcome.error, InUseError):  # another of its files is in use
            self.outcomes.pop(item.path, None)
            time.sleep(_LOOK_S)

    def _mask(self, item: Item) -> Path:
        return Outputs.named(self.folder, item.stem, with_plots=False).mask

    def _explained(self, item: Item) -> InputError | None:
        """What to say of a raster that another machine has done in another way."""
        there = self.journal().computed(item.stem)
        if not there:
            return None
        here = _computed(prepare(item.path, _options(self.arguments)))
        differing = sorted(name for name in here if there.get(name) != here[name])
        if not differing:
            return None
        theirs, ours = (", ".join(f"{name} {way.get(name)}" for name in differing) for way in (there, here))
        return InputError(
            f"{item.path}: is computed by {theirs} on another machine of this season, by {ours} here",
            remedy="give all of them the same --backend, --device, --precision and --tile",
        )


def _computed(ready: Preflight) -> dict[str, str]:
    """By what a raster is computed, so far as its values depend on it."""
    return {**ready.predictor.identity, "tile": str(ready.plan.tiles.tile_px)}


def _options(arguments: dict[str, Any]) -> Options:
    named = {name: value for name, value in arguments.items() if name in Options.__dataclass_fields__}
    return with_local_model(Options(**named))


def _names(items: Sequence[Item]) -> str:
    return listed((Path(item.path).name for item in items), 3)


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
