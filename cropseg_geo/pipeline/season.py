"""Segment many orthomosaics with one call: one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Iterable
from inspect import signature
from itertools import count
from pathlib import Path
from typing import Any

from cropseg_geo.errors import CropsegError, InputError
from cropseg_geo.events import (
    Listener,
    RasterFinished,
    RasterStarted,
    Warned,
    told_of_outlines_once,
    warn,
)
from cropseg_geo.options import Options
from cropseg_geo.outputs.refusals import require_writable
from cropseg_geo.pipeline.finding import distinct_stems, find_rasters
from cropseg_geo.pipeline.segmentation import segment
from cropseg_geo.pipeline.turns import Item, Outcome, Season, SharedSeason
from cropseg_geo.space import season_shortage


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
    items = [Item(*each) for each in zip(count(1), paths, distinct_stems(paths), strict=False)]
    season = (SharedSeason if share else Season)(folder, arguments, overwrite=overwrite)
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


def _require_known(arguments: dict[str, Any]) -> None:
    """Raise TypeError for what :func:`segment` does not take: where all are kept, nobody else would."""
    named = {name for name, p in signature(segment).parameters.items() if p.kind is p.KEYWORD_ONLY}
    known = (named - {"stem"}) | Options.__dataclass_fields__.keys()
    if unknown := [name for name in arguments if name not in known]:
        raise TypeError(f"segment_many() got an unexpected keyword argument {unknown[0]!r}")


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
