"""``cropseg plots``: make layouts, measure plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cropseg_geo.answers import of_plots
from cropseg_geo.cli.options import Events, ObjectsChoice, OutlineChoice, Overwrite, PlotId, PlotsCrs, Quiet
from cropseg_geo.cli.outcome import conclude, print_files
from cropseg_geo.cli.plots_make import make
from cropseg_geo.console import coverage_of, event_listener
from cropseg_geo.plots.columns import columns_help

app = typer.Typer(help="Lay out plots, measure them, follow them over dates.", no_args_is_help=True)
app.command("make")(make)

_COLUMNS = f"Columns by group: {columns_help()}. Meanings and units: docs/plot-statistics.md."

_WHAT, _HOW, _BESIDE = "What to measure", "How to measure", "Beside the mask"
_OBJECTS = "Objects: as the mask's run drew its polygons, unless one of these is given"

PlotsFile = Annotated[str, typer.Argument(help="Plot polygons: FILE or FILE|layername=NAME.")]
PlotsOption = Annotated[str, typer.Option("--plots", help="Plot polygons: FILE or FILE|layername=NAME.")]
Stats = Annotated[
    str,
    typer.Option(
        "--stats",
        help="all, or a list of coverage (the fastest), objects, rows, uniformity.",
        rich_help_panel=_WHAT,
    ),
]
NamedBands = Annotated[
    str | None,
    typer.Option(
        "--bands",
        help="Bands of the orthomosaic, if it does not say: red=1,green=2,blue=3,rededge=4,nir=5.",
        rich_help_panel=_BESIDE,
    ),
]
Buffer = Annotated[
    float,
    typer.Option(min=0, help="Strip inside each outline to leave out (m).", rich_help_panel=_HOW),
]
MinValid = Annotated[
    float,
    typer.Option(min=0, max=1, help="valid_fraction below which a plot is flagged.", rich_help_panel=_HOW),
]
RowAngle = Annotated[
    float | None,
    typer.Option(
        help="Direction of the rows (degrees clockwise from grid north); else along the plot.",
        rich_help_panel=_HOW,
    ),
]
RowSpacing = Annotated[
    float | None, typer.Option(help="Distance between rows (m); else found.", rich_help_panel=_HOW)
]
Cell = Annotated[
    float, typer.Option(help="Side of the sub-cells of uniformity_cv (m).", rich_help_panel=_HOW)
]

ObjectOutline = Annotated[
    OutlineChoice | None,
    typer.Option("--outline", help="Pixels' edges, or contours of --prob.", rich_help_panel=_OBJECTS),
]
ObjectKind = Annotated[
    ObjectsChoice | None,
    typer.Option("--objects", help="Plants that touch: one object, or parted.", rich_help_panel=_OBJECTS),
]
ObjectMinArea = Annotated[
    float | None, typer.Option("--min-area", min=0, help="Smallest object (m²).", rich_help_panel=_OBJECTS)
]
ObjectFillHoles = Annotated[
    float | None,
    typer.Option("--fill-holes", min=0, help="Fill holes up to this (m²).", rich_help_panel=_OBJECTS),
]
ObjectSimplify = Annotated[
    float | None,
    typer.Option("--simplify", min=0, help="Drop details of this size (m).", rich_help_panel=_OBJECTS),
]


@app.command("stats", epilog=_COLUMNS)
def stats(
    mask: Annotated[str, typer.Argument(help="Class mask, e.g. field_mask.tif.")],
    plots: PlotsFile,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="File to write: .csv, .gpkg, .fgb, .parquet or .geojson.")
    ],
    prob: Annotated[
        str | None,
        typer.Option(
            help="Its probability raster, for mean_prob and uncertain_fraction.", rich_help_panel=_BESIDE
        ),
    ] = None,
    raster: Annotated[
        str | None, typer.Option(help="Orthomosaic, for colour indices.", rich_help_panel=_BESIDE)
    ] = None,
    bands: NamedBands = None,
    dsm: Annotated[
        str | None, typer.Option(help="Surface model, for canopy height and volume.", rich_help_panel=_BESIDE)
    ] = None,
    dtm: Annotated[
        str | None, typer.Option(help="Terrain model (bare ground) to --dsm.", rich_help_panel=_BESIDE)
    ] = None,
    stats: Stats = "all",
    buffer: Buffer = 0.0,
    min_valid: MinValid = 0.9,
    row_angle: RowAngle = None,
    row_spacing: RowSpacing = None,
    cell: Cell = 1.0,
    outline: ObjectOutline = None,
    objects: ObjectKind = None,
    min_area: ObjectMinArea = None,
    fill_holes: ObjectFillHoles = None,
    simplify: ObjectSimplify = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Measure canopy, objects, gaps, evenness, colour and height of each plot on a finished mask."""
    from cropseg_geo import pipeline

    outlines = _outlines(outline, objects, min_area, fill_holes, simplify)
    with event_listener(as_json=events, quiet=quiet) as listener:
        table = pipeline.measure_plots(
            mask,
            plots,
            out,
            prob=prob,
            raster=raster,
            bands=bands,
            dsm=dsm,
            dtm=dtm,
            stats=stats,
            buffer_m=buffer,
            min_valid=min_valid,
            row_angle_deg=row_angle,
            row_spacing_m=row_spacing,
            cell_m=cell,
            outlines=outlines,
            plot_id=plot_id,
            plots_crs=plots_crs,
            overwrite=overwrite,
            listener=listener,
        )
    conclude(
        "plots_stats",
        of_plots(table, plots=out),
        lambda: print_files(coverage_of(table), out),
        as_json=events,
        quiet=quiet,
    )


@app.command("series", epilog=_COLUMNS)
def series(
    masks: Annotated[list[str], typer.Argument(help="Class masks of the same plots, one for each date.")],
    plots: PlotsOption,
    out: Annotated[
        Path,
        typer.Option(
            "-o",
            "--out",
            help="File to write, a row for each date and plot: .csv, .gpkg, .fgb, .parquet or .geojson.",
        ),
    ],
    dates: Annotated[
        str | None,
        typer.Option(help="Dates in the masks' order, 2024-05-31,2024-06-14; else from the file names."),
    ] = None,
    chart: Annotated[Path | None, typer.Option(help="SVG picture of the growth curves to write.")] = None,
    summary: Annotated[
        Path | None,
        typer.Option(
            help="File of the season's figures to write, a row for each plot: in the formats of --out."
        ),
    ] = None,
    prob: Annotated[
        list[str] | None,
        typer.Option(help="Probability rasters, once for each mask.", rich_help_panel=_BESIDE),
    ] = None,
    raster: Annotated[
        list[str] | None,
        typer.Option(help="Orthomosaics, once for each mask.", rich_help_panel=_BESIDE),
    ] = None,
    bands: NamedBands = None,
    dsm: Annotated[
        list[str] | None,
        typer.Option(help="Surface models, once for each mask.", rich_help_panel=_BESIDE),
    ] = None,
    dtm: Annotated[
        list[str] | None,
        typer.Option(help="Terrain models, once for each mask or one for all.", rich_help_panel=_BESIDE),
    ] = None,
    stats: Stats = "all",
    buffer: Buffer = 0.0,
    min_valid: MinValid = 0.9,
    row_angle: RowAngle = None,
    row_spacing: RowSpacing = None,
    cell: Cell = 1.0,
    outline: ObjectOutline = None,
    objects: ObjectKind = None,
    min_area: ObjectMinArea = None,
    fill_holes: ObjectFillHoles = None,
    simplify: ObjectSimplify = None,
    plot_id: PlotId = None,
    plots_crs: PlotsCrs = None,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Measure the same plots on several dates: one long table, and growth curves."""
    from cropseg_geo import pipeline

    outlines = _outlines(outline, objects, min_area, fill_holes, simplify)
    with event_listener(as_json=events, quiet=quiet) as listener:
        table = pipeline.plot_series(
            masks,
            plots,
            out,
            dates=dates.split(",") if dates is not None else None,
            chart=chart,
            summary=summary,
            probs=prob or None,
            rasters=raster or None,
            bands=bands,
            dsms=dsm or None,
            dtms=dtm or None,
            stats=stats,
            buffer_m=buffer,
            min_valid=min_valid,
            row_angle_deg=row_angle,
            row_spacing_m=row_spacing,
            cell_m=cell,
            outlines=outlines,
            plot_id=plot_id,
            plots_crs=plots_crs,
            overwrite=overwrite,
            listener=listener,
        )
    conclude(
        "plots_series",
        of_plots(table, series=out, chart=chart, summary=summary),
        lambda: print_files(coverage_of(table), out, chart, summary),
        as_json=events,
        quiet=quiet,
    )


def _outlines(
    outline: OutlineChoice | None,
    objects: ObjectsChoice | None,
    min_area: float | None,
    fill_holes: float | None,
    simplify: float | None,
) -> Any:
    """The options as :class:`cropseg_geo.vector.options.Outlines`; None where none of them is given."""
    choices: dict[str, Any] = {
        "outline": outline and outline.value,
        "objects": objects and objects.value,
        "min_area_m2": min_area,
        "fill_holes_m2": fill_holes,
        "simplify_m": simplify,
    }
    given = {name: value for name, value in choices.items() if value is not None}
    if not given:
        return None
    from cropseg_geo.vector.options import Outlines

    return Outlines(**given)
