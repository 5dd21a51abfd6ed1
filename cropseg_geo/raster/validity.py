"""Which pixels of a raster are valid: by its alpha band, else its mask band, else its nodata value."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.enums import ColorInterp, MaskFlags


def validity_of(dataset: Any) -> str:
    """Where an open rasterio dataset has its validity from: ``alpha``, ``mask``, ``nodata`` or ``none``."""
    if ColorInterp.alpha in dataset.colorinterp:
        return "alpha"
    if MaskFlags.per_dataset in dataset.mask_flag_enums[0]:
        return "mask"
    return "nodata" if _marked(dataset) else "none"


def valid_pixels(dataset: Any, **options: Any) -> npt.NDArray[np.bool_]:
    """Validity (H, W) of an open rasterio dataset; by nodata a pixel is valid where one of its bands is.

    ``options`` are those of rasterio's reads. rasterio's own ``dataset_mask`` lets a nodata value or a mask
    band take the place of an alpha band, and a band without a nodata value make all pixels valid.
    """
    if ColorInterp.alpha in dataset.colorinterp:
        alpha = dataset.colorinterp.index(ColorInterp.alpha) + 1
        return np.asarray(dataset.read(alpha, **options) > 0)
    marked = _marked(dataset)
    if 0 < len(marked) < dataset.count:
        masks = [dataset.read_masks(band, **options) > 0 for band in marked]
        return np.asarray(np.logical_or.reduce(masks))
    return np.asarray(dataset.dataset_mask(**options) > 0)


def _marked(dataset: Any) -> list[int]:
    """Bands (from 1) whose validity is by a nodata value."""
    return [k for k, flags in enumerate(dataset.mask_flag_enums, start=1) if MaskFlags.nodata in flags]
