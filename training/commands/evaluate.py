"""``python -m training evaluate``: models and what they must beat, on every test set, in one table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.data import DATA_VARIABLE, default_data_root

if TYPE_CHECKING:
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
    from training.evaluation.measure import chosen_sets, measure, write_json

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
    from training.evaluation.measure import predictors, write_json
    from training.evaluation.methods import baselines, models

    methods = baselines() | models(predictors(weights, device))
    rows = scale.measure_scale(methods, scale.scale_fields(data))
    if json_file is not None:
        write_json(json_file, [row.as_document() for row in rows])
    if markdown:
        typer.echo(scale.markdown_table(rows))
    else:
        Console().print(scale.scale_table(rows))
