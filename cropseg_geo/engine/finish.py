"""From blended blocks to the mask and probability rasters, in one streamed pass."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import Region, wanted_mask
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Window
from cropseg_geo.raster.cog import PROBABILITY_STEPS, CogWriter, disk_errors
from cropseg_geo.raster.pyramid import NODATA
from cropseg_geo.raster.source import GdalSource

STAGE = "write"

_REGRID_PX = 1024

Masks = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of the written mask: valid ones, and those of each class id."""

    valid: int
    by_class: tuple[int, ...]


@dataclass(frozen=True)
class Drafts:
    """The mask and the probability raster while they are being written."""

    mask: CogWriter
    prob: CogWriter

    def write(self, window: Window, fixed: blend.Fixed | None, threshold: float) -> npt.NDArray[np.int64]:
        """Write blended steps (C, H, W), None for nodata; returns the pixels of each class id, (256,)."""
        counts = np.zeros(256, dtype=np.int64)
        if fixed is None or not fixed[0].any():
            self.mask.write(window, None)
            self.prob.write(window, None)
            counts[NODATA] = window.size
            return counts
        classes, probability = classify(fixed, threshold)
        for k in range(max(2, len(fixed))):
            counts[k] = np.count_nonzero(classes == k)
        counts[NODATA] = window.size - counts.sum()
        self.mask.write(window, classes[None])
        self.prob.write(window, probability)
        return counts


def classify(fixed: blend.Fixed, threshold: float) -> tuple[Masks, Masks]:
    """Blended steps (C, H, W) → class ids (H, W) and probability steps (C, H, W); 255 where invalid.

    One channel: class 1 at and above ``threshold``. Several: the most probable class.

    Law: with one channel, a pixel is of class 1 exactly where its probability step ÷ 254 is at least
    ``threshold``. What rounding would carry across stays on its side.
    """
    least = blend.to_fixed(np.array([threshold], dtype=np.float32))[0]
    highest_below = np.uint8(max(1, math.ceil(threshold * PROBABILITY_STEPS - _ROUNDED)) - 1)
    mask = np.empty(fixed.shape[1:], dtype=np.uint8)
    prob = np.empty(fixed.shape, dtype=np.uint8)
    # A few rows at a time stay in the processor's cache.
    for rows in (slice(row, row + _CACHED_ROWS) for row in range(0, len(mask), _CACHED_ROWS)):
        some = fixed[:, rows]
        classes = (
            (some[0] >= least).view(np.uint8) if len(some) == 1 else some.argmax(axis=0).astype(np.uint8)
        )
        steps = probability_steps(some)
        if len(some) == 1:
            np.maximum(steps[0], classes * np.uint8(highest_below + 1), out=steps[0])
            np.minimum(steps[0], highest_below | -classes, out=steps[0])  # −1 is 255: no bound
        nodata = (some[0] == blend.NODATA) * np.uint8(NODATA)
        np.bitwise_or(classes, nodata, out=mask[rows])
        np.bitwise_or(steps, nodata, out=prob[:, rows])
    return mask, prob


_CACHED_ROWS = 32
_ROUNDED = 1e-9
"""Thresholds that are whole steps but for their decimals: 0.5 and 127 ÷ 254 are one number."""


def probability_steps(fixed: blend.Fixed) -> Masks:
    """Blended steps → probability steps: round((step − 1) · 254 / 65534), 0 for nodata."""
    # Numbers below 2²⁴ are exact in float32, and no quotient is close enough below an integer to reach it.
    steps = np.maximum(fixed, np.uint16(1)).astype(np.float32)
    steps -= 1
    steps *= PROBABILITY_STEPS
    steps += blend.STEPS // 2
    steps /= blend.STEPS
    rounded: Masks = steps.astype(np.uint8)
    return rounded


def write_rasters(
    steps: Iterable[tuple[Window, blend.Fixed | None]],
    drafts: Drafts,
    *,
    threshold: float,
    n_classes: int,
    listener: Listener = ignore,
) -> PixelCounts:
    """Write the mask and the probability raster; what is written can be read at once.

    ``steps`` yields blended steps by windows that partition the output grid, None for nodata.

    Raises
    ------
    OutputError
        If the disk refuses.
    """
    height, width = drafts.mask.layout.shape
    listener(StageStarted(STAGE, height * width, "px"))
    counts = np.zeros(256, dtype=np.int64)
    for window, fixed in steps:
        counts += drafts.write(window, fixed, threshold)
        listener(StageAdvanced(STAGE, window.size))
    listener(StageFinished(STAGE))
    by_class = tuple(int(n) for n in counts[:n_classes])
    return PixelCounts(sum(by_class), by_class)


def working_steps(
    blended: Iterable[tuple[Window, blend.Fixed]], extent: Window
) -> Iterator[tuple[Window, blend.Fixed]]:
    """Blended steps by windows counted from the extent's first pixel."""
    for window, fixed in blended:
        yield window.relative_to(extent), fixed


def source_steps(
    blended: Iterable[tuple[Window, blend.Fixed]],
    channels: int,
    working: GdalSource,
    extent: Window,
    region: Region | None,
    *,
    folder: Path,
) -> Iterator[tuple[Window, blend.Fixed | None]]:
    """Blended steps resampled from the working grid to the file's own, by windows of ``extent``.

    Parameters
    ----------
    blended
        Blended steps (channels, H, W) by windows of the working grid.
    working
        The source as it was read for inference.
    extent, region
        Wanted pixels of the file; the region in the file's pixels.
    folder
        Where a draft of the working grid is kept meanwhile.

    Raises
    ------
    OutputError
        If the disk does not hold the draft.
    """
    draft = folder / "working.draft"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": channels, "nodata": blend.NODATA}
    profile |= {"height": working.height, "width": working.width, "tiled": True, "bigtiff": "IF_SAFER"}
    profile |= {"transform": working.transform, "crs": working.info.crs}
    with disk_errors(draft), rasterio.open(draft, "w", sparse_ok=True, **profile) as dataset:
        for window, fixed in blended:
            dataset.write(fixed, window=RasterioWindow(window.col, window.row, window.width, window.height))
    native = GdalSource(
        working.info, working.bands, (working.info.height, working.info.width), working.alpha_band
    )
    rows, cols = working.pixel
    smooth = Resampling.bilinear if min(rows, cols) > 1 else Resampling.average
    with disk_errors(draft):
        dataset = rasterio.open(draft)
    with dataset:
        for window in extent.split(_REGRID_PX):
            wanted = native.read_valid(window) & wanted_mask(extent, window, region)
            if not wanted.any():
                yield window.relative_to(extent), None
                continue
            box = RasterioWindow(
                window.col / cols, window.row / rows, window.width / cols, window.height / rows
            )
            with disk_errors(draft):
                fixed = dataset.read(window=box, out_shape=(channels, *window.shape), resampling=smooth)
            fixed[:, ~wanted] = blend.NODATA
            yield window.relative_to(extent), fixed
    draft.unlink()
