"""Segment an orthomosaic, or say what that would do."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import geopandas as gpd

from cropseg_geo.engine.finish import PixelCounts, source_steps, working_steps, write_rasters
from cropseg_geo.engine.graph import Inference, Job
from cropseg_geo.engine.run import Tally, Workers, run_blocks
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.forecast import Forecast, make_forecast
from cropseg_geo.ground import Ground
from cropseg_geo.layers import CanopyOptions, write_layers, write_layers_and_plots
from cropseg_geo.outputs import (
    Outputs,
    block_store,
    output_ground,
    provenance,
    publish,
    raster_layouts,
    refuse_existing,
    require_writable,
    work_folder,
)
from cropseg_geo.pipeline.vectorization import maybe_heights
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.options import StatsOptions
from cropseg_geo.plots.stats import write_csv
from cropseg_geo.preflight import (
    Options,
    Preflight,
    prepare,
    require_space,
    with_chosen_gsd,
)
from cropseg_geo.raster.bands import BAND_NAMES, Bands, open_bands
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.vector.options import Outlines

GPU_BATCH = 8


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
        named = {**vars(self.outputs), "report": self.report}
        return {kind: path for kind, path in named.items() if path is not None}


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
    workers: Workers | None = None,
    listener: Listener = ignore,
    **options: Any,
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
        CRS of the plots where the file does not say it.
    dsm, dtm
        Surface and terrain model, any CRS and GSD, for the heights and volumes of polygons and plots.
    outlines
        How canopy polygons are drawn; along the pixels' edges, nothing left out, by default.
    canopy_format
        ``"gpkg"``: polygons and plots in one GeoPackage; ``"fgb"``, ``"parquet"`` or ``"geojson"``: polygons
        in a file of that format, plots in ``<stem>_plots.gpkg``.
    report
        Also write ``<stem>_report.html``; see :func:`cropseg_geo.pipeline.report`.
    overwrite
        Replace existing outputs; without it they are refused.
    workers
        Where to compute; threads of this process by default.
    listener
        Called with progress events.
    options
        Fields of :class:`cropseg_geo.preflight.Options` (``model``, ``gsd_m``, ``bbox``, ``threshold`` …).

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
    folder, workers = Path(out), workers or Workers()
    ready = prepare(raster, Options(**options))
    final = Outputs.named(folder, ready.info.stem, with_plots=plots is not None, canopy_format=canopy_format)
    page = folder / f"{ready.info.stem}_report.html" if report else None
    refuse_existing((*final.paths, *([page] if page else [])), overwrite=overwrite)
    layout = None
    if plots is not None:
        layout = read_plots(
            plots, ground=ready.info.ground, id_field=plot_id, plots_crs=plots_crs, listener=listener
        )
    require_writable(folder)
    ready = with_chosen_gsd(ready, listener)
    require_space(ready, folder, workers.lane_count)
    for note in ready.notes:
        listener(Warned(note))
    ready.predictor.describe()
    with maybe_heights(dsm, dtm, output_ground(ready)) as heights, work_folder(folder, ready) as work:
        store = block_store(ready, work)
        store.create()
        tally = run_blocks(_job(ready, store), workers=workers, listener=listener)
        drafts = Outputs.drafted(work, with_plots=layout is not None, canopy_format=canopy_format)
        counts = _write_rasters(ready, store, drafts, listener)
        canopy = CanopyOptions(outlines or Outlines(), layout, heights, ready.card.colours)
        n_polygons, table = _write_layers(ready, drafts, canopy, listener)
        publish(drafts, final, listener)
    if page is not None:
        _write_report(page, ready, final, table, listener)
    return SegmentResult(final, _summary(ready, counts, tally, n_polygons), table, page)


def _job(ready: Preflight, store: BlockStore) -> Job:
    on_cpu = ready.predictor.describe().startswith("cpu")
    batch_size = ready.options.batch_size or (1 if on_cpu else GPU_BATCH)
    inference = Inference(ready.predictor, ready.scale, ready.plan, batch_size)
    return Job(ready.source, inference, store, region=ready.working_aoi)


def _write_rasters(ready: Preflight, store: BlockStore, drafts: Outputs, listener: Listener) -> PixelCounts:
    """Blocks → mask and probability COGs in the work folder."""
    mask, prob = raster_layouts(ready)
    steps = (
        source_steps(store, ready.source, ready.extent, ready.aoi, folder=drafts.mask.parent)
        if ready.writes_source_grid
        else working_steps(store, ready.plan.extent)
    )
    return write_rasters(
        steps,
        paths=(drafts.mask, drafts.prob),
        layouts=(mask, prob),
        threshold=ready.threshold,
        n_classes=len(ready.card.classes),
        listener=listener,
    )


def _write_layers(
    ready: Preflight, drafts: Outputs, canopy: CanopyOptions, listener: Listener
) -> tuple[int, gpd.GeoDataFrame | None]:
    """Mask → canopy layer, and with plots their layer and table, in the work folder."""
    common: dict[str, Any] = {
        "classes": ready.card.classes,
        "options": canopy,
        "tags": provenance(ready),
        "listener": listener,
    }
    with open_mask(drafts.mask, drafts.prob) as mask:
        if drafts.plots_csv is None:
            return write_layers(drafts.layers, mask, **common), None
        with _colours(ready, mask.info.ground) as bands:
            n_polygons, table = write_layers_and_plots(
                drafts.layers,
                mask,
                plots_path=drafts.plots_layer or drafts.layers,
                stats=StatsOptions(threshold=ready.threshold),
                bands=bands,
                **common,
            )
    write_csv(drafts.plots_csv, table)
    return n_polygons, table


def _colours(ready: Preflight, ground: Ground) -> AbstractContextManager[Bands | None]:
    """The orthomosaic for colour indices: the bands that the model saw, and others that the file names."""
    seen = zip(ready.card.bands, ready.source.bands, strict=True)
    bands = {name: number for name, number in seen if name in BAND_NAMES}
    if not bands:
        return nullcontext()
    return open_bands(ready.info.path, ground=ground, bands=bands, also_named=True)


def _write_report(
    page: Path, ready: Preflight, final: Outputs, table: gpd.GeoDataFrame | None, listener: Listener
) -> None:
    """The page of a run whose files are finished; its colours are the bands that the model saw."""
    from cropseg_geo.pipeline.reporting import report

    report(
        final.mask,
        page,
        raster=ready.info.path,
        prob=final.prob,
        plots=table,
        bands=ready.options.bands,
        overwrite=True,  # refused before the work where that is not allowed
        listener=listener,
    )


def _summary(ready: Preflight, counts: PixelCounts, tally: Tally, n_polygons: int) -> Summary:
    canopy, pixel_m2 = sum(counts.by_class[1:]), output_ground(ready).pixel_area_m2()
    return Summary(
        canopy_cover=canopy / counts.valid if counts.valid else float("nan"),
        canopy_area_m2=canopy * pixel_m2,
        valid_area_m2=counts.valid * pixel_m2,
        n_polygons=n_polygons,
        tiles_inferred=tally.tiles_inferred,
        tiles_empty=tally.tiles_empty,
        blocks_resumed=tally.blocks_resumed,
        gsd_m=ready.source.ground.gsd_m,
    )


def check(
    raster: str | Path,
    out: str | Path = "out",
    *,
    plots: str | Path | gpd.GeoDataFrame | None = None,
    plot_id: str | None = None,
    plots_crs: str | None = None,
    workers: Workers | None = None,
    listener: Listener = ignore,
    **options: Any,
) -> Forecast:
    """Say what :func:`segment` would do with the same arguments, or raise what it would raise."""
    workers = workers or Workers()
    ready = prepare(raster, Options(**options))
    layout = None
    if plots is not None:
        layout = read_plots(
            plots, ground=ready.info.ground, id_field=plot_id, plots_crs=plots_crs, listener=listener
        )
    ready = with_chosen_gsd(ready, listener)
    require_space(ready, Path(out), workers.lane_count)
    return make_forecast(ready, Path(out), lanes=workers.lane_count, n_plots=len(layout) if layout else None)
