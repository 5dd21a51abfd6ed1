"""``cropseg vectorize``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cropseg_geo.answers import of_vectorize
from cropseg_geo.cli.options import (
    HEIGHTS,
    Dsm,
    Dtm,
    Events,
    FillHoles,
    MinArea,
    Objects,
    ObjectsChoice,
    Outline,
    OutlineChoice,
    Overwrite,
    Quiet,
    Simplify,
    outline_options,
)
from cropseg_geo.cli.outcome import conclude, print_files
from cropseg_geo.console import counted, event_listener


def vectorize(
    mask: Annotated[str, typer.Argument(help="Class mask, e.g. field_mask.tif.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="File to write: .gpkg, .fgb, .parquet, .geojson or .geojsonl.")
    ],
    prob: Annotated[
        str | None, typer.Option(help="Its probability raster: fills mean_prob; contours follow it.")
    ] = None,
    outline: Outline = OutlineChoice.PIXEL,
    objects: Objects = ObjectsChoice.TOUCHING,
    min_area: MinArea = 0.0,
    fill_holes: FillHoles = 0.0,
    simplify: Simplify = 0.0,
    plots: Annotated[
        str | None,
        typer.Option(
            "--plots",
            help="Plot polygons, to fill plot_id: FILE or FILE|layername=NAME.",
            rich_help_panel=HEIGHTS,
        ),
    ] = None,
    plot_id: Annotated[
        str | None, typer.Option("--plot-id", help="Column that identifies a plot.", rich_help_panel=HEIGHTS)
    ] = None,
    plots_crs: Annotated[
        str | None,
        typer.Option(
            "--plots-crs",
            help="CRS of the plots, where their file states none or a wrong one.",
            rich_help_panel=HEIGHTS,
        ),
    ] = None,
    dsm: Dsm = None,
    dtm: Dtm = None,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Trace a class mask into canopy polygons; the suffix of --out says of which format."""
    from cropseg_geo import pipeline

    outlines = outline_options(locals())
    with event_listener(as_json=events, quiet=quiet) as listener:
        made = pipeline.vectorize(
            mask,
            out,
            prob=prob,
            outlines=outlines,
            plots=plots,
            plot_id=plot_id,
            plots_crs=plots_crs,
            dsm=dsm,
            dtm=dtm,
            overwrite=overwrite,
            listener=listener,
        )
    conclude(
        "vectorize",
        of_vectorize(made),
        lambda: print_files(counted(made.n_polygons, "polygon"), out),
        as_json=events,
        quiet=quiet,
    )
