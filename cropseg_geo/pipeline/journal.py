"""Which rasters of a season are done: a hidden file beside the outputs, which the same call goes by.

For each raster it says what its outputs depend on, as a digest, and which files they are. Where either is not
as it was, the outputs are no longer those that the call would make.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from cropseg_geo.errors import InUseError
from cropseg_geo.locks import EXPIRY_S, locked
from cropseg_geo.outputs.names import Outputs
from cropseg_geo.paths import is_there, replace_file
from cropseg_geo.pipeline.segmentation import SegmentResult, Summary
from cropseg_geo.preflight import Preflight
from cropseg_geo.raster.cog import disk_errors
from cropseg_geo.raster.info import inspect_raster
from cropseg_geo.runs import stamp_of
from cropseg_geo.vector.options import Outlines

if TYPE_CHECKING:  # tiles are inferred before frames are needed
    import geopandas as gpd

    from cropseg_geo.plots.layout import Plots

_NAME = ".cropseg-season.json"
_PATIENCE_S, _TRY_S = EXPIRY_S + 10.0, 0.1
"""How long another season's lock is waited for: one that died elsewhere holds it until it is stale."""


class Journal:
    """The journal of one folder as it is when a season begins; several seasons may write it at a time."""

    def __init__(self, folder: Path) -> None:
        self.folder, self._path = folder, folder / _NAME
        self._known: dict[str, Any] = {}
        with suppress(OSError):
            self._known = self._entries()

    def knows(self, stem: str) -> bool:
        """True where a raster of that name was done, whatever became of its outputs."""
        return stem in self._known

    def kept(self, stem: str, inputs: str, layout: Plots | None) -> SegmentResult | None:
        """What was made of the same inputs, read from its files; None where one is gone or was replaced.

        ``layout`` are the plots as they are given: the result has their ids, order, index and outlines.
        """
        try:
            entry = self._known[stem]
            named = {kind: self.folder / name for kind, name in entry["files"].items()}
            # Each run writes a mask; polygons and tables may be edited, and stay what they are.
            is_whole = all(map(is_there, named.values())) and stamp_of(named["mask"]) == entry["mask"]
            if entry["inputs"] != inputs or not is_whole:
                return None
            report = named.pop("report", None)
            outputs, plots = Outputs(**{"plots_csv": None} | named), None
            if layout is not None:
                plots = _measured(outputs.plots_layer or outputs.layers, layout)
            return SegmentResult(outputs, _summary(entry["summary"]), plots, report)
        except (OSError, ValueError, TypeError, LookupError, AttributeError, OverflowError):  # damaged
            return None

    def computed(self, stem: str) -> Mapping[str, str]:
        """By what a raster was computed, if that is noted."""
        with suppress(TypeError, ValueError, LookupError, AttributeError):  # damaged
            return dict(self._known[stem]["computed"])
        return {}

    def note(self, stem: str, inputs: str, computed: Mapping[str, str], result: SegmentResult) -> None:
        """Say that a raster is done, of which inputs and by what. Raises OutputError."""
        entry: dict[str, Any] = {
            "inputs": inputs,
            "computed": dict(computed),
            "files": {kind: path.name for kind, path in result.files.items()},
            "summary": asdict(result.summary),
        }
        with disk_errors(self._path):
            entry["mask"] = stamp_of(result.outputs.mask)
            with _alone(self._path):
                replace_file(self._path, json.dumps(self._entries() | {stem: entry}).encode())

    def _entries(self) -> dict[str, Any]:
        """What is noted; nothing where there is no journal, or it is damaged. Raises OSError."""
        with suppress(FileNotFoundError, ValueError, TypeError, RecursionError):
            return dict(json.loads(self._path.read_text(encoding="utf-8")))
        return {}


def _summary(said: dict[str, Any]) -> Summary:
    """A summary from its values of JSON; ValueError, TypeError, LookupError or OverflowError if damaged."""
    return Summary(**{name: kind(said[name]) for name, kind in get_type_hints(Summary).items()})


def _measured(file: Path, layout: Plots) -> gpd.GeoDataFrame:
    """The statistics of a file, as columns of the plots that they belong to."""
    from cropseg_geo.plots.ids import PLOT_ID
    from cropseg_geo.plots.tables import with_geometry_named
    from cropseg_geo.vector_input import read_layer

    frame = layout.frame
    table = read_layer(file, "plots")
    # Of numbers and texts in one column files make texts.
    table = table.set_index(table[PLOT_ID].astype(str)).reindex(list(map(str, layout.ids)))
    table.index = frame.index
    table = table.assign(**{PLOT_ID: frame[PLOT_ID].array}).set_geometry(frame.geometry.array)
    return with_geometry_named(table, frame.geometry.name)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Hold a file's lock, which whoever else holds it needs for moments only. Raises OutputError."""
    with ExitStack() as stack:
        end = time.monotonic() + _PATIENCE_S
        while True:
            try:
                stack.enter_context(locked([path]))
                break
            except InUseError:
                if time.monotonic() > end:
                    raise
            time.sleep(_TRY_S)
        yield


def digest_inputs(
    ready: Preflight,
    layout: Plots | None,
    *,
    dsm: str | Path | None = None,
    dtm: str | Path | None = None,
    outlines: Outlines | None = None,
    canopy_format: str = "gpkg",
    report: bool = False,
    **_others: Any,
) -> str:
    """Digest of all that a raster's outputs depend on; where and how fast they are computed is not in it.

    Parameters
    ----------
    ready, layout
        What was decided, and the plots as they were read: these count by their content.
    dsm, dtm, outlines, canopy_format, report
        As :func:`segment` has them; rasters count as the orthomosaic itself does, by size and time.
    _others
        The other arguments of :func:`segment`: they are in ``ready`` and ``layout``.
    """
    facts = (
        ready.plan.fingerprint,
        (ready.threshold, ready.options.grid, ready.options.gsd_m),
        _content(layout) if layout is not None else None,
        [inspect_raster(path).fingerprint if path is not None else None for path in (dsm, dtm)],
        (outlines or Outlines(), canopy_format, report),
    )
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def _content(layout: Plots) -> tuple[list[str], str]:
    """Names and digest of the columns, outlines included."""
    import pandas as pd

    table = pd.DataFrame(layout.frame.to_wkb())
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return list(map(str, table.columns)), hashlib.sha256(rows.tobytes()).hexdigest()
