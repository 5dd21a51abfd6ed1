"""``python -m training ablate``: train variants of a recipe, score them on the same sets, compare."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.data import DATA_VARIABLE, default_data_root

if TYPE_CHECKING:
    from training.evaluation.ablation import Measures, Score, Train, Trial
    from training.recipe import Recipe

_RUNS = Path(__file__).resolve().parents[2] / "runs" / "ablation"


def ablate(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="Name of the recipe.")] = "ablation",
    only: Annotated[
        list[str] | None, typer.Option("--only", help="A variant; give it again for more  [default: all]")
    ] = None,
    seeds: Annotated[int, typer.Option(help="Runs of each variant.", min=1)] = 2,
    steps: Annotated[
        int | None, typer.Option(help="Steps of each run  [default: the recipe's]", min=1)
    ] = None,
    all_sets: Annotated[bool, typer.Option("--all", help="Score on all test sets.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar=DATA_VARIABLE, help="Folder of manifest_pairs.csv  [default: ../shared/data]"
        ),
    ] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of the run folders.")] = _RUNS,
    workers: Annotated[int, typer.Option(help="Loader processes.", min=0)] = 1,
    every: Annotated[int, typer.Option(help="Score every nth picture of the development sets.", min=1)] = 3,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
) -> None:
    """Train variants of a recipe and compare them; what is finished is not done again."""
    from rich.console import Console

    from training.evaluation import ablation
    from training.evaluation.variants import find_variants
    from training.recipe import find_recipe

    root = data or default_data_root()
    variants = find_variants(only or [])
    trials = ablation.make_trials(find_recipe(recipe), variants, seeds=seeds, steps=steps)
    results = ablation.run_trials(
        trials,
        runs,
        train=_trainer(root, runs, workers, device),
        score=_scorer(root, device, everything=all_sets, every=every),
        on_trial=_say,
    )
    summary = ablation.summarise(results)
    if markdown:
        typer.echo(ablation.markdown_table(summary))
    else:
        Console().print(ablation.ablation_table(summary))
    left_out = [variant.name for variant in variants if variant.name not in results]
    if left_out:
        typer.echo(f"the same as the recipe itself, so left out: {', '.join(left_out)}")


def _trainer(data: Path, runs: Path, workers: int, device: str) -> Train:
    """Runs of earlier stages and what they made are those beside the folder of the ablations."""
    from training.stages import Workshop
    from training.stages import train as train_after_its_needs

    workshop = Workshop(data, runs.parent, workers=workers, device=device)

    def train(recipe: Recipe, folder: Path) -> Path:
        return train_after_its_needs(recipe, workshop, run=folder)

    return train


def _scorer(data: Path, device: str, *, everything: bool, every: int) -> Score:
    from training.evaluation.measure import chosen_sets, measure
    from training.evaluation.run import scores_of
    from training.evaluation.sets import remembered, thinned
    from training.export import export

    sets = [remembered(thinned(test_set, every)) for test_set in chosen_sets(data, everything=everything)]

    def score(recipe: Recipe, checkpoint: Path, folder: Path) -> Measures:
        weights = folder / f"{recipe.name}.safetensors"
        export(recipe, checkpoint, weights)
        return scores_of(recipe.name, measure({recipe.name: weights}, sets, device, against_baselines=False))

    return score


def _say(trial: Trial, was_done: bool) -> None:
    typer.echo(f"{trial.name}: {'done already' if was_done else 'running'}", err=True)
