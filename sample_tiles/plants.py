"""Plant sprites: leaves as small arched surfaces, lit by one sun, seen from straight above at 1 cm.

A sprite holds what one plant adds to the picture: paint with coverage, height, and the shadow that it
throws on flat ground. The truth mask is the coverage of these very leaves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from sample_tiles.light import SHADOW_STEP, SUN
from sample_tiles.varieties import Leaf, Variety, leaves_of

Floats = NDArray[np.float32]

SUPERSAMPLING = 4
VARIANTS = 12
MAX_HEIGHT_CM = 95.0

_UP = np.array([0.0, 0.0, 1.0])
_HALFWAY = (SUN + _UP) / np.linalg.norm(SUN + _UP)
_SEGMENTS = 8
_NODES = np.linspace(0.0, 1.0, _SEGMENTS + 1)


@dataclass(frozen=True, eq=False)
class Sprite:
    """One plant as seen from above; positions are of the first pixel relative to the plant's foot.

    ``paint``: (h, w, 4) float32, RGB 0–255 multiplied by coverage, and coverage 0–1.
    ``height_cm``: (h, w) float32. ``shadow``: (h, w) float32, share of the sun that is blocked.
    """

    row: int
    col: int
    paint: Floats
    height_cm: Floats
    shadow_row: int
    shadow_col: int
    shadow: Floats

    @cached_property
    def keep(self) -> Floats:
        """What the paint leaves of the layers below.  # (h, w, 1) float32"""
        return 1.0 - self.paint[..., 3:]


def _profile(kind: str) -> NDArray[np.float64]:
    """Half width of a leaf at the nodes of its midline, relative to its widest place.  # (nodes,)"""
    s = _NODES
    if kind == "blade":
        return np.clip((s + 0.08) ** 0.45 * (1 - s) ** 0.62 / 0.62, 0, 1)
    if kind == "ovate":
        return np.sin(np.pi * s**0.75) ** 0.8
    if kind == "needle":
        return np.clip(1.0 - s, 0.1, 1)
    blade = np.clip((s - 0.22) / 0.78, 0, 1)  # "rosette": a petiole, then a broad blade
    return np.maximum(0.13, np.sin(np.pi * blade**0.85) ** 0.7)


def _each(leaves: list[Leaf], name: str) -> NDArray[np.float64]:
    """One attribute of all leaves, ready to meet the nodes.  # (leaves, 1)"""
    return np.array([getattr(leaf, name) for leaf in leaves], dtype=np.float64)[:, None]


@dataclass(frozen=True, eq=False)
class _Mesh:
    """Leaves as arched strips, in cm: midlines and lateral units (leaves, nodes, 3), half widths."""

    line: NDArray[np.float64]
    lateral: NDArray[np.float64]
    half: NDArray[np.float64]
    fold: NDArray[np.float64]

    def edge(self, side: float) -> NDArray[np.float64]:
        edge = self.line + side * self.lateral * self.half[..., None]
        edge[..., 2] += self.fold * self.half
        return edge


def _mesh(leaves: list[Leaf]) -> _Mesh:
    """Bend every leaf along its length and roll it about its own axis."""
    azimuth = _each(leaves, "azimuth") + _each(leaves, "bend") * _NODES
    elevation = _each(leaves, "elevation") - _each(leaves, "arch") * _NODES
    tangent = np.stack(
        [np.cos(elevation) * np.cos(azimuth), np.cos(elevation) * np.sin(azimuth), np.sin(elevation)], axis=-1
    )
    steps = tangent[:, :-1] * (_each(leaves, "length_cm") / _SEGMENTS)[..., None]
    line = np.zeros_like(tangent)
    line[:, 1:] = np.cumsum(steps, axis=1)
    line += np.array([leaf.base_cm for leaf in leaves])[:, None, :]
    line[..., 2] = np.clip(line[..., 2], 0.5, MAX_HEIGHT_CM)
    flat = np.stack([-np.sin(azimuth), np.cos(azimuth), np.zeros_like(azimuth)], axis=-1)
    roll = _each(leaves, "roll")[..., None]
    lateral = flat * np.cos(roll) + np.cross(tangent, flat) * np.sin(roll)
    wave = 1.0 + _each(leaves, "crinkle") * np.sin(_each(leaves, "azimuth") * 5.0 + _NODES * 17.0)
    profile = np.stack([_profile(leaf.kind) for leaf in leaves])
    return _Mesh(line, lateral, 0.5 * _each(leaves, "width_cm") * profile * wave, _each(leaves, "fold"))


def _shades(leaves: list[Leaf], mesh: _Mesh, side: float) -> NDArray[np.float64]:
    """Display colours of the facets of one side: sky, sun, light through the leaf, the sheen of its wax.

    Returns (leaves, segments, 3), 0–255.
    """
    along = mesh.line[:, 1:] - mesh.line[:, :-1]
    across = mesh.lateral[:, :-1] * side + _UP * mesh.fold[..., None]
    normal = np.cross(along, across)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)
    normal *= np.where(normal[..., 2:] < 0, -1.0, 1.0)
    crinkle, k = _each(leaves, "crinkle"), np.arange(_SEGMENTS)
    normal[..., 0] += crinkle * np.sin(3.1 * k + _each(leaves, "azimuth"))
    normal[..., 1] += crinkle * np.cos(2.3 * k + side)
    normal /= np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-9)

    middle = 0.5 * (mesh.line[:, 1:, 2] + mesh.line[:, :-1, 2])
    top = np.clip(middle / max(2.0, float(mesh.line[..., 2].max())), 0, 1)
    sun = normal @ SUN
    light = 0.40 + 0.72 * np.maximum(0, sun) + 0.25 * np.maximum(0, -sun)
    light *= (0.62 + 0.38 * top) * _each(leaves, "gain")
    colour = np.array([leaf.colour for leaf in leaves])[:, None, :] * light[..., None]
    sheen = np.maximum(0, normal @ _HALFWAY) ** 14 * _each(leaves, "gloss") * (0.35 + 0.65 * top)
    return np.clip(colour + sheen[..., None] * np.array([96.0, 98.0, 88.0]), 4, 250)


def _strip(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quads between two lines of nodes.  # (leaves, nodes, 3) twice → (leaves, segments, 4, 3)"""
    return np.stack([a[:, :-1], a[:, 1:], b[:, 1:], b[:, :-1]], axis=2)


def _facets(leaves: list[Leaf], mesh: _Mesh) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """Quads (n, 4, 3) in cm and their colours with height (n, 4), leaf by leaf; the midrib comes last."""
    sides = [_shades(leaves, mesh, side) for side in (-1.0, 1.0)]
    midrib = _each(leaves, "midrib")[..., None]
    rib_colour = sides[0] * (1 - midrib) + np.array([196.0, 205.0, 160.0]) * midrib
    rib_half = np.maximum(0.22, 0.09 * _each(leaves, "width_cm") * (1 - 0.7 * _NODES)) * (midrib[..., 0] > 0)
    rib_half[:, -2:] = 0
    rib = mesh.lateral * rib_half[..., None]
    quads = np.concatenate(
        [
            _strip(mesh.line, mesh.edge(-1.0)),
            _strip(mesh.line, mesh.edge(1.0)),
            _strip(mesh.line - rib, mesh.line + rib),
        ],
        axis=1,
    )
    colours = np.concatenate([*sides, rib_colour], axis=1)
    height = np.clip(1 + 2 * quads[..., 2].mean(axis=2), 1, 255)
    inks = np.concatenate([colours, height[..., None]], axis=-1)
    # a leaf without a midrib has nothing to draw there
    drawn = np.ones(quads.shape[:2], dtype=bool)
    drawn[:, 2 * _SEGMENTS :] = midrib[..., 0] > 0
    return quads[drawn], inks[drawn].astype(np.uint8)


def _canvas(points: NDArray[np.float64]) -> tuple[int, int, int, int]:
    """Row, column, height and width in cm of a canvas that holds the points (n, 2: x, y)."""
    low = np.floor(points.min(axis=0)).astype(int) - 1
    high = np.ceil(points.max(axis=0)).astype(int) + 2
    return int(low[1]), int(low[0]), int(high[1] - low[1]), int(high[0] - low[0])


def _cells(image: Image.Image) -> NDArray[np.uint8]:
    """Supersampled image → (height, ss, width, ss, bands)."""
    array, n = np.asarray(image), SUPERSAMPLING
    return array.reshape(array.shape[0] // n, n, array.shape[1] // n, n, -1)


def _painted(quads: NDArray[np.float64], inks: NDArray[np.uint8]) -> tuple[int, int, Floats, Floats]:
    """Row, column, paint (h, w, 4) and height (h, w) of the facets, drawn in order."""
    row, col, height, width = _canvas(quads[..., :2].reshape(-1, 2))
    image = Image.new("RGBA", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    draw = ImageDraw.Draw(image)
    corners = ((quads[..., :2] - (col, row)) * SUPERSAMPLING).reshape(-1, 8)
    for xy, ink in zip(corners.tolist(), inks.tolist(), strict=True):
        draw.polygon(xy, fill=tuple(ink))
    cells = _cells(image)
    cover = (cells[..., 3] > 0).mean(axis=(1, 3), dtype=np.float32)
    paint = np.concatenate([cells[..., :3].mean(axis=(1, 3), dtype=np.float32), cover[..., None]], axis=-1)
    tallest = np.maximum(cells[..., 3].max(axis=(1, 3)).astype(np.float32) - 1, 0) / 2
    return row, col, paint, tallest * (cover >= 0.25)


def _cast(mesh: _Mesh) -> tuple[int, int, Floats]:
    """Row, column and strength (h, w) of the shadow on flat ground: every leaf's outline, moved."""
    outline = np.concatenate([mesh.edge(-1.0), mesh.edge(1.0)[:, ::-1]], axis=1)
    fallen = outline[..., :2] + outline[..., 2:] * SHADOW_STEP
    row, col, height, width = _canvas(np.concatenate([fallen.reshape(-1, 2) - 2, fallen.reshape(-1, 2) + 2]))
    image = Image.new("L", (width * SUPERSAMPLING, height * SUPERSAMPLING))
    draw = ImageDraw.Draw(image)
    corners = ((fallen - (col, row)) * SUPERSAMPLING).reshape(len(fallen), -1)
    for xy in corners.tolist():
        draw.polygon(xy, fill=255)
    shadow = _cells(image)[..., 0].mean(axis=(1, 3), dtype=np.float32) / 255
    return row, col, gaussian_filter(shadow, 0.8)


def render(leaves: list[Leaf]) -> Sprite:
    """Leaves, lowest first, as a sprite at 1 cm."""
    mesh = _mesh(leaves)
    row, col, paint, height_cm = _painted(*_facets(leaves, mesh))
    shadow_row, shadow_col, shadow = _cast(mesh)
    return Sprite(row, col, paint, height_cm, shadow_row, shadow_col, shadow)


@lru_cache(maxsize=1024)
def sprite(seed: int, variety: Variety, stage: int, variant: int) -> Sprite:
    """The sprite of one variety, growth stage (0–5) and variant; a pure function of its arguments."""
    rng = np.random.default_rng([seed, *variety.name.encode(), stage, variant])
    return render(leaves_of(variety, stage, rng))
