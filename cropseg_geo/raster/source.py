"""Reading windows of pixels and their validity, on the file's own grid or resampled to a working GSD."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine
from rasterio.enums import Resampling
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.raster.info import RasterInfo, decoding, gdal_options
from cropseg_geo.raster.validity import valid_pixels

_handles = threading.local()


class RasterSource(Protocol):
    """Pixels by window. A source pickles its recipe; each thread opens the file for itself."""

    @property
    def height(self) -> int: ...

    @property
    def width(self) -> int: ...

    def read(self, window: Window) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Values (C, H, W) in the stored type and validity (H, W) of a window inside the raster."""
        ...


@dataclass(frozen=True)
class GdalSource:
    """Windows of one file that GDAL opens.

    Parameters
    ----------
    info
        The file.
    bands
        1-based indexes of the bands to read, in the model's order.
    shape
        Rows and columns of the working grid, which spans the file's exact extent.
        The file's own shape reads unresampled.
    alpha_band
        A band that means validity although the file does not flag it as alpha.
    """

    info: RasterInfo
    bands: tuple[int, ...]
    shape: tuple[int, int]
    alpha_band: int | None = None

    @property
    def height(self) -> int:
        return self.shape[0]

    @property
    def width(self) -> int:
        return self.shape[1]

    @property
    def is_resampled(self) -> bool:
        return self.shape != (self.info.height, self.info.width)

    @cached_property
    def pixel(self) -> tuple[float, float]:
        """Height and width of a working pixel in pixels of the file."""
        return (self.info.height / self.height, self.info.width / self.width)

    @property
    def transform(self) -> Affine:
        rows, cols = self.pixel
        return self.info.transform @ Affine.scale(cols, rows)

    @property
    def ground(self) -> Ground:
        return Ground(self.transform, self.info.crs, self.height, self.width)

    def read(self, window: Window) -> tuple[npt.NDArray[Any], npt.NDArray[np.bool_]]:
        """Values (C, H, W) in the stored type and validity (H, W).

        Resampled reads are cubic (low-passed when shrinking) and leave invalid pixels out; a working pixel
        is valid where any file pixel under it is.

        Raises
        ------
        ReadError
            If the file's bytes cannot be decoded; names the window.
        """
        self._require_inside(window)
        shape = window.shape
        with self._reading(window) as (dataset, region):
            if self._alpha is not None and not self.is_resampled:
                both = dataset.read((*self.bands, self._alpha), window=region)
                values, valid = both[:-1], both[-1] > 0
            else:
                # Unresampled reads name no method: inside a VRT it would replace the file's own.
                method = {"resampling": Resampling.cubic} if self.is_resampled else {}
                out_shape = (len(self.bands), *shape)
                values = dataset.read(self.bands, window=region, out_shape=out_shape, **method)
                valid = self._validity(dataset, region, shape)
        if values.dtype.kind == "f":
            valid &= np.isfinite(values).all(axis=0)
        return values, valid

    def read_valid(self, window: Window) -> npt.NDArray[np.bool_]:
        """Validity (H, W) alone; costs nothing where every pixel is valid.

        Raises
        ------
        ReadError
            As :meth:`read`.
        """
        if self.info.dtype.startswith("float"):
            return self.read(window)[1]
        self._require_inside(window)
        if self.all_valid:
            return np.ones(window.shape, dtype=bool)
        with self._reading(window) as (dataset, region):
            return self._validity(dataset, region, window.shape)

    @property
    def all_valid(self) -> bool:
        """True where the file has no means to mark a pixel as invalid."""
        return self.info.validity == "none" and self._alpha is None and self.info.dtype[0] != "f"

    @property
    def _alpha(self) -> int | None:
        return self.alpha_band or self.info.alpha_band

    def _validity(
        self, dataset: Any, region: RasterioWindow, shape: tuple[int, int]
    ) -> npt.NDArray[np.bool_]:
        resampling = Resampling.average if self.is_resampled else Resampling.nearest
        options = {"window": region, "out_shape": shape, "resampling": resampling}
        if self._alpha is not None:
            return np.asarray(dataset.read(self._alpha, **options) > 0)
        if self.info.validity == "none":
            return np.ones(shape, dtype=bool)
        return valid_pixels(dataset, **options)

    @contextmanager
    def _reading(self, window: Window) -> Iterator[tuple[Any, RasterioWindow]]:
        """The thread's dataset and the window in the file's pixels; decoding errors become ReadError."""
        rows, cols = self.pixel
        region = RasterioWindow(
            window.col * cols, window.row * rows, window.width * cols, window.height * rows
        )
        with decoding(self.info.path, window), rasterio.Env(**gdal_options(self.info.path)):
            yield _dataset(self.info), region

    def _require_inside(self, window: Window) -> None:
        if window not in Window(0, 0, *self.shape):
            raise InputError(
                f"{window} reach outside the raster's {self.height} rows and {self.width} columns"
            )


def _dataset(info: RasterInfo) -> Any:
    """This thread's open handle on a file; a thread keeps only its last one."""
    key = (info.path, info.modified_ns, info.size_bytes)
    if getattr(_handles, "key", None) != key:
        close_handle()
        _handles.dataset = rasterio.open(info.path)
        _handles.key = key
    return _handles.dataset


@contextmanager
def handles_released() -> Iterator[None]:
    """What this thread opens within is closed at the end, however it ends."""
    try:
        yield
    finally:
        close_handle()


def close_handle() -> None:
    """Close this thread's open file."""
    dataset = getattr(_handles, "dataset", None)
    _handles.key = None
    if dataset is not None:
        dataset.close()
