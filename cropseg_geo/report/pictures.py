"""Arrays as pictures that fit into a page: the photograph lossy within a budget, the mask exact."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

PHOTO_BUDGET_BYTES = 4_500_000
"""Bytes of the photograph before base64, which makes 4 of 3: with mask and table a page stays below 10 MB."""

_QUALITIES = (80, 65, 50, 35)


def photo_uri(photo: npt.NDArray[np.uint8]) -> str:
    """RGBA (H, W, 4) as a WebP data URI, at the best quality within the budget, else at half the size."""
    visible = photo.copy()
    visible[photo[..., 3] == 0] = 0  # hidden noise would cost bytes
    image = Image.fromarray(visible)
    while True:
        for quality in _QUALITIES:
            data = _encoded(image, "WEBP", quality=quality, method=3)
            if len(data) <= PHOTO_BUDGET_BYTES:
                return data_uri("image/webp", data)
        image = image.resize((max(1, image.width // 2), max(1, image.height // 2)), Image.Resampling.BOX)


def mask_uri(classes: npt.NDArray[np.uint8], colours: Sequence[tuple[int, int, int]]) -> str:
    """Class ids (H, W) as a palette PNG data URI; class 0 is transparent."""
    image = Image.fromarray(classes)
    image.putpalette([channel for colour in colours for channel in colour])
    alphas = bytes([0] + [255] * (len(colours) - 1))
    return data_uri("image/png", _encoded(image, "PNG", transparency=alphas, compress_level=9))


def _encoded(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def data_uri(mime: str, data: bytes) -> str:
    """Bytes as a data URI."""
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"
