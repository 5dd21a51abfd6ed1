"""``cropseg segment`` and ``cropseg check``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from cropseg_geo.answers import of_check, of_season, of_segment
from cropseg_geo.cli.options import (
    AlphaBand,
    Aoi,
    Backend,
    Bands,
    BatchSize,
    Bbox,
    CanopyFormat,
    Device,
    Dsm,
    Dtm,
    Events,
    FillHoles,
    Grid,
    Gsd,
    Lanes,
    MinArea,
    Model,
    Objects,
    ObjectsChoice,
    Out,
    Outline,
    OutlineChoice,
    Overlap,
    Overwrite,
    PlotId,
    Plots,
    PlotsCrs,
    Precision,
    Processes,
    Quiet,
    Raster,
    Rasters,
    Reflectance,
    Report,
    Scale,
    Scheduler,
    Share,
    Simplify,
    SkipRefused,
    Store,
    Threshold,
    Tile,
    Tune,
    engine_options,
    outline_options,
    workers_options,
)
from cropseg_geo.cli.outcome import conclude
from cropseg_geo.console import event_listener, print_plan, print_result, print_season
from cropseg_geo.paths import names_several


def segment(
    rasters: Rasters,
    out: Out = Path("out"),
    plots: Plots = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    dsm: Dsm = None,
    dtm: Dtm = None,
    outline: Outline = OutlineChoice.PIXEL,
    objects: Objects = ObjectsChoice.TOUCHING,
    min_area: MinArea = 0.0,
    fill_holes: FillHoles = 0.0,
    simplify: Simplify = 0.0,
    canopy_format: CanopyFormat = "gpkg",
    report: Report = False,
    overwrite: Overwrite = False,
    skip_refused: SkipRefused = False,
    share: Share = False,
    model: Model = "canopy-s",
    threshold: Threshold = None,
    backend: Backend = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    tile: Tile = None,
    overlap: Overlap = None,
    batch_size: BatchSize = None,
    bands: Bands = None,
    scale: Scale = None,
    reflectance: Reflectance = False,
    alpha_band: AlphaBand = None,
    gsd: Gsd = None,
    grid: Grid = "source",
    bbox: Bbox = None,
    aoi: Aoi = None,
    lanes: Lanes = None,
    workers: Processes = "0",
    scheduler: Scheduler = None,
    store: Store = None,
    tune: Tune = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Segment an orthomosaic: mask, probability, canopy polygons and, with plots, their coverage."""
    arguments = locals()
    options, shared = engine_options(arguments), _shared(arguments)
    compute = shared["workers"]
    if not (tune or compute.is_distributed):
        from cropseg_geo.engine.warming import warm_up_early

        # One core makes the network ready while the other loads the rest: half a second less.
        warm_up_early(
            model,
            lanes=compute.lanes,
            tile_px=tile,
            backend=backend,
            device=device,
            precision=precision,
        )
    from cropseg_geo import pipeline

    is_one = len(rasters) == 1 and not names_several(rasters[0]) and not share
    with event_listener(as_json=events, quiet=quiet) as listener:
        if tune:
            computed = {name: options[name] for name in ("backend", "device", "precision")}
            pipeline.tune(model, listener=listener, **computed)
        if is_one:
            result = pipeline.segment(rasters[0], out, listener=listener, **shared, **options)
        else:
            outcomes = pipeline.segment_many(
                rasters,
                out,
                skip_refused=skip_refused,
                share=share,
                listener=listener,
                **shared,
                **options,
            )
    if is_one:
        conclude("segment", of_segment(result), lambda: print_result(result), as_json=events, quiet=False)
        return
    conclude("segment_many", of_season(outcomes), lambda: print_season(outcomes), as_json=events, quiet=False)
    if not all(outcome.is_good for outcome in outcomes):
        raise typer.Exit(1)


def _shared(arguments: dict[str, Any]) -> dict[str, Any]:
    """What both commands hand on besides the engine's options."""
    names = ("plots", "plot_id", "plots_crs", "dsm", "dtm", "canopy_format", "report", "overwrite", "store")
    as_given = {name: arguments[name] for name in names}
    return as_given | {"outlines": outline_options(arguments), "workers": workers_options(arguments)}


def check(
    raster: Raster,
    out: Out = Path("out"),
    plots: Plots = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    dsm: Dsm = None,
    dtm: Dtm = None,
    outline: Outline = OutlineChoice.PIXEL,
    objects: Objects = ObjectsChoice.TOUCHING,
    min_area: MinArea = 0.0,
    fill_holes: FillHoles = 0.0,
    simplify: Simplify = 0.0,
    canopy_format: CanopyFormat = "gpkg",
    report: Report = False,
    overwrite: Overwrite = False,
    model: Model = "canopy-s",
    threshold: Threshold = None,
    backend: Backend = "auto",
    device: Device = "auto",
    precision: Precision = "auto",
    tile: Tile = None,
    overlap: Overlap = None,
    batch_size: BatchSize = None,
    bands: Bands = None,
    scale: Scale = None,
    reflectance: Reflectance = False,
    alpha_band: AlphaBand = None,
    gsd: Gsd = None,
    grid: Grid = "source",
    bbox: Bbox = None,
    aoi: Aoi = None,
    lanes: Lanes = None,
    workers: Processes = "0",
    scheduler: Scheduler = None,
    store: Store = None,
    events: Events = False,
) -> None:
    """Say what segmenting this orthomosaic will do and need, or why it cannot work. Writes nothing."""
    arguments = locals()
    options, shared = engine_options(arguments), _shared(arguments)
    from cropseg_geo import pipeline

    with event_listener(as_json=events, quiet=True) as listener:
        forecast = pipeline.check(raster, out, listener=listener, **shared, **options)
    conclude("check", of_check(forecast), lambda: print_plan(forecast), as_json=events, quiet=False)
