"""``python -m training simulate``: render a corpus of scenes, or only a sheet of them to look at."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    folder: Annotated[
        Path | None, typer.Option("-o", "--out", help="Folder of the corpus; an interrupted one goes on.")
    ] = None,
    count: Annotated[int, typer.Option(help="Scenes.", min=1)] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same scenes.")] = 1,
    size_px: Annotated[int, typer.Option("--size", help="Side of a scene in pixels.", min=64)] = 384,
    covers: Annotated[
        bool, typer.Option("--covers", help="Some ground is asphalt, gravel, film or water.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes.", min=1)] = 1,
    sheet: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of the first scenes of every kind.")
    ] = None,
) -> None:
    """Render training scenes with exact masks and heights."""
    from rich.console import Console
    from rich.progress import Progress

    from training.simulator import write_corpus, write_sheet

    if folder is None and sheet is None:
        raise typer.BadParameter("nothing to do: give a folder with -o, a picture with --sheet, or both")
    if sheet is not None:
        typer.echo(write_sheet(sheet, seed=seed, size_px=size_px, covers=covers))
    if folder is not None:
        with Progress(console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("rendering", total=count)
            manifest = write_corpus(
                folder,
                count=count,
                seed=seed,
                size_px=size_px,
                covers=covers,
                workers=workers,
                on_scene=lambda _: progress.advance(bar),
            )
        typer.echo(f"{manifest} lists {count} scenes")
