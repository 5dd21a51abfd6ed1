"""Sums over plots in pixel coordinates, through exactextract, in windows of bounded size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import geopandas as gpd
import numpy as np
import numpy.typing as npt
import shapely
from exactextract import exact_extract
from exactextract.feature import GeoPandasFeatureSource
from exactextract.raster import RasterSource

from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.grid import Window

NODATA = 255
MAX_PX = 4_000_000
"""Pixels that exactextract holds at once."""

_DENSE = 0.5
"""Share of their common rectangle from which on plots are read in one sweep over it."""


class MaskSource(Protocol):
    """A class mask and, where there is one, its probability, read by windows."""

    @property
    def height(self) -> int:
        """Rows (px)."""

    @property
    def width(self) -> int:
        """Columns (px)."""

    def read_mask(self, window: Window) -> npt.NDArray[np.uint8]:
        """Classes ``(h, w)``: 0 background, 255 nodata, else the class."""

    def read_prob(self, window: Window) -> npt.NDArray[np.float32] | None:
        """Probability ``(h, w)`` in 0–1, NaN where nodata; None if the source holds none."""


@dataclass(frozen=True)
class Sums:
    """Sums of n plots in pixels, each pixel weighed by the part of it inside the plot.

    ``valid`` (n,); ``by_class`` (n, classes without the background); ``prob`` (n,), the probability
    summed over ``prob_weight`` (n,).
    """

    valid: npt.NDArray[np.float64]
    by_class: npt.NDArray[np.float64]
    prob: npt.NDArray[np.float64]
    prob_weight: npt.NDArray[np.float64]


class _Reader:
    """Reads windows; keeps the last one, since every band asks for the same window in turn."""

    def __init__(self, source: MaskSource, n_classes: int) -> None:
        self._source = source
        self._n_classes = n_classes
        self._window: Window | None = None
        self._mask: npt.NDArray[np.uint8] = np.empty((0, 0), np.uint8)

    def mask(self, window: Window) -> npt.NDArray[np.uint8]:
        if window != self._window:
            mask = self._source.read_mask(window)
            if mask.shape != window.shape:
                raise ReadError(f"the mask of {window} came back as {mask.shape}; expected {window.shape}")
            unnamed = mask[(mask >= self._n_classes) & (mask != NODATA)]
            if unnamed.size:
                raise InputError(
                    f"the mask holds class {unnamed.max()} in {window}; {self._n_classes} classes are named "
                    f"(0–{self._n_classes - 1})",
                    remedy="name every class of the mask, background first",
                )
            self._mask, self._window = mask, window
        return self._mask

    def prob(self, window: Window) -> npt.NDArray[np.float32]:
        prob = self._source.read_prob(window)
        if prob is None or prob.shape != window.shape:
            found = None if prob is None else prob.shape
            raise ReadError(f"the probability of {window} came back as {found}; expected {window.shape}")
        masked: npt.NDArray[np.float32] = np.where(self.mask(window) == NODATA, np.float32(np.nan), prob)
        return masked


class _Band(RasterSource):  # type: ignore[misc]  # exactextract has no type hints
    """One band for exactextract on the grid of pixels, y = −row; NaN is nodata."""

    def __init__(
        self, name: str, size: tuple[int, int], read: Callable[[Window], npt.NDArray[np.float32]]
    ) -> None:
        super().__init__()
        self.set_name(name)
        self._height, self._width = size
        self._read = read

    def res(self) -> tuple[float, float]:
        return (1.0, 1.0)

    def extent(self) -> tuple[float, float, float, float]:
        return (0.0, -float(self._height), float(self._width), 0.0)

    def nodata_value(self) -> float:
        return float("nan")

    def srs_wkt(self) -> None:
        return None

    def read_window(self, x0: int, y0: int, nx: int, ny: int) -> npt.NDArray[np.float32]:
        return self._read(Window(y0, x0, ny, nx))


class _Outlines(GeoPandasFeatureSource):  # type: ignore[misc]  # exactextract has no type hints
    """Outlines in pixel coordinates: no CRS."""

    def srs_wkt(self) -> None:
        return None


def zonal_sums(
    outlines_px: npt.NDArray[Any],
    source: MaskSource,
    *,
    n_classes: int,
    on_progress: Callable[[float], None],
) -> Sums:
    """Sums over outlines (n,) in pixel coordinates with y = −row; zero for outlines off the raster.

    ``n_classes`` includes the background; ``on_progress`` is told the fraction that is done.
    """
    size = (source.height, source.width)
    reader = _Reader(source, n_classes)
    has_prob = source.read_prob(Window(0, 0, 1, 1)) is not None

    def reads_class(k: int) -> Callable[[Window], npt.NDArray[np.float32]]:
        def read(window: Window) -> npt.NDArray[np.float32]:
            mask = reader.mask(window)
            is_class = (mask == k).astype(np.float32)
            is_class[mask == NODATA] = np.nan
            return np.asarray(is_class)

        return read

    bands = [_Band(f"class{k}", size, reads_class(k)) for k in range(1, n_classes)]
    if has_prob:
        bands.append(_Band("prob", size, reader.prob))
    n = len(outlines_px)
    is_near = shapely.intersects(outlines_px, shapely.box(0, -size[0], size[1], 0))
    near = np.flatnonzero(is_near)
    table = exact_extract(
        bands,
        _Outlines(gpd.GeoDataFrame({"at": near}, geometry=list(outlines_px[near]))),
        ["count", "sum"],
        include_cols=["at"],
        strategy=_strategy(outlines_px[near]),
        max_cells_in_memory=MAX_PX,
        output="pandas",
        progress=lambda fraction, message: on_progress(fraction),
    )

    def column(name: str) -> npt.NDArray[np.float64]:
        values = np.zeros(n)
        values[table["at"].to_numpy()] = np.nan_to_num(table[name].to_numpy(dtype=np.float64))
        return values

    names = [f"{b}_" if len(bands) > 1 else "" for b in (f"class{k}" for k in range(1, n_classes))]
    by_class = np.column_stack([column(f"{name}sum") for name in names])
    valid = column(f"{names[0]}count")
    if not has_prob:
        return Sums(valid, by_class, np.zeros(n), np.zeros(n))
    return Sums(valid, by_class, column("prob_sum"), column("prob_count"))


def _strategy(outlines_px: npt.NDArray[Any]) -> str:
    """One sweep over the raster for plots that lie close together, plot by plot for scattered ones."""
    if not len(outlines_px):
        return "feature-sequential"
    left, bottom, right, top = shapely.bounds(outlines_px).T
    boxes = ((right - left) * (top - bottom)).sum()
    common = (right.max() - left.min()) * (top.max() - bottom.min())
    return "raster-sequential" if boxes >= _DENSE * common else "feature-sequential"
