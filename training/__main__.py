"""``python -m training``: build (all of it), fit, export, evaluate."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cropseg_geo.errors import CropsegError
from training.data import DATA_VARIABLE, default_data_root, read_pairs

# Before torch is imported (by the commands, below): waiting threads sleep instead of spinning. With one
# other busy process on two cores, a training step takes 0.8 s so, and 11 s otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from training.evaluate import Scores

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train, evaluate and export models.")

_REPOSITORY = Path(__file__).resolve().parents[1]

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar=DATA_VARIABLE, help="Folder of manifest_pairs.csv  [default: ../shared/data]"
    ),
]
Run = Annotated[Path | None, typer.Option("--run", help="Run folder  [default: runs/<recipe>]")]
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="Name of a recipe: canopy-s")]


Workers = Annotated[int, typer.Option(help="Loader processes.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Steps = Annotated[int | None, typer.Option(help="Train for fewer or more steps than the recipe.", min=1)]
Out = Annotated[Path | None, typer.Option("--out", help="Weights file  [default: the embedded one]")]


@app.command()
def build(
    name: RecipeName, data: Data = None, run: Run = None, workers: Workers = 1, device: Device = "auto"
) -> None:
    """From the data to the embedded weights: fit, then export."""
    fit(name, data=data, run=run, workers=workers, device=device)
    export(name, data=data, run=run, device=device)


@app.command()
def fit(
    name: RecipeName,
    data: Data = None,
    run: Run = None,
    workers: Workers = 1,
    device: Device = "auto",
    steps: Steps = None,
) -> None:
    """Train a recipe; a run that was interrupted goes on where it stopped."""
    from training.fit import Places
    from training.fit import fit as train
    from training.recipe import find_recipe

    recipe = find_recipe(name)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    root = data or default_data_root()
    places = Places(root, run or _run_folder(name))
    checkpoint = train(recipe, read_pairs(root, split="train"), places, workers=workers, device=device)
    typer.echo(f"{checkpoint} holds step {recipe.steps}")


@app.command()
def export(
    name: RecipeName, data: Data = None, run: Run = None, out: Out = None, device: Device = "auto"
) -> None:
    """Score a run's checkpoint and write it as a weights file, the scores in its card."""
    from training.export import export as write
    from training.fit import CHECKPOINT
    from training.recipe import find_recipe

    recipe, folder = find_recipe(name), run or _run_folder(name)
    target = out or _REPOSITORY / "cropseg_geo" / "model" / "weights" / f"{name}.safetensors"
    candidate = folder / f"{name}.safetensors"
    write(recipe, folder / CHECKPOINT, candidate)
    scores = _measure({name: candidate}, data or default_data_root(), device)
    (folder / "scores.json").write_text(json.dumps(scores, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    own = {test_set: methods[name] for test_set, methods in scores.items()}
    card = write(recipe, folder / CHECKPOINT, target, scores=own)
    _print_table(scores)
    typer.echo(f"{target}: {card.name} {card.version}, {target.stat().st_size / 1e6:.1f} MB")


@app.command()
def evaluate(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models by name or path  [default: all embedded]")
    ] = None,
    data: Data = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    device: Device = "auto",
) -> None:
    """Score models and ExG + Otsu on the development test sets."""
    from cropseg_geo.model.zoo import find_model, model_names

    names = models or list(model_names())
    scores = _measure({name: find_model(name) for name in names}, data or default_data_root(), device)
    if as_json:
        typer.echo(json.dumps(scores, indent=2, sort_keys=True))
    else:
        _print_table(scores)


def _measure(weights: Mapping[str, Path], data: Path, device: str) -> Scores:
    """Scores of weights files on the test split, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    from cropseg_geo.model.predictor import TorchPredictor
    from training.evaluate import evaluate as measure

    predictors = {name: TorchPredictor(path, device=device) for name, path in weights.items()}
    pairs = read_pairs(data, split="test")
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("evaluating", total=len(pairs))
        return measure(predictors, pairs, on_picture=lambda: progress.advance(bar))


def _print_table(scores: Scores) -> None:
    from rich.console import Console

    from training.evaluate import scores_table

    Console().print(scores_table(scores))


def _run_folder(name: str) -> Path:
    return _REPOSITORY / "runs" / name


def main() -> None:
    """Run the command line; errors of this package end it with their remedy, not with a traceback."""
    try:
        app()
    except CropsegError as err:
        typer.echo(f"error: {err}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
