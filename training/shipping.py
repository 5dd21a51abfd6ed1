"""A run → the model that ships: calibrated, scored on every test set, its card in the file and as text."""

from __future__ import annotations

from pathlib import Path

from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.weights import read_card
from training.cards import write_model_card
from training.evaluation.measure import measure, write_json
from training.evaluation.precision import bf16_agreement
from training.evaluation.run import Scores, scores_of
from training.evaluation.sets import all_sets
from training.export import export
from training.onnx_form import export_onnx
from training.recipe import find_recipe
from training.stages import Workshop, finished_model
from training.start import CHECKPOINT

_RAW = " (no temperature)"


def ship(name: str, target: Path, document: Path | None, workshop: Workshop) -> ModelCard:
    """Write a recipe's model with its scores, in both forms; ``scores.json`` stays with the run.

    Parameters
    ----------
    name
        The recipe, trained or not.
    target
        The weights file; its ONNX form is written beside it.
    document
        The card as Markdown; None for none.
    workshop
        Where the run is.

    Returns
    -------
    ModelCard
        The card as written.
    """
    recipe, folder = find_recipe(name), workshop.run_of(name)
    candidate = finished_model(name, workshop)
    checkpoint, raw = folder / CHECKPOINT, folder / "uncalibrated.safetensors"
    export(recipe, checkpoint, raw)
    sets = all_sets(workshop.data)
    scores = measure({name: candidate, name + _RAW: raw}, sets, workshop.device)
    raw.unlink()
    write_json(folder / "scores.json", scores)
    temperature = read_card(candidate).temperature
    own = scores_of(name, scores)
    agreement = bf16_agreement(export_onnx(candidate), sets)
    card = export(recipe, checkpoint, target, scores=own, temperature=temperature, agreement=agreement)
    export_onnx(target)
    if document is not None:
        uncalibrated = _renamed(scores, name)
        shown = {
            row: {m: v for m, v in methods.items() if m != name + _RAW} for row, methods in scores.items()
        }
        write_model_card(card, shown, document, weights=target, uncalibrated=uncalibrated)
    return card


def _renamed(scores: Scores, name: str) -> Scores:
    """The scores of the model without a temperature, under the model's own name."""
    return {row: {name: methods[name + _RAW]} for row, methods in scores.items() if name + _RAW in methods}
