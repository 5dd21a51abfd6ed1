"""From finished blocks to the mask and probability rasters, in one streamed pass."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.engine import blend
from cropseg_geo.engine.graph import Region, wanted_mask
from cropseg_geo.engine.store import BlockStore, blended_blocks
from cropseg_geo.events import Listener, StageAdvanced, StageFinished, StageStarted, ignore
from cropseg_geo.grid import Window
from cropseg_geo.raster.cog import NODATA, PROBABILITY_STEPS, CogLayout, drafting, finish_cog
from cropseg_geo.raster.source import GdalSource

STAGE = "write"

_REGRID_PX = 1024

Masks = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class PixelCounts:
    """Pixels of the written mask: valid ones, and those of each class id."""

    valid: int
    by_class: tuple[int, ...]


def classify(fixed: blend.Fixed, threshold: float) -> tuple[Masks, Masks]:
    """Blended steps (C, H, W) → class ids (H, W) and probability steps (C, H, W); 255 where invalid.

    One channel: class 1 at and above ``threshold``. Several: the most probable class.
    """
    invalid = fixed[0] == blend.NODATA
    if len(fixed) == 1:
        least = blend.to_fixed(np.array([threshold], dtype=np.float32))[0]
        mask = (fixed[0] >= least).astype(np.uint8)
    else:
        mask = fixed.argmax(axis=0).astype(np.uint8)
    mask[invalid] = NODATA
    # In integers: round((steps - 1) * 254 / 65534).
    scaled = (np.maximum(fixed, 1).astype(np.uint32) - 1) * PROBABILITY_STEPS + blend.STEPS // 2
    prob = (scaled // blend.STEPS).astype(np.uint8)
    prob[:, invalid] = NODATA
    return mask, prob


def write_rasters(
    steps: Iterator[tuple[Window, blend.Fixed]],
    *,
    paths: tuple[Path, Path],
    layouts: tuple[CogLayout, CogLayout],
    threshold: float,
    n_classes: int,
    listener: Listener = ignore,
) -> PixelCounts:
    """Write the mask and the probability COG, in this order of ``paths`` and ``layouts``.

    ``steps`` yields blended steps by windows of the output grid; what it leaves out is nodata.

    Raises
    ------
    OutputError
        If the disk refuses.
    """
    height, width = layouts[0].shape
    listener(StageStarted(STAGE, height * width, "px"))
    counts = np.zeros(256, dtype=np.int64)
    with ExitStack() as stack:
        mask, prob = (
            stack.enter_context(drafting(path.with_suffix(".draft"), layout))
            for path, layout in zip(paths, layouts, strict=True)
        )
        for window, fixed in steps:
            classes, probability = classify(fixed, threshold)
            counts += np.bincount(classes.ravel(), minlength=256)
            mask.write(window, classes[None])
            prob.write(window, probability)
            listener(StageAdvanced(STAGE, window.size))
    for draft, path in zip((mask, prob), paths, strict=True):
        finish_cog(draft, path)
    listener(StageFinished(STAGE))
    by_class = tuple(int(n) for n in counts[:n_classes])
    return PixelCounts(sum(by_class), by_class)


def working_steps(store: BlockStore, extent: Window) -> Iterator[tuple[Window, blend.Fixed]]:
    """Blended steps by windows counted from the extent's first pixel."""
    for window, fixed in blended_blocks(store, extent):
        yield window.relative_to(extent), fixed


def source_steps(
    store: BlockStore, working: GdalSource, extent: Window, region: Region | None, *, folder: Path
) -> Iterator[tuple[Window, blend.Fixed]]:
    """Blended steps resampled from the working grid to the file's own, by windows of ``extent``.

    Parameters
    ----------
    store
        Finished blocks on the working grid.
    working
        The source as it was read for inference.
    extent, region
        Wanted pixels of the file; the region in the file's pixels.
    folder
        Where a draft of the working grid is kept meanwhile.
    """
    bounds = store.blocks.tiles.bounds
    draft = folder / "working.draft"
    profile = {"driver": "GTiff", "dtype": "uint16", "count": store.channels, "nodata": blend.NODATA}
    profile |= {"height": bounds.height, "width": bounds.width, "tiled": True, "bigtiff": "IF_SAFER"}
    profile |= {"transform": working.transform, "crs": working.info.crs}
    with rasterio.open(draft, "w", sparse_ok=True, **profile) as dataset:
        for window, fixed in blended_blocks(store, bounds):
            dataset.write(fixed, window=RasterioWindow(window.col, window.row, window.width, window.height))
    native = GdalSource(
        working.info, working.bands, (working.info.height, working.info.width), working.alpha_band
    )
    rows, cols = working.pixel
    smooth = Resampling.bilinear if min(rows, cols) > 1 else Resampling.average
    with rasterio.open(draft) as dataset:
        for window in extent.split(_REGRID_PX):
            wanted = native.read_valid(window) & wanted_mask(extent, window, region)
            if not wanted.any():
                continue
            box = RasterioWindow(
                window.col / cols, window.row / rows, window.width / cols, window.height / rows
            )
            shape = (store.channels, *window.shape)
            fixed = dataset.read(window=box, out_shape=shape, resampling=smooth)
            # A pixel at the edge of the valid area may have no interpolated value; it takes its own.
            nearest = dataset.read(window=box, out_shape=shape, resampling=Resampling.nearest)
            fixed = np.where(fixed == blend.NODATA, nearest, fixed)
            fixed[:, ~wanted] = blend.NODATA
            yield window.relative_to(extent), fixed
    draft.unlink()
