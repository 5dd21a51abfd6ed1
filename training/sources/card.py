"""What a tuned model's card says: which data, which start, and scores of both models on what was held out."""

from __future__ import annotations

from dataclasses import replace

from cropseg_geo.model.card import ModelCard
from training.evaluation.run import Scores, scores_of
from training.recipe import Recipe
from training.sources.dataset import Dataset

_SOURCES = {
    "polygons": "an orthomosaic with outlined canopy",
    "heights": "an orthomosaic labelled by its heights",
}

_HELD_OUT = {"heights": "held out, labels made from heights, unknown left out"}


def in_words(dataset: Dataset) -> str:
    """Whose pictures, how many, and how many of them (or of their windows) are held out."""
    trained, held_out = dataset.pairs("train"), dataset.pairs("test")
    n_files = len({pair.source for pair in (*trained, *held_out)})
    pictures = f"{n_files} pictures with masks" if n_files > 1 else "a picture with its mask"
    is_cut = dataset.kind in _SOURCES or n_files < len(trained) + len(held_out)
    unit = "windows " if is_cut else ""
    split = f"{len(trained)} {unit}trained on, {len(held_out)} held out"
    return f"{_SOURCES.get(dataset.kind, pictures)} ({dataset.source}; {split})"


def tuned_card(
    start: ModelCard, dataset: Dataset, recipe: Recipe, *, keep: float, strength: float
) -> ModelCard:
    """The start model's card for the tuned weights: their origin, and the GSD of the data where it is known.

    The licence stays the start model's, whose weights these are adapted from; the licence of the user's
    pictures is named with them.
    """
    stated = f"licence: {dataset.licence}" if dataset.licence else "licence not stated"
    gsd = f"{dataset.gsd_m * 100:.3g} cm/px" if dataset.gsd_m else "GSD unknown"
    mixed = (f"{keep:.0%} of the crops from the start model's own data",) if keep else ()
    way = f"; weights {strength:.0%} of the way from there" if strength < 1.0 else ""
    finest, coarsest = start.gsd_range_m
    return replace(
        start,
        name=recipe.name,
        version=recipe.version,
        summary=recipe.summary,
        gsd_m=min(max(dataset.gsd_m or start.gsd_m, finest), coarsest),
        weights_digest="0" * 64,
        training_data=(
            f"{dataset.name}: {in_words(dataset)}, {gsd}, {stated}; {recipe.steps} steps",
            *mixed,
            f"start: {start.name} {start.version}, {start.licence}, weights {start.weights_digest[:12]}{way}",
            *start.training_data,
        ),
        scores=(),
        # The start model's was fitted to its own logits, and measured with its own weights.
        temperature=None,
        bf16_agreement=None,
    )


def card_scores(
    scores: Scores, dataset: Dataset, *, tuned: str, start: ModelCard
) -> dict[str, dict[str, float]]:
    """The tuned model's measures by set, and beside them what the start model reached there."""
    how = _HELD_OUT.get(dataset.kind, "held out")
    before = {f"{row} ({how}; {start.name})": found for row, found in scores_of(start.name, scores).items()}
    return {f"{row} ({how})": found for row, found in scores_of(tuned, scores).items()} | before
