"""What the stored values of a mask mean: classes, or nodata as its file declares it; masks of others, too."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import RasterInfo, decoding
from cropseg_geo.raster.pyramid import NODATA
from cropseg_geo.raster.tags import Tag
from cropseg_geo.raster.validity import valid_pixels

_LOOK_PX = 2048
"""Side of the blocks in which a mask of others is looked at."""


@dataclass(frozen=True)
class MaskValues:
    """Class ids (uint8) of an open mask, with 255 where it has none.

    Stored are whole numbers from 0 to 255, of any type. Pixels that the file declares as nodata, by a value,
    a mask or an alpha band, and NaN read as 255. A mask of others that holds nothing but 255, or 0 and 255,
    is black and white, not soil and nodata: 255 reads as crop, and ``listener`` is told.
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
        """Class ids (H, W), 255 = nodata; ``options`` as rasterio's ``read`` has them.

        Raises
        ------
        InputError
            For a value that is no class.
        ReadError
            If the file's bytes cannot be decoded.
        """
        values, valid = self._stored(**options)
        classes = (values == NODATA).view(np.uint8) if self._is_white else values
        if valid is not None:
            classes[~valid] = NODATA
        return classes

    def _stored(self, **options: Any) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        """Values and validity (H, W) as the file has them; None where 255 alone means nodata."""
        values, valid = read_decoded(self.dataset, 1, **options), None
        if self.info.validity == "nodata":
            valid = None if self.info.nodata == NODATA else values != self.info.nodata
        elif self.info.validity != "none":
            with decoding(self.info.path, options.get("window")):
                valid = valid_pixels(self.dataset, **options)
        return (values, valid) if values.dtype == np.uint8 else self._as_bytes(values, valid, options)

    def _as_bytes(
        self, values: npt.NDArray[Any], valid: npt.NDArray[np.bool_] | None, options: dict[str, Any]
    ) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_] | None]:
        """Values of other types and their validity."""
        if values.dtype.kind == "f":
            is_number = ~np.isnan(values)
            valid = is_number if valid is None else valid & is_number
        if "out_shape" in options:  # a file's overviews may hold means, of which those of bytes are whole
            values = np.rint(values)
        is_class = (values >= 0) & (values <= NODATA) & (values == np.rint(values))
        is_wrong = ~is_class if valid is None else valid & ~is_class
        if is_wrong.any():
            row, col = np.argwhere(is_wrong)[0].tolist()
            raise self._refusal(values[row, col], row, col, options.get("window"))
        return np.where(is_class, values, NODATA).astype(np.uint8), valid

    def _refusal(self, value: Any, row: int, col: int, window: RasterioWindow | None) -> InputError:
        place = f" in row {window.row_off + row}, column {window.col_off + col}" if window else ""
        return InputError(
            f"{self.info.path}: holds {value:g}{place}; a mask holds class ids, whole numbers from 0 to "
            f"{NODATA - 1}, {NODATA} for nodata",
            remedy="reclassify it, to 0 and 1 for soil and crop, or declare the value as nodata; a "
            "probability goes beside its mask, with --prob",
        )


def region_of(window: Window) -> RasterioWindow:
    """A window as rasterio has it."""
    return RasterioWindow(window.col, window.row, window.width, window.height)


def read_decoded(dataset: Any, band: int | None, **options: Any) -> npt.NDArray[Any]:
    """One band (H, W), or all of them (bands, H, W).

    Raises
    ------
    ReadError
        If the file's bytes cannot be decoded; names the window.
    """
    with decoding(dataset.name, options.get("window")):
        values: npt.NDArray[Any] = dataset.read(band, **options)
    return values
