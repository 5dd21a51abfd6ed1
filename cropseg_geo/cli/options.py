"""Options that several commands share, and their texts turned into values."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

INPUT, MODEL, WORK, RUN = "Input", "Model", "Extent and resolution", "Running"
OUTLINES, HEIGHTS = "Canopy polygons", "Plots and heights"


class OutlineChoice(StrEnum):
    """Values of ``--outline``."""

    PIXEL = "pixel"
    CONTOUR = "contour"


class ObjectsChoice(StrEnum):
    """Values of ``--objects``."""

    TOUCHING = "touching"
    SPLIT = "split"


Raster = Annotated[str, typer.Argument(help="Orthomosaic: anything GDAL opens (path, /vsicurl/…, s3://…).")]
Rasters = Annotated[
    list[str],
    typer.Argument(
        help="Orthomosaics: anything GDAL opens (path, /vsicurl/…, s3://…); folders and 'patterns' of them."
    ),
]
SkipRefused = Annotated[
    bool, typer.Option("--skip-refused", help="Of several rasters, do those that are not refused.")
]
Share = Annotated[
    bool,
    typer.Option(
        "--share",
        help="Other processes run the same command: each takes rasters that nobody has begun, then all wait.",
    ),
]
Out = Annotated[Path, typer.Option("-o", "--out", help="Folder for the outputs.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace existing outputs.")]
Outline = Annotated[
    OutlineChoice,
    typer.Option(
        help="pixel: along the pixels' edges, areas exact; contour: along the probability's level line.",
        rich_help_panel=OUTLINES,
    ),
]
Objects = Annotated[
    ObjectsChoice,
    typer.Option(
        help="Plants that touch: one polygon (touching) or parted (split).", rich_help_panel=OUTLINES
    ),
]
MinArea = Annotated[
    float, typer.Option("--min-area", min=0, help="Smallest canopy polygon (m²).", rich_help_panel=OUTLINES)
]
FillHoles = Annotated[
    float, typer.Option("--fill-holes", min=0, help="Fill holes up to this (m²).", rich_help_panel=OUTLINES)
]
Simplify = Annotated[
    float,
    typer.Option(
        "--simplify", min=0,
        help="Drop details of outlines up to about this size (m); areas change, neighbours stay joined.",
        rich_help_panel=OUTLINES,
    ),
]  # fmt: skip
CanopyFormat = Annotated[
    str,
    typer.Option("--canopy-format", help="gpkg, fgb, parquet or geojson.", rich_help_panel=OUTLINES),
]
Dsm = Annotated[
    str | None,
    typer.Option("--dsm", help="Surface model, for heights (m) and volumes (m³).", rich_help_panel=HEIGHTS),
]
Dtm = Annotated[
    str | None,
    typer.Option("--dtm", help="Terrain model (bare ground) to --dsm.", rich_help_panel=HEIGHTS),
]
Report = Annotated[bool, typer.Option("--report", help="Also write a report, <stem>_report.html.")]
Events = Annotated[
    bool, typer.Option("--events", help="JSON lines on standard output, a result or an error last.")
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="No progress.")]
Plots = Annotated[
    str | None, typer.Option("--plots", help="Plot polygons, any CRS: FILE or FILE|layername=NAME.")
]
PlotId = Annotated[
    str | None, typer.Option("--plot-id", help="Column that identifies a plot; else one named as ids are.")
]
PlotsCrs = Annotated[
    str | None,
    typer.Option("--plots-crs", help="CRS of the plots, where their file states none or a wrong one."),
]
Model = Annotated[
    str,
    typer.Option(
        "-m",
        "--model",
        help="Name (see `cropseg models`), weights file, or https://…#sha256=….",
        rich_help_panel=MODEL,
    ),
]
Backend = Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.", rich_help_panel=MODEL)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 or mps.", rich_help_panel=MODEL)]
Precision = Annotated[
    str,
    typer.Option(
        help="auto (bf16 on GPUs that compute in it, and on CPUs where masks stay the same), fp32 or bf16.",
        rich_help_panel=MODEL,
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Probability (0–1) from which a pixel is crop, of two classes; else the model's.",
        rich_help_panel=MODEL,
    ),
]
Tile = Annotated[
    int | None,
    typer.Option(help="Tile side (px); else the model's, or as --tune measured.", rich_help_panel=MODEL),
]
Overlap = Annotated[
    int | None, typer.Option(help="Overlap of tiles (px); else the model's.", rich_help_panel=MODEL)
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1, help="Tiles the model sees at once; else as suits the device.", rich_help_panel=MODEL
    ),
]
Bands = Annotated[
    str | None,
    typer.Option(
        help="Numbers, from 1, of the model's bands (red,green,blue), e.g. 3,2,1; else found.",
        rich_help_panel=INPUT,
    ),
]
Scale = Annotated[
    str | None,
    typer.Option(
        help="Stored values of black and white, e.g. 0,4000; else as the file says.", rich_help_panel=INPUT
    ),
]
Reflectance = Annotated[
    bool,
    typer.Option(
        "--reflectance", help="Values are reflectance: 1 in --scale 0,1 is all light.", rich_help_panel=INPUT
    ),
]
AlphaBand = Annotated[
    int | None,
    typer.Option(help="Number of a band that is alpha without being flagged as such.", rich_help_panel=INPUT),
]
Gsd = Annotated[
    str | None,
    typer.Option(
        help="Working GSD (m/px), or auto: chosen from the image; else the raster's, or the nearest that the "
        "model takes.",
        rich_help_panel=WORK,
    ),
]
Grid = Annotated[
    str,
    typer.Option(
        help="Grid of the outputs: source (the raster's) or working (of --gsd).", rich_help_panel=WORK
    ),
]
Bbox = Annotated[
    str | None, typer.Option(help="minx,miny,maxx,maxy in the raster's CRS.", rich_help_panel=WORK)
]
Aoi = Annotated[
    str | None,
    typer.Option(
        help="Polygons to restrict the work to, any CRS: FILE or FILE|layername=NAME.", rich_help_panel=WORK
    ),
]
Lanes = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Tiles computed at a time (threads); else as --tune found, or one a core, 8 at most; with "
        "--workers one a process.",
        rich_help_panel=RUN,
    ),
]
Processes = Annotated[
    str,
    typer.Option(
        "--workers",
        metavar="N or MIN:MAX",
        help="Local worker processes; with a range, as many as the work wants.",
        rich_help_panel=RUN,
    ),
]
Tune = Annotated[
    bool,
    typer.Option(
        "--tune",
        help="First measure which lanes and tile size are fastest here; later runs remember it.",
        rich_help_panel=RUN,
    ),
]
Store = Annotated[
    str | None,
    typer.Option(
        help="Folder or URL (s3://…) for finished blocks, for workers elsewhere.", rich_help_panel=RUN
    ),
]
Scheduler = Annotated[
    str | None, typer.Option(help="Address of a dask scheduler, tcp://….", rich_help_panel=RUN)
]


def outline_options(arguments: dict[str, Any]) -> Any:
    """The command's arguments as :class:`cropseg_geo.vector.options.Outlines`."""
    from cropseg_geo.vector.options import Outlines

    return Outlines(
        outline=arguments["outline"].value,
        objects=arguments["objects"].value,
        min_area_m2=arguments["min_area"],
        fill_holes_m2=arguments["fill_holes"],
        simplify_m=arguments["simplify"],
    )


def workers_options(arguments: dict[str, Any]) -> Any:
    """The command's arguments as :class:`cropseg_geo.engine.workers.Workers`."""
    from cropseg_geo.engine.workers import Workers

    least, _, most = arguments["workers"].partition(":")
    try:
        processes, max_processes = int(least), int(most) if most else None
    except ValueError as err:
        raise typer.BadParameter(f"--workers {arguments['workers']!r}: N or MIN:MAX is expected") from err
    if processes < 0:
        raise typer.BadParameter(f"--workers {processes}: 0 or more is expected")
    return Workers(
        lanes=arguments["lanes"],
        processes=processes,
        max_processes=max_processes,
        scheduler=arguments["scheduler"],
    )


def engine_options(arguments: dict[str, Any]) -> dict[str, Any]:
    """The command's arguments as fields of the pipeline's options."""
    names = (
        "model",
        "threshold",
        "backend",
        "device",
        "precision",
        "batch_size",
        "alpha_band",
        "reflectance",
        "grid",
        "aoi",
    )
    return {name: arguments[name] for name in names if name in arguments} | {
        "tile_px": arguments["tile"],
        "overlap_px": arguments["overlap"],
        "gsd_m": _gsd(arguments["gsd"]),
        "bands": numbers("--bands", arguments["bands"], int),
        "scale": numbers("--scale", arguments["scale"], float, count=2),
        "bbox": numbers("--bbox", arguments["bbox"], float, count=4),
    }


def _gsd(text: str | None) -> float | str | None:
    """``"0.01"`` → 0.01, ``"auto"`` as it is; a usage error for anything else."""
    if text is None or text == "auto":
        return text
    try:
        return float(text)
    except ValueError as err:
        raise typer.BadParameter(f"--gsd {text!r}: metres per pixel or auto is expected") from err


def numbers(flag: str, text: str | None, kind: type[int] | type[float], *, count: int = 0) -> Any:
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
