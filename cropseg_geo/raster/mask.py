"""Masks and probabilities, read back by windows for vectors, plots and reports: finished or as they grow."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.paths import path_text
from cropseg_geo.raster.cog import PROBABILITY_STEPS, CogWriter
from cropseg_geo.raster.info import GDAL_ERRORS, RasterInfo, inspect_raster, opened
from cropseg_geo.raster.pyramid import NODATA
from cropseg_geo.raster.tags import Tag
from cropseg_geo.raster.validity import valid_pixels

READ_ONCE_CACHE_BYTES = 16 * 1024 * 1024
"""GDAL's block cache where no stored tile is read twice."""

_LOOK_PX = 2048
"""Side of the blocks in which a mask of others is looked at."""


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
        return _probability(self.prob.read(window))


@dataclass(frozen=True)
class MaskFiles:
    """An open class mask (uint8, read as 255 = nodata) and, if there is one, its probability raster.

    The same object serves tracing and plot statistics, one thread at a time. Pixels that the file declares as
    nodata, by a value, a mask or an alpha band, read as 255. A mask of others that holds nothing but 0 and
    255 is black and white, not soil and nodata: 255 reads as crop, and ``listener`` is told.
    """

    info: RasterInfo
    mask: Any = field(repr=False)
    prob: Any | None = field(default=None, repr=False)
    listener: Listener = field(default=ignore, repr=False)

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
        return self._classes(window=_region(window))

    def read_reduced(self, height: int, width: int) -> npt.NDArray[np.uint8]:
        """The whole mask on ``height`` × ``width`` pixels: the most frequent class under each."""
        return self._classes(out_shape=(height, width), resampling=Resampling.mode)

    @cached_property
    def highest(self) -> int:
        """Largest class id that occurs; reads the whole mask once."""
        return 1 if self._is_white else max(self._values - {NODATA}, default=0)

    @cached_property
    def _is_white(self) -> bool:
        """True where 255 is crop; reads a mask once that neither names its classes nor declares 255."""
        if Tag.CLASSES in self.mask.tags() or self.info.nodata == NODATA:
            return False
        is_white = self._values == {0, NODATA}
        if is_white:
            self.listener(Warned(f"{self.info.path}: holds nothing but 0 and 255: 255 is read as crop"))
        return is_white

    @cached_property
    def _values(self) -> set[int]:
        """Stored values of the valid pixels."""
        seen = np.zeros(256, dtype=bool)
        for window in Window(0, 0, self.height, self.width).split(_LOOK_PX):
            values, valid = self._stored(window=_region(window))
            seen[np.unique(values if valid is None else values[valid])] = True
        return set(np.flatnonzero(seen).tolist())

    def _classes(self, **options: Any) -> npt.NDArray[np.uint8]:
        values, valid = self._stored(**options)
        classes = (values == NODATA).view(np.uint8) if self._is_white else values
        if valid is not None:
            classes[~valid] = NODATA
        return classes

    def _stored(self, **options: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        """Values and validity (H, W) as the file has them; None where 255 alone means nodata."""
        values: npt.NDArray[np.uint8] = _read(self.mask, 1, **options)
        if self.info.validity == "none" or (self.info.validity == "nodata" and self.info.nodata == NODATA):
            return values, None
        if self.info.validity == "nodata":
            return values, values != self.info.nodata
        return values, _decoded(self.mask, valid_pixels, **options)

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Probability (H, W) float32, NaN where nodata; None without a probability raster.

        One band: of being crop. Several, one a class: of the class that the mask has there.
        """
        if self.prob is None:
            return None
        return _probability(_read(self.prob, None, window=_region(window)))


def _probability(steps: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    """Steps (bands, H, W) → probability (H, W), NaN where nodata."""
    highest = steps.max(axis=0) if len(steps) > 1 else steps[0]
    probability: npt.NDArray[np.float32] = highest / np.float32(PROBABILITY_STEPS)
    probability[highest == NODATA] = np.nan
    return probability


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
        return ("background", "crop", *(f"class {i}" for i in range(2, source.highest + 1)))
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
        remedy=f"remove it: gdal_edit.py -unsetmd FILE, or gdal_edit.py -mo {tag}= FILE",
    )


def _region(window: Window) -> RasterioWindow:
    return RasterioWindow(window.col, window.row, window.width, window.height)


def _read(dataset: Any, band: int | None, **options: Any) -> npt.NDArray[np.uint8]:
    """One band (H, W), or all of them (bands, H, W)."""
    values: npt.NDArray[np.uint8] = _decoded(dataset, lambda d, **o: d.read(band, **o), **options)
    return values


def _decoded(dataset: Any, read: Callable[..., Any], **options: Any) -> Any:  # an array, as ``read`` gives it
    try:
        return read(dataset, **options)
    except GDAL_ERRORS as err:
        place = options.get("window", "it")
        raise ReadError(f"{dataset.name}: {place} cannot be read ({err.__cause__ or err})") from err


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
        If the mask is not one band of uint8 (and an alpha band), or the probability lies on another grid.
    """
    info = inspect_raster(mask)
    if info.dtype != "uint8" or (info.count, info.alpha_band) not in ((1, None), (2, 2)):
        raise InputError(
            f"{mask}: has {info.count} band(s) of {info.dtype}; a mask is one band of uint8 class ids",
            remedy="give the <name>_mask.tif that cropseg segment wrote",
        )
    if prob is not None:
        other = inspect_raster(prob)
        if other.dtype != "uint8":
            raise InputError(
                f"{prob}: holds {other.dtype}; a probability is uint8, in steps of 1/{PROBABILITY_STEPS}",
                remedy="give the <name>_prob.tif that was written with this mask",
            )
        if (other.height, other.width, other.transform) != (info.height, info.width, info.transform):
            raise InputError(
                f"{prob}: {other.height} × {other.width} pixels, not on the grid of {mask} "
                f"({info.height} × {info.width})",
                remedy="give the probability raster that was written with this mask",
            )
    if info.nodata == 0:
        listener(Warned(f"{mask}: declares 0 as nodata: no background is known, only classes from 1 on"))
    with opened(path_text(mask)) as mask_dataset:
        if prob is None:
            yield MaskFiles(info, mask_dataset, listener=listener)
            return
        with opened(path_text(prob)) as prob_dataset:
            yield MaskFiles(info, mask_dataset, prob_dataset, listener)
