"""What grows: leaf forms from seedling to full canopy, as recipes for leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

STAGES = 6
_GOLDEN_ANGLE = math.pi * (3 - math.sqrt(5))


@dataclass(frozen=True)
class Leaf:
    """One leaf: lengths in cm, angles in radians, colour in display RGB under full sun."""

    base_cm: tuple[float, float, float]
    azimuth: float
    elevation: float
    arch: float
    length_cm: float
    width_cm: float
    colour: tuple[float, float, float]
    kind: str = "blade"
    bend: float = 0.0
    roll: float = 0.0
    fold: float = 0.25
    crinkle: float = 0.0
    gain: float = 1.0
    gloss: float = 0.5
    midrib: float = 0.0


@dataclass(frozen=True)
class Variety:
    """A variety: its leaf form, hue and how it is sown (distances in cm = pixels)."""

    name: str
    form: str
    colour: tuple[float, float, float]
    row_spacing_cm: float
    plant_spacing_cm: float
    vigour: float = 1.0
    gloss: float = 0.5


VARIETIES = (
    Variety("maize-a", "maize", (122, 146, 72), 70, 17, gloss=0.85),
    Variety("maize-b", "maize", (104, 134, 76), 70, 15, vigour=0.88, gloss=0.7),
    Variety("soy-a", "soy", (84, 128, 50), 50, 9),
    Variety("soy-b", "soy", (108, 140, 58), 50, 11, vigour=0.86),
    Variety("soy-c", "soy", (146, 164, 66), 50, 10, vigour=0.78),
    Variety("beet-a", "rosette", (88, 136, 52), 50, 19, gloss=0.75),
    Variety("beet-b", "rosette", (104, 138, 66), 50, 24, vigour=0.9, gloss=0.6),
    Variety("cabbage-a", "rosette", (122, 148, 118), 60, 32, vigour=1.05, gloss=0.35),
)
WEEDS = (
    Variety("broadleaf weed", "rosette", (98, 128, 62), 0, 0, vigour=0.55, gloss=0.3),
    Variety("grass weed", "grass", (112, 132, 66), 0, 0, gloss=0.4),
)


def leaves_of(variety: Variety, stage: int, rng: np.random.Generator) -> list[Leaf]:
    """The leaves of one plant, lowest first."""
    form = {"maize": _maize, "soy": _soy, "rosette": _rosette, "grass": _grass}[variety.form]
    return form(variety, stage, rng)


def _tint(variety: Variety, rng: np.random.Generator, young: float) -> tuple[float, float, float]:
    """Leaf colour: every leaf a little different, young leaves paler and more yellow."""
    red, green, blue = variety.colour
    hue = rng.normal(0, 0.05)
    return (red * (1 + hue + 0.16 * young), green * (1 + 0.09 * young), blue * (1 - hue + 0.05 * young))


def _maize(variety: Variety, stage: int, rng: np.random.Generator) -> list[Leaf]:
    count = round(3 + 1.3 * stage + rng.uniform(-0.5, 0.5))
    full = (15 + 11.0 * stage) * variety.vigour
    stem = (2 + 8.0 * stage) * variety.vigour
    plane = rng.uniform(0, 2 * math.pi)
    leaves = []
    for k in range(count):
        rank = (k + 1) / count
        size = math.sin(math.pi * (0.22 + 0.62 * rank)) * rng.uniform(0.85, 1.12)
        whorl = rank > 0.82
        leaves.append(
            Leaf(
                base_cm=(rng.normal(0, 0.4), rng.normal(0, 0.4), 1 + stem * rank * 0.9),
                azimuth=plane + math.pi * (k % 2) + rng.normal(0, 0.38),
                elevation=rng.uniform(1.15, 1.4) if whorl else rng.uniform(0.7, 1.1),
                arch=rng.uniform(0.6, 1.2) if whorl else rng.uniform(1.2, 2.0),
                length_cm=full * size * (0.72 if whorl else 1.0),
                width_cm=(1.9 + 0.95 * stage) * rng.uniform(0.85, 1.1) * (0.75 if whorl else 1.0),
                colour=_tint(variety, rng, max(0.0, rank - 0.6) * 2),
                bend=rng.normal(0, 0.28),
                roll=rng.normal(0, 0.22),
                fold=0.3,
                crinkle=0.07,
                gain=rng.uniform(0.86, 1.12),
                gloss=variety.gloss * rng.uniform(0.5, 1.3),
                midrib=0.55 if stage > 1 else 0.25,
            )
        )
    return leaves


def _soy(variety: Variety, stage: int, rng: np.random.Generator) -> list[Leaf]:
    count = round((2.5 + 4.6 * stage) * rng.uniform(0.85, 1.15))
    reach = (3.5 + 3.7 * stage) * variety.vigour
    height = (5 + 8.5 * stage) * variety.vigour
    turn = rng.uniform(0, 2 * math.pi)
    leaves: list[Leaf] = []
    for k in range(count):
        out = math.sqrt((count - k - 0.5) / count) * rng.uniform(0.75, 1.15)  # outer and low first
        azimuth = turn + k * _GOLDEN_ANGLE + rng.normal(0, 0.3)
        foot = (
            reach * out * math.cos(azimuth),
            reach * out * math.sin(azimuth),
            max(1.0, height * (1 - 0.55 * out**2) * rng.uniform(0.85, 1.1)),
        )
        young = max(0.0, 1 - 2.2 * out)
        leaves.append(
            Leaf((foot[0] * 0.3, foot[1] * 0.3, foot[2] * 0.7), azimuth, 0.4, 0.2, reach * out * 0.75, 0.5,
                 _tint(variety, rng, 0.6), kind="needle", gain=0.9, gloss=0.1)
        )  # fmt: skip
        leaves.extend(_leaflets(variety, stage, foot=foot, azimuth=azimuth, young=young, rng=rng))
    return leaves


def _leaflets(
    variety: Variety,
    stage: int,
    *,
    foot: tuple[float, float, float],
    azimuth: float,
    young: float,
    rng: np.random.Generator,
) -> list[Leaf]:
    """The three leaflets at the end of a petiole, each tilted its own way."""
    size = (3.4 + 0.85 * stage) * (1 - 0.4 * young) * rng.uniform(0.85, 1.15) * variety.vigour
    gain = rng.uniform(0.84, 1.14)
    return [
        Leaf(
            base_cm=foot,
            azimuth=azimuth + side + rng.normal(0, 0.15),
            elevation=rng.normal(0.1, 0.3),
            arch=rng.uniform(0.1, 0.6),
            length_cm=size * (1.12 if side == 0 else 1.0),
            width_cm=size * 0.68,
            colour=_tint(variety, rng, young),
            kind="ovate",
            roll=rng.normal(0, 0.32),
            fold=0.18,
            gain=gain * rng.uniform(0.94, 1.06),
            gloss=variety.gloss * rng.uniform(0.3, 1.4),
            midrib=0.28 if stage > 1 else 0.12,
        )
        for side in (-1.35, 1.35, 0.0)
    ]


def _rosette(variety: Variety, stage: int, rng: np.random.Generator) -> list[Leaf]:
    count = round((4 + 2.6 * stage) * rng.uniform(0.88, 1.12))
    full = (6.5 + 4.7 * stage) * variety.vigour
    turn = rng.uniform(0, 2 * math.pi)
    broad = 0.62 if variety.name.startswith("cabbage") else 0.44
    leaves = []
    for k in range(count):
        rank = (k + 0.5) / count  # 0 outer and old, 1 the heart
        leaves.append(
            Leaf(
                base_cm=(rng.normal(0, 0.5), rng.normal(0, 0.5), 1 + 0.5 * stage * rank),
                azimuth=turn + k * _GOLDEN_ANGLE + rng.normal(0, 0.2),
                elevation=0.45 + 0.75 * rank + rng.normal(0, 0.1),
                arch=rng.uniform(0.6, 1.1) * (1.1 - 0.4 * rank),
                length_cm=full * (1.02 - 0.5 * rank) * rng.uniform(0.85, 1.12),
                width_cm=full * broad * (1.02 - 0.45 * rank) * rng.uniform(0.85, 1.15),
                colour=_tint(variety, rng, rank * 0.8),
                kind="rosette",
                bend=rng.normal(0, 0.2),
                roll=rng.normal(0, 0.2),
                fold=rng.uniform(0.1, 0.4),
                crinkle=0.16,
                gain=rng.uniform(0.85, 1.13),
                gloss=variety.gloss * rng.uniform(0.4, 1.3),
                midrib=0.6 if stage > 0 else 0.3,
            )
        )
    return leaves


def _grass(variety: Variety, stage: int, rng: np.random.Generator) -> list[Leaf]:
    return [
        Leaf(
            base_cm=(rng.normal(0, 0.8), rng.normal(0, 0.8), 0.5),
            azimuth=rng.uniform(0, 2 * math.pi),
            elevation=rng.uniform(0.5, 1.3),
            arch=rng.uniform(0.4, 1.4),
            length_cm=rng.uniform(5, 9) + 2.2 * stage,
            width_cm=rng.uniform(0.7, 1.1) + 0.1 * stage,
            colour=_tint(variety, rng, rng.uniform(0, 0.8)),
            bend=rng.normal(0, 0.4),
            gain=rng.uniform(0.8, 1.15),
            gloss=variety.gloss,
        )
        for _ in range(6 + 4 * stage)
    ]
