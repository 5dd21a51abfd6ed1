"""What differs between cameras and hours: light, blur, noise, compression.

Images are (H, W, 3) float32 on 0–1; targets pass through as they are.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import ndimage

Floats = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]


def change_light(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Exposure, white balance, gamma, contrast and saturation; now and then dusk, now and then glare."""
    # One crop in ten is dark: down to a seventh of the light.
    exposure = rng.uniform(0.15, 0.5) if rng.random() < 0.1 else np.exp(rng.normal(0.0, 0.3))
    balance = np.exp(rng.normal(0.0, 0.1, 3))
    image = np.clip(image * (exposure * balance).astype(np.float32), 0.0, 1.0)
    image = image ** np.float32(np.exp(rng.normal(0.0, 0.25)))
    grey = image.mean(axis=2, keepdims=True)
    image = grey + np.float32(rng.uniform(0.4, 1.5)) * (image - grey)
    pivot = np.float32(image.mean())
    image = pivot + np.float32(rng.uniform(0.6, 1.4)) * (image - pivot)
    # Veil: haze and lens flare lift the blacks.
    veil = np.float32(rng.uniform(0.0, 0.2)) if rng.random() < 0.2 else np.float32(0.0)
    return np.clip(veil + (1.0 - veil) * image, 0.0, 1.0).astype(np.float32), target


def blur(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Out of focus, moved, or resampled as an orthomosaic is."""
    kind = rng.integers(3)
    if kind == 0:
        sigma = rng.uniform(0.4, 2.2)
        return ndimage.gaussian_filter(image, (sigma, sigma, 0.0)), target
    if kind == 1:
        length, axis = int(rng.integers(2, 10)), int(rng.integers(2))
        return ndimage.uniform_filter1d(image, length, axis=axis), target
    height, width = target.shape
    factor = rng.uniform(1.2, 3.0)
    small = (max(1, round(width / factor)), max(1, round(height / factor)))
    picture = Image.fromarray((np.clip(image, 0.0, 1.0) * 255.0).astype(np.uint8))
    picture = picture.resize(small, Image.Resampling.BILINEAR).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(picture).astype(np.float32) / np.float32(255.0), target


def sharpen(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """What drones and phones do to their pictures: an unsharp mask, halos and all."""
    sigma, amount = rng.uniform(0.5, 1.5), np.float32(rng.uniform(0.3, 1.5))
    soft = ndimage.gaussian_filter(image, (sigma, sigma, 0.0))
    return np.clip(image + amount * (image - soft), 0.0, 1.0), target


def add_noise(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Sensor noise: the same everywhere, or each channel its own."""
    sigma = np.float32(rng.uniform(0.005, 0.06))
    channels = 3 if rng.random() < 0.5 else 1
    noise = rng.standard_normal((*target.shape, channels), dtype=np.float32)
    return np.clip(image + sigma * noise, 0.0, 1.0), target


def compress(image: Floats, target: Pixels, rng: np.random.Generator) -> tuple[Floats, Pixels]:
    """Through JPEG and back, at qualities of drones, phones and web maps."""
    picture = Image.fromarray((np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8))
    file = BytesIO()
    picture.save(file, "JPEG", quality=int(rng.integers(25, 96)))
    return np.asarray(Image.open(file)).astype(np.float32) / np.float32(255.0), target
