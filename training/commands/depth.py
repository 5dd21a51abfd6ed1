"""``python -m training depth``: estimate the depth of pictures with Depth Anything V2."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cropseg_geo.errors import InputError

_SHOWN = 5


def depth(
    images: Annotated[Path, typer.Argument(help="A picture, or a folder that is searched for them.")],
    weights: Annotated[
        Path, typer.Option("--weights", help="Published weights, depth_anything_v2_vits.pth or .safetensors.")
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder of the depth files, one .tif a picture.")],
    size: Annotated[str, typer.Option(help="small; base and large for non-commercial use only.")] = "small",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    accept_noncommercial: Annotated[
        bool, typer.Option("--accept-noncommercial", help="Accept the CC-BY-NC-4.0 of base and large.")
    ] = False,
) -> None:
    """Estimate relative inverse depth (higher = closer); pictures that have theirs already are skipped."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from cropseg_geo.model.runtime import select_device
    from training.depth.folder import claim_folder, plan_jobs, run_jobs
    from training.depth.pictures import estimate_depth
    from training.depth.weights import load_depth

    jobs = plan_jobs(images, out)
    network = load_depth(weights, size, accept_noncommercial=accept_noncommercial)
    claim_folder(out, network.size, weights)
    network.to(select_device(device))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("estimating depth", total=len(jobs))
        outcome = run_jobs(jobs, partial(estimate_depth, network), on_picture=lambda: progress.advance(bar))
    typer.echo(f"{out}: {outcome.made} made, {outcome.skipped} there already")
    if outcome.failures:
        shown = "\n  ".join(outcome.failures[:_SHOWN])
        raise InputError(
            f"{len(outcome.failures)} of {len(jobs)} pictures could not be used:\n  {shown}",
            remedy="remove or repair them; the others are done",
        )
