"""What the stored values of a mask mean: classes, or nodata as its file declares it; masks of others, too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import ReadError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import GDAL_ERRORS, RasterInfo
from cropseg_geo.raster.pyramid import NODATA
from cropseg_geo.raster.tags import Tag
from cropseg_geo.raster.validity import valid_pixels

_LOOK_PX = 2048
"""Side of the blocks in which a mask of others is looked at."""


@dataclass(frozen=True)
class MaskValues:
    """Class ids (uint8) of an open mask, with 255 where it has none.

    Pixels that the file declares as nodata, by a value, a mask or an alpha band, read as 255. A mask of
    others that holds nothing but 255, or 0 and 255, is black and white, not soil and nodata: 255 reads as
    crop, and ``listener`` is told.
    """

    info: RasterInfo
    dataset: Any = field(repr=False)  # rasterio's
    listener: Listener = field(default=ignore, repr=False)

    @cached_property
    def highest(self) -> int:
        """Largest class id that occurs; reads the whole mask once."""
        return 1 if self._is_white else max(self._values - {NODATA}, default=0)

    @cached_property
    def _is_white(self) -> bool:
        """True where 255 is crop; reads a mask once that neither names its classes nor declares 255."""
        if Tag.CLASSES in self.dataset.tags() or self.info.nodata == NODATA:
            return False
        is_white = NODATA in self._values <= {0, NODATA}
        if is_white:
            held = " and ".join(str(value) for value in sorted(self._values))
            self.listener(Warned(f"{self.info.path}: holds nothing but {held}: 255 is read as crop"))
        return is_white

    @cached_property
    def _values(self) -> set[int]:
        """Stored values of the valid pixels."""
        seen = np.zeros(256, dtype=bool)
        for window in Window(0, 0, self.info.height, self.info.width).split(_LOOK_PX):
            values, valid = self._stored(window=region_of(window))
            seen[np.unique(values if valid is None else values[valid])] = True
        return set(np.flatnonzero(seen).tolist())

    def read(self, **options: Any) -> npt.NDArray[np.uint8]:
        """Class ids (H, W), 255 = nodata; ``options`` as rasterio's ``read`` has them."""
        values, valid = self._stored(**options)
        classes = (values == NODATA).view(np.uint8) if self._is_white else values
        if valid is not None:
            classes[~valid] = NODATA
        return classes

    def _stored(self, **options: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        """Values and validity (H, W) as the file has them; None where 255 alone means nodata."""
        values: npt.NDArray[np.uint8] = read_decoded(self.dataset, 1, **options)
        if self.info.validity == "none" or (self.info.validity == "nodata" and self.info.nodata == NODATA):
            return values, None
        if self.info.validity == "nodata":
            return values, values != self.info.nodata
        return values, _decoded(self.dataset, valid_pixels, **options)


def region_of(window: Window) -> RasterioWindow:
    """A window as rasterio has it."""
    return RasterioWindow(window.col, window.row, window.width, window.height)


def read_decoded(dataset: Any, band: int | None, **options: Any) -> npt.NDArray[np.uint8]:
    """One band (H, W), or all of them (bands, H, W).

    Raises
    ------
    ReadError
        If the file's bytes cannot be decoded; names the window.
    """
    values: npt.NDArray[np.uint8] = _decoded(dataset, lambda d, **o: d.read(band, **o), **options)
    return values


def _decoded(dataset: Any, read: Callable[..., Any], **options: Any) -> Any:  # an array, as ``read`` gives it
    try:
        return read(dataset, **options)
    except GDAL_ERRORS as err:
        place = options.get("window", "it")
        raise ReadError(f"{dataset.name}: {place} cannot be read ({err.__cause__ or err})") from err
