"""Ablations: what each part of the recipe is worth. Variants are data; a trial is one of them with one seed.

make_trials → run_trials (each trained, scored, and its result kept in its own folder) → summarise → table.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rich.table import Table

from cropseg_geo.errors import InputError
from cropseg_geo.paths import replace_file
from training.evaluation.run import whole_sets
from training.evaluation.tables import MEAN, MEASURES, with_mean
from training.evaluation.variants import Variant, unchanged
from training.recipe import Recipe

RESULT = "result.json"

Measures = dict[str, dict[str, float]]
"""Row → measure → value, of one method."""

Train = Callable[[Recipe, Path], Path]
"""(recipe, run folder) → checkpoint."""

Score = Callable[[Recipe, Path, Path], Measures]
"""(recipe, checkpoint, run folder) → measures of what was trained."""


@dataclass(frozen=True)
class Trial:
    """A run to make: its name is that of its folder, its recipe holds the seed."""

    name: str
    variant: str
    recipe: Recipe


def make_trials(
    base: Recipe, variants: Sequence[Variant], *, seeds: int, steps: int | None = None
) -> tuple[Trial, ...]:
    """Every variant with every seed: the recipe's own and those that follow it.

    Seed by seed rather than variant by variant, so that a run that is stopped leaves a whole comparison.
    A variant that changes nothing of this recipe, such as one without a dataset that it does not have, is
    left out: its runs would be those of the base. So is one that leaves no data.

    Parameters
    ----------
    base
        What the variants change.
    seeds
        Runs of each variant.
    steps
        Steps of each run; None keeps the recipe's.
    """
    if steps is not None:
        base = replace(base, steps=steps)
    changed = [(variant, variant.change(base)) for variant in variants]
    kept = [
        (variant, recipe)
        for variant, recipe in changed
        if (variant.change is unchanged or recipe != base) and any(recipe.shares.values())
    ]
    return tuple(
        Trial(f"{variant.name}-{recipe.seed + k}", variant.name, replace(recipe, seed=recipe.seed + k))
        for k in range(seeds)
        for variant, recipe in kept
    )


def run_trials(
    trials: Sequence[Trial],
    runs: Path,
    *,
    train: Train,
    score: Score,
    on_trial: Callable[[Trial, bool], None] = lambda trial, was_done: None,
) -> dict[str, list[Measures]]:
    """Train and score every trial that has no result yet, each in ``runs/<trial>``.

    Parameters
    ----------
    trials
        See :func:`make_trials`.
    runs
        Folder of the run folders. The result of a trial is written when it is complete, under its recipe:
        a call that is repeated does only what is missing.
    train
        Trains, or goes on with, a recipe in a run folder.
    score
        Scores the checkpoint.
    on_trial
        Called with each trial before it is run, and whether it was done already.

    Returns
    -------
    dict
        Variant → measures of each of its trials.

    Raises
    ------
    InputError
        If a folder holds the result of another recipe.
    """
    results: dict[str, list[Measures]] = {}
    for trial in trials:
        folder = runs / trial.name
        found = read_result(folder, trial.recipe)
        on_trial(trial, found is not None)
        if found is None:
            folder.mkdir(parents=True, exist_ok=True)
            found = score(trial.recipe, train(trial.recipe, folder), folder)
            _write_result(folder, trial.recipe, found)
        results.setdefault(trial.variant, []).append(found)
    return results


def read_result(folder: Path, recipe: Recipe) -> Measures | None:
    """The measures of a finished trial, or None. Raises InputError if they are those of another recipe."""
    path = folder / RESULT
    if not path.is_file():
        return None
    document = json.loads(path.read_text(encoding="utf-8"))
    if document["recipe"] != json.loads(recipe.to_json()):
        raise InputError(
            f"{path} is the result of another recipe",
            remedy="give another folder with --runs, or delete this one",
        )
    measures: Measures = document["scores"]
    return measures


@dataclass(frozen=True)
class Spread:
    """Mean over seeds, and half the distance of the best from the worst; 0 for a single seed."""

    mean: float
    half_range: float
    seeds: int


Summary = dict[str, dict[str, dict[str, Spread]]]
"""Row → variant → measure → spread."""


def summarise(results: Mapping[str, Sequence[Measures]]) -> Summary:
    """Mean and spread over the seeds of each variant, by test set, and for the mean of the sets last."""
    summary: Summary = {}
    for variant, runs in results.items():
        for row, measures in _by_row([_own_mean(run) for run in runs]).items():
            summary.setdefault(row, {})[variant] = {
                name: _spread([one[name] for one in measures])
                for name in MEASURES
                if all(name in one for one in measures)
            }
    return summary


def ablation_table(summary: Summary) -> Table:
    """A line for each test set and variant, in percent."""
    table = Table("test set", "variant", "seeds", *MEASURES.values(), title="Ablations (%)")
    last = None
    for row, *cells in _lines(summary):
        if last is not None and row != last:
            table.add_section()
        table.add_row("" if row == last else row, *cells)
        last = row
    return table


def markdown_table(summary: Summary) -> str:
    """As :func:`ablation_table`, in Markdown."""
    lines = ["| Test set | Variant | Seeds | " + " | ".join(MEASURES.values()) + " |"]
    lines.append("|---|---|---:|" + "---:|" * len(MEASURES))
    last = None
    for row, *cells in _lines(summary):
        lines.append("| " + " | ".join(("" if row == last else row, *cells)) + " |")
        last = row
    return "\n".join(lines) + "\n"


def _write_result(folder: Path, recipe: Recipe, measures: Measures) -> None:
    document = {"recipe": json.loads(recipe.to_json()), "scores": measures}
    replace_file(folder / RESULT, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())


def _own_mean(run: Measures) -> Measures:
    """A run's measures of whole sets, and their mean."""
    one = with_mean(whole_sets({row: {"": measures} for row, measures in run.items()}))
    return {row: methods[""] for row, methods in one.items() if "" in methods}


def _by_row(runs: Sequence[Measures]) -> dict[str, list[dict[str, float]]]:
    """Row → its measures in each run; only rows that every run has. The mean of the sets comes last."""
    rows = [row for row in runs[0] if all(row in run for run in runs)]
    return {row: [run[row] for run in runs] for row in sorted(rows, key=lambda row: row == MEAN)}


def _spread(values: Sequence[float]) -> Spread:
    return Spread(math.fsum(values) / len(values), (max(values) - min(values)) / 2.0, len(values))


def _lines(summary: Summary) -> Iterator[tuple[str, ...]]:
    for row in sorted(summary, key=lambda row: row == MEAN):
        for variant, measures in summary[row].items():
            seeds = max((spread.seeds for spread in measures.values()), default=0)
            cells = (_cell(measures.get(name)) for name in MEASURES)
            yield (row, variant, str(seeds), *cells)


def _cell(spread: Spread | None) -> str:
    if spread is None:
        return "–"
    text = f"{100.0 * spread.mean:.2f}"
    return text if spread.seeds < 2 else f"{text} ± {100.0 * spread.half_range:.2f}"
