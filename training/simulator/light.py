"""Light on a scene of cells: sun or flash, sky, shadows, light that leaves let through."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from training.simulator.noise import Floats, noise


@dataclass(frozen=True, eq=False)
class Surface:
    """What is seen from above, per cell: (side, side) each, ``albedo`` (side, side, 3) in linear light."""

    top_m: Floats
    normal_x: Floats
    normal_y: Floats
    albedo: Floats
    gloss: Floats
    plant: Floats
    cell_m: float


@dataclass(frozen=True)
class Light:
    """Sun (or lamp) and sky. ``toward`` points to the sun: x right, y down, z up, length 1.

    ``sun`` and ``sky`` are colours times strength; ``flash`` is the fall-off of a light beside the camera,
    ``depth`` how dark it gets below leaves.
    """

    toward: tuple[float, float, float]
    sun: tuple[float, float, float]
    sky: tuple[float, float, float]
    flash: float
    exposure: float
    contrast: float
    dappled: float
    translucency: float
    depth: float


def draw_light(rng: np.random.Generator, *, night: bool = False) -> Light:
    """Any hour and weather, or a night with flash, lamp or hardly any light."""
    elevation, azimuth = np.radians(rng.uniform(18, 80)), rng.uniform(0, 2 * np.pi)
    lamp = night and rng.random() < 0.6
    if lamp:
        elevation = np.radians(rng.uniform(55, 88))
    toward = (np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation))
    overcast = 0.1 if lamp else rng.beta(0.6, 0.8)
    warm = np.clip(rng.normal(0.05 + 0.1 * np.cos(elevation), 0.06), -0.1, 0.3)
    cast = np.exp(rng.normal(0, 0.05 if not night else 0.15, 3))
    sun = (1.0 - 0.92 * overcast) * 2.4 * np.array([1 + warm, 1.0, 1 - warm]) * cast
    blue = rng.uniform(0.0, 0.22)
    sky = (0.35 + 0.75 * overcast) * np.array([1 - blue, 1.0, 1 + blue]) * cast
    if lamp:
        sky = sky * rng.uniform(0.02, 0.2)
    dusk = np.exp(rng.uniform(np.log(0.06), np.log(0.45))) if night else float(np.exp(rng.normal(0, 0.25)))
    return Light(
        toward=toward,
        sun=tuple(sun.tolist()),
        sky=tuple(sky.tolist()),
        flash=rng.uniform(0.3, 2.5) if lamp else 0.0,
        exposure=float(dusk),
        contrast=rng.uniform(0.9, 1.3),
        dappled=rng.uniform(0.3, 1.0) if rng.random() < 0.08 and not night else 0.0,
        translucency=rng.uniform(0.15, 0.45),
        depth=rng.uniform(0.6, 2.0),
    )


def shade(surface: Surface, light: Light, rng: np.random.Generator) -> Floats:
    """Light that comes back from every cell.  # (side, side, 3) float32, linear, white near 1"""
    x, y, z = (np.float32(c) for c in light.toward)
    up = np.sqrt(np.clip(1 - surface.normal_x**2 - surface.normal_y**2, 0.01, 1))
    facing = surface.normal_x * x + surface.normal_y * y + up * z
    lit = _lit(surface, light)
    side = len(lit)
    if light.dappled:
        field = noise(rng, side, rng.uniform(0.05, 0.3) * side)
        lit = lit * (1 - light.dappled * np.clip((field + rng.uniform(-1, 0.5)) * rng.uniform(1.5, 6), 0, 1))
    if light.flash:
        axis = np.linspace(-1, 1, side, dtype=np.float32)
        at = rng.uniform(-0.5, 0.5, 2)
        lit = lit / (1 + light.flash * ((axis - at[0]) ** 2 + ((axis - at[1]) ** 2)[:, None])) ** 1.5
    open_sky = _open(surface, light.depth)
    direct = np.maximum(facing, 0) * lit
    through = light.translucency * surface.plant * np.maximum(-facing, 0.12) * lit
    half = np.array([x, y, z + 1]) / np.sqrt(2 + 2 * z)
    sheen = np.clip(surface.normal_x * half[0] + surface.normal_y * half[1] + up * half[2], 0, 1) ** 18
    sheen *= surface.gloss * lit * 0.22
    ambient = (0.55 + 0.45 * up) * open_sky
    image = np.empty_like(surface.albedo)
    for k in range(3):
        # Light that has passed leaves is green, and lifts the shade below them.
        glow = (0.05, 0.09, 0.02)[k] * (1 - open_sky)
        received = light.sun[k] * (direct + through * (0.8, 1.1, 0.45)[k]) + light.sky[k] * (ambient + glow)
        image[..., k] = (
            surface.albedo[..., k] * received
            + sheen * light.sun[k]
            + 0.06 * surface.gloss * (light.sky[k] * open_sky * (1 - up))
        )
    return image


def _lit(surface: Surface, light: Light) -> Floats:
    """Share of the sun that reaches each cell: a map of the highest surface along every sun ray."""
    side, cell_m = len(surface.top_m), np.float32(surface.cell_m)
    x, y, z = light.toward
    reach = np.float32(1.0 / max(z, 0.2)) / cell_m
    axis = np.arange(side, dtype=np.float32)
    # Where the ray through a cell meets the level 0.
    col = np.rint(axis - surface.top_m * np.float32(x) * reach).astype(np.int32)
    row = np.rint(axis[:, None] - surface.top_m * np.float32(y) * reach).astype(np.int32)
    inside = (col >= 0) & (col < side) & (row >= 0) & (row < side)
    place = np.where(inside, row * side + col, 0)
    highest = np.full(side * side, -9.0, dtype=np.float32)
    top = np.where(inside, surface.top_m, np.float32(-9.0)).ravel()
    flat = place.ravel()
    highest[flat] = top
    # A few rounds of plain writes find the maximum of a cell; each raises what the last one missed.
    for _ in range(3):
        missed = np.flatnonzero(highest[flat] < top)
        if not len(missed):
            break
        highest[flat[missed]] = top[missed]
    highest = ndimage.maximum_filter(highest.reshape(side, side), 2)
    bias = np.float32(0.0015) + 2.2 * cell_m
    blocked = np.clip((highest.ravel()[flat].reshape(side, side) - surface.top_m - bias) / (bias), 0, 1)
    return np.asarray(1 - 0.9 * ndimage.uniform_filter(blocked, 3) * inside, dtype=np.float32)


def _open(surface: Surface, strength: float) -> Floats:
    """Share of the sky that a cell sees: little where the neighbourhood is higher."""
    result = np.ones_like(surface.top_m)
    side = len(result)
    for reach_m in (0.006, 0.04, 0.15):
        reach = int(np.clip(reach_m / surface.cell_m, 2, side / 5))
        around = ndimage.uniform_filter(surface.top_m, 2 * reach + 1)
        depth = np.maximum(around - surface.top_m, 0) / np.float32(max(reach * surface.cell_m, reach_m))
        result *= np.exp(-np.float32(strength) * depth)
    return result


def tone(image: Floats, light: Light, target: float) -> Floats:
    """Linear light → display values on 0–1, exposed for a mean of about ``target``."""
    # Exposed for the mean, unless that burns out what is brightest.
    brightest = float(np.quantile(image[::4, ::4], 0.98))
    mean = max(float(image.mean()), 0.27 * brightest, 1e-4)
    exposed = image * np.float32(light.exposure * target / mean)
    exposed = np.where(exposed > 0.7, 0.7 + 0.3 * np.tanh((exposed - 0.7) / 0.45), exposed)
    shown = np.clip(exposed, 0, 1) ** np.float32(1 / 2.2)
    pivot = np.float32(0.45 * min(1.0, light.exposure))
    return np.asarray(np.clip(pivot + light.contrast * (shown - pivot), 0, 1), dtype=np.float32)
