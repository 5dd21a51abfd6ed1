"""From a shipped model and a user's dataset to a model of their own: recipe, run, scores, weights file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from cropseg_geo.errors import InputError
from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.card_fields import freeze_scores
from cropseg_geo.model.onnx_file import SUFFIX, copy_onnx
from cropseg_geo.model.predictor import TorchPredictor
from cropseg_geo.model.weights import load_state, read_card, save_weights
from cropseg_geo.model.zoo import DEFAULT_MODEL
from training.data import MANIFEST, Pair, default_data_root, read_pairs
from training.evaluation.run import Scores
from training.recipe import CANOPY_M, CANOPY_S, CLASSES, RECIPES, Recipe
from training.sources.card import card_scores, tuned_card
from training.sources.dataset import Dataset
from training.sources.windows import thin
from training.weights import find_weights

if TYPE_CHECKING:
    from torch import Tensor

STEPS = 300
KEEP = 0.5
STRENGTH = 0.5
"""Halfway keeps at least half of what a crop gains, and most of what the start model knew: see DESIGN.md."""

KEPT_SHARES = {"growingsoy": 0.4, "peanut": 0.4, "agir": 0.2}
"""How often a kept crop comes from each of the product's own labelled sets; as in the recipes, the six potted
pictures half as often as each field set. Other sets of a data folder count like these."""

_OTHER_SHARE = 0.2

_ROUNDED = 40
"""Pictures at most that the effect of bf16 is measured on."""


@dataclass(frozen=True)
class Plan:
    """How to tune.

    Parameters
    ----------
    model
        The model to start from: a name, or a weights file.
    steps
        Steps of the recipe's batch.
    keep
        Share (0–1) of crops from the product's own training data, which the model would forget otherwise.
    data
        Where these are; None looks at the usual place, and goes without where they are not.
    workers, device
        As :func:`training.fit.fit` takes them.
    strength
        How far (0–1) the weights go from the start model's to those that training ended with. Few pictures
        of one field make a network forget what they lack; between the two it still knows both
        (arXiv:2109.01903).
    onnx
        Write the model's ONNX form, too, and measure on the dataset's pictures what bf16 does to its masks:
        where that is next to nothing, processors that multiply in bf16 compute it in half the time.
    """

    model: str | Path = DEFAULT_MODEL
    steps: int = STEPS
    keep: float = KEEP
    data: Path | None = None
    workers: int = 1
    device: str = "auto"
    strength: float = STRENGTH
    onnx: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.keep < 1.0:
            raise InputError(
                f"--keep {self.keep:g} is not a share from 0 up to, but not including, 1",
                remedy="give 0.5 for half of the crops, 0 for your own pictures alone",
            )
        if not 0.0 < self.strength <= 1.0:
            raise InputError(
                f"--strength {self.strength:g} is not above 0 and at most 1",
                remedy=f"give {STRENGTH:g} to go halfway, 1 for the weights as training ended with them",
            )
        if self.steps < 1:
            raise InputError(f"--steps {self.steps} trains nothing", remedy=f"give, say, {STEPS}")
        from training.devices import require_device

        require_device(self.device)

    @property
    def start(self) -> Path:
        """The weights file to start from. Raises ModelError."""
        return find_weights(self.model).resolve()

    @property
    def card(self) -> ModelCard:
        """The start model's card. Raises ModelError, or InputError if it cannot be tuned here."""
        card = read_card(self.start)
        if len(card.classes) != len(CLASSES) or len(card.bands) != 3:
            raise InputError(
                f"model {card.name!r} tells {len(card.classes)} classes from {len(card.bands)} bands; "
                f"labels here tell vegetation from background in RGB",
                remedy="start from canopy-s, or a model tuned from it",
            )
        return card

    def kept(self) -> tuple[Pair, ...]:
        """The product's own training pairs that are mixed in; none where they are not there.

        Raises
        ------
        InputError
            If ``data`` names a folder without them.
        """
        root = self.data or default_data_root()
        if self.keep == 0.0 or (self.data is None and not (root / MANIFEST).is_file()):
            return ()
        return read_pairs(root, split="train")


@dataclass(frozen=True)
class Tuned:
    """The model file's card, and scores on the held-out pictures: start model, tuned model, baselines."""

    card: ModelCard
    scores: Scores


def tune(
    dataset: Dataset,
    target: Path,
    run: Path,
    plan: Plan,
    *,
    name: str,
    on_step: Callable[[str], None] = lambda doing: None,
) -> Tuned:
    """Train on a dataset from a model's weights on, score both, write the weights file and its ONNX form.

    Parameters
    ----------
    dataset
        The user's data.
    target
        The ``.safetensors`` file; replaced in one step. The ONNX form is written beside it.
    run
        Folder of the run: an interrupted one goes on.
    plan
        How to tune.
    name
        Name of the new model.
    on_step
        Told what is being done after the training, in words.

    Raises
    ------
    InputError
        If the names of the dataset and of the product's own clash, or ``run`` holds another run.
    ModelError
        If ``name`` is no model's name.
    """
    from training.evaluation.precision import bf16_agreement
    from training.evaluation.run import evaluate_pairs
    from training.evaluation.sets import pair_sets
    from training.fit import fit
    from training.onnx_form import export_onnx
    from training.runs import Places

    start, kept = plan.card, plan.kept()
    recipe = tuning_recipe(start, dataset, plan, kept, name=name)
    places = Places(plan.data or dataset.folder, run)
    pairs = (*dataset.pairs("train"), *kept)
    # Before the training: a name that no card may have is told of at once.
    card = tuned_card(start, dataset, recipe, keep=plan.keep if kept else 0.0, strength=plan.strength)
    checkpoint = fit(recipe, pairs, places, workers=plan.workers, device=plan.device)
    candidate, state = run / f"{name}.safetensors", tuned_state(plan, checkpoint)
    save_weights(candidate, state, card)

    held_out = dataset.pairs("test")
    models = {
        start.name: TorchPredictor(plan.start, device=plan.device),
        name: TorchPredictor(candidate, device=plan.device),
    }
    scored = count(1)
    on_step("scoring held-out pictures")
    scores = evaluate_pairs(
        models, held_out, on_picture=lambda: on_step(f"scored {next(scored)} of {len(held_out)} pictures")
    )
    graph = None
    if plan.onnx:
        on_step("writing the ONNX form")
        graph = export_onnx(candidate)
        pictures = pair_sets(thin((*dataset.pairs("train"), *held_out), _ROUNDED))
        card = replace(card, bf16_agreement=bf16_agreement(graph, pictures))
    both = freeze_scores(card_scores(scores, dataset, tuned=name, start=start))
    card = save_weights(target, state, replace(card, scores=both))
    if graph is not None:
        copy_onnx(graph, target.with_suffix(SUFFIX), card)
    return Tuned(card, scores)


def tuned_state(plan: Plan, checkpoint: Path) -> dict[str, Tensor]:
    """The weights that the plan's strength picks between the start model's and the checkpoint's average."""
    import torch

    from training.export import half_precision
    from training.start import load_average

    start = load_state(plan.start)
    return half_precision(
        {
            name: torch.lerp(start[name].float(), tensor.float(), plan.strength)
            if tensor.is_floating_point()
            else tensor
            for name, tensor in load_average(checkpoint).items()
        }
    )


def tuning_recipe(
    start: ModelCard, dataset: Dataset, plan: Plan, kept: tuple[Pair, ...], *, name: str
) -> Recipe:
    """The start model's recipe, gentler and shorter, with the dataset mixed in. Raises InputError."""
    base = _base(start)
    for own in (name, dataset.name):
        require_free_name(own, start, kept)
    return replace(
        base,
        name=name,
        version="1.0.0",
        summary=f"{start.summary} Tuned on {dataset.name}.",
        architecture=start.architecture,
        network=start.network_arguments,
        mean=start.mean,
        std=start.std,
        initial_weights=f"model:{plan.start}",
        shares=mixed_shares(dataset.name, kept, keep=plan.keep),
        doubted=CANOPY_M.doubted,
        # These pictures have the resolution that the model is wanted for: no need to see them from afar.
        augmentation=replace(base.augmentation, ready=(*base.augmentation.ready, dataset.name)),
        steps=plan.steps,
        # A fifth of the rate that a new decoder needs: this one knows plants already.
        learning_rate=base.learning_rate / 5,
        warmup_steps=min(base.warmup_steps, max(1, plan.steps // 10)),
        # A quarter of a minute on two idle cores is what a run that is stopped does again.
        checkpoint_every=25,
        # Averages over about the last 100 steps.
        ema_decay=0.99,
        # Masks drawn by hand, not a teacher's opinion: the averages have nothing to better.
        average_teaches=False,
        # Nobody outlines leaves to the pixel.
        label_smoothing=0.02,
    )


def require_free_name(name: str, start: ModelCard, kept: tuple[Pair, ...]) -> None:
    """Raise InputError for a name that would be mistaken for the start model or for kept data."""
    if name in {start.name, *KEPT_SHARES, *(pair.dataset for pair in kept)}:
        raise InputError(
            f"the name {name!r} is taken by the product's own model or data", remedy="give another --name"
        )


def mixed_shares(own: str, kept: tuple[Pair, ...], *, keep: float) -> dict[str, float]:
    """Shares that add up to 1: ``keep`` for the kept datasets, in proportion; the rest for ``own``.

    >>> mixed_shares("mine", (), keep=0.5)
    {'mine': 1.0}
    """
    weights = {name: KEPT_SHARES.get(name, _OTHER_SHARE) for name in sorted({pair.dataset for pair in kept})}
    if not weights or keep == 0.0:
        return {own: 1.0}
    total = sum(weights.values())
    return {own: 1.0 - keep} | {name: keep * weight / total for name, weight in weights.items()}


def _base(start: ModelCard) -> Recipe:
    return RECIPES.get(start.name, CANOPY_S)
