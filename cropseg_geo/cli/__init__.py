"""The command line: parse, call, exit code.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cropseg_geo import __version__
from cropseg_geo.console import event_listener, fail, print_models, print_plan, print_result
from cropseg_geo.errors import CropsegError

app = typer.Typer(
    name="cropseg",
    help="Find the crop in drone orthomosaics: masks, canopy polygons and per-plot coverage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
plots_app = typer.Typer(help="Plots and their statistics.", no_args_is_help=True)
app.add_typer(plots_app, name="plots")

INPUT, MODEL, WORK, RUN = "Input", "Model", "Extent and resolution", "Running"

Raster = Annotated[str, typer.Argument(help="Orthomosaic: anything GDAL opens (path, /vsicurl/…, s3://…).")]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for the outputs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
MinArea = Annotated[float, typer.Option("--min-area", min=0, help="Smallest canopy polygon (m²).")]
Events = Annotated[bool, typer.Option("--events", help="JSON lines on standard output instead of a bar.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress bar.")]
Plots = Annotated[
    str | None, typer.Option("--plots", help="Plot polygons, any CRS: FILE or FILE|layername=NAME.")
]
PlotId = Annotated[str | None, typer.Option("--plot-id", help="Column that identifies a plot.")]
PlotsCrs = Annotated[str | None, typer.Option("--plots-crs", help="CRS of plots that do not state one.")]
Model = Annotated[
    str,
    typer.Option("-m", "--model", help="Name (see `cropseg models`) or weights file.", rich_help_panel=MODEL),
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=MODEL)]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.", rich_help_panel=MODEL)]
Threshold = Annotated[
    float | None, typer.Option(help="Probability from which a pixel is crop.", rich_help_panel=MODEL)
]
Tile = Annotated[int | None, typer.Option(help="Tile side (px).", rich_help_panel=MODEL)]
Overlap = Annotated[int | None, typer.Option(help="Overlap of tiles (px).", rich_help_panel=MODEL)]
BatchSize = Annotated[
    int | None, typer.Option(min=1, help="Tiles the model sees at once.", rich_help_panel=MODEL)
]
Bands = Annotated[
    str | None, typer.Option(help="Band numbers for the model's bands, e.g. 3,2,1.", rich_help_panel=INPUT)
]
Scale = Annotated[
    str | None, typer.Option(help="Stored values of black and white, e.g. 0,4000.", rich_help_panel=INPUT)
]
AlphaBand = Annotated[
    int | None,
    typer.Option(help="Band that marks valid pixels without being flagged.", rich_help_panel=INPUT),
]
Gsd = Annotated[
    str | None, typer.Option(help="Working GSD (m/px), or auto: chosen from the image.", rich_help_panel=WORK)
]
Grid = Annotated[str, typer.Option(help="Grid of the outputs: source or working.", rich_help_panel=WORK)]
Bbox = Annotated[
    str | None, typer.Option(help="minx,miny,maxx,maxy in the raster's CRS.", rich_help_panel=WORK)
]
Aoi = Annotated[
    str | None, typer.Option(help="Polygons to restrict the work to, any CRS.", rich_help_panel=WORK)
]
Lanes = Annotated[
    int | None, typer.Option(min=1, help="Blocks computed at a time (threads).", rich_help_panel=RUN)
]
Processes = Annotated[
    int, typer.Option("--workers", min=0, help="Local worker processes (dask).", rich_help_panel=RUN)
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a dask scheduler, tcp://….", rich_help_panel=RUN)
]


@app.command()
def segment(
    raster: Raster,
    out: Out = Path("out"),
    plots: Plots = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    min_area: MinArea = 0.0,
    overwrite: Overwrite = False,
    model: Model = "canopy-s",
    threshold: Threshold = None,
    device: Device = "auto",
    precision: Precision = "auto",
    tile: Tile = None,
    overlap: Overlap = None,
    batch_size: BatchSize = None,
    bands: Bands = None,
    scale: Scale = None,
    alpha_band: AlphaBand = None,
    gsd: Gsd = None,
    grid: Grid = "source",
    bbox: Bbox = None,
    aoi: Aoi = None,
    lanes: Lanes = None,
    workers: Processes = 0,
    scheduler: Scheduler = None,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Segment an orthomosaic: mask, probability, canopy polygons and, with plots, their coverage."""
    from cropseg_geo import pipeline
    from cropseg_geo.engine.run import Workers

    options = _options(locals())
    with event_listener(as_json=events, quiet=quiet) as listener:
        result = pipeline.segment(
            raster,
            out,
            plots=plots,
            plot_id=plot_id,
            plots_crs=plots_crs,
            min_area_m2=min_area,
            overwrite=overwrite,
            workers=Workers(lanes=lanes, processes=workers, scheduler=scheduler),
            listener=listener,
            **options,
        )
    print_result(result, as_json=events)


@app.command()
def check(
    raster: Raster,
    out: Out = Path("out"),
    plots: Plots = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    model: Model = "canopy-s",
    device: Device = "auto",
    precision: Precision = "auto",
    tile: Tile = None,
    overlap: Overlap = None,
    batch_size: BatchSize = None,
    bands: Bands = None,
    scale: Scale = None,
    alpha_band: AlphaBand = None,
    gsd: Gsd = None,
    grid: Grid = "source",
    bbox: Bbox = None,
    aoi: Aoi = None,
    lanes: Lanes = None,
    events: Events = False,
) -> None:
    """Say what segmenting this orthomosaic will do and need, or why it cannot work. Writes nothing."""
    from cropseg_geo import pipeline
    from cropseg_geo.engine.run import Workers

    options = _options(locals())
    with event_listener(as_json=events, quiet=True) as listener:
        forecast = pipeline.check(
            raster,
            out,
            plots=plots,
            plot_id=plot_id,
            plots_crs=plots_crs,
            workers=Workers(lanes=lanes),
            listener=listener,
            **options,
        )
    print_plan(forecast, as_json=events)


@app.command()
def vectorize(
    mask: Annotated[str, typer.Argument(help="Class mask, e.g. field_mask.tif.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="GeoPackage to write.")],
    prob: Annotated[str | None, typer.Option(help="Its probability raster.")] = None,
    min_area: MinArea = 0.0,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Trace a class mask into canopy polygons."""
    from cropseg_geo import pipeline

    with event_listener(as_json=events, quiet=quiet) as listener:
        pipeline.vectorize(mask, out, prob=prob, min_area_m2=min_area, overwrite=overwrite, listener=listener)


@plots_app.command("stats")
def plots_stats(
    mask: Annotated[str, typer.Argument(help="Class mask, e.g. field_mask.tif.")],
    plots: Annotated[str, typer.Argument(help="Plot polygons: FILE or FILE|layername=NAME.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV or GeoPackage to write.")],
    prob: Annotated[str | None, typer.Option(help="Its probability raster.")] = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Measure coverage, canopy area and objects of each plot on a finished mask."""
    from cropseg_geo import pipeline

    with event_listener(as_json=events, quiet=quiet) as listener:
        pipeline.measure_plots(
            mask,
            plots,
            out,
            prob=prob,
            plot_id=plot_id,
            plots_crs=plots_crs,
            overwrite=overwrite,
            listener=listener,
        )


@app.command()
def models() -> None:
    """List the models with their GSD range, licence and scores."""
    print_models()


def _version(*, show: bool) -> None:
    if show:
        Console().print(f"cropseg-geo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=lambda v: _version(show=v), help="Show version."),
    ] = False,
) -> None:
    pass


def _options(arguments: dict[str, Any]) -> dict[str, Any]:
    """The command's arguments as fields of the pipeline's options."""
    names = ("model", "threshold", "device", "precision", "batch_size", "alpha_band", "grid", "aoi")
    return {name: arguments[name] for name in names if name in arguments} | {
        "tile_px": arguments["tile"],
        "overlap_px": arguments["overlap"],
        "gsd_m": _gsd(arguments["gsd"]),
        "bands": _numbers("--bands", arguments["bands"], int),
        "scale": _numbers("--scale", arguments["scale"], float, count=2),
        "bbox": _numbers("--bbox", arguments["bbox"], float, count=4),
    }


def _gsd(text: str | None) -> float | str | None:
    """``"0.01"`` → 0.01, ``"auto"`` as it is; a usage error for anything else."""
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError as err:
        raise typer.BadParameter(f"--gsd {text!r}: metres per pixel or auto is expected") from err


def _numbers(flag: str, text: str | None, kind: type[int] | type[float], *, count: int = 0) -> Any:
    """``"1,2,3"`` → ``(1, 2, 3)``; a usage error where that does not work. Any: int or float by ``kind``."""
    if text is None:
        return None
    try:
        numbers = tuple(kind(part) for part in text.split(","))
    except ValueError as err:
        raise typer.BadParameter(f"{flag} {text!r}: numbers separated by commas are expected") from err
    if count and len(numbers) != count:
        raise typer.BadParameter(f"{flag} {text!r}: {count} numbers are expected, {len(numbers)} were given")
    return numbers


def main() -> None:
    """Entry point: run the app and turn what goes wrong into an exit code."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        app(standalone_mode=True)
    except CropsegError as err:
        fail(err)
        sys.exit(1)
    except KeyboardInterrupt:
        Console(stderr=True).print("[yellow]Stopped.[/] Finished blocks are kept; the same command goes on.")
        # Threads that are inside a library call cannot be waited for.
        sys.stdout.flush()
        os._exit(130)


if __name__ == "__main__":
    main()
