"""Bare ground as relief and colour: clods, cracks, stones, algae, wet patches, wheel tracks, objects."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw

from training.simulator.noise import Floats, noise
from training.simulator.plants import linear

_SOILS = np.array(
    [
        (62, 54, 48), (44, 38, 35), (88, 70, 54), (122, 97, 74), (150, 128, 104), (176, 156, 132),
        (206, 190, 164), (226, 216, 202), (152, 92, 62), (128, 76, 54), (180, 118, 80), (142, 138, 130),
        (112, 106, 98), (190, 182, 168), (104, 84, 72), (136, 116, 96),
    ]
)  # fmt: skip
"""Display colours of dry soils: chernozem, peat, loams, loess, sands, laterites, clays, chalk."""

_RELIEF_M = (0.0007, 0.0016, 0.004, 0.009, 0.022, 0.055, 0.16, 0.5)
_STONES = np.array(
    [(176, 168, 156), (128, 122, 116), (206, 200, 190), (146, 118, 96), (92, 88, 88), (160, 132, 110)]
)


@dataclass(eq=False)
class Ground:
    """The lowest layer: height in m (side, side) and albedo (side, side, 3), linear light on 0–1.

    Not frozen: stones and objects are drawn into it.
    """

    height_m: Floats
    albedo: Floats
    cell_m: float

    @property
    def side(self) -> int:
        return len(self.height_m)


def make_soil(rng: np.random.Generator, side: int, cell_m: float) -> Ground:
    """Soil without anything on it."""
    tone = np.asarray(linear(tuple(_SOILS[rng.integers(len(_SOILS))] / 255.0))) * np.exp(
        rng.normal(0, 0.04, 3)
    )
    tone = tone * np.exp(rng.normal(0, 0.2))
    height = np.zeros((side, side), dtype=np.float32)
    light = np.zeros((side, side), dtype=np.float32)
    rough = np.exp(rng.normal(-0.2, 0.6))
    for feature_m in _RELIEF_M:
        feature_px = feature_m / cell_m
        if not 1.5 <= feature_px <= 3 * side:
            continue
        layer = noise(rng, side, feature_px)
        height += np.float32(rough * rng.uniform(0.03, 0.22) * feature_m) * layer
        light += np.float32(rng.uniform(0.0, 0.09)) * (
            layer if rng.random() < 0.5 else noise(rng, side, feature_px)
        )
    light += np.float32(rng.uniform(0.02, 0.14)) * noise(rng, side, 2.5)
    light += np.float32(rng.uniform(0.0, 0.22)) * noise(rng, side, rng.uniform(0.15, 0.8) * side)
    _add_clods(rng, height, cell_m, float(rough))
    albedo = tone.astype(np.float32) * np.exp(np.clip(light, -1.2, 0.8))[..., None]
    ground = Ground(height, albedo, cell_m)
    for chance, effect in (
        (0.3, _crust),
        (0.2, _cracks),
        (0.35, _wet),
        (0.3, _algae),
        (0.15, _tracks),
        (0.2, _furrows),
    ):
        if rng.random() < chance:
            effect(ground, rng)
    return ground


def _add_clods(rng: np.random.Generator, height: Floats, cell_m: float, rough: float) -> None:
    """Rounded crumbs with sharp creases between them, of one to three sizes."""
    for _ in range(int(rng.integers(1, 4))):
        size_m = np.exp(rng.uniform(np.log(0.002), np.log(0.07)))
        if not 2.5 <= size_m / cell_m <= len(height):
            continue
        lump = np.sqrt(np.clip(noise(rng, len(height), size_m / cell_m) + rng.uniform(-0.8, 0.6), 0.0, 3.0))
        height += np.float32(min(1.6, rough) * rng.uniform(0.1, 0.4) * size_m) * lump


def patches(ground: Ground, rng: np.random.Generator, share: float) -> Floats:
    """Soft-edged patches that cover about ``share``; (side, side) on 0–1."""
    field = noise(rng, ground.side, rng.uniform(0.08, 0.5) * ground.side)
    field = field + 0.4 * noise(rng, ground.side, 12) + 0.2 * noise(rng, ground.side, 4)
    edge = np.float32(np.quantile(field[::8, ::8], 1 - share))
    return np.asarray(np.clip((field - edge) * np.float32(rng.uniform(1.0, 5.0)), 0, 1))


def _crust(ground: Ground, rng: np.random.Generator) -> None:
    """A pale, smooth skin."""
    patch = patches(ground, rng, rng.uniform(0.1, 0.7)) * np.float32(rng.uniform(0.3, 0.9))
    ground.height_m *= 1 - 0.7 * patch
    grey = ground.albedo.mean(axis=2, keepdims=True)
    ground.albedo += patch[..., None] * (0.4 * ground.albedo + 0.9 * grey + 0.03 - ground.albedo)


def _cracks(ground: Ground, rng: np.random.Generator) -> None:
    """Shrinkage cracks: lines where a noise changes sign."""
    size_px = np.clip(rng.uniform(0.01, 0.06) / ground.cell_m, 12, ground.side)
    field = noise(rng, ground.side, size_px) + 0.15 * noise(rng, ground.side, max(2.5, size_px / 6))
    crack = np.clip(1.0 - np.abs(field) * size_px / rng.uniform(3.0, 12.0), 0, 1)
    crack *= noise(rng, ground.side, 3 * size_px) > rng.uniform(-1.0, 0.5)
    ground.height_m -= np.float32(min(0.02, 4 * ground.cell_m)) * crack
    ground.albedo *= 1 - 0.75 * crack[..., None]


def _wet(ground: Ground, rng: np.random.Generator) -> None:
    """Moist soil is darker and a little more saturated."""
    patch = patches(ground, rng, rng.uniform(0.1, 0.9))[..., None] * np.float32(rng.uniform(0.3, 0.65))
    ground.albedo *= 1 - patch * np.array([0.88, 0.97, 1.0], dtype=np.float32)


def _algae(ground: Ground, rng: np.random.Generator) -> None:
    """A greenish film or moss in the hollows: no vegetation in the sense of the mask."""
    if ground.cell_m > 0.0015:
        return
    red = rng.uniform(0.25, 0.5)
    green, blue = red * rng.uniform(1.0, 1.22), red * rng.uniform(0.5, 0.85)
    film = np.asarray(linear((red, green, blue)), dtype=np.float32)
    low = np.clip(0.7 - (ground.height_m - ground.height_m.mean()) / (2 * ground.height_m.std() + 1e-6), 0, 1)
    patch = (patches(ground, rng, rng.uniform(0.15, 0.7)) * low * np.float32(rng.uniform(0.3, 0.8)))[
        ..., None
    ]
    texture = np.exp(0.25 * noise(rng, ground.side, 3.0))[..., None]
    ground.albedo += patch * (film * texture - ground.albedo)


def across_and_along(ground: Ground, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Coordinates in m across and along a random direction.  # (side, side) each"""
    angle = rng.uniform(0, np.pi)
    axis = (np.arange(ground.side, dtype=np.float32) - ground.side * rng.uniform(0.1, 0.9)) * np.float32(
        ground.cell_m
    )
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return axis * cos + (axis * sin)[:, None], (axis * cos)[:, None] - axis * sin


def _tracks(ground: Ground, rng: np.random.Generator) -> None:
    """Two wheel tracks with the print of the lugs."""
    across, along = across_and_along(ground, rng)
    off = np.minimum(np.abs(across), np.abs(across - rng.uniform(1.5, 2.1)))
    tyre = np.clip((rng.uniform(0.12, 0.3) - off) / 0.03, 0, 1)
    lug = np.sin((along + 1.2 * off) * np.float32(2 * np.pi / rng.uniform(0.1, 0.25)))
    ground.height_m *= 1 - 0.6 * tyre
    ground.height_m -= tyre * (0.03 + 0.012 * lug)
    ground.albedo *= (1 - tyre * (0.18 + 0.1 * lug))[..., None]


def _furrows(ground: Ground, rng: np.random.Generator) -> None:
    """Drill or harrow lines."""
    across, _ = across_and_along(ground, rng)
    pitch = rng.uniform(0.1, 0.8)
    wave = np.sin(
        (across + 0.01 * noise(rng, ground.side, 0.3 * ground.side)) * np.float32(2 * np.pi / pitch)
    )
    if pitch / ground.cell_m > 4:
        ground.height_m += np.float32(pitch * rng.uniform(0.01, 0.08)) * wave
        ground.albedo *= (1 + np.float32(rng.uniform(0.0, 0.15)) * wave)[..., None]


def add_stones(ground: Ground, rng: np.random.Generator, count: int) -> None:
    """Rounded stones, many small and few large."""
    side, cell_m = ground.side, ground.cell_m
    tone = _STONES[rng.integers(len(_STONES))] / 255.0
    smallest = max(0.0015, 1.3 * cell_m)
    for _ in range(count):
        radius = min(smallest * (1 - rng.random()) ** -0.7, 0.05) / cell_m
        n = int(1.5 * radius) + 1
        row, col = rng.integers(n, side - n, 2) if side > 2 * n + 1 else (side // 2, side // 2)
        part = (slice(max(0, row - n), row + n + 1), slice(max(0, col - n), col + n + 1))
        dy, dx = np.ogrid[part[0].start - row : n + 1, part[1].start - col : n + 1]
        shape = ground.height_m[part].shape
        wide, slant, power = rng.uniform(0.65, 1.4), rng.uniform(-0.5, 0.5), rng.uniform(1.6, 3.2)
        form = 1 - np.abs((dy + slant * dx) / (radius * wide)) ** power - np.abs(dx * wide / radius) ** power
        form = form[: shape[0], : shape[1]]
        inside = form > 0
        top = np.sqrt(np.maximum(form, 0)) * radius * cell_m * rng.uniform(0.4, 0.9)
        own = np.asarray(
            linear(tuple(np.clip(tone * np.exp(rng.normal(0, 0.16) + rng.normal(0, 0.04, 3)), 0, 0.95)))
        )
        ground.height_m[part] += np.where(inside, top, 0).astype(np.float32)
        speckle = np.exp(0.08 * rng.standard_normal((*shape, 1), dtype=np.float32))
        ground.albedo[part] = np.where(
            inside[..., None], own.astype(np.float32) * speckle, ground.albedo[part]
        )


def add_objects(ground: Ground, rng: np.random.Generator, count: int) -> None:
    """Labels, hoses, boards, stakes, flags: any colour, green too, and never vegetation."""
    side, cell_m = ground.side, ground.cell_m
    for _ in range(count):
        layer = Image.new("L", (side, side))
        draw = ImageDraw.Draw(layer)
        centre = rng.uniform(0, side, 2)
        turn = rng.uniform(0, 2 * np.pi)
        arm = np.array([np.cos(turn), np.sin(turn)])
        if rng.random() < 0.45:
            bow = np.array([-arm[1], arm[0]]) * rng.normal(0, 0.2) * side
            t = np.linspace(-1.2, 1.2, 24)[:, None]
            line = centre + t * arm * side + (t**2) * bow
            width_m = rng.uniform(0.004, 0.04)
            draw.line(line.ravel().tolist(), fill=255, width=max(1, round(width_m / cell_m)), joint="curve")
        else:
            long, wide = rng.uniform(0.03, 0.4), rng.uniform(0.02, 0.15)
            half = np.clip(np.array([long, wide]) / cell_m / 2, 1, side / 3)
            across = np.array([-arm[1], arm[0]])
            corners = [
                centre + a * arm * half[0] + b * across * half[1]
                for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))
            ]
            draw.polygon(np.concatenate(corners).tolist(), fill=255)
            width_m = rng.uniform(0.002, 0.04)
        covered = np.asarray(layer) > 0
        tone = rng.uniform(0.03, 0.95, 3) if rng.random() < 0.5 else np.full(3, rng.uniform(0.02, 0.95))
        colour = np.float32(np.asarray(linear(tuple(tone))))
        ground.albedo[covered] = colour * np.exp(
            0.05 * rng.standard_normal((int(covered.sum()), 1), dtype=np.float32)
        )
        ground.height_m[covered] = ground.height_m[covered] * np.float32(0.1) + np.float32(width_m)


def set_pots(ground: Ground, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Pots in a grid on a bench, a fabric or a tray; returns the feet of plants in cells (row, col)."""
    side, cell_m = ground.side, ground.cell_m
    pot_m = rng.uniform(0.05, 0.22)
    pitch = pot_m * rng.uniform(1.03, 1.5)
    square = rng.random() < 0.3
    first = rng.uniform(-pitch, 0, 2)
    count = int(side * cell_m / pitch) + 2
    middle = (
        np.stack(np.meshgrid(np.arange(count), np.arange(count), indexing="ij"), -1).reshape(-1, 2) * pitch
        + first
    )
    feet = middle / cell_m
    axis = np.arange(side, dtype=np.float32) * np.float32(cell_m)
    off = [np.abs((axis - first[k] + pitch / 2) % pitch - pitch / 2) for k in (0, 1)]
    distance = np.maximum(off[0][:, None], off[1]) if square else np.hypot(off[0][:, None], off[1])
    radius, rim = pot_m / 2, rng.uniform(0.002, 0.006)
    outside, wall = distance > radius, np.abs(distance - radius) <= rim
    tone = np.full(3, rng.choice([0.08, 0.2, 0.5, 0.85])) * np.exp(rng.normal(0, 0.08, 3))
    bench = np.float32(np.asarray(linear(tuple(np.clip(tone, 0.02, 0.95)))))
    weave = (
        1
        + 0.12
        * np.sin(axis * np.float32(2 * np.pi / 0.004))
        * np.sin(axis * np.float32(2 * np.pi / 0.0055))[:, None]
    )
    weave = weave * np.exp(0.1 * noise(rng, side, 3) + 0.12 * noise(rng, side, 0.3 * side))
    ground.albedo[outside] = (bench * weave[..., None])[outside]
    pot = rng.choice([0.05, 0.12, 0.7]) * np.ones(3) if rng.random() < 0.6 else np.array([0.62, 0.32, 0.2])
    ground.albedo[wall] = np.float32(np.asarray(linear(tuple(pot))))
    depth = np.float32(rng.uniform(0.04, 0.12))
    ground.height_m[outside] = 0.02 * ground.height_m[outside] - depth
    ground.height_m[wall] = np.float32(rng.uniform(0.004, 0.02))
    return [(float(row), float(col)) for row, col in feet]
