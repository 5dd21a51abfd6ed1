"""``cropseg report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cropseg_geo.answers import of_report
from cropseg_geo.cli.options import Events, Overwrite, Quiet, numbers
from cropseg_geo.cli.outcome import conclude, print_files
from cropseg_geo.console import event_listener


def report(
    mask: Annotated[str, typer.Argument(help="Class mask, e.g. field_mask.tif.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="The report: .html, .png or .pdf; by default <name>_report.html in this folder.",
        ),
    ] = None,
    raster: Annotated[str | None, typer.Option(help="Its orthomosaic, to show under the mask.")] = None,
    prob: Annotated[str | None, typer.Option(help="Its probability raster, for notes on confidence.")] = None,
    plots: Annotated[
        str | None,
        typer.Option(help="Plots with statistics: FILE, FILE|layername=NAME, or a .csv (table only)."),
    ] = None,
    series: Annotated[str | None, typer.Option(help="Table of several dates, for growth curves.")] = None,
    file_format: Annotated[
        str | None, typer.Option("--format", help="html, png or pdf, where --out does not say.")
    ] = None,
    bands: Annotated[
        str | None,
        typer.Option(help="Numbers of red, green and blue in the orthomosaic, e.g. 3,2,1; else found."),
    ] = None,
    overwrite: Overwrite = False,
    events: Events = False,
    quiet: Quiet = False,
) -> None:
    """Make a report to read, print and pass on: one HTML file that works offline, or a PNG or PDF sheet."""
    from cropseg_geo import pipeline

    if out is None:
        out = Path(f"{Path(mask).stem.removesuffix('_mask')}_report.{(file_format or 'html').lower()}")
    with event_listener(as_json=events, quiet=quiet) as listener:
        path = pipeline.make_report(
            mask,
            out,
            raster=raster,
            prob=prob,
            plots=plots,
            series=series,
            bands=numbers("--bands", bands, int, count=3),
            file_format=file_format,
            overwrite=overwrite,
            listener=listener,
        )
    conclude("report", of_report(path), lambda: print_files("Report", out), as_json=events, quiet=quiet)
