"""What to train and how: every hyperparameter once, with its reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from types import MappingProxyType
from typing import Any

from cropseg_geo.errors import InputError
from cropseg_geo.model.card_fields import Argument
from cropseg_geo.model.presets import PRESETS, find_preset
from training.augment import Augmentation

CLASSES = ("background", "crop")

_UNREAD = ("version", "summary", "finish")
"""Fields that only the finished model has."""


@dataclass(frozen=True)
class Recipe:
    """A training run, complete but for the data: the same recipe on the same data gives the same weights."""

    name: str
    version: str
    summary: str

    architecture: str
    network: Mapping[str, Argument]
    # Where to start: an encoder's file below the data folder, "run:NAME", "model:NAME", or nothing; see
    # training.start.
    initial_weights: str
    # The encoder's weights were trained on x / 127.5 − 1.
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)
    # The run that the colour index's threshold comes from, see training.threshold; empty: the habitual one.
    threshold: str = ""
    # Arguments of the network that only the finished model has: parts that learn nothing.
    finish: Mapping[str, Argument] = field(default_factory=dict)

    # Where the pictures come from, see training.stages.pairs_of.
    sources: tuple[str, ...] = ("pairs",)
    # How often a crop comes from each dataset. Half as often from the six potted pictures as from each of
    # the two field sets: they bring the crops' variety but only one background.
    shares: Mapping[str, float] = field(
        default_factory=lambda: {"growingsoy": 0.4, "peanut": 0.4, "agir": 0.2}
    )
    # Datasets whose outlines were drawn by hand with some pixels of slack, and how far (px) they are doubted;
    # see training.doubt.
    doubted: tuple[str, ...] = ()
    doubt_px: int = 12
    augmentation: Augmentation = field(default_factory=Augmentation)

    seed: int = 20260122
    # 1,000 steps of 8 crops are what two cores do in about a quarter of an hour.
    steps: int = 1000
    batch: int = 8
    # The decoder starts from nothing; the encoder knows pictures already and moves with a third of the rate.
    learning_rate: float = 1.5e-3
    encoder_rate: float = 0.33
    # Factor from layer to layer of a ViT, from the last to the first; 1 where there is no ViT.
    layer_decay: float = 1.0
    warmup_steps: int = 100
    # Small: so short a training does not overfit a network of 1.9 million parameters.
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    # Averages over about the last 300 steps, early steps over fewer.
    ema_decay: float = 0.997
    # Cross-entropy alone lets rare thin leaves go; Dice alone is uncalibrated.
    dice_weight: float = 0.5
    # The outlines of the soybean masks are coarse: be less than certain of any one pixel.
    label_smoothing: float = 0.02

    # Stage 2: targets of a teacher are bettered by the network's own average, where that is sure enough.
    average_teaches: bool = False
    confidence: float = 0.9

    log_every: int = 50
    validate_every: int = 300
    checkpoint_every: int = 100

    def to_json(self) -> str:
        """Canonical JSON; equal recipes give equal text."""
        return json.dumps(asdict(self), sort_keys=True, indent=2)

    @property
    def training(self) -> dict[str, Any]:
        """What the training reads: recipes that agree in it share their runs."""
        return {name: value for name, value in json.loads(self.to_json()).items() if name not in _UNREAD}


# Without batch norms in the encoder: those of the initial weights are folded, and small batches of very
# unlike crops would make poor statistics. A training step takes a quarter less time, too.
_SMALL: Mapping[str, Argument] = {
    "encoder": "mobilenetv2_100",
    "pad_type": "same",
    "fold_norms": True,
    "width": 48,
    "fine_width": 16,
    "output": "shuffle",
    "detail_width": 24,
    # Fields that are not among the training data are told apart by colour first: see DESIGN.md.
    "colour_prior": 5.0,
}
THRESHOLD = "threshold"
_IMAGENET = "weights/mobilenetv2_100_tf1qat_fp16.safetensors"

# Stage 1: masks drawn by hand, the simulator's, and those that height drew. It teaches stage 2.
CANOPY_S_1 = Recipe(
    name="canopy-s-1",
    version="1.5.0",
    summary="Stage 1 of canopy-s: the teacher of the unlabelled pictures.",
    architecture="canopy",
    network=_SMALL,
    initial_weights=_IMAGENET,
    threshold=THRESHOLD,
    sources=("pairs", "simulator", "heights"),
    shares={"growingsoy": 0.24, "peanut": 0.24, "agir": 0.1, "simulator": 0.38, "heights": 0.04},
    steps=900,
)

# Stage 2 in a decoder twice as wide: all of that, and what stage 1 is sure of in unlabelled pictures.
CANOPY_M = replace(
    CANOPY_S_1,
    name="canopy-m",
    version="1.8.0",
    summary="Green vegetation against everything else, in RGB pictures of crops; twice as wide as canopy-s.",
    network={**_SMALL, "width": 96, "fine_width": 32, "detail_width": 48},
    # The index weighs more in the finished model than in training unless it is doubted, and a paler green
    # passes: see DESIGN.md.
    finish={"colour_prior": 18.0, "colour_shift": 0.03, "colour_doubted": 5.0, "colour_grey": 0.03},
    initial_weights="encoder:canopy-s-1",
    sources=("pairs", "simulator", "heights", "guesses:canopy-s-1"),
    # Simulated scenes hold what the pictures lack: few plants on much ground, stones, straw, night.
    shares={
        "growingsoy": 0.22,
        "peanut": 0.19,
        "agir": 0.06,
        "simulator": 0.38,
        "heights": 0.04,
        "guesses": 0.11,
    },
    doubted=("growingsoy", "peanut"),
    # Leaves of few pixels, as drones see them: at 0.3–3 mm/px the pictures have few of them.
    augmentation=Augmentation(far=0.2, far_scale=(0.1, 0.5), ready_scale=(0.5, 1.4)),
    average_teaches=True,
    # Ground with few plants takes that long to learn: after 700 steps, straw and dark soil were plants.
    steps=1500,
    ema_decay=0.998,
)

# Stage 2 of the small network, distilled: it learns from canopy-m's opinion as much as from the masks.
CANOPY_S = replace(
    CANOPY_M,
    name="canopy-s",
    version="1.10.0",
    summary="Green vegetation against everything else, in RGB pictures of crops seen from above.",
    network=_SMALL,
    initial_weights="run:canopy-s-1",
    sources=("mixed:canopy-m", "simulator", "heights", "guesses:canopy-m"),
    shares={
        "mixed-growingsoy": 0.22,
        "mixed-peanut": 0.19,
        "mixed-agir": 0.06,
        "simulator": 0.38,
        "heights": 0.04,
        "guesses": 0.11,
    },
    doubted=("mixed-growingsoy", "mixed-peanut"),
    steps=2400,
    ema_decay=0.999,
)

# What ablations change one thing of: small crops and few steps, some four minutes a run on two cores. Shares
# are those of the models of its day, as in the table of DESIGN.md.
ABLATION = Recipe(
    name="ablation",
    version="0",
    summary="The base of the ablations: canopy-s in one short stage.",
    architecture="canopy",
    network=_SMALL,
    initial_weights=_IMAGENET,
    threshold=THRESHOLD,
    sources=CANOPY_M.sources,
    shares={
        "growingsoy": 0.24,
        "peanut": 0.25,
        "agir": 0.08,
        "simulator": 0.23,
        "heights": 0.05,
        "guesses": 0.15,
    },
    finish=CANOPY_M.finish,
    augmentation=replace(CANOPY_M.augmentation, crop_px=160),
    doubted=CANOPY_M.doubted,
    average_teaches=True,
    steps=200,
    warmup_steps=40,
    ema_decay=0.98,
)


def _paper(name: str) -> Recipe:
    """The paper's network, for a GPU.

    Rate, weight decay and crop are those of the nearest public recipe; its tenth of the rate for the backbone
    is spread here over the layers. Steps, batch and average are our choice: no schedule is published.
    """
    preset = find_preset(name)
    return Recipe(
        name=name,
        version="0",
        summary="DepthCropSeg++: ViT-Adapter with FADE; no weights of it ship.",
        architecture=preset.architecture,
        network=dict(preset.network),
        initial_weights=preset.pretrained,
        mean=(0.485, 0.456, 0.406),
        std=(0.229, 0.224, 0.225),
        sources=CANOPY_S_1.sources,
        shares=CANOPY_S_1.shares,
        augmentation=Augmentation(crop_px=512),
        learning_rate=1e-4,
        encoder_rate=1.0,
        layer_decay=preset.layer_decay,
        weight_decay=0.05,
        steps=20_000,
        batch=16,
        warmup_steps=1000,
        ema_decay=0.9995,
    )


def _paper_2(name: str) -> Recipe:
    """Stage 2 of the paper's network: the union with what stage 1 labelled, under the averaged teacher."""
    return replace(
        _paper(name),
        name=f"{name}-2",
        summary="DepthCropSeg++, stage 2: self-trained on unlabelled pictures; no weights of it ship.",
        initial_weights=f"run:{name}",
        sources=(*CANOPY_S_1.sources, f"guesses:{name}"),
        shares=CANOPY_M.shares,
        doubted=CANOPY_M.doubted,
        average_teaches=True,
    )


_PAPERS = tuple(stage(name) for name in PRESETS for stage in (_paper, _paper_2))

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {recipe.name: recipe for recipe in (CANOPY_S_1, CANOPY_S, CANOPY_M, ABLATION, *_PAPERS)}
)


def find_recipe(name: str) -> Recipe:
    """A recipe by its name. Raises InputError."""
    if name not in RECIPES:
        raise InputError(f"unknown recipe {name!r}", remedy=f"choose one of {', '.join(sorted(RECIPES))}")
    return RECIPES[name]
