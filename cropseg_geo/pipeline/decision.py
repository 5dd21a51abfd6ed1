"""What a run decides before it starts: its names, and whether anything stands in its way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from cropseg_geo.arguments import require_kind
from cropseg_geo.engine.places import require_usable
from cropseg_geo.engine.warming import warm_up_lanes
from cropseg_geo.engine.workers import Workers
from cropseg_geo.events import Listener, ignore
from cropseg_geo.locks import refuse_locked
from cropseg_geo.options import OptionFields, Options
from cropseg_geo.outputs.names import Outputs, require_findable, require_nameable
from cropseg_geo.outputs.rasters import output_ground
from cropseg_geo.outputs.refusals import refuse_existing, refuse_inputs, require_writable
from cropseg_geo.paths import is_remote, path_text
from cropseg_geo.preflight import Preflight, chosen_predictor, prepare, with_local_model
from cropseg_geo.raster.heights import maybe_heights
from cropseg_geo.runs import RunFolder, published_by_unfinished
from cropseg_geo.space import require_space
from cropseg_geo.vector.options import Outlines

if TYPE_CHECKING:  # tiles are inferred before frames are needed
    import geopandas as gpd

    from cropseg_geo.plots.layout import Plots


@dataclass(frozen=True)
class Decided:
    """What a run has decided before it starts: its names, all that was read for that, and what was asked."""

    stem: str
    ready: Preflight
    layout: Plots | None
    final: Outputs
    page: Path | None
    dsm: str | Path | None
    dtm: str | Path | None
    outlines: Outlines
    canopy_format: str
    overwrite: bool
    store: str | None
    workers: Workers | None

    @property
    def folder(self) -> Path:
        return self.final.mask.parent

    @property
    def files(self) -> tuple[Path, ...]:
        return (*self.final.paths, *([self.page] if self.page else []))

    def refuse_existing(self) -> None:
        """Raise OutputError for files that are there and may not be replaced, or are in use."""
        own = published_by_unfinished(self.folder, self.stem)
        refuse_existing(self.files, overwrite=self.overwrite, own=own)

    def place(self, ready: Preflight) -> RunFolder:
        """Where the work is done at the GSD of ``ready``; nothing is made yet.

        Raises
        ------
        OutputError, ResourceError
            If disk or memory are too small, or paths would be too long.
        InputError
            If an unfinished run of something else is there.
        """
        run = RunFolder(self.folder, self.stem, ready.plan, self.store)
        for path in run.longest_paths:
            require_findable(path, self.folder)
        workers = ready.tuned_workers(self.workers)
        require_space(ready, self.folder, workers, own=run.path, store=self.store and run.store.path)
        run.require_no_other(overwrite=self.overwrite, discard=False)
        return run


def decide(
    raster: str | Path,
    out: str | Path,
    *,
    plots: str | Path | gpd.GeoDataFrame | None = None,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    dsm: str | Path | None = None,
    dtm: str | Path | None = None,
    outlines: Outlines | None = None,
    canopy_format: str = "gpkg",
    report: bool = False,
    overwrite: bool = False,
    stem: str | None = None,
    store: str | None = None,
    workers: Workers | None = None,
    listener: Listener | None = None,
    make_folder: bool = True,
    **options: Unpack[OptionFields],
) -> Decided:
    """Refuse what :func:`segment` would refuse with the same arguments, as far as no tile is inferred.

    ``make_folder=False`` leaves the disk as it is; else the folder of the outputs is made.

    Raises
    ------
    CropsegError
        Whatever stands in the way.
    """
    require_kind("outlines", outlines, Outlines)
    require_kind("workers", workers, Workers)
    folder, listener = Path(out), listener or ignore
    if workers and workers.scheduler:
        raster = _seen_by_all(raster)
    asked = with_local_model(Options(**options), listener)
    predictor = chosen_predictor(asked)
    if not (workers and workers.is_distributed):
        # The network is made ready while the raster is read and judged: a second less to the first tile.
        warm_up_lanes(predictor, tile_px=asked.tile_px, lanes=workers.lanes if workers else None)
    ready = prepare(raster, asked, predictor)
    stem = stem or ready.info.stem
    require_nameable(folder, stem)
    final = Outputs.named(folder, stem, with_plots=plots is not None, canopy_format=canopy_format)
    page = folder / f"{stem}_report.html" if report else None
    decided = Decided(
        stem=stem,
        ready=ready,
        layout=None,
        final=final,
        page=page,
        dsm=dsm,
        dtm=dtm,
        outlines=outlines or Outlines(),
        canopy_format=canopy_format,
        overwrite=overwrite,
        store=store,
        workers=workers,
    )
    decided.refuse_existing()
    refuse_inputs(decided.files, raster, plots, dsm, dtm, asked.aoi)
    layout = read_plots_of(plots, ready, plot_id=plot_id, plots_crs=plots_crs, listener=listener)
    require_writable(folder, make=make_folder)
    if store is not None:
        require_usable(store, make=make_folder)
    refuse_locked(decided.files)
    if ready.options.gsd_m != "auto":
        decided.place(ready)
    with maybe_heights(dsm, dtm, output_ground(ready), listener):
        return replace(decided, layout=layout)


def _seen_by_all(raster: str | Path) -> str | Path:
    """The raster by a path that does not depend on the folder that a process was started in."""
    return raster if is_remote(path_text(raster)) else Path(raster).resolve()


def read_plots_of(
    plots: str | Path | gpd.GeoDataFrame | None,
    ready: Preflight,
    *,
    plot_id: str | None,
    plots_crs: str | None,
    listener: Listener,
) -> Plots | None:
    """The plots of a run, where it has any. Raises InputError as the reader does."""
    if plots is None:
        return None
    from cropseg_geo.plots.layout import read_plots

    return read_plots(
        plots, ground=ready.info.ground, id_field=plot_id, plots_crs=plots_crs, listener=listener
    )
