"""What ablations change: variants are recipes with one thing changed. To add one, name it in ``VARIANTS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from cropseg_geo.errors import InputError
from cropseg_geo.model.card_fields import Argument
from cropseg_geo.model.presets import find_preset
from training.recipe import Recipe
from training.simulator.corpus import DATASET, ON_COVERS

_MIXED = "mixed-"
"""Masks of a dataset into which a teacher's opinion was mixed."""

_INDEX = "colour_"
"""How the arguments of the colour index begin, in every network that has one."""

DEFAULT_UPSAMPLER = "fade-lite"
"""What the ``canopy`` network does where its recipe names no upsampler."""

Change = Callable[[Recipe], Recipe]


@dataclass(frozen=True)
class Variant:
    """A recipe with one thing changed; ``about`` says which."""

    name: str
    about: str
    change: Change


def upsampler(name: str) -> Change:
    """The network with another way of upsampling in its decoder."""

    def change(recipe: Recipe) -> Recipe:
        if recipe.network.get("upsampler", DEFAULT_UPSAMPLER) == name:
            return recipe
        return replace(recipe, network={**recipe.network, "upsampler": name})

    return change


def without(*datasets: str) -> Change:
    """The recipe without some of its datasets, ``mixed-`` ones included; the rest keep their proportions."""

    def change(recipe: Recipe) -> Recipe:
        left = {k: share for k, share in recipe.shares.items() if k.removeprefix(_MIXED) not in datasets}
        return replace(recipe, shares=left)

    return change


def plus(source: str, share: float) -> Change:
    """The recipe with the pictures of another source as well, unless it has them."""

    def change(recipe: Recipe) -> Recipe:
        if recipe.shares.get(source, 0.0) > 0.0:
            return recipe
        sources = tuple(dict.fromkeys((*recipe.sources, source)))
        return replace(recipe, sources=sources, shares={**recipe.shares, source: share})

    return change


def on_covers(recipe: Recipe) -> Recipe:
    """The recipe with half of its generated scenes where some of the ground is no soil."""
    share = recipe.shares.get(DATASET, 0.0) / 2.0
    if not share or ON_COVERS in recipe.shares:
        return recipe
    return replace(
        recipe,
        sources=(*recipe.sources, ON_COVERS),
        shares={**recipe.shares, DATASET: share, ON_COVERS: share},
        augmentation=replace(recipe.augmentation, ready=(*recipe.augmentation.ready, ON_COVERS)),
    )


def first_stage(recipe: Recipe) -> Recipe:
    """The recipe without self-training: no labels of a teacher, no average that betters them."""
    return replace(without("guesses")(recipe), average_teaches=False)


def without_doubt(recipe: Recipe) -> Recipe:
    """The recipe with masks taken as they were drawn."""
    return replace(recipe, doubted=())


def without_prior(recipe: Recipe) -> Recipe:
    """The recipe whose network starts from nothing but pixels, not from a colour index."""
    network, finish = (_without_index(part) for part in (recipe.network, recipe.finish))
    return replace(recipe, network=network, finish=finish, threshold="")


def habitual_threshold(recipe: Recipe) -> Recipe:
    """The recipe whose colour index has the same threshold everywhere."""
    return replace(recipe, threshold="")


def prior_as_trained(recipe: Recipe) -> Recipe:
    """The recipe in whose finished model the colour index is what it is in training."""
    return replace(recipe, finish=_without_index(recipe.finish))


def _without_index(arguments: Mapping[str, Argument]) -> dict[str, Argument]:
    return {key: value for key, value in arguments.items() if not key.startswith(_INDEX)}


def unchanged(recipe: Recipe) -> Recipe:
    """The recipe as it is."""
    return recipe


def from_nothing(recipe: Recipe) -> Recipe:
    """The recipe with random initial weights."""
    return replace(recipe, initial_weights="")


def vit_adapter(recipe: Recipe) -> Recipe:
    """The recipe in a small network of the paper's kind, of random weights: no pretrained ViT is at hand."""
    preset = find_preset("depthcropseg-pp-s")
    if recipe.architecture == preset.architecture:
        return recipe
    index = {key: value for key, value in recipe.network.items() if key.startswith(_INDEX)}
    network = {**preset.network, "width": 96, **index}
    return replace(recipe, architecture=preset.architecture, network=network, initial_weights="")


VARIANTS: tuple[Variant, ...] = (
    Variant("base", "the recipe as it is", unchanged),
    Variant("bilinear", "bilinear upsampling in the decoder", upsampler("bilinear")),
    Variant("fade-lite", "FADE-Lite in the decoder", upsampler("fade-lite")),
    Variant("fade", "FADE in the decoder", upsampler("fade")),
    Variant("prior-as-trained", "the finished model's colour index as in training", prior_as_trained),
    Variant("no-threshold", "a fixed threshold of the colour index, not the learned one", habitual_threshold),
    Variant("no-prior", "without the colour index under the logits", without_prior),
    Variant("no-simulator", "without generated crops", without("simulator")),
    Variant("covers", "half of the generated scenes on asphalt, gravel and the like", on_covers),
    Variant("no-heights", "without labels from heights", without("heights")),
    Variant("plus-heights", "with labels from heights, where the recipe has none", plus("heights", 0.15)),
    Variant("stage-1", "without self-training: no labels of a teacher", first_stage),
    Variant("no-doubt", "hand-drawn outlines taken as they are", without_doubt),
    Variant("no-imagenet", "random initial weights", from_nothing),
    Variant("vit-adapter", "a small ViT-Adapter of random weights instead of the CNN", vit_adapter),
    Variant("no-peanut", "the peanut field held out", without("peanut")),
    Variant("no-soybean", "the soybean field held out (one potted soybean stays)", without("growingsoy")),
    Variant(
        "no-peanut-prior", "peanut held out, no colour index", lambda r: without_prior(without("peanut")(r))
    ),
    Variant(
        "no-soybean-prior",
        "soybean held out, no colour index",
        lambda r: without_prior(without("growingsoy")(r)),
    ),
    Variant("no-peanut-simulator", "peanut held out, no generated crops", without("peanut", "simulator")),
    Variant(
        "no-soybean-simulator", "soybean held out, no generated crops", without("growingsoy", "simulator")
    ),
)


def find_variants(names: Sequence[str]) -> tuple[Variant, ...]:
    """Variants by name, in the registry's order; all of them for no names. Raises InputError."""
    known = {variant.name for variant in VARIANTS}
    if unknown := sorted(set(names) - known):
        raise InputError(
            f"unknown variants: {', '.join(unknown)}",
            remedy=f"choose from {', '.join(variant.name for variant in VARIANTS)}",
        )
    return tuple(variant for variant in VARIANTS if not names or variant.name in names)
