"""``python -m training evaluate``: models and what they must beat, on every test set, in one table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.data import DATA_VARIABLE, default_data_root

if TYPE_CHECKING:
    from cropseg_geo.model.predictor import TorchPredictor
    from training.evaluation.run import Scores
    from training.evaluation.sets import TestSet


def evaluate(
    models: Annotated[
        list[str] | None, typer.Argument(help="Models by name or path  [default: all embedded]")
    ] = None,
    all_sets: Annotated[
        bool, typer.Option("--all", help="Also the soy orthomosaic and the generated fields.")
    ] = False,
    scale: Annotated[
        bool, typer.Option("--scale", help="Coverage of the same fields at several GSDs instead.")
    ] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data", envvar=DATA_VARIABLE, help="Folder of manifest_pairs.csv  [default: ../shared/data]"
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the scores there.")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print Markdown.")] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")] = "auto",
) -> None:
    """Score models, colour indices and height alone on the test sets."""
    from cropseg_geo.model.zoo import find_model, model_names

    names = models or list(model_names())
    root = data or default_data_root()
    weights = {name: find_model(name) for name in names}
    if scale:
        _evaluate_scale(weights, root, device, json_file, markdown=markdown)
        return
    sets = chosen_sets(root, everything=all_sets)
    scores = measure(weights, sets, device)
    if json_file is not None:
        write_json(json_file, scores)
    _print_scores(scores, _notes(scores, sets), markdown=markdown)


def chosen_sets(data: Path, *, everything: bool) -> tuple[TestSet, ...]:
    """The development tests, or all that can be read here."""
    from training.evaluation import sets

    return sets.all_sets(data) if everything else sets.development_sets(data)


def measure(
    weights: Mapping[str, Path], sets: Sequence[TestSet], device: str, *, against_baselines: bool = True
) -> Scores:
    """Scores of weights files and of the baselines, with a progress bar on standard error."""
    from rich.console import Console
    from rich.progress import Progress

    from training.evaluation.methods import baselines, models
    from training.evaluation.run import evaluate as score

    methods = models(_predictors(weights, device))
    if against_baselines:
        methods = baselines() | methods
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("evaluating", total=sum(len(test_set.readers) for test_set in sets))
        return score(methods, sets, on_picture=lambda: progress.advance(bar))


def write_json(path: Path, document: object) -> None:
    """A document as JSON that a person can read too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _predictors(weights: Mapping[str, Path], device: str) -> dict[str, TorchPredictor]:
    from cropseg_geo.model.predictor import TorchPredictor

    return {name: TorchPredictor(path, device=device) for name, path in weights.items()}


def _print_scores(scores: Scores, notes: Sequence[str], *, markdown: bool) -> None:
    from rich.console import Console

    from training.evaluation.tables import markdown_table, scores_table, with_mean

    if markdown:
        typer.echo(markdown_table(with_mean(scores)))
    else:
        Console().print(scores_table(with_mean(scores)))
    for note in notes:
        typer.echo(f"- {note}" if markdown else note)


def _notes(scores: Scores, sets: Sequence[TestSet]) -> list[str]:
    """What must be known to read the table: what the sets are, and at which GSD a model read them."""
    notes = []
    for test_set in sets:
        if test_set.about:
            notes.append(f"{test_set.name}: {test_set.about}")
        if test_set.gsd_m is not None:
            read = [
                f"{name} at {100 * found['gsd_m']:.3g} cm/px"
                for name, found in scores[test_set.name].items()
                if "gsd_m" in found
            ]
            read_by = f"; read by {', '.join(read)}" if read else ""
            notes.append(f"{test_set.name}: {100 * test_set.gsd_m:.3g} cm/px{read_by}")
    return notes


def _evaluate_scale(
    weights: Mapping[str, Path], data: Path, device: str, json_file: Path | None, *, markdown: bool
) -> None:
    from rich.console import Console

    from training.evaluation import scale
    from training.evaluation.methods import baselines, models

    methods = baselines() | models(_predictors(weights, device))
    rows = scale.measure_scale(methods, scale.scale_fields(data))
    if json_file is not None:
        write_json(json_file, [row.as_document() for row in rows])
    if markdown:
        typer.echo(scale.markdown_table(rows))
    else:
        Console().print(scale.scale_table(rows))
