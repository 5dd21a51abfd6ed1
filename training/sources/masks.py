"""Masks of users: what a value means, by one rule for all masks of a dataset.

1. Every value above 0 is vegetation, whatever its class; 0 is background. A palette's index is the value,
   unless its colours count, by rule 3; see :mod:`training.sources.palettes`.
2. 255: vegetation where the masks of the dataset hold nothing but 0 and 255, else unknown; see
   :mod:`training.sources.white`.
3. Three colours: if all are equal it is a grey mask; else black is background, other colours are vegetation.
   Transparent pixels of a picture are background.
4. A JPEG mask, whose values blur, is cut at half of white; of colours the brightest channel counts.
5. GeoTIFF: nodata other than 0, and what alpha hides, is unknown.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import ImageOps
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from training.data import UNKNOWN, Pixels
from training.sources.palettes import READ_PX, table_of
from training.sources.pictures import (
    JPEG_SUFFIXES,
    RASTER_SUFFIXES,
    Bool,
    decoding,
    opened_raster,
    palette_of,
)

WHITE = 255


@dataclass(frozen=True, eq=False)
class MaskValues:
    """Pixels of a mask before rule 2: ``values`` (H, W), ``void`` (H, W) where nothing is said.

    ``is_plain``: numbers as stored, of which 255 may mean unknown.
    """

    values: npt.NDArray[Any]  # integers of any width
    void: Bool
    is_plain: bool

    def inside(self, window: Window) -> MaskValues:
        return MaskValues(self.values[window.slices], self.void[window.slices], self.is_plain)


@dataclass(frozen=True)
class MaskFile:
    """A mask that is read by window; see the module's text for what its values mean.

    ``by_colour``: its palette's colours count, not their indexes.
    """

    path: Path
    by_colour: bool = False

    def read(self, window: Window) -> MaskValues:
        """Raises InputError."""
        with opened_raster(self.path) as dataset:
            region = RasterioWindow(window.col, window.row, window.width, window.height)
            colours = [colour.name for colour in dataset.colorinterp]
            data = [band for band, colour in enumerate(colours, start=1) if colour != "alpha"]
            values = dataset.read(data[:3] if len(data) >= 3 else data[:1], window=region)
            void = np.zeros(window.shape, dtype=bool)
            if "alpha" in colours:
                void |= dataset.read(colours.index("alpha") + 1, window=region) == 0
            if dataset.nodata:
                void |= (values == dataset.nodata).all(axis=0)
            if self.by_colour:
                values = _colours_of(values[0], palette_of(dataset))
        return _of_channels(self.path, values, void)


def open_mask(path: Path, *, by_colour: bool = False) -> MaskValues | MaskFile:
    """A mask in memory, or a GeoTIFF to be read by window. Raises InputError.

    ``by_colour``: its palette's colours count, not their indexes.
    """
    if path.suffix.lower() in RASTER_SUFFIXES:
        return MaskFile(path, by_colour)
    with decoding(path) as stored:
        # Lies on its side as its picture does, if it was painted over a copy of it.
        image = ImageOps.exif_transpose(stored)
        if path.suffix.lower() in JPEG_SUFFIXES:
            return _of_jpeg(path, np.asarray(image.convert("RGB")).max(axis=2))
        if image.mode in ("1", "L", "P", "I", "F") or image.mode.startswith("I;"):
            # "1" decodes to booleans; anything else to numbers as stored, a palette to its indexes.
            values = np.asarray(image)[None]
            values = values.astype(np.uint8) if values.dtype == bool else values
            if by_colour:
                values = _colours_of(values[0], table_of(image))
        else:
            pixels = np.asarray(image.convert("RGBA"))
            values = np.where(pixels[..., 3:] > 0, pixels[..., :3], 0).astype(np.uint8).transpose(2, 0, 1)
    return _of_channels(path, values, np.zeros(values.shape[1:], dtype=bool))


def read_mask(mask: MaskValues | MaskFile, window: Window) -> MaskValues:
    """A window of a mask."""
    return mask.read(window) if isinstance(mask, MaskFile) else mask.inside(window)


def to_vegetation(mask: MaskValues, *, white_is_unknown: bool) -> Pixels:
    """0 background, 1 vegetation, 255 unknown; (H, W) uint8."""
    unknown = mask.void
    if mask.is_plain and white_is_unknown:
        unknown = unknown | (mask.values == WHITE)
    return np.where(unknown, np.uint8(UNKNOWN), (mask.values > 0).astype(np.uint8))


def plain_parts(path: Path, shape: tuple[int, int], *, by_colour: bool = False) -> Iterator[MaskValues]:
    """The windows of a mask of numbers, of so many rows and columns; none of a mask of colours.

    Raises
    ------
    InputError
        If it cannot be read or holds no class numbers.
    """
    mask = open_mask(path, by_colour=by_colour)
    for window in Window(0, 0, *shape).split(READ_PX):
        part = read_mask(mask, window)
        if part.is_plain:
            yield part


def _colours_of(indexes: npt.NDArray[Any], table: Pixels) -> Pixels:
    """Colours (3, H, W) of indexes (H, W)."""
    return np.ascontiguousarray(table[indexes].transpose(2, 0, 1))


def _of_channels(path: Path, values: npt.NDArray[Any], void: Bool) -> MaskValues:
    """Values (C, H, W) as stored → one number a pixel."""
    if len(values) == 3:
        if (values != values[:1]).any():
            plants = np.asarray((values > 0).any(axis=0), dtype=np.uint8)
            return MaskValues(plants, void, is_plain=False)
        values = values[:1]
    only: npt.NDArray[Any] = values[0]
    if only.dtype.kind == "f":
        known = only[~void & np.isfinite(only)]
        fractions = known[known != np.round(known)]
        if fractions.size:
            raise InputError(
                f"{path}: holds fractions such as {fractions[0]:g}; masks hold class numbers",
                remedy="cut probabilities at a threshold first, and save 0 and 1",
            )
        void = void | ~np.isfinite(only)
        only = np.asarray(np.where(void, 0, only), dtype=np.int64)
    if only.dtype.kind == "i" and (below := only[~void & (only < 0)]).size:
        raise InputError(
            f"{path}: holds the negative value {below[0]}; masks hold class numbers from 0 up",
            remedy="name it as the file's nodata value if it means unknown (gdal_edit.py -a_nodata), "
            "or save it as 0 if it means background",
        )
    return MaskValues(only, void, is_plain=True)


def _of_jpeg(path: Path, grey: Pixels) -> MaskValues:
    bright = grey[grey > WHITE // 4]
    # Rims of white blur to grey, less than half of them even in small leaves; a grey class is grey all over.
    if 2 * int((bright <= WHITE - WHITE // 4).sum()) > bright.size or 0 < grey.max() <= WHITE // 2:
        raise InputError(
            f"{path}: a JPEG mask with values up to {grey.max()}, most of them not white; JPEG keeps only "
            f"black and white apart",
            remedy="save masks as PNG",
        )
    plants = (grey > WHITE // 2).astype(np.uint8)
    return MaskValues(plants, np.zeros(grey.shape, dtype=bool), is_plain=False)
