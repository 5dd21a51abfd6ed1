"""A model on a whole picture that lies on no map, at the picture's own resolution.

In one forward pass, but for networks with positions of a fixed size: they slide over it.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from cropseg_geo.model.predictor import Predictor

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

THREADS = 2
"""Pictures at once: a forward pass takes one thread, numpy and scipy let go of the interpreter meanwhile."""


def picture_logits(predictor: Predictor, image: Pixels) -> Floats:
    """Logits (K, H, W) of an RGB picture (H, W, 3), mirrored up to a multiple of the network's stride.

    Of a network that was built for one size of image, the mean over tiles of that size that overlap by a
    third, as the nearest public recipe slides (512 px in steps of 341).
    """
    height, width = image.shape[:2]
    fixed = predictor.card.network_arguments.get("img_size")
    if fixed is not None:
        return _slide(predictor, image, int(fixed))
    stride = predictor.card.stride_px
    padded = _filled_up(image, height + -height % stride, width + -width % stride)
    return _logits(predictor, padded)[:, :height, :width]


def _slide(predictor: Predictor, image: Pixels, side_px: int) -> Floats:
    height, width = image.shape[:2]
    padded = _filled_up(image, max(height, side_px), max(width, side_px))
    total = np.zeros((len(predictor.card.classes), *padded.shape[:2]), dtype=np.float32)
    count = np.zeros(padded.shape[:2], dtype=np.float32)
    for row, col in product(*(_starts(length, side_px) for length in padded.shape[:2])):
        at = np.s_[row : row + side_px, col : col + side_px]
        total[:, *at] += _logits(predictor, padded[at])
        count[at] += 1.0
    return np.asarray(total / count, dtype=np.float32)[:, :height, :width]


def _starts(length: int, side_px: int) -> list[int]:
    """Where tiles begin: in even steps of two thirds of a tile at most, the last one at the end."""
    steps = -(-(length - side_px) // max(1, side_px * 2 // 3))
    return [(length - side_px) * k // max(1, steps) for k in range(steps + 1)]


def _filled_up(image: Pixels, height: int, width: int) -> Pixels:
    rim = ((0, height - image.shape[0]), (0, width - image.shape[1]), (0, 0))
    return np.pad(image, rim, mode="reflect")


def _logits(predictor: Predictor, image: Pixels) -> Floats:
    unit = image.astype(np.float32) / np.float32(255.0)
    logits: Floats = predictor.predict(np.ascontiguousarray(unit.transpose(2, 0, 1)[None]))[0]
    return logits


def vegetation_probability(logits: Floats) -> Floats:
    """Logits (N, K, H, W) → probability (N, H, W) of any class but the first."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    background: Floats = shifted[:, 0] / shifted.sum(axis=1)
    return np.float32(1.0) - background
