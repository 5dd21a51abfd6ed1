"""A model on a whole picture that lies on no map: one forward pass at the picture's own resolution."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from cropseg_geo.model.predictor import Predictor

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

THREADS = 2
"""Pictures at once: a forward pass takes one thread, numpy and scipy let go of the interpreter meanwhile."""


def picture_logits(predictor: Predictor, image: Pixels) -> Floats:
    """Logits (K, H, W) of an RGB picture (H, W, 3), mirrored up to a multiple of the network's stride."""
    height, width = image.shape[:2]
    stride = predictor.card.stride_px
    rim = ((0, -height % stride), (0, -width % stride), (0, 0))
    padded = np.pad(image, rim, mode="reflect").astype(np.float32) / np.float32(255.0)
    logits = predictor.predict(np.ascontiguousarray(padded.transpose(2, 0, 1)[None]))
    return logits[0, :, :height, :width]


def vegetation_probability(logits: Floats) -> Floats:
    """Logits (N, K, H, W) → probability (N, H, W) of any class but the first."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    background: Floats = shifted[:, 0] / shifted.sum(axis=1)
    return np.float32(1.0) - background
