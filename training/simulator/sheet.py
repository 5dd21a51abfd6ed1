"""A contact sheet: what the simulator draws, kind by kind, and the outlines of its masks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from training.simulator.scenes import KINDS, Pixels, Scene, make_scene

_OUTLINE = np.array([255, 0, 255], dtype=np.uint8)


def write_sheet(path: Path, *, seed: int, size_px: int = 384, columns: int = 4, covers: bool = False) -> Path:
    """One row of pictures per kind; each scene is followed by itself with its mask outlined.

    Returns
    -------
    pathlib.Path
        ``path``.
    """
    rows = []
    for number, kind in enumerate(KINDS):
        pictures: list[Pixels] = []
        for k in range(columns):
            rng = np.random.default_rng([seed, number, k])
            scene = make_scene(rng, size_px=size_px, kind=kind, covers=covers)
            pictures += [scene.image, outlined(scene)]
        rows.append(np.concatenate(pictures, axis=1))
    Image.fromarray(np.concatenate(rows)).save(path)
    return path


def outlined(scene: Scene) -> Pixels:
    """The scene's image with the rim of its mask painted.  # (H, W, 3)"""
    rim = np.zeros(scene.mask.shape, dtype=bool)
    rim[1:] |= scene.mask[1:] != scene.mask[:-1]
    rim[:, 1:] |= scene.mask[:, 1:] != scene.mask[:, :-1]
    return np.where(rim[..., None], _OUTLINE, scene.image).astype(np.uint8)
