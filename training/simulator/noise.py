"""Noise by feature size, cut from periodic textures that are made once per process."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy import fft

Floats = npt.NDArray[np.float32]

_PERIOD = 1024
_FEATURES_PX = (2.5, 4.0, 6.5, 11.0)
_TEXTURE_SEED = 71


@lru_cache(maxsize=len(_FEATURES_PX))
def _texture(feature_px: float) -> Floats:
    """Periodic noise of one feature size, mean 0 and deviation 1.  # (period, period)"""
    rng = np.random.default_rng([_TEXTURE_SEED, round(10 * feature_px)])
    spectrum = fft.rfft2(rng.standard_normal((_PERIOD, _PERIOD), dtype=np.float32))
    radius = np.hypot(fft.fftfreq(_PERIOD)[:, None], fft.rfftfreq(_PERIOD)[None, :]) * feature_px
    spectrum *= (radius**1.2 * np.exp(-((radius / 1.1) ** 2))).astype(np.float32)
    noise = fft.irfft2(spectrum, s=(_PERIOD, _PERIOD))
    return np.asarray((noise - noise.mean()) / noise.std(), dtype=np.float32)


def noise(rng: np.random.Generator, side_px: int, feature_px: float, *, stretch: float = 1.0) -> Floats:
    """Noise with features of about ``feature_px``, mean near 0 and deviation near 1.

    Parameters
    ----------
    side_px
        Side of the square that is returned.
    feature_px
        At least 2; from 11 on, a texture is magnified.
    stretch
        How much longer features are along columns.

    Returns
    -------
    numpy.ndarray
        (side, side) float32.
    """
    base = min(_FEATURES_PX, key=lambda size: abs(np.log(size / max(feature_px, 2.0))))
    factor = max(1.0, feature_px / base)
    magnified = factor >= 1.2 or stretch != 1.0
    high, wide = (min(float(_PERIOD), side_px / f) for f in (factor * stretch, factor))
    length = (int(np.ceil(high)) + 1, int(np.ceil(wide)) + 1) if magnified else (side_px, side_px)
    rows, cols = (
        (int(start) + step * np.arange(n)) % _PERIOD
        for start, step, n in zip(rng.integers(0, _PERIOD, 2), rng.choice([-1, 1], 2), length, strict=True)
    )
    texture = _texture(base)
    part = texture[rows[:, None], cols] if rng.random() < 0.5 else texture.T[rows[:, None], cols]
    if not magnified:
        return np.asarray(part)
    image = Image.fromarray(np.ascontiguousarray(part))
    return np.asarray(image.resize((side_px, side_px), Image.Resampling.BICUBIC, box=(0.0, 0.0, wide, high)))
