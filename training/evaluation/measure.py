"""Weights files scored with a progress bar, for the commands and for what ships."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from cropseg_geo.model.predictor import TorchPredictor
from training.evaluation.methods import baselines, models
from training.evaluation.run import Scores
from training.evaluation.run import evaluate as score
from training.evaluation.sets import TestSet, all_sets, development_sets


def chosen_sets(data: Path, *, everything: bool) -> tuple[TestSet, ...]:
    """The development tests, or all that can be read here."""
    return all_sets(data) if everything else development_sets(data)


def predictors(weights: Mapping[str, Path], device: str) -> dict[str, TorchPredictor]:
    """A predictor for each weights file."""
    return {name: TorchPredictor(path, device=device) for name, path in weights.items()}


def measure(
    weights: Mapping[str, Path], sets: Sequence[TestSet], device: str, *, against_baselines: bool = True
) -> Scores:
    """Scores of weights files and of the baselines, with a progress bar on standard error."""
    methods = models(predictors(weights, device))
    if against_baselines:
        methods = baselines() | methods
    with Progress(console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("evaluating", total=sum(len(test_set.readers) for test_set in sets))
        return score(methods, sets, on_picture=lambda: progress.advance(bar))


def write_json(path: Path, document: object) -> None:
    """A document as JSON that a person can read too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
