"""What grows: habits from wheat seedling to potato bush, hues from blue-green to drought yellow."""

from __future__ import annotations

import colorsys
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from training.simulator.leaves import OUTLINES, Leaves, joined, make_leaves

_GOLDEN_ANGLE = np.pi * (3.0 - np.sqrt(5.0))
Doubles = npt.NDArray[np.float64]
Span = tuple[float, float]
"""From seedling to full-grown."""


@dataclass(frozen=True)
class Habit:
    """How a kind of plant is built; spans run from seedling to full-grown, lengths in m."""

    name: str
    outlines: tuple[str, ...]
    height_m: Span
    leaf_m: Span
    aspect: Span  # width of a leaf per length: range of the draw, not of age
    leaves: Span  # per shoot
    shoots: Span = (1, 1)
    tuft_m: Span = (0.0, 0.0)  # how far the shoots stand from the foot
    stalk: float = 0.0  # length of the petiole per length of leaf
    leaflets: int = 1  # 1, 3 at the stalk's end, 4 in pairs; −n: n pairs along the stalk
    elevation: Span = (0.2, 1.0)  # outer and inner leaves
    arch: Span = (0.3, 1.0)
    distichous: bool = False
    fold: float = 0.2
    ripple: float = 0.08
    row_m: Span = (0.3, 0.75)
    spacing_m: Span = (0.04, 0.2)


HABITS = {
    habit.name: habit
    for habit in (
        Habit("cereal", ("blade", "strap"), (0.04, 0.55), (0.06, 0.24), (0.025, 0.06), (2, 5), (1, 7),
              (0.0, 0.035), elevation=(0.75, 1.35), arch=(0.1, 1.5), distichous=True, fold=0.3, ripple=0.03,
              row_m=(0.11, 0.25), spacing_m=(0.012, 0.04)),
        Habit("maize", ("blade",), (0.05, 1.5), (0.10, 0.75), (0.08, 0.14), (3, 11), elevation=(0.7, 1.35),
              arch=(0.9, 2.0), distichous=True, fold=0.35, ripple=0.12,
              row_m=(0.45, 0.8), spacing_m=(0.12, 0.25)),
        Habit("soy", ("ovate", "ovate", "heart"), (0.05, 0.7), (0.025, 0.11), (0.6, 0.8), (2, 14), (1, 3),
              (0.0, 0.08), stalk=1.5, leaflets=3, elevation=(0.0, 0.9), arch=(0.1, 0.7), row_m=(0.3, 0.75),
              spacing_m=(0.05, 0.12)),
        Habit("peanut", ("obovate", "round", "ovate"), (0.03, 0.35), (0.015, 0.05), (0.5, 0.75), (3, 12),
              (1, 5), (0.0, 0.1), stalk=1.6, leaflets=4, elevation=(0.0, 0.8), arch=(0.0, 0.5),
              row_m=(0.3, 0.9), spacing_m=(0.08, 0.2)),
        Habit("cotyledon", ("round", "obovate", "heart"), (0.02, 0.05), (0.008, 0.03), (0.5, 0.95), (2, 4),
              stalk=0.7, elevation=(0.0, 0.7), arch=(0.0, 0.4), row_m=(0.2, 0.5), spacing_m=(0.02, 0.15)),
        Habit("beet", ("rosette",), (0.03, 0.45), (0.05, 0.38), (0.35, 0.6), (4, 18), elevation=(0.4, 1.25),
              arch=(0.5, 1.2), ripple=0.2, row_m=(0.45, 0.5), spacing_m=(0.15, 0.25)),
        Habit("cress", ("rosette", "lobed", "round"), (0.01, 0.06), (0.012, 0.07), (0.3, 0.55), (5, 22),
              stalk=0.2, elevation=(0.05, 0.7), arch=(0.1, 0.6), row_m=(0.1, 0.3), spacing_m=(0.06, 0.2)),
        Habit("cabbage", ("heart", "round", "ovate"), (0.04, 0.4), (0.04, 0.33), (0.7, 1.0), (4, 16),
              stalk=0.25, elevation=(0.1, 1.25), arch=(-0.2, 0.8), ripple=0.2,
              row_m=(0.4, 0.7), spacing_m=(0.25, 0.5)),
        Habit("carrot", ("feather",), (0.03, 0.4), (0.04, 0.24), (0.35, 0.5), (3, 10), leaflets=-7,
              elevation=(0.5, 1.35), arch=(0.3, 1.1), fold=0.1, row_m=(0.2, 0.45), spacing_m=(0.02, 0.06)),
        Habit("pea", ("ovate", "round"), (0.04, 0.6), (0.05, 0.14), (0.5, 0.7), (2, 10), (1, 3), (0.0, 0.1),
              leaflets=-2, elevation=(0.1, 1.0), arch=(0.2, 0.8), row_m=(0.12, 0.3), spacing_m=(0.03, 0.08)),
        Habit("potato", ("ovate", "heart"), (0.05, 0.6), (0.08, 0.28), (0.5, 0.7), (3, 9), (1, 5),
              (0.0, 0.12), leaflets=-3, elevation=(0.0, 0.9), arch=(0.3, 0.9), ripple=0.2,
              row_m=(0.7, 0.9), spacing_m=(0.25, 0.4)),
        Habit("onion", ("strap", "needle"), (0.03, 0.1), (0.08, 0.4), (0.02, 0.045), (2, 8),
              elevation=(0.8, 1.4), arch=(0.1, 0.9), distichous=True, fold=0.5, ripple=0.02,
              row_m=(0.15, 0.4), spacing_m=(0.03, 0.1)),
        Habit("grass", ("blade",), (0.01, 0.1), (0.04, 0.25), (0.02, 0.07), (3, 6), (1, 8), (0.0, 0.03),
              elevation=(0.3, 1.3), arch=(0.3, 1.5), ripple=0.03, row_m=(0.1, 0.2), spacing_m=(0.01, 0.06)),
        Habit("sunflower", ("heart", "ovate"), (0.04, 1.2), (0.03, 0.26), (0.6, 0.9), (4, 18), stalk=0.6,
              elevation=(-0.2, 0.8), arch=(0.2, 0.8), ripple=0.15, row_m=(0.5, 0.75), spacing_m=(0.15, 0.3)),
        Habit("weed", ("ovate", "lobed", "heart", "rosette"), (0.01, 0.3), (0.01, 0.08), (0.3, 0.8), (4, 20),
              (1, 4), (0.0, 0.06), stalk=0.6, elevation=(-0.1, 0.8), arch=(0.1, 0.7), ripple=0.15),
        Habit("creeper", ("needle", "ovate"), (0.01, 0.12), (0.006, 0.03), (0.12, 0.4), (8, 26), (2, 9),
              (0.01, 0.12), elevation=(-0.1, 0.9), arch=(0.0, 0.5)),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Look:
    """Colours of a crop, linear light; ``dying`` is the share of leaves with brown tips."""

    leaf: tuple[float, float, float]
    young: tuple[float, float, float]
    stem: tuple[float, float, float]
    tip: tuple[float, float, float]
    dying: float
    yellowing: float
    spread: float
    gloss: float
    rib: float
    droop: float


@dataclass(frozen=True, eq=False)
class _Frame:
    """Where leaves begin, (n, 3), where they point, and how large they are, (n,) each."""

    base_m: Doubles
    azimuth: Doubles
    elevation: Doubles
    length_m: Doubles
    width_m: Doubles


def linear(rgb: tuple[float, float, float]) -> tuple[float, float, float]:
    """Display values on 0–1 → linear light."""
    red, green, blue = (value**2.2 for value in rgb)
    return red, green, blue


def _hsv(hue_deg: float, saturation: float, value: float) -> tuple[float, float, float]:
    return linear(colorsys.hsv_to_rgb(hue_deg / 360.0, saturation, value))


def draw_look(rng: np.random.Generator, *, dry: float = 0.12) -> Look:
    """A crop's colours: usually green, with probability ``dry`` drought yellow, now and then purple."""
    luck = rng.random()
    if luck < dry:
        hue, saturation, value = rng.uniform(46, 72), rng.uniform(0.3, 0.75), rng.uniform(0.48, 0.76)
    elif luck < dry + 0.02:
        hue, saturation, value = rng.uniform(-30, 25), rng.uniform(0.15, 0.4), rng.uniform(0.3, 0.45)
    elif luck < dry + 0.18:
        hue, saturation, value = rng.uniform(105, 155), rng.uniform(0.12, 0.4), rng.uniform(0.4, 0.66)
    else:
        hue, saturation, value = (
            np.clip(rng.normal(86, 12), 58, 112),
            rng.uniform(0.26, 0.62),
            rng.uniform(0.32, 0.66),
        )
    # Leaves of a purer green than grass green do not exist.
    saturation *= 1.0 - float(np.clip((hue - 96.0) / 60.0, 0.0, 0.55))
    purple = _hsv(rng.uniform(-25, 20), 0.4, 0.5)
    return Look(
        leaf=_hsv(hue, saturation, value),
        young=_hsv(hue - rng.uniform(0, 16), saturation * rng.uniform(0.9, 1.15), min(0.9, value * 1.2)),
        stem=purple if rng.random() < 0.25 else _hsv(hue - 14, saturation * 0.7, value * 1.1),
        tip=_hsv(rng.uniform(28, 50), rng.uniform(0.3, 0.6), rng.uniform(0.45, 0.75)),
        dying=rng.uniform(0.2, 0.8) if luck < dry else max(0.0, rng.uniform(-0.3, 0.3)),
        yellowing=rng.uniform(0.2, 0.6) if luck < dry else max(0.0, rng.uniform(-0.5, 0.25)),
        spread=rng.uniform(0.06, 0.22),
        gloss=rng.uniform(0.0, 0.9),
        rib=max(0.0, rng.uniform(-0.15, 0.55)),
        droop=rng.uniform(0.2, 0.9) if rng.random() < max(0.1, dry) else 0.0,
    )  # fmt: skip


def _grown(span: Span, stage: float) -> float:
    """Geometric growth from the first to the second value; ``stage`` runs from 0 to 1."""
    low, high = span
    return low + (high - low) * stage if low <= 0 else float(low * (high / low) ** stage)


def grow(habit: Habit, look: Look, stage: float, rng: np.random.Generator) -> Leaves:
    """One plant with its foot at the origin; ``stage`` from 0 (seedling) to 1 (full-grown)."""
    shoots = max(1, round(_grown(habit.shoots, stage) * rng.uniform(0.7, 1.3)))
    outline = OUTLINES.index(habit.outlines[rng.integers(len(habit.outlines))])
    parts = []
    for _ in range(shoots):
        foot = rng.normal(0.0, 0.5 * _grown(habit.tuft_m, stage) + 0.001, 2)
        parts += _shoot(habit, look, stage, outline, (foot[0], foot[1]), rng)
    return joined(parts)


def _shoot(
    habit: Habit, look: Look, stage: float, outline: int, foot: tuple[float, float], rng: np.random.Generator
) -> list[Leaves]:
    """The leaves of one shoot, with stalks."""
    n = max(2, round(_grown(habit.leaves, stage) * rng.uniform(0.8, 1.2)))
    rank = (np.arange(n) + 0.5) / n  # 0 lowest and outermost, 1 the youngest
    alternate = np.pi * (np.arange(n) % 2) if habit.distichous else _GOLDEN_ANGLE * np.arange(n)
    azimuth = rng.uniform(0, 2 * np.pi) + alternate + rng.normal(0, 0.3, n)
    if n <= 3 and not habit.distichous:
        azimuth = rng.uniform(0, 2 * np.pi) + 2 * np.pi / n * np.arange(n) + rng.normal(0, 0.2, n)
    low, high = habit.elevation
    elevation = low + (high - low) * rank + rng.normal(0, 0.15, n) - look.droop * 0.6
    bulge = 0.55 + 0.45 * np.sin(np.pi * (0.15 + 0.7 * rank))
    length = _grown(habit.leaf_m, stage) * bulge * rng.uniform(0.75, 1.15, n)
    height = _grown(habit.height_m, stage) * rank * 0.9 * rng.uniform(0.8, 1.1)
    base = np.stack([np.full(n, foot[0]), np.full(n, foot[1]), 0.002 + height], axis=1)
    base[:, :2] += rng.normal(0, 0.002, (n, 2)) + 0.05 * height[:, None] * rng.normal(0, 1, 2)
    shared = {
        "arch": rng.uniform(*habit.arch, n) + look.droop * 0.7, "bend": rng.normal(0, 0.25, n),
        "roll": rng.normal(0, 0.25, n), "fold": habit.fold * rng.uniform(0.4, 1.6, n),
        "ripple": habit.ripple * rng.uniform(0.5, 1.5, n), "rib": look.rib * rng.uniform(0.6, 1.2, n),
        "gloss": look.gloss * rng.uniform(0.4, 1.3, n), "tip": np.broadcast_to(look.tip, (n, 3)),
        "tip_start": np.where(rng.random(n) < look.dying * (1.2 - rank), rng.uniform(0.1, 0.95, n), 2.0),
        "colour": _tints(look, rank, rng), "outline": np.full(n, outline),
    }  # fmt: skip
    width = length * rng.uniform(*habit.aspect) * rng.uniform(0.85, 1.15, n)
    frame = _Frame(base, azimuth, elevation, length, width)
    if habit.leaflets < 0:
        return _pinnate(habit, look, frame, shared, rng)
    return _palmate(habit, look, frame, shared, rank, rng)


def _palmate(
    habit: Habit,
    look: Look,
    frame: _Frame,
    shared: dict[str, Doubles],
    rank: Doubles,
    rng: np.random.Generator,
) -> list[Leaves]:
    """Single leaves or a few leaflets, on stalks or not."""
    n = len(rank)
    base, elevation = frame.base_m, frame.elevation
    parts = []
    if habit.stalk:
        reach_m = habit.stalk * frame.length_m * (1.1 - 0.8 * rank)
        parts.append(_stalks(look, frame, reach_m))
        base = base + _reach(frame.azimuth, elevation, reach_m)
        elevation = 0.5 * elevation + rng.normal(0, 0.25, n)
    turns = {1: (0.0,), 3: (-1.3, 1.3, 0.0), 4: (-1.1, 1.1, -0.35, 0.35)}[habit.leaflets]
    for turn in turns:
        tilt = rng.normal(0, 0.12 if len(turns) > 1 else 0.0, n)
        parts.append(
            make_leaves(n, base_m=base, azimuth=frame.azimuth + turn + tilt, elevation=elevation + tilt,
                        length_m=frame.length_m * (1.0 if turn == 0.0 else 0.92),
                        width_m=frame.width_m, **shared)
        )  # fmt: skip
    return parts


def _tints(look: Look, rank: Doubles, rng: np.random.Generator) -> Doubles:
    """Leaf colours: the youngest paler, some of the oldest yellow, each a little different."""
    n = len(rank)
    colour = np.asarray(look.leaf) + (rank**2 * 0.8)[:, None] * (np.asarray(look.young) - look.leaf)
    yellow = (rng.random(n) < look.yellowing * (1.3 - rank)) * rng.uniform(0.2, 0.9, n)
    colour = colour + yellow[:, None] * (np.asarray(_hsv(54.0, 0.5, 0.68)) - colour)
    colour = colour * np.exp(rng.normal(0, look.spread, (n, 1)) + rng.normal(0, 0.4 * look.spread, (n, 3)))
    return np.asarray(np.clip(colour, 0.003, 0.85))


def _stalks(look: Look, frame: _Frame, length_m: Doubles, arch: Doubles | float = 0.0) -> Leaves:
    return make_leaves(
        len(length_m), base_m=frame.base_m, azimuth=frame.azimuth, elevation=frame.elevation,
        length_m=length_m, width_m=np.clip(0.035 * length_m, 0.0008, 0.006), outline=OUTLINES.index("strap"),
        colour=np.asarray(look.stem), arch=arch, fold=0.0, gloss=0.2,
    )  # fmt: skip


def _pinnate(
    habit: Habit, look: Look, frame: _Frame, shared: dict[str, Doubles], rng: np.random.Generator
) -> list[Leaves]:
    """Leaflets in pairs along an arched stalk, one at its end."""
    pairs, n = -habit.leaflets, len(frame.azimuth)
    arch = shared["arch"]
    parts = [_stalks(look, frame, frame.length_m, arch)]
    at, place = frame.base_m, 0.0
    slender = 0.45 if "feather" in habit.outlines else 0.62
    for k, stop in enumerate(np.append(np.linspace(0.3, 0.92, pairs), 1.0).tolist()):
        middle = frame.elevation - arch * 0.5 * (place + stop)
        at = at + _reach(frame.azimuth, middle, frame.length_m * (stop - place))
        place = stop
        size = frame.width_m * np.sin(np.pi * (0.25 + 0.6 * stop)) * rng.uniform(0.85, 1.15, n)
        own = {**shared, "arch": 0.3 * arch, "tip_start": shared["tip_start"] / max(stop, 0.3)}
        parts.extend(
            make_leaves(
                n, base_m=at, azimuth=frame.azimuth + turn + rng.normal(0, 0.15, n),
                elevation=middle * 0.6 + rng.normal(0, 0.2, n), length_m=size, width_m=size * slender, **own,
            )
            for turn in ((0.0,) if k == pairs else (-1.0, 1.0))
        )  # fmt: skip
    return parts


def _reach(azimuth: Doubles, elevation: Doubles, length_m: Doubles) -> Doubles:
    """Steps of the given lengths and directions.  # (n, 3)"""
    flat = np.cos(elevation)
    steps = [flat * np.cos(azimuth), flat * np.sin(azimuth), np.sin(elevation)]
    return np.asarray(np.stack(steps, axis=1) * length_m[:, None])
