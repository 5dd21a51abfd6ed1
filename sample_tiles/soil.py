"""Bare ground: crumbs and clods, moisture, drill and harrow lines, wheel tracks, straw and stones.

Fine detail comes from a few periodic textures whose periods share no factor and whose mixture changes
from place to place, so that nothing is seen to repeat; everything larger is value noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import fft
from scipy.ndimage import gaussian_filter

from cropseg_geo.grid import Window
from sample_tiles.field import PITCH_U, Field
from sample_tiles.light import SHADOW_STEP, SUN, taller
from sample_tiles.noise import Floats, smooth_noise

_CRUMB_PERIOD, _CLOD_PERIOD, _STRAW_PERIOD = 1201, 1361, 1283
_STRAWS_PER_M2 = 230
_DRY = np.array([196, 178, 158], dtype=np.float32)
_MOIST = np.array([134, 114, 96], dtype=np.float32)
_MOISTURE, _CLODS, _STRAW, _TRACK, _LINES = range(100, 105)


@dataclass(frozen=True, eq=False)
class Textures:
    """Periodic textures: relief as brightness about 1 (period, period), straw as RGB, cover and rank."""

    crumbs: Floats
    clods: Floats
    straw_rgb: NDArray[np.uint8]
    straw_cover: Floats
    straw_rank: Floats
    straw_shadow: Floats


def _band(rng: np.random.Generator, period: int, feature_px: float) -> Floats:
    """Periodic noise of one feature size, mean 0 and deviation 1."""
    spectrum = fft.rfft2(rng.standard_normal((period, period), dtype=np.float32))
    fy, fx = fft.fftfreq(period)[:, None], fft.rfftfreq(period)[None, :]
    radius = np.hypot(fy, fx) * feature_px
    spectrum *= (radius**1.5 * np.exp(-((radius / 1.1) ** 2))).astype(np.float32)
    noise = fft.irfft2(spectrum, s=(period, period))
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def _lit(relief: Floats) -> Floats:
    """Brightness of a relief (heights in px) under the sun, 1 on the flat."""
    slope_y = (np.roll(relief, -1, 0) - np.roll(relief, 1, 0)) * 0.5
    slope_x = (np.roll(relief, -1, 1) - np.roll(relief, 1, 1)) * 0.5
    sx, sy, sz = (float(c) for c in SUN)
    sun = (sz - sx * slope_x - sy * slope_y) / np.sqrt(1 + slope_x**2 + slope_y**2) / sz
    return np.clip(0.34 + 0.66 * sun, 0.25, 1.5).astype(np.float32)


def _lumps(rng: np.random.Generator, period: int, *, per_m2: float, radius_px: tuple[float, float]) -> Floats:
    """Clods strewn on a torus: round heaps, many small and few large.  # (period, period), heights in px"""
    pad = int(2 * radius_px[1]) + 2
    relief = np.zeros((period + 2 * pad, period + 2 * pad), dtype=np.float32)
    count = int(per_m2 * period**2 / 1e4)
    radii = radius_px[0] + (radius_px[1] - radius_px[0]) * rng.random(count) ** 5
    places = rng.integers(0, period, (count, 2)) + pad
    forms = rng.uniform(0.7, 1.3, (count, 3))
    for (row, col), radius, (flat, wide, slant) in zip(places.tolist(), radii, forms, strict=True):
        n = int(1.4 * radius) + 1
        dy, dx = np.ogrid[-n : n + 1, -n : n + 1]
        dx = dx + (slant - 1) * dy
        heap = 1 - (dy / (radius * wide)) ** 2 - (dx * wide / radius) ** 2
        heap = radius * 0.75 * flat * np.sqrt(np.maximum(heap, 0))
        part = relief[row - n : row + n + 1, col - n : col + n + 1]
        np.maximum(part, heap, out=part)
    for axis in (0, 1):  # what hangs over one rim belongs to the other
        relief = np.moveaxis(relief, axis, 0)
        relief[pad : 2 * pad] = np.maximum(relief[pad : 2 * pad], relief[-pad:])
        relief[-2 * pad : -pad] = np.maximum(relief[-2 * pad : -pad], relief[:pad])
        relief = np.moveaxis(relief[pad:-pad], 0, axis)
    return np.ascontiguousarray(relief)


def _brightness(rng: np.random.Generator, relief: Floats, *, grain: float) -> Floats:
    """A relief as the camera sees it: lit flanks, cast shadows, dark hollows, grains of sand."""
    period = relief.shape[0]
    wide = np.pad(relief, 16, mode="wrap")
    cast = np.clip((taller(wide, reach=4) - wide - 0.3) / 1.2, 0, 1)[16:-16, 16:-16]
    hollow = gaussian_filter(relief, 1.2, mode="wrap") - gaussian_filter(relief, 7, mode="wrap")
    light = _lit(gaussian_filter(relief, 0.6, mode="wrap")) * (1 - 0.42 * cast) + 0.05 * np.clip(
        hollow, -3, 3
    )
    light *= 1 + grain * rng.standard_normal((period, period), dtype=np.float32)
    light *= 1 + 0.035 * _band(rng, period, 4) + 0.03 * _band(rng, period, 30)
    return np.clip(light / light.mean(), 0.3, 1.6).astype(np.float32)


def _wraps(centre: NDArray[np.float64], period: int, margin: float = 20.0) -> list[tuple[int, int]]:
    """Where a piece near a rim of the torus has to be drawn again."""
    shifts = [[0] + [s for s in (-period, period) if -margin < c + s < period + margin] for c in centre]
    return [(dx, dy) for dx in shifts[0] for dy in shifts[1]]


def _straw(seed: int) -> tuple[NDArray[np.uint8], Floats, Floats, Floats]:
    """Straw and stones on a torus: colour, cover, rank (shown where density exceeds it), shadow."""
    rng, n, ss = np.random.default_rng([seed, 3]), _STRAW_PERIOD, 2
    modes = ("RGB", "L", "L", "L")  # colour, cover, rank, shadow
    images = [Image.new(mode, (n * ss, n * ss)) for mode in modes]
    draws = [ImageDraw.Draw(image) for image in images]
    count = int(_STRAWS_PER_M2 * n * n / 1e4)
    length, angle = 2.5 + rng.gamma(2.0, 2.8, count), rng.uniform(0, np.pi, count)
    arm = 0.5 * length[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    centre = rng.uniform(0, n, (count, 2))
    knee = centre + rng.normal(0, 0.05, (count, 2)) * length[:, None]
    lines = np.stack([centre - arm, knee, centre + arm], axis=1)  # (count, 3, 2)
    tones = np.array([230, 214, 182]) * rng.uniform(0.62, 1.1, (count, 1)) + rng.normal(0, 6, (count, 3))
    fills = np.clip(tones, 0, 250).astype(int).tolist()
    widths = np.rint(ss * rng.uniform(0.5, 1.4, count)).astype(int).tolist()
    fallen = lines + (SHADOW_STEP * rng.uniform(0.5, 2.0, (count, 1)))[:, None, :]
    orders = rng.integers(1, 255, count).tolist()
    for k in range(count):
        for dx, dy in _wraps(centre[k], n):
            at = ((lines[k] + (dx, dy)) * ss).ravel().tolist()
            for draw, ink in zip(draws[:3], (tuple(fills[k]), 255, orders[k]), strict=True):
                draw.line(at, fill=ink, width=widths[k])
            draws[3].line(((fallen[k] + (dx, dy)) * ss).ravel().tolist(), fill=255, width=widths[k])
    colour, cover, rank, shadow = images

    def halved(image: Image.Image) -> Floats:
        array = np.asarray(image, dtype=np.float32)
        return array.reshape(n, ss, n, ss, -1).mean(axis=(1, 3))

    covered = halved(cover) / 255
    rgb = np.clip(halved(colour) / np.maximum(covered, 1e-3), 0, 255).astype(np.uint8)
    ranks = np.asarray(rank, dtype=np.float32).reshape(n, ss, n, ss).max(axis=(1, 3)) / 255
    return rgb, covered[..., 0], ranks, halved(shadow)[..., 0] / 255


@lru_cache(maxsize=2)
def textures(seed: int) -> Textures:
    """The textures of a seed; made once, some seconds."""
    rng = np.random.default_rng([seed, 1])
    n = _CRUMB_PERIOD
    fine = _lumps(rng, n, per_m2=60, radius_px=(1.2, 4.0)) + 0.30 * _band(rng, n, 3) + 0.45 * _band(rng, n, 9)
    crumbs = _brightness(rng, fine + 0.8 * _band(rng, n, 40), grain=0.055)
    n = _CLOD_PERIOD
    coarse = (
        _lumps(rng, n, per_m2=170, radius_px=(1.4, 7.0)) + 0.55 * _band(rng, n, 3.5) + 0.9 * _band(rng, n, 11)
    )
    clods = _brightness(rng, coarse + 1.5 * _band(rng, n, 50), grain=0.055)
    return Textures(crumbs, clods, *_straw(seed))


def _tiled(texture: NDArray[np.generic], window: Window, shift: tuple[int, int] = (0, 0)) -> NDArray:
    """A window of the endless repetition of ``texture``."""
    period = texture.shape[0]
    rows = (np.arange(window.row, window.row_stop) + shift[0]) % period
    cols = (np.arange(window.col, window.col_stop) + shift[1]) % period
    return texture[rows][:, cols]


def wheel_tracks(field: Field, window: Window) -> Floats:
    """How far a tyre has pressed the ground, 0–1; tracks run between the plots.  # (height, width)"""
    u, v = field.frame(window)
    middle = field.plot_counts[1] / 2
    path = np.rint(u / PITCH_U + middle)
    off = u - (path - middle) * PITCH_U + 3.0 * smooth_noise(window, 300, field.seed, _TRACK)
    # the tractor takes every second path; people and the sprayer take the others
    depth = np.where(path % 2 == 0, np.float32(1.0), np.float32(0.4))
    tyre = np.clip((19.0 - np.abs(off)) / 4.0, 0, 1)
    lug = 0.5 + 0.5 * np.sin((v + 1.1 * np.abs(off)) * np.float32(2 * np.pi / 16.0))
    patchy = np.clip(0.7 + 0.6 * smooth_noise(window, 90, field.seed, _TRACK), 0, 1)
    return np.asarray(tyre * depth * patchy * (0.45 + 0.55 * lug), dtype=np.float32)


def soil(field: Field, window: Window) -> Floats:
    """The ground without plants and their shadows.  # (height, width, 3) float32, 0–255"""
    made, seed = textures(field.seed), field.seed
    u, _ = field.frame(window)
    track = wheel_tracks(field, window)
    moisture = 0.5 + 0.34 * smooth_noise(window, 900, seed, _MOISTURE)
    moisture += 0.24 * smooth_noise(window, 210, seed, _MOISTURE) + 0.2 * smooth_noise(
        window, 45, seed, _MOISTURE
    )
    rough = (
        0.5 + 0.5 * smooth_noise(window, 330, seed, _CLODS) + 0.35 * smooth_noise(window, 70, seed, _CLODS)
    )
    rough = np.clip(rough, 0, 1) * (1 - 0.75 * track)
    light = _tiled(made.crumbs, window) * (1 - rough) + _tiled(made.clods, window) * rough
    wavy = u + 2.5 * smooth_noise(window, 120, seed, _LINES)
    lines = np.sin(wavy * np.float32(2 * np.pi / 12.5)) + 0.7 * np.sin(wavy * np.float32(2 * np.pi / 50.0))
    lines *= np.clip(0.5 + 0.9 * smooth_noise(window, 140, seed, _LINES), 0, 1) * (1 - track)
    light = light * (1 + 0.05 * lines) * (1 - 0.2 * track)
    moisture = np.clip(moisture + 0.05 * lines + 0.12 * track, 0, 1)[..., None]
    ground = (_DRY + (_MOIST - _DRY) * moisture) * light[..., None]

    density = (
        0.44 + 0.85 * smooth_noise(window, 420, seed, _STRAW) + 0.4 * smooth_noise(window, 75, seed, _STRAW)
    )
    density = np.clip(density, 0.05, 0.95) * (1 - 0.6 * track)
    shown = (_tiled(made.straw_rank, window) < density) * _tiled(made.straw_cover, window)
    shade = _tiled(made.straw_shadow, window) * np.clip(density, 0, 1)
    ground *= (1 - 0.4 * shade)[..., None]
    straw = _tiled(made.straw_rgb, window).astype(np.float32)
    return np.asarray(ground + (straw - ground) * shown[..., None], dtype=np.float32)
