"""What differs between scenes: soil, plants, objects, shadows.

Images (H, W, 3) float32 on 0–1; targets (H, W) uint8, the probability of vegetation in half percents, 255
unknown.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from scipy import ndimage

from training.data import CERTAIN, UNKNOWN

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_MAX_LAYERS = 24


def is_plant(target: Pixels) -> npt.NDArray[np.bool_]:
    """Where a target says vegetation rather than background; not where it is unknown."""
    return np.asarray((target >= CERTAIN // 2) & (target != UNKNOWN))


def paste_plants(
    image: Floats, target: Pixels, other: tuple[Floats, Pixels], rng: np.random.Generator
) -> tuple[Floats, Pixels]:
    """The vegetation of another crop on top of this one, its rim softened by a fraction of a pixel."""
    pixels, plants = other[0], is_plant(other[1])
    alpha = soften(plants, rng.uniform(0.4, 1.0))
    return image + alpha * (pixels - image), np.where(plants, np.uint8(CERTAIN), target)


def close_canopy(
    image: Floats, target: Pixels, leaves: tuple[Floats, Pixels], cover: float, rng: np.random.Generator
) -> tuple[Floats, Pixels]:
    """Leaves over leaves until ``cover`` (0–1) of the crop is green; what lies beneath darkens a little.

    Pictures of young crops hold no closed canopy, and without one a network learns that vegetation is what
    has soil beside it.
    """
    for _ in range(_MAX_LAYERS):
        if is_plant(target).mean() >= cover:
            break
        shift = tuple(int(n) for n in rng.integers(0, target.shape))
        turns = int(rng.integers(4))
        pixels = np.roll(np.rot90(leaves[0], turns), shift, axis=(0, 1))
        plants = np.roll(np.rot90(leaves[1], turns), shift, axis=(0, 1))
        shade = np.float32(rng.uniform(0.75, 1.0))
        image, target = paste_plants(image * shade, target, (pixels, plants), rng)
    return image, target


def shift_soil(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Another soil: red to grey to black, moist to dry. Plants keep their colour."""
    soil = 1.0 - soften(is_plant(target), 1.0)
    grey = image.mean(axis=2, keepdims=True)
    # Soils run from blue-grey clay to red laterite: red grows while blue falls, green stays between them.
    warmth = rng.uniform(-0.12, 0.35)
    tint = np.array([1.0 + warmth, 1.0 + 0.2 * warmth, 1.0 - warmth], dtype=np.float32)
    chroma = np.float32(rng.uniform(0.0, 1.0))
    soiled = (grey + chroma * (image - grey)) * tint
    soiled = np.float32(rng.uniform(0.35, 1.6)) * np.clip(soiled, 0.0, 1.0) ** np.float32(
        rng.uniform(0.7, 1.4)
    )
    return image + soil * (np.clip(soiled, 0.0, 1.0) - image), target


def shift_plants(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Other leaves: yellowish, bluish, reddish, paler or darker. The soil keeps its colour."""
    gains = rng.uniform((0.75, 0.85, 0.6), (1.35, 1.15, 1.4)).astype(np.float32)
    grey = image.mean(axis=2, keepdims=True)
    chroma = np.float32(rng.uniform(0.45, 1.3))
    shifted = np.clip((grey + chroma * (image - grey)) * gains * np.float32(rng.uniform(0.6, 1.25)), 0.0, 1.0)
    return image + soften(is_plant(target), 1.0) * (shifted - image), target


def add_object(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """A board, a hose, a flag, a stroke of paint: flat colour, any hue, and never vegetation."""
    height, width = target.shape
    layer = Image.new("L", (width, height))
    draw = ImageDraw.Draw(layer)
    points = [
        tuple(point) for point in rng.uniform(-0.1, 1.1, (int(rng.integers(2, 5)), 2)) * (width, height)
    ]
    if len(points) > 2 and rng.random() < 0.4:
        centre = rng.uniform(0.0, 1.0, 2) * (width, height)
        shrunk = [tuple(centre + 0.25 * (np.array(point) - centre)) for point in points]
        draw.polygon(shrunk, fill=255)
    else:
        draw.line(points, fill=255, width=int(rng.integers(2, max(3, width // 16))))
    covered = np.asarray(layer) > 0
    colour = rng.uniform(0.0, 1.0, 3).astype(np.float32)
    # A little of what lies beneath remains as texture.
    image = np.where(covered[..., None], 0.85 * colour + 0.15 * image, image).astype(np.float32)
    return image, np.where(covered, np.uint8(0), target)


def cast_shadow(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """A shadow with a straight edge (pole, person, row) or a dappled one; bluish, as skylight is."""
    shade = _straight_shade(target.shape, rng) if rng.random() < 0.5 else _dappled_shade(target.shape, rng)
    depth = rng.uniform(0.3, 0.8)
    tint = (1.0 - depth * np.array([1.0, 0.97, rng.uniform(0.8, 0.97)])).astype(np.float32)
    return image * (1.0 - shade[..., None] * (1.0 - tint)).astype(np.float32), target


def soften(mask: npt.NDArray[np.bool_], sigma_px: float) -> Floats:
    """The mask as blending weights (H, W, 1) on 0–1 with a soft rim."""
    soft: Floats = ndimage.gaussian_filter(mask.astype(np.float32), sigma_px)[..., None]
    return soft


def _straight_shade(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """A band across the crop, (H, W) on 0–1, with edges from sharp to blurred."""
    rows, cols = np.mgrid[0 : shape[0], 0 : shape[1]].astype(np.float32)
    angle = rng.uniform(0.0, 2.0 * np.pi)
    along = (cols - shape[1] / 2) * np.cos(angle) + (rows - shape[0] / 2) * np.sin(angle)
    centre, half = rng.uniform(-0.4, 0.4) * shape[0], rng.uniform(0.05, 0.5) * shape[0]
    softness = rng.uniform(0.7, 12.0)
    shade = np.clip((half - np.abs(along - centre)) / softness + 0.5, 0.0, 1.0)
    return np.asarray(shade, dtype=np.float32)


def _dappled_shade(shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Blobs of random size, (H, W) on 0–1: smooth noise, cut with a soft threshold."""
    cells = int(rng.integers(3, 14))
    noise = Image.fromarray(rng.random((cells, cells)).astype(np.float32))
    field = np.asarray(noise.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
    return np.clip((field - rng.uniform(0.4, 0.7)) * rng.uniform(4.0, 20.0) + 0.5, 0.0, 1.0).astype(
        np.float32
    )
