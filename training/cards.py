"""Model cards as documents: ``docs/model-card-<name>.md``, drawn from the card and what was measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

from safetensors import safe_open

from cropseg_geo.model.card import ModelCard
from training.evaluation.run import Scores, scores_of
from training.evaluation.tables import MEAN, markdown_table, with_mean


@dataclass(frozen=True)
class Prose:
    """What no measurement says of a model: what it is for and where it ends, a sentence each."""

    uses: tuple[str, ...]
    limits: tuple[str, ...]


CANOPY = Prose(
    uses=(
        "Cover, masks and outlines of green vegetation in orthomosaics from drones and in nadir pictures of "
        "fields.",
        "Crop and weed are one class: any green vegetation.",
    ),
    limits=(
        "It is no weed map: crop and weed are not told apart.",
        "Mature, golden crops and leaves that turn are found in part; dead leaves count as background.",
        "Plants of a few pixels, as seedlings at 1 cm/px, are found with poor outlines, where a colour index "
        "does better: fly lower.",
        "Red and purple leaves are not found, and of two kinds of plants the less green one may be lost.",
        "Water, green tarps, nets and turf pass for vegetation; gravel and stones of many tints do in part: "
        "leave them out with --aoi.",
        "Pictures in grey and with near infrared for red say nothing to it.",
        "Species, soils, cameras and light that are not among the training data below: look at the result.",
        "At 2 cm/px and coarser, gaps between leaves close, and a stand of maize becomes one canopy.",
        "The colour index that the network starts from has one threshold for the whole tile, read off its "
        "histogram, with a say for the network, and one measure of the tile's noise. Apart from that, a "
        "pixel's result depends on its surroundings only: there is no position code.",
    ),
)
"""Holds for the ``canopy`` networks that ship by the definition of their classes and by their build."""

TRANSFORMER = Prose(
    CANOPY.uses,
    (
        *CANOPY.limits[:-1],
        "Every pixel's result depends on all of its tile, and on the place in it.",
    ),
)
"""The same classes from ``depthcropseg`` networks, whose attention spans the tile."""

_MEASURES = """\
In percent. mIoU is the mean of the IoU of vegetation and of background. Boundary IoU (arXiv:2103.16562)
is the IoU of the pixels near the masks' outlines: within 0.5 % of the picture's diagonal, at most 6 px.
ECE is the expected calibration error of the vegetation's probability over 15 bins, lower is better;
methods without probabilities have none. Counts of all pixels of a set are summed, then divided; pixels
of unknown truth are in no count. Pictures are seen whole at their own resolution; orthomosaics go
through `cropseg segment` with its defaults.

ExG + Otsu is 2G − R − B, each picture with its own threshold; ExG > 0.1 is the index of the chromatic
coordinates with a fixed threshold; depth only is height above ground without colour, where heights were
measured."""


def write_model_card(
    card: ModelCard,
    scores: Scores,
    path: Path,
    *,
    weights: Path | None = None,
    uncalibrated: Scores | None = None,
    prose: Prose | None = None,
    notes: Sequence[str] = (),
) -> None:
    """Write a model's card as Markdown; an older one is replaced.

    Parameters
    ----------
    card
        The card as the weights file holds it.
    scores
        What ``python -m training evaluate --all --json`` measured: the model under its name, and whatever it
        is compared to.
    path
        The document.
    weights
        The weights file, for its size and its number of parameters.
    uncalibrated
        Scores of the same weights without the temperature, for the calibration error before.
    prose
        Uses and limits; those of the card's kind of network without them.
    notes
        Remarks on the test sets, one sentence each.
    """
    text = render_model_card(
        card, scores, weights=weights, uncalibrated=uncalibrated, prose=prose, notes=notes
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def render_model_card(
    card: ModelCard,
    scores: Scores,
    *,
    weights: Path | None = None,
    uncalibrated: Scores | None = None,
    prose: Prose | None = None,
    notes: Sequence[str] = (),
) -> str:
    """The text of :func:`write_model_card`."""
    prose = prose or (TRANSFORMER if card.architecture == "depthcropseg" else CANOPY)
    sections = (
        f"# {card.name} {card.version}\n\n{card.summary}",
        _facts(card, weights),
        f"## What it is for\n\n{_bullets(prose.uses)}",
        f"## What it is not for\n\n{_bullets(prose.limits)}",
        _scores(scores, notes),
        _calibration(card, scores, uncalibrated),
        f"## Training data\n\n{_bullets(card.training_data)}",
        _making(card),
    )
    return "\n\n".join(sections) + "\n"


def _facts(card: ModelCard, weights: Path | None) -> str:
    finest, coarsest = card.gsd_range_m
    arguments = ", ".join(f"{key} {value}" for key, value in card.network)
    rows = {
        "Input": f"{', '.join(card.bands)}; scaled to 0–1, then (x − mean) / std with mean "
        f"{_numbers(card.mean)} and std {_numbers(card.std)}; sides a multiple of {card.stride_px} px",
        "Output": f"logits of {', '.join(f'`{name}`' for name in card.classes)} at the input's resolution; "
        f"mask = probability ≥ {card.threshold:g}",
        "Ground sampling distance": f"{finest:g}–{coarsest:g} m/px accepted, {card.gsd_m:g} nominal",
        "Tiles": f"{card.tile_px} px with an overlap of {card.overlap_px} px",
        "Network": f"`{card.architecture}`: {arguments}{_size(weights)}",
        **_bf16(card),
        "Licence of the weights": card.licence,
        "Digest of the weights": f"`{card.weights_digest[:16]}…` (SHA-256)",
    }
    lines = ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows.items())]
    return (
        "\n".join(lines)
        + "\n\nThe same facts, machine readable, are in the header of the weights file: "
        + "`cropseg_geo.model.weights.read_card`."
    )


def _bf16(card: ModelCard) -> dict[str, str]:
    if card.bf16_agreement is None:
        return {}
    return {"In bf16": f"{100 * card.bf16_agreement:.3f} % of the test pictures' pixels keep their class"}


def _size(weights: Path | None) -> str:
    if weights is None:
        return ""
    with safe_open(weights, framework="np") as file:
        parameters = sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return f"; {parameters / 1e6:.2f} million numbers, {weights.stat().st_size / 1e6:.1f} MB"


def _scores(scores: Scores, notes: Sequence[str]) -> str:
    parts = ["## Scores", "`python -m training evaluate --all` prints this table."]
    parts += [markdown_table(with_mean(scores)).rstrip(), _MEASURES]
    if notes:
        parts.append(_bullets(notes))
    return "\n\n".join(parts)


def _calibration(card: ModelCard, scores: Scores, uncalibrated: Scores | None) -> str:
    if card.temperature is None:
        return (
            "## Calibration\n\nThe probabilities are the network's own, not calibrated. A mask at 0.5 does "
            "not need it; read a probability as a rank, not as a share."
        )
    said = (
        f"The logits are divided by a temperature of {card.temperature:.3f}, fitted on held-out training "
        "pictures (least negative log-likelihood, arXiv:1706.04599). It is part of the weights; masks at 0.5 "
        "are the same with and without it."
    )
    return "\n\n".join(("## Calibration", said, *_calibration_table(card, scores, uncalibrated)))


def _calibration_table(card: ModelCard, scores: Scores, uncalibrated: Scores | None) -> Iterator[str]:
    after = _errors(card, scores)
    before = _errors(card, uncalibrated) if uncalibrated is not None else {}
    if not after:
        return
    lines = ["| Test set | ECE before (%) | ECE after (%) |", "|---|---:|---:|"]
    for row, error in after.items():
        shown = f"{100 * before[row]:.2f}" if row in before else "–"
        lines.append(f"| {row} | {shown} | {100 * error:.2f} |")
    yield "\n".join(lines)


def _errors(card: ModelCard, scores: Scores) -> dict[str, float]:
    """Calibration error of the model on each set and on their mean."""
    found = scores_of(card.name, scores) | {MEAN: with_mean(scores)[MEAN].get(card.name, {})}
    return {row: measures["ece"] for row, measures in found.items() if "ece" in measures}


def _making(card: ModelCard) -> str:
    return (
        "## How it was made\n\n"
        f"    python -m training build {card.name} --data DIR\n\n"
        "trains, scores and writes the weights. Every hyperparameter stands, with its reason, in "
        "`training/recipe.py` and `training/augment.py`. No checkpoint was chosen by a test score: the "
        "schedule is fixed beforehand and the last averaged weights ship.\n\n"
        "This document is written by `training/cards.py`; change it there, not here."
    )


def _bullets(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in values)
