"""What to train and how: every hyperparameter once, with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from types import MappingProxyType

from cropseg_geo.errors import InputError
from cropseg_geo.model.card import Argument
from training.augment import Augmentation


@dataclass(frozen=True)
class Recipe:
    """A training run, complete but for the data: the same recipe on the same data gives the same weights."""

    name: str
    version: str
    summary: str

    architecture: str
    network: Mapping[str, Argument]
    # Encoder weights to start from, below the data folder.
    initial_weights: str
    # They were trained on x / 127.5 − 1.
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    # How often a crop comes from each dataset. Half as often from the six potted pictures as from each of
    # the two field sets: they bring the crops' variety but only one background.
    shares: Mapping[str, float] = field(
        default_factory=lambda: {"growingsoy": 0.4, "peanut": 0.4, "agir": 0.2}
    )
    augmentation: Augmentation = field(default_factory=Augmentation)

    seed: int = 20260122
    # 1,800 steps of 8 crops are what two cores do in about half an hour.
    steps: int = 1800
    batch: int = 8
    # The decoder starts from nothing; the encoder knows pictures already and moves with a third of the rate.
    learning_rate: float = 1.5e-3
    encoder_rate: float = 0.33
    warmup_steps: int = 100
    # Small: half an hour of training does not overfit a network of 1.9 million parameters.
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    # Averages over about the last 300 steps, early steps over fewer.
    ema_decay: float = 0.997
    # Cross-entropy alone lets rare thin leaves go; Dice alone is uncalibrated.
    dice_weight: float = 0.5
    # The outlines of the soybean masks are coarse: be less than certain of any one pixel.
    label_smoothing: float = 0.02

    log_every: int = 50
    checkpoint_every: int = 200

    def to_json(self) -> str:
        """Canonical JSON; equal recipes give equal text."""
        return json.dumps(asdict(self), sort_keys=True, indent=2)


CANOPY_S = Recipe(
    name="canopy-s",
    version="1.0.0",
    summary="Green vegetation against everything else, in RGB pictures of crops seen from above.",
    architecture="canopy",
    # Without batch norms in the encoder: those of the initial weights are folded, and small batches of very
    # unlike crops would make poor statistics. A training step takes a quarter less time, too.
    network={
        "encoder": "mobilenetv2_100",
        "pad_type": "same",
        "fold_norms": True,
        "width": 48,
        "fine_width": 16,
    },
    initial_weights="weights/mobilenetv2_100_tf1qat_fp16.safetensors",
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({CANOPY_S.name: CANOPY_S})


def find_recipe(name: str) -> Recipe:
    """A recipe by its name. Raises InputError."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}", remedy=f"choose one of {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
