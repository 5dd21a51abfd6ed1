"""Segment an orthomosaic, or say what that would do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from cropseg_geo.engine.workers import Workers
from cropseg_geo.events import Listener, Warned, one_at_a_time, warn
from cropseg_geo.forecast import Forecast, make_forecast
from cropseg_geo.locks import locked
from cropseg_geo.memory import memory_returned
from cropseg_geo.options import OptionFields
from cropseg_geo.outputs.names import Outputs
from cropseg_geo.outputs.publishing import publish
from cropseg_geo.outputs.rasters import output_ground
from cropseg_geo.pipeline.decision import decide
from cropseg_geo.pipeline.drafting import Made, make_drafts
from cropseg_geo.preflight import Preflight, with_chosen_gsd
from cropseg_geo.raster.heights import maybe_heights
from cropseg_geo.raster.source import handles_released
from cropseg_geo.vector.options import Outlines

if TYPE_CHECKING:  # tiles are inferred before frames are needed
    import geopandas as gpd


@dataclass(frozen=True)
class Summary:
    """A run in figures. Areas are m² on the ground; ``canopy_cover`` is the share of the valid area."""

    canopy_cover: float
    canopy_area_m2: float
    valid_area_m2: float
    n_polygons: int
    tiles_inferred: int
    tiles_empty: int
    blocks_resumed: int
    gsd_m: float


@dataclass(frozen=True)
class SegmentResult:
    """What :func:`segment` made: the files, the figures and, where asked for, plots and the report."""

    outputs: Outputs
    summary: Summary
    plots: gpd.GeoDataFrame | None = field(repr=False, default=None)
    report: Path | None = None

    @property
    def files(self) -> dict[str, Path]:
        """Every file that was written, by what it is: ``mask``, ``prob``, ``layers``, ``plots_csv`` …"""
        return dict(self.outputs.by_kind) | ({"report": self.report} if self.report else {})


def segment(
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
    **options: Unpack[OptionFields],
) -> SegmentResult:
    """Segment an orthomosaic into mask, probability, canopy polygons and per-plot coverage.

    Parameters
    ----------
    raster
        Anything GDAL opens: a path, ``/vsicurl/…``, ``s3://…``.
    out
        Folder for the outputs; made if need be.
    plots
        Vector file (``path`` or ``path|layername=name``) or GeoDataFrame with plot polygons, any CRS.
    plot_id
        Column of the plots that identifies them; None finds it.
    plots_crs
        CRS of the plots where their file states none, or a wrong one.
    dsm, dtm
        Surface and terrain model, any CRS and GSD, for the heights and volumes of polygons and plots.
    outlines
        How canopy polygons are drawn; along the pixels' edges, nothing left out, by default.
    canopy_format
        ``"gpkg"``: polygons and plots in one GeoPackage; ``"fgb"``, ``"parquet"`` or ``"geojson"``: polygons
        in a file of that format, plots in ``<stem>_plots.gpkg``.
    report
        Also write ``<stem>_report.html``; see :func:`cropseg_geo.pipeline.make_report`.
    overwrite
        Replace existing outputs; without it they are refused.
    stem
        How the outputs' names begin; None takes the raster's name.
    store
        Folder or URL, of any kind that fsspec knows, for finished blocks until the run is complete; None
        keeps them beside the outputs. Workers on other machines must see it.
    workers
        Where to compute; by default as many threads of this process as :func:`tune` found best, or one a
        core, eight at most.
    listener
        Called with progress events; without one, what should be known is a ``CropsegWarning`` of Python's.
    options
        Fields of :class:`cropseg_geo.options.Options`: ``model``, ``bands``, ``scale``, ``reflectance``,
        ``alpha_band``, ``gsd_m``, ``grid``, ``bbox``, ``aoi``, ``threshold``, ``tile_px``, ``overlap_px``,
        ``batch_size``, ``backend``, ``device``, ``precision``.

    Returns
    -------
    SegmentResult
        Paths, summary and, with plots, a GeoDataFrame of their statistics.

    Raises
    ------
    CropsegError
        Anything that stands in the way, before the work starts where it can be known. Finished blocks of
        a run that was stopped are kept beside the outputs; the same call takes them up again.
    """
    return segment_noted(
        raster,
        out,
        listener=listener or warn,
        plots=plots,
        plot_id=plot_id,
        plots_crs=plots_crs,
        dsm=dsm,
        dtm=dtm,
        outlines=outlines,
        canopy_format=canopy_format,
        report=report,
        overwrite=overwrite,
        stem=stem,
        store=store,
        workers=workers,
        **options,
    )


@memory_returned()
@handles_released()
def segment_noted(
    raster: str | Path,
    out: str | Path,
    *,
    listener: Listener,
    note: Callable[[SegmentResult], None] = lambda result: None,
    **arguments: Any,
) -> SegmentResult:
    """What :func:`segment` does with the same arguments.

    ``note`` is called with the result when its files are in place, before the finished blocks are deleted: a
    run that is stopped after that is done, one that is stopped before is taken up again.
    """
    decided = decide(raster, out, listener=listener, **arguments)
    layout, final, page = decided.layout, decided.final, decided.page
    ready = with_chosen_gsd(decided.ready, listener)
    run = decided.place(ready)
    for message in ready.notes:
        listener(Warned(message))
    ready.predictor.describe()
    with (
        locked(decided.files) as locks,
        maybe_heights(decided.dsm, decided.dtm, output_ground(ready)) as heights,
    ):
        run.require_no_other(overwrite=decided.overwrite)
        with run.opened(listener, is_ours=lambda: all(lock.is_held for lock in locks)) as work:
            drafts = Outputs.drafted(work, with_plots=layout is not None, canopy_format=decided.canopy_format)
            listener = one_at_a_time(listener)
            made = make_drafts(
                ready,
                run.store,
                drafts,
                outlines=decided.outlines,
                layout=layout,
                heights=heights,
                workers=ready.tuned_workers(decided.workers),
                listener=listener,
            )
            for lock in locks:
                lock.require_held()
            # Others than runs write files, too, and they may have come since the work began.
            decided.refuse_existing()
            moves = dict[Path, Path | None](zip(final.paths, drafts.paths, strict=True))
            run.record_published(moves | ({page: None} if page else {}))
            publish(drafts, final, listener)
            if page is not None:
                _write_report(page, ready, final, made.plots, listener)
            result = SegmentResult(final, _summary(ready, made), made.plots, page)
            note(result)
    return result


def _write_report(
    page: Path, ready: Preflight, final: Outputs, table: gpd.GeoDataFrame | None, listener: Listener
) -> None:
    """The page of a run whose files are finished; its colours are the bands that the model saw."""
    from cropseg_geo.pipeline.reporting import make_report

    make_report(
        final.mask,
        page,
        raster=ready.info.path,
        prob=final.prob,
        plots=table,
        bands=ready.options.bands,
        overwrite=True,  # refused before the work where that is not allowed
        listener=listener,
    )


def _summary(ready: Preflight, made: Made) -> Summary:
    counts, tally = made.counts, made.tally
    canopy, pixel_m2 = sum(counts.by_class[1:]), output_ground(ready).pixel_area_m2()
    return Summary(
        canopy_cover=canopy / counts.valid if counts.valid else float("nan"),
        canopy_area_m2=canopy * pixel_m2,
        valid_area_m2=counts.valid * pixel_m2,
        n_polygons=made.n_polygons,
        tiles_inferred=tally.tiles_inferred,
        tiles_empty=tally.tiles_empty,
        blocks_resumed=tally.blocks_resumed,
        gsd_m=ready.source.ground.gsd_m,
    )


@handles_released()
def check(
    raster: str | Path,
    out: str | Path | None = None,
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
    **options: Unpack[OptionFields],
) -> Forecast:
    """Say what :func:`segment` would do with the same arguments, or raise what it would raise; write nothing.

    Files that are there already stand in its way, too, unless ``overwrite`` is given, or no ``out``.
    """
    listener = listener or warn
    out, overwrite = ("out", True) if out is None else (out, overwrite)
    decided = decide(
        raster,
        out,
        plots=plots,
        plot_id=plot_id,
        plots_crs=plots_crs,
        dsm=dsm,
        dtm=dtm,
        outlines=outlines,
        canopy_format=canopy_format,
        report=report,
        overwrite=overwrite,
        stem=stem,
        store=store,
        workers=workers,
        listener=listener,
        make_folder=False,
        **options,
    )
    ready = with_chosen_gsd(decided.ready, listener)
    decided.place(ready)
    n_plots = len(decided.layout) if decided.layout else None
    return make_forecast(ready, Path(out), workers=ready.tuned_workers(workers), store=store, n_plots=n_plots)
