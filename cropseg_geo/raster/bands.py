"""Named bands of an orthomosaic on the grid of a mask, for colour indices.

Law: where the orthomosaic lies on the mask's grid, its values come as they are stored, times the scale plus
the offset that the file states for the band. Elsewhere a pixel of the mask takes the average of what lies
under it, so that the colour of soil beside canopy stays out of canopy pixels. Invalid pixels are NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pyproj import CRS
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.datums import doubtful_shift
from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.paths import path_text
from cropseg_geo.raster.band_choice import bands_by_name
from cropseg_geo.raster.band_names import BAND_NAMES, plain_name
from cropseg_geo.raster.info import GDAL_ERRORS, RasterInfo, inspect_raster, opened
from cropseg_geo.raster.validity import valid_pixels

_OFF_GRID_PX = 0.01
"""How far pixels may lie from each other and still be the same ones."""


@dataclass(frozen=True)
class Bands:
    """Open bands of an orthomosaic, read by windows of the mask's grid. One thread at a time.

    ``dataset`` (rasterio) lies on the mask's lattice of pixels, whose first pixel is ``first`` (row, column)
    of its own. ``scales`` are factor and offset of each band.
    """

    names: tuple[str, ...]
    indexes: tuple[int, ...]
    scales: tuple[tuple[float, float], ...]
    dataset: Any = field(repr=False)
    first: tuple[int, int] = (0, 0)

    def read_bands(self, window: Window) -> npt.NDArray[np.float32]:
        """Values (bands, H, W) float32 as the file means them, NaN where invalid.

        Raises
        ------
        ReadError
            If the file's bytes cannot be decoded; names the window.
        """
        wanted = Window(window.row + self.first[0], window.col + self.first[1], *window.shape)
        inside = wanted & Window(0, 0, self.dataset.height, self.dataset.width)
        values = np.full((len(self.indexes), *window.shape), np.nan, np.float32)
        if inside:
            rows, cols = inside.row - wanted.row, inside.col - wanted.col
            here = (slice(rows, rows + inside.height), slice(cols, cols + inside.width))
            values[:, *here] = self._read(inside)
        return values

    def _read(self, window: Window) -> npt.NDArray[np.float32]:
        region = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            values = self.dataset.read(self.indexes, window=region).astype(np.float32, copy=False)
            if not isinstance(self.dataset, WarpedVRT):  # which has NaN where invalid
                values[:, ~valid_pixels(self.dataset, window=region)] = np.nan
        except GDAL_ERRORS as err:
            raise ReadError(f"{self.dataset.name}: {window} cannot be read ({err.__cause__ or err})") from err
        if any(scale != (1.0, 0.0) for scale in self.scales):
            factors, offsets = np.array(self.scales, np.float32).T[..., None, None]
            values = values * factors + offsets
        return np.asarray(values)


@contextmanager
def open_bands(
    ortho: str | Path,
    *,
    ground: Ground,
    bands: Mapping[str, int] | None = None,
    also_named: bool = False,
    listener: Listener = ignore,
) -> Iterator[Bands]:
    """Open the colour and infrared bands of an orthomosaic for reading on a mask's grid.

    Parameters
    ----------
    ortho
        Any raster that GDAL opens; any CRS, GSD and extent that meets the mask's.
    ground
        The mask's grid.
    bands
        1-based index by name (red, green, blue, rededge, nir). None: by the file's colour interpretation
        and the descriptions of its bands.
    also_named
        Add to ``bands`` those others that the file names.
    listener
        Told where the orthomosaic's CRS leads inexactly to the mask's.

    Raises
    ------
    InputError
        If a band does not exist or states a scale of 0, none is known by name, or the orthomosaic lies beside
        the mask.
    """
    path = path_text(ortho)
    info = inspect_raster(path)
    with opened(path) as dataset:
        chosen = dict(bands or {})
        if bands is None or also_named:
            named = {n: k for n, k in bands_by_name(info).items() if n in BAND_NAMES}
            chosen |= {n: k for n, k in named.items() if n not in chosen and k not in chosen.values()}
        _require_bands(info, chosen)
        _require_overlap(info, ground)
        if note := doubtful_shift(CRS.from_wkt(info.crs), ground, path):
            listener(Warned(note))
        names, indexes = tuple(chosen), tuple(chosen.values())
        scales = tuple(info.stated_scale(band) for band in indexes)
        if (first := _first_pixel(info, ground)) is not None:
            yield Bands(names, indexes, scales, dataset, first)
            return
        with WarpedVRT(dataset, **_warp_options(info, ground)) as warped:
            yield Bands(names, indexes, scales, warped)


def _first_pixel(info: RasterInfo, ground: Ground) -> tuple[int, int] | None:
    """Row and column of the mask's first pixel in the orthomosaic; None where their pixels do not coincide.

    Reading the file itself takes a fifth of the time of warping it onto the grid that it has.
    """
    if CRS.from_wkt(info.crs) != CRS.from_wkt(ground.crs):
        return None
    to_file, (height, width) = ~info.transform @ ground.transform, (ground.height, ground.width)
    col, row = (round(v) for v in to_file @ (0, 0))
    is_same = all(
        np.allclose(to_file @ (c, r), (col + c, row + r), rtol=0, atol=_OFF_GRID_PX)
        for c, r in ((0, 0), (width, 0), (0, height))
    )
    return (row, col) if is_same else None


def parse_bands(text: str) -> dict[str, int]:
    """``"red=1,green=2,nir=5"`` → band numbers by name.

    >>> parse_bands("red=3, NIR=4")
    {'red': 3, 'nir': 4}

    Raises
    ------
    InputError
        If it is written differently or names a band that no index uses.
    """
    bands: dict[str, int] = {}
    for part in text.split(","):
        name, _, number = part.partition("=")
        name, number = plain_name(name), number.strip()
        if name not in BAND_NAMES or not number.isdecimal():
            raise InputError(
                f"--bands {text!r}: {part.strip()!r} is not a name and a band number",
                remedy=f"write for example red=1,green=2,blue=3,nir=5; names are {', '.join(BAND_NAMES)}",
            )
        bands[name] = int(number)
    return bands


def _require_bands(info: RasterInfo, bands: Mapping[str, int]) -> None:
    example = "red=1,green=2,blue=3"
    if not bands:
        raise InputError(
            f"{info.path}: does not say which of its {info.count} bands are red, green and blue",
            remedy=f"name them, for example --bands {example}",
        )
    wrong = [n for n in bands.values() if not 1 <= n <= info.count or n == info.alpha_band]
    if wrong:
        raise InputError(
            f"--bands names band {wrong[0]}; {info.path} has {info.count} bands"
            + (f", of which {info.alpha_band} is alpha" if info.alpha_band else ""),
            remedy=f"name data bands from 1 on, for example {example}",
        )


def _require_overlap(info: RasterInfo, ground: Ground) -> None:
    left, bottom, right, top = transform_bounds(info.crs, ground.crs, *info.ground.outline.bounds)
    low_x, low_y, high_x, high_y = ground.outline.bounds
    if left >= high_x or right <= low_x or bottom >= high_y or top <= low_y:
        raise InputError(
            f"{info.path}: lies beside the mask",
            remedy="give the orthomosaic that the mask was made from, or check its CRS",
        )


def _warp_options(info: RasterInfo, ground: Ground) -> dict[str, Any]:
    options: dict[str, Any] = {
        "crs": ground.crs,
        "transform": ground.transform,
        "height": ground.height,
        "width": ground.width,
        "resampling": Resampling.average,
        "nodata": float("nan"),
        "dtype": "float32",
        # Greatest error of approximated coordinates, in pixels; GDAL's default is an eighth.
        "tolerance": 0.01,
    }
    if info.alpha_band is not None:
        options["src_alpha"] = info.alpha_band
    elif info.validity == "none":
        options["src_nodata"] = float("nan")
    elif info.validity == "mask":
        options["src_nodata"] = None  # else a nodata value beside the mask would take its place
    return options
