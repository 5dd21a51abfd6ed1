"""The model card: everything that must be known to use a network, and nothing of its numbers.

The card travels inside the weights file. It is read without torch, so that a plan can be made, or a wrong
raster refused, before seconds are spent on importing it.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

from cropseg_geo.errors import ModelError
from cropseg_geo.model.card_fields import READERS, REMEDY, Argument, Arguments, Scores, refusal

FORMAT = "cropseg-card/1"
"""Changes when a reader of the old format could misunderstand a new card."""

CARD_KEY = "cropseg:card"
"""Key of the card's JSON in the metadata of a model file."""

MAX_TILE_PX = 8192
"""Largest side of a tile: a network's activations of it would take some 50 GB."""

SAME_MASK = 0.999
"""Share of pixels of the same class at and above which two ways to compute give the same mask."""


@dataclass(frozen=True)
class ModelCard:
    """A model's contract. Frozen, hashable; equal cards describe equal models.

    Parameters
    ----------
    name, version, summary
        What it is called, which one, and what it does in a sentence.
    bands
        Names of the input bands in the order of the channels.
    mean, std
        Standardisation of each band, applied to values scaled to 0–1.
    classes, colours
        Class names in the order of the output channels, and ``#rrggbb`` for each.
    gsd_m
        Ground sampling distance (m/px) at which the model is at its best.
    gsd_range_m
        Smallest and largest GSD (m/px) that the training supports.
    tile_px, overlap_px, stride_px
        Tile side, overlap of neighbouring tiles and stride of the network (pixels); tile, and hence any
        input, is a multiple of the stride.
    threshold
        Probability at and above which a pixel is of the second class of two.
    licence
        Licence of the weights (SPDX).
    training_data
        Origin of the training data, one entry for each source, with its licence.
    architecture
        Name of a registered network (``cropseg_geo.model.networks``); of no meaning to a network that is
        nothing but an ONNX graph.
    network
        Arguments of that network's builder, sorted by key.
    weights_digest
        SHA-256 over the tensors, see :func:`cropseg_geo.model.weights.digest_tensors`, or over the graph;
        whatever writes a model file sets it.
    scores
        Test set → measure → value, measured by ``python -m training evaluate``.
    temperature
        What the logits were divided by to make the probabilities true, fitted on held-out pictures; None for
        a model that was not calibrated. It is part of the weights already: nothing divides by it again.
    bf16_agreement
        Share of the pixels of test pictures whose class is the same in bf16 as in fp32; None where it was not
        measured.

    Raises
    ------
    ModelError
        For a field that cannot be; names the field, what was found and what was expected.
    """

    name: str
    version: str
    summary: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    classes: tuple[str, ...]
    colours: tuple[str, ...]
    gsd_m: float
    gsd_range_m: tuple[float, float]
    licence: str
    training_data: tuple[str, ...]
    architecture: str = "onnx"
    network: Arguments = ()
    weights_digest: str = "0" * 64
    scores: Scores = ()
    bands: tuple[str, ...] = ("red", "green", "blue")
    tile_px: int = 512
    overlap_px: int = 64
    stride_px: int = 32
    threshold: float = 0.5
    temperature: float | None = None
    bf16_agreement: float | None = None

    def __post_init__(self) -> None:
        _check_texts(self)
        _check_channels(self)
        _check_geometry(self)
        if not 0.0 < self.threshold < 1.0:
            raise refusal("threshold", self.threshold, "a probability between 0 and 1, both excluded")
        if self.temperature is not None and not 0.0 < self.temperature < math.inf:
            raise refusal("temperature", self.temperature, "a number above 0, or none")
        if self.bf16_agreement is not None and not 0.0 <= self.bf16_agreement <= 1.0:
            raise refusal("bf16_agreement", self.bf16_agreement, "a share from 0 to 1, or none")
        if re.fullmatch(r"[0-9a-f]{64}", self.weights_digest) is None:
            raise refusal("weights_digest", self.weights_digest, "64 hexadecimal digits (SHA-256)")

    @property
    def network_arguments(self) -> dict[str, Argument]:
        """The builder's arguments as keywords."""
        return dict(self.network)

    @property
    def channels(self) -> int:
        """Probabilities a pixel has: one for two classes, whose other is what is left of 1."""
        return 1 if len(self.classes) == 2 else len(self.classes)

    @property
    def keeps_masks_in_bf16(self) -> bool:
        """True where bf16 was measured to give the same class to 99.9 % of the pixels or more."""
        return self.bf16_agreement is not None and self.bf16_agreement >= SAME_MASK

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON: names this model, card and weights, in plans and provenance."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()

    def to_json(self) -> str:
        """The card as canonical JSON: keys sorted, no spaces; equal cards give equal text.

        An optional field that is None is left out, so that cards from before it existed keep their digest.
        """
        document: dict[str, object] = {
            field.name: value
            for field in fields(self)
            if (value := getattr(self, field.name)) is not None or field.name not in _OPTIONAL
        }
        document["network"] = dict(self.network)
        document["scores"] = {test_set: dict(measures) for test_set, measures in self.scores}
        return json.dumps(
            {"format": FORMAT, **document}, sort_keys=True, separators=(",", ":"), ensure_ascii=False
        )

    @classmethod
    def from_json(cls, text: str) -> ModelCard:
        """The card that :meth:`to_json` wrote.

        Raises
        ------
        ModelError
            For text that is no JSON object, another format, a missing or an unknown field, a field of the
            wrong type, or a value that cannot be.
        """
        document = _parse(text)
        known = {field.name for field in fields(cls)}
        found = document.keys() - {"format"}
        if missing := sorted(known - found - _OPTIONAL):
            raise ModelError(f"the model card lacks {', '.join(missing)}", remedy=REMEDY)
        if unknown := sorted(found - known):
            raise ModelError(f"the model card has unknown fields: {', '.join(unknown)}", remedy=REMEDY)
        return cls(**{name: READERS[name](name, document[name]) for name in sorted(known & found)})


_OPTIONAL = frozenset({"temperature", "bf16_agreement"})
"""Fields that came after the first models: a card without them is whole."""


def _check_texts(card: ModelCard) -> None:
    if re.fullmatch(r"[a-z0-9][a-z0-9._-]*", card.name) is None:
        raise refusal("name", card.name, "lower-case letters, digits, '.', '_' and '-'")
    for field in ("version", "summary", "architecture", "licence"):
        if not getattr(card, field).strip():
            raise refusal(field, getattr(card, field), "some text")
    if not card.training_data or not all(entry.strip() for entry in card.training_data):
        raise refusal("training_data", card.training_data, "at least one source, each some text")


def _check_channels(card: ModelCard) -> None:
    if not card.bands or len(set(card.bands)) != len(card.bands):
        raise refusal("bands", card.bands, "one name for each band, all different")
    for field in ("mean", "std"):
        values = getattr(card, field)
        if len(values) != len(card.bands) or not all(map(math.isfinite, values)):
            raise refusal(field, values, f"{len(card.bands)} finite numbers, one for each band")
    if min(card.std) <= 0.0:
        raise refusal("std", card.std, "numbers above 0")
    if len(card.classes) < 2 or len(set(card.classes)) != len(card.classes):
        raise refusal("classes", card.classes, "at least two names, all different, the background first")
    valid_colours = all(re.fullmatch(r"#[0-9a-f]{6}", colour) for colour in card.colours)
    if len(card.colours) != len(card.classes) or not valid_colours:
        raise refusal("colours", card.colours, f"{len(card.classes)} colours such as '#2e8b57'")


def _check_geometry(card: ModelCard) -> None:
    finest, coarsest = card.gsd_range_m
    if not (0.0 < finest <= coarsest < math.inf):
        raise refusal("gsd_range_m", card.gsd_range_m, "two lengths in metres, the finer first")
    if not finest <= card.gsd_m <= coarsest:
        raise refusal("gsd_m", card.gsd_m, f"a length within gsd_range_m, {finest}–{coarsest} m")
    if card.stride_px < 1:
        raise refusal("stride_px", card.stride_px, "at least 1 px")
    if not 1 <= card.tile_px <= MAX_TILE_PX or card.tile_px % card.stride_px:
        raise refusal(
            "tile_px", card.tile_px, f"a multiple of the stride, {card.stride_px} px, up to {MAX_TILE_PX}"
        )
    if not 0 <= card.overlap_px <= card.tile_px // 2:
        raise refusal("overlap_px", card.overlap_px, f"0 to half a tile, {card.tile_px // 2} px")


def _parse(text: str) -> dict[str, Any]:  # Any: JSON values of any kind, checked field by field
    try:
        document = json.loads(text)
        # Text that no file can hold (half a surrogate pair) is no text.
        json.dumps(document, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as err:
        raise ModelError(f"the model card is no JSON: {err}", remedy=REMEDY) from err
    if not isinstance(document, dict):
        raise ModelError(
            f"the model card is a JSON {type(document).__name__}; expected an object", remedy=REMEDY
        )
    if document.get("format") != FORMAT:
        raise ModelError(
            f"the model card's format is {document.get('format')!r}; this version reads {FORMAT!r}",
            remedy="install the version of CropSeg-Geo that the model was made for, or another model",
        )
    return document
