"""Palettes of masks: whether colours count or indexes, by one rule for all masks that have the same palette.

An index is a class number, unless index 0 has a colour and black is one of at most two indexes in use: then
black is background. Most palettes are filled up with black, so 255 and nodata, which stand for unknown, do
not count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL.Image import Image
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.grid import Window
from training.data import UNKNOWN, Pixels
from training.sources.pictures import (
    JPEG_SUFFIXES,
    RASTER_SUFFIXES,
    Bool,
    decoding,
    opened_raster,
    palette_of,
)

READ_PX = 2048
"""Side of the windows by which masks are read."""


def masks_by_colour(
    paths: Iterable[Path], listener: Callable[[str], None] = lambda note: None
) -> frozenset[Path]:
    """The masks whose colours count, not their indexes. Reads those whose palette begins with a colour.

    The listener is told of palettes where black is a class among others.

    Raises
    ------
    InputError
        If a mask cannot be read.
    """
    used: dict[bytes, Bool] = {}
    members: dict[bytes, list[Path]] = {}
    for path in paths:
        if (found := _look(path)) is not None:
            key = found[0].tobytes()
            used[key] = used.get(key, np.zeros(256, dtype=bool)) | found[1]
            members.setdefault(key, []).append(path)
    chosen: set[Path] = set()
    for key, masks in members.items():
        is_black = ~np.frombuffer(key, dtype=np.uint8).reshape(256, 3).any(axis=1)
        if not (used[key] & is_black).any():
            continue
        if used[key].sum() <= 2:
            chosen.update(masks)
        else:
            black = int(np.flatnonzero(used[key] & is_black)[0])
            listener(
                f"{len(masks)} masks have a palette in which black is {black}, one of "
                f"{used[key].sum()} numbers in use: 0 is taken as background whatever its colour, black as "
                f"vegetation; the first is {masks[0]}"
            )
    return frozenset(chosen)


def table_of(image: Image) -> Pixels:
    """Colours (256, 3) of a picture's indexes; black for those without one."""
    palette = image.getpalette() or []
    table = np.zeros(256 * 3, dtype=np.uint8)
    table[: len(palette)] = palette
    return table.reshape(256, 3)


def _look(path: Path) -> tuple[Pixels, Bool] | None:
    """A palette that begins with a colour, and which indexes (256,) are in use; None without such a one."""
    suffix = path.suffix.lower()
    if suffix in RASTER_SUFFIXES:
        return _look_at_raster(path)
    if suffix in JPEG_SUFFIXES:
        return None
    with decoding(path) as image:
        if image.mode != "P" or not (table := table_of(image))[0].any():
            return None
        return table, _used(np.asarray(image))


def _look_at_raster(path: Path) -> tuple[Pixels, Bool] | None:
    with opened_raster(path) as dataset:
        if "palette" not in [colour.name for colour in dataset.colorinterp] or dataset.dtypes[0] != "uint8":
            return None
        table = palette_of(dataset)
        # Where 0 is nodata it is background, whatever its colour.
        if not table[0].any() or dataset.nodata == 0:
            return None
        used = np.zeros(256, dtype=bool)
        for window in Window(0, 0, dataset.height, dataset.width).split(READ_PX):
            region = RasterioWindow(window.col, window.row, window.width, window.height)
            used |= _used(dataset.read(1, window=region))
        if dataset.nodata is not None and 0 <= dataset.nodata <= UNKNOWN:
            used[int(dataset.nodata)] = False
    return table, used


def _used(indexes: Pixels) -> Bool:
    used = np.bincount(indexes.ravel(), minlength=256) > 0
    used[UNKNOWN] = False
    return np.asarray(used)
