"""A checkpoint → the weights file that ships: averaged weights in half precision, with the card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_arguments, freeze_scores
from cropseg_geo.model.networks import build_network
from cropseg_geo.model.weights import save_weights
from training.evaluation.calibration import fold_temperature
from training.recipe import CLASSES, Recipe
from training.start import load_average

LICENCE = "CC-BY-SA-4.0"
"""The peanut pictures are CC BY-SA 4.0, and weights may count as adapted material: share them alike."""

GSD_M = 0.005
GSD_RANGE_M = (0.0003, 0.016)
"""Metres per pixel. The pictures have about 0.0004 (peanut), 0.0006 (potted plants) and 0.002 (soybean; all
estimated from the sizes of plants, pots and row spacings) and are seen at 0.1 to 2 times their size; the
simulator's scenes have 0.0003 to 0.05. Measured on an orthomosaic of 0.022 that is like none of them, the
first model, trained without a simulator, had mIoU 0.90 at 0.022, 0.85 at 0.03, and 0.93 once it was resampled
to 0.014 or 0.011: so the range ends at 0.016, and coarser rasters are read resampled to that.
"""

_LABELLED = (
    "growingsoy: soybean over straw, 341 frames of four dates, MIT (raulsteinmetz/soy-segmentation-ds)",
    "peanut: peanut and weeds on clods, 107 pictures, CC BY-SA 4.0 (ptdkhoa/Peanut-dataset)",
    "agir: potted maize, soybean, barley, mustard, amaranth, winter pea, 6 pictures, MIT",
    "simulator: 2,000 generated scenes of training.simulator, Apache-2.0",
    "heights: a generated field of sample_tiles, labelled by its surface model, Apache-2.0",
)
_UNLABELLED = (
    "sorghum_weed_cc0: 900 unlabelled field shots of sorghum and weeds, CC0, labelled by the stage before",
    "breedingplots: 60 unlabelled drone tiles of cereal plots, MIT, most of them screened out",
)
_MOBILENET = "encoder start: MobileNetV2, ImageNet, Apache-2.0 (google-coral/test_data)"


def export(
    recipe: Recipe,
    checkpoint: Path,
    target: Path,
    *,
    scores: Mapping[str, Mapping[str, float]] | None = None,
    temperature: float | None = None,
    agreement: float | None = None,
) -> ModelCard:
    """Write the weights file of a checkpoint; an older file is replaced in one step.

    Parameters
    ----------
    recipe
        The recipe that the checkpoint was trained with.
    checkpoint
        A file that :func:`training.fit.fit` wrote.
    target
        The ``.safetensors`` file.
    scores
        Test set → measure → value, as ``evaluate`` measured them on an export without scores.
    temperature
        Divides the logits, as :func:`training.evaluation.calibration.calibrate` fitted it on an export
        without one; kept in the weights, so that the runtime need not know of it.
    agreement
        Share of pixels of the same class in bf16, see :func:`training.evaluation.precision.bf16_agreement`.

    Returns
    -------
    ModelCard
        The card as written.

    Raises
    ------
    InputError
        If there is no checkpoint, or the temperature cannot be folded.
    OutputError
        If the target cannot be written.
    """
    averaged = finished_state(recipe, load_average(checkpoint))
    if temperature is not None:
        averaged = fold_temperature(averaged, temperature)
    card = make_card(recipe, scores=scores or {}, temperature=temperature, agreement=agreement)
    return save_weights(target, half_precision(averaged), card)


def finished_state(recipe: Recipe, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of the finished model: what was trained, and the parts that learn nothing."""
    arguments = {**recipe.network, **recipe.finish}
    finished = build_network(recipe.architecture, classes=len(CLASSES), **arguments).state_dict()
    return {**finished, **state}


def half_precision(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights as they ship: rounded by at most 0.05 %, which moves no score's third digit; half the bytes."""
    return {
        name: tensor.half() if tensor.is_floating_point() else tensor
        for name, tensor in state.items()
        # A counter of training batches: nothing reads it afterwards.
        if not name.endswith("num_batches_tracked")
    }


def make_card(
    recipe: Recipe,
    *,
    scores: Mapping[str, Mapping[str, float]],
    temperature: float | None = None,
    agreement: float | None = None,
) -> ModelCard:
    """The card of a recipe; its weights' digest is filled in by the writer."""
    # Networks with positions of a fixed size see tiles of that size.
    tile_px = int(recipe.network.get("img_size", ModelCard.tile_px))
    return ModelCard(
        name=recipe.name,
        version=recipe.version,
        summary=recipe.summary,
        architecture=recipe.architecture,
        network=freeze_arguments({**recipe.network, **recipe.finish}),
        mean=recipe.mean,
        std=recipe.std,
        classes=CLASSES,
        colours=("#000000", "#2e8b57"),
        gsd_m=GSD_M,
        gsd_range_m=GSD_RANGE_M,
        weights_digest="0" * 64,
        licence=LICENCE,
        training_data=training_data_of(recipe),
        scores=freeze_scores(scores),
        temperature=temperature,
        bf16_agreement=agreement,
        tile_px=tile_px,
        overlap_px=min(ModelCard.overlap_px, tile_px // 8),
    )


def training_data_of(recipe: Recipe) -> tuple[str, ...]:
    """The lines of a card that say what a recipe's model has seen."""
    taught = any(source.startswith(("guesses:", "mixed:")) for source in recipe.sources)
    start = _MOBILENET
    if recipe.architecture == "depthcropseg":
        start = f"encoder start: {recipe.network['encoder']} of timm's hub, under its licence there"
    return (*_LABELLED, *(_UNLABELLED if taught else ()), start)
