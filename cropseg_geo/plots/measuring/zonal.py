"""Sums over plots in pixel coordinates, through exactextract, in windows of bounded size."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
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
"""Pixels that are held at once."""

_DENSE = 0.5
"""Share of their common rectangle from which on plots are read in one sweep over it."""

_STRIPE_PX = 8192
"""Columns that a sweep goes over at once. A row of a file's tiles as wide as a raster of gigapixels is more
than GDAL keeps of it: each window of a sweep over that would decode it anew."""


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
class Quantity:
    """One value for each pixel, to be summed over plots.

    ``read`` gives values ``(h, w)`` of a window; those equal to ``nodata`` (or NaN) are left out.
    """

    name: str
    read: Callable[[Window], npt.NDArray[Any]]
    nodata: float = float("nan")


@dataclass(frozen=True)
class Total:
    """Of n plots: the pixels that hold a value (n,) and the sum of the values (n,), by parts of pixels."""

    weight: npt.NDArray[np.float64]
    sum: npt.NDArray[np.float64]

    @property
    def mean(self) -> npt.NDArray[np.float64]:
        """Sum ÷ weight; NaN where no pixel holds a value."""
        return ratio(self.sum, self.weight)


class Cached:
    """Reads windows and keeps the last: every quantity asks for the same window in turn."""

    def __init__(self, read: Callable[[Window], Any]) -> None:  # Any: arrays, one or several
        self._read = read
        self._window: Window | None = None
        self._values: Any = None

    def __call__(self, window: Window) -> Any:
        if window != self._window:
            self._values, self._window = self._read(window), window
        return self._values


def checked_mask(source: MaskSource, n_classes: int) -> Callable[[Window], npt.NDArray[np.uint8]]:
    """A reader of the mask that refuses classes without a name and windows of another shape."""

    def read(window: Window) -> npt.NDArray[np.uint8]:
        mask = source.read_mask(window)
        if mask.shape != window.shape:
            raise ReadError(f"the mask of {window} came back as {mask.shape}; expected {window.shape}")
        # Bytes wrap round: what lies from n_classes to 254 comes down to 0 … 254 − n_classes.
        if n_classes < NODATA and (mask - np.uint8(n_classes) < NODATA - n_classes).any():
            unnamed = mask[(mask >= n_classes) & (mask != NODATA)]
            raise InputError(
                f"the mask holds class {unnamed.max()} in {window}; {n_classes} classes are named "
                f"(0–{n_classes - 1})",
                remedy="name every class of the mask, background first",
            )
        return mask

    return read


class _Band(RasterSource):  # type: ignore[misc]  # exactextract has no type hints
    """A part of one quantity for exactextract on the grid of pixels, y = −row."""

    def __init__(self, quantity: Quantity, part: Window) -> None:
        super().__init__()
        self.set_name(quantity.name)
        self._quantity = quantity
        self._part = part

    def res(self) -> tuple[float, float]:
        return (1.0, 1.0)

    def extent(self) -> tuple[float, float, float, float]:
        left, top = float(self._part.col), -float(self._part.row)
        return (left, top - self._part.height, left + self._part.width, top)

    def nodata_value(self) -> float:
        return self._quantity.nodata

    def srs_wkt(self) -> None:
        return None

    def read_window(self, x0: int, y0: int, nx: int, ny: int) -> npt.NDArray[Any]:
        return self._quantity.read(Window(self._part.row + y0, self._part.col + x0, ny, nx))


class _Outlines(GeoPandasFeatureSource):  # type: ignore[misc]  # exactextract has no type hints
    """Outlines in pixel coordinates: no CRS."""

    def srs_wkt(self) -> None:
        return None


def total(
    outlines_px: npt.NDArray[Any],
    size: tuple[int, int],
    quantities: Sequence[Quantity],
    *,
    on_progress: Callable[[float], None],
    max_px: int = MAX_PX,
) -> Mapping[str, Total]:
    """Totals over outlines (n,) in pixel coordinates with y = −row, by the quantities' names.

    Zero for outlines off the raster of ``size`` (rows, columns). ``on_progress`` is told the fraction that
    is done; ``max_px`` bounds the memory and changes no result.
    """
    counts, sums = np.zeros((2, len(quantities), len(outlines_px)))
    near = np.flatnonzero(shapely.intersects(outlines_px, shapely.box(0, -size[0], size[1], 0)))
    done = 0
    for at in _stripes(outlines_px, near):

        def tell(fraction: float, _message: str, done: int = done, n: int = len(at)) -> None:
            on_progress((done + fraction * n) / len(near))

        counts[:, at], sums[:, at] = _swept(outlines_px[at], size, quantities, max_px, tell)
        done += len(at)
    return {quantity.name: Total(counts[k], sums[k]) for k, quantity in enumerate(quantities)}


def _swept(
    outlines_px: npt.NDArray[Any],
    size: tuple[int, int],
    quantities: Sequence[Quantity],
    max_px: int,
    progress: Callable[[float, str], None],
) -> npt.NDArray[np.float64]:
    """Counts and sums (2, quantities, n), in one sweep over what lies around the outlines (n,)."""
    # exactextract goes over all of a band, so a band is no larger than that.
    part = _around(outlines_px, size)
    table = exact_extract(
        [_Band(quantity, part) for quantity in quantities],
        _Outlines(gpd.GeoDataFrame({"at": np.arange(len(outlines_px))}, geometry=list(outlines_px))),
        ["count", "sum"],
        include_cols=["at"],
        strategy=_strategy(outlines_px),
        max_cells_in_memory=max_px,
        output="pandas",
        progress=progress,
    ).set_index("at")
    prefixes = [f"{quantity.name}_" if len(quantities) > 1 else "" for quantity in quantities]
    found = [[table[f"{prefix}{name}"].sort_index() for prefix in prefixes] for name in ("count", "sum")]
    return np.nan_to_num(np.array(found, dtype=np.float64))


def _stripes(outlines_px: npt.NDArray[Any], near: npt.NDArray[np.intp]) -> list[npt.NDArray[np.intp]]:
    """The outlines ``near`` in groups that lie in a stripe of columns, from left to right."""
    left, _, right, _ = shapely.bounds(outlines_px[near]).T
    stripe = ((left + right) / 2 // _STRIPE_PX).astype(np.int64)
    return [near[stripe == number] for number in np.unique(stripe)]


def _around(outlines_px: npt.NDArray[Any], size: tuple[int, int]) -> Window:
    """The whole pixels of a raster of ``size`` (rows, columns) that outlines lie in."""
    left, bottom, right, top = shapely.total_bounds(outlines_px)
    row, col = math.floor(-top), math.floor(left)
    around = Window(row, col, math.ceil(-bottom) - row, math.ceil(right) - col)
    return around & Window(0, 0, *size)


def ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """``part ÷ whole``; NaN where the whole is 0."""
    quotient = np.full(len(part), np.nan)
    np.divide(part, whole, out=quotient, where=whole > 0)
    return quotient


def _strategy(outlines_px: npt.NDArray[Any]) -> str:
    """One sweep over the raster for plots that lie close together, plot by plot for scattered ones."""
    if not len(outlines_px):
        return "feature-sequential"
    left, bottom, right, top = shapely.bounds(outlines_px).T
    boxes = ((right - left) * (top - bottom)).sum()
    common = (right.max() - left.min()) * (top.max() - bottom.min())
    return "raster-sequential" if boxes >= _DENSE * common else "feature-sequential"
