"""``cropseg plots``: make layouts, measure plots."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cropseg_geo.cli.options import Events, Overwrite, PlotId, PlotsCrs, Quiet
from cropseg_geo.console import event_listener

app = typer.Typer(help="Plots and their statistics.", no_args_is_help=True)


@app.command("stats")
def stats(
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
