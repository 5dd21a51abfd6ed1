"""Masks and probabilities, read back by windows for vectors, plots and reports: finished or as they grow."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.paths import path_text
from cropseg_geo.raster.cog import CogWriter
from cropseg_geo.raster.info import RasterInfo, inspect_raster, opened
from cropseg_geo.raster.mask_values import MaskValues, region_of
from cropseg_geo.raster.probability import probability_of, read_probability
from cropseg_geo.raster.tags import Tag

READ_ONCE_CACHE_BYTES = 16 * 1024 * 1024
"""GDAL's block cache where no stored tile is read twice."""


class Mask(Protocol):
    """A class mask (uint8, 255 = nodata) and, if there is one, its probability."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    @property
    def ground(self) -> Ground:
        """Where the pixels are."""
        ...

    @property
    def threshold(self) -> float | None:
        """The probability from which on a pixel is crop, if that is known; None for several classes."""
        ...

    @property
    def colours(self) -> tuple[str, ...] | None:
        """``#rrggbb`` by class id, if the mask has a colour table."""
        ...

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        """Class ids (H, W)."""
        ...

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Probability (H, W), NaN where nodata; of several classes, that of the one the mask has there."""
        ...


@dataclass(frozen=True)
class GrowingMask:
    """A mask and its probability while they are written; whoever reads waits until the pixels are there."""

    ground: Ground
    mask: CogWriter
    prob: CogWriter

    @property
    def height(self) -> int:
        return self.mask.layout.shape[0]

    @property
    def width(self) -> int:
        return self.mask.layout.shape[1]

    @property
    def threshold(self) -> float | None:
        stated = self.mask.layout.tags.get(Tag.THRESHOLD)
        return float(stated) if stated and len(self.prob.layout.descriptions) == 1 else None

    @property
    def colours(self) -> tuple[str, ...] | None:
        return _hex_colours(self.mask.layout.colours)

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        classes: npt.NDArray[np.uint8] = self.mask.read(window)[0]
        return classes

    def read_prob(self, window: Window) -> npt.NDArray[np.float32]:
        return probability_of(self.prob.read(window))


@dataclass(frozen=True)
class MaskFiles:
    """An open class mask (read as uint8, 255 = nodata) and, if there is one, its probability raster.

    The same object serves tracing and plot statistics, one thread at a time.
    """

    values: MaskValues
    prob: Any | None = field(default=None, repr=False)

    @property
    def info(self) -> RasterInfo:
        return self.values.info

    @property
    def mask(self) -> Any:
        """The mask's dataset (rasterio)."""
        return self.values.dataset

    @property
    def height(self) -> int:
        return self.info.height

    @property
    def width(self) -> int:
        return self.info.width

    @property
    def ground(self) -> Ground:
        return self.info.ground

    @property
    def colours(self) -> tuple[str, ...] | None:
        try:
            return _hex_colours(self.mask.colormap(1))
        except ValueError:  # no colour table
            return None

    @property
    def threshold(self) -> float | None:
        """The probability from which on a pixel is crop, if the tags hold it; None for several classes."""
        if self.prob is None or self.prob.count != 1:
            return None
        stated = self.mask.tags().get(Tag.THRESHOLD)
        if not stated:
            return None
        try:
            threshold = float(stated)
        except ValueError:
            threshold = math.nan
        if not 0 < threshold < 1:
            raise _tag_refusal(self.mask.name, Tag.THRESHOLD, stated, "a probability")
        return threshold

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        """Class ids (H, W) uint8; 255 is nodata."""
        return self.values.read(window=region_of(window))

    def read_reduced(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """The whole mask on ``height`` × ``width`` pixels: the most frequent class under each."""
        return self.values.read(out_shape=(height, width), resampling=Resampling.mode)

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Probability (H, W) float32, NaN where nodata; None without a probability raster.

        One band: of being crop. Several, one a class: of the class that the mask has there.
        """
        if self.prob is None:
            return None
        return read_probability(self.prob, window)


def _hex_colours(table: Mapping[int, tuple[int, ...]] | None) -> tuple[str, ...] | None:
    """``#rrggbb`` of each of 256 values, black where the table has none."""
    if table is None:
        return None
    return tuple("#{:02x}{:02x}{:02x}".format(*table.get(k, (0, 0, 0))) for k in range(256))


def mask_classes(source: MaskFiles) -> tuple[str, ...]:
    """Class names by id: those that :func:`cropseg_geo.segment` left in the tags, else generic ones, as many
    as the mask needs, which is read once for that."""
    stated = source.mask.tags().get(Tag.CLASSES)
    if not stated:
        return ("background", "crop", *(f"class {i}" for i in range(2, source.values.highest + 1)))
    try:
        named = {int(number): str(name) for number, name in json.loads(stated).items()}
    except (ValueError, AttributeError, RecursionError):
        named = {}
    if sorted(named) != list(range(max(2, len(named)))):
        raise _tag_refusal(source.mask.name, Tag.CLASSES, stated, "the classes' names by number from 0")
    return tuple(named[number] for number in sorted(named))


def _tag_refusal(path: str, tag: str, found: str, expected: str) -> InputError:
    return InputError(
        f"{path}: its tag {tag} is {found[:80]!r}; expected {expected}",
        remedy=f"remove it: rio edit-info --tag {tag}= FILE",
    )


@contextmanager
def read_once(source: MaskFiles, block_px: int) -> Iterator[None]:
    """A block in which the source is read once, by square blocks, and GDAL keeps no more than that takes.

    Where stored tiles do not fit the blocks (strips, for one), each is needed more than once and the cache
    stays as it is: decoding them again and again would cost more than their memory.
    """
    datasets = [source.mask] if source.prob is None else [source.mask, source.prob]
    fits = all(
        dataset.driver == "GTiff" and block_px % height == 0 and block_px % width == 0
        for dataset in datasets
        for height, width in dataset.block_shapes
    )
    with rasterio.Env(GDAL_CACHEMAX=READ_ONCE_CACHE_BYTES) if fits else nullcontext():
        yield


@contextmanager
def open_mask(
    mask: str | Path, prob: str | Path | None = None, *, listener: Listener = ignore
) -> Iterator[MaskFiles]:
    """Open a mask and its probability; ``listener`` is told how a mask of others is taken.

    Raises
    ------
    InputError
        If the mask is not one band (and an alpha band), or the probability lies on another grid. Values that
        are no classes or no probabilities are refused where they are read.
    """
    info = inspect_raster(mask)
    if (info.count, info.alpha_band) not in ((1, None), (2, 2)):
        raise InputError(
            f"{mask}: has {info.count} bands; a mask is one band of class ids",
            remedy="give the <name>_mask.tif that cropseg segment wrote, or one band: "
            "gdal_translate -b 1 FILE ONE_BAND.tif",
        )
    if prob is not None:
        other = inspect_raster(prob)
        if (other.height, other.width, other.transform) != (info.height, info.width, info.transform):
            raise InputError(
                f"{prob}: {other.height} × {other.width} pixels, not on the grid of {mask} "
                f"({info.height} × {info.width})",
                remedy="give the probability raster that was written with this mask",
            )
    if info.nodata == 0:
        listener(Warned(f"{mask}: declares 0 as nodata: no background is known, only classes from 1 on"))
    with opened(path_text(mask)) as mask_dataset:
        values = MaskValues(info, mask_dataset, listener)
        if prob is None:
            yield MaskFiles(values)
            return
        with opened(path_text(prob)) as prob_dataset:
            yield MaskFiles(values, prob_dataset)
