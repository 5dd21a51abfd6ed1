"""``python -m training labels``: vegetation labels from an orthomosaic and its height model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cropseg_geo.errors import InputError
from training.commands import tune_options as options
from training.commands.telling import note


def labels(
    ortho: Annotated[Path, typer.Argument(help="RGB orthomosaic.")],
    dsm: Annotated[
        Path, typer.Argument(help="Surface model (DSM) of the same flight, in metres, up to 20 cm/px.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the labelled tiles.")],
    dtm: Annotated[
        Path | None, typer.Option(help="Terrain model  [default: estimated from the surface]")
    ] = None,
    tile: Annotated[int, typer.Option(help="Side of a tile in px.", min=64, max=4096)] = 512,
    colour: Annotated[
        bool, typer.Option("--colour/--no-colour", help="Let colour decide what height leaves open.")
    ] = True,
    max_plant_width: Annotated[
        float, typer.Option(help="Widest stand of plants without visible soil, m (without --dtm).", min=0.1)
    ] = 4.0,
    min_score: Annotated[float, typer.Option(help="Keep tiles from this score.", min=0.0, max=1.0)] = 0.5,
    decisions: Annotated[
        Path | None,
        typer.Option(help="Decisions saved from the sheet  [default: OUT/decisions.json if there]"),
    ] = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    reflectance: options.Reflectance = False,
    alpha_band: options.AlphaBand = None,
    dataset: Annotated[str, typer.Option(help="Name of the dataset in the manifest.")] = "height-labels",
    species: Annotated[str, typer.Option(help="Crop, for the manifest.")] = "",
    licence: Annotated[str, typer.Option(help="Licence of the pictures, for the manifest.")] = "",
) -> None:
    """Label vegetation by height, screen the tiles, and write pairs with a contact sheet."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from training.labels.folder import DECISIONS, SHEET, Provenance
    from training.labels.screen import Limits
    from training.labels.sheet import read_decisions
    from training.labels.survey import open_survey
    from training.labels.tiles import Options, label_orthomosaic

    path = decisions or (out / DECISIONS if (out / DECISIONS).is_file() else None)
    chosen = read_decisions(path) if path else {}
    console = Console(stderr=True)
    opened = options.reading_of(None, bands, scale, alpha_band, reflectance=reflectance).open(ortho)
    for text in opened.notes:
        note(text)
    with console.status("reading heights" if dtm else "estimating the ground"):
        survey = open_survey(opened, dsm, dtm, max_plant_width_m=max_plant_width)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task("labelling tiles", total=None)
        outcome = label_orthomosaic(
            survey,
            out,
            options=Options(tile, colour, Limits(min_score=min_score)),
            provenance=Provenance(dataset, species, licence),
            decisions=chosen,
            on_tile=lambda done, total: progress.update(bar, completed=done, total=total),
        )
    typer.echo(f"{out}: {len(outcome.kept)} of {len(outcome.tiles)} tiles kept; look at {out / SHEET}")
    if not outcome.kept:
        raise InputError(
            "no tile was kept: there is nothing to train on",
            remedy=f"{out / 'verdicts.csv'} says why; accept tiles on the sheet, or lower --min-score",
        )
