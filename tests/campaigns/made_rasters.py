"""Rasters with any header that GDAL can be made to write, as a strategy."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import rasterio
from affine import Affine
from hypothesis import reject
from hypothesis import strategies as st
from rasterio.enums import ColorInterp

from cropseg_geo.events import CropsegWarning
from cropseg_geo.raster.info import GDAL_ERRORS

NAN, INF = float("nan"), float("inf")
LOCAL = 'LOCAL_CS["paddock",UNIT["metre",1]]'
UTM = "EPSG:32632"
DTYPES = (
    "uint8", "uint8", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32",
    "float64", "complex64", "complex128",
)  # fmt: skip
CRSS = (UTM, UTM, UTM, "EPSG:4326", "EPSG:3857", "EPSG:2264", "EPSG:4978", LOCAL, None)
PLACES = (
    (0.01, 0.0, 565800.0, 0.0, -0.01, 5705400.0),
    (0.008, 0.006, 565800.0, 0.006, -0.008, 5.7e6),
    (1e-7, 0.0, 9.9, 0.0, -1e-7, 51.4),
    (0.03, 0.0, 1e6, 0.0, -0.03, 1e6),
)
ODD = (0.0, 1.0, -1.0, 1e-12, 1e12, 1e300, 1e-300, NAN, INF, -INF, 90.0, 180.0, 0.01)
LAYOUTS: tuple[dict[str, object], ...] = (
    {},
    {},
    {"compress": "deflate"},
    {"tiled": True, "blockxsize": 16, "blockysize": 32},
    {"interleave": "pixel"},
    {"photometric": "RGB"},
    {"nbits": 7},
    {"sparse_ok": True},
    {"bigtiff": "YES", "compress": "lzw"},
)


@dataclass(frozen=True)
class MadeRaster:
    """A header, and a seed for the pixels."""

    dtype: str
    shape: tuple[int, int, int]
    crs: str | None
    transform: tuple[float, ...]
    nodata: float | None
    scale: float
    offset: float
    alpha: bool
    layout: tuple[tuple[str, object], ...]
    seed: int

    @contextmanager
    def written(self) -> Iterator[Path]:
        """The raster as a file in a folder of its own; what GDAL refuses to write is no case."""
        count, height, width = self.shape
        profile = {"driver": "GTiff", "count": count, "height": height, "width": width, "dtype": self.dtype}
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            path = Path(folder) / "made.tif"
            try:
                with rasterio.open(
                    path, "w", **profile, crs=self.crs, transform=Affine(*self.transform), nodata=self.nodata,
                    **dict(self.layout),
                ) as dataset:  # fmt: skip
                    dataset.write(self._pixels())
                    dataset.scales, dataset.offsets = (self.scale,) * count, (self.offset,) * count
                    if self.alpha and count > 1:
                        dataset.colorinterp = (*dataset.colorinterp[:-1], ColorInterp.alpha)
            except (*GDAL_ERRORS, TypeError):
                reject()
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", CropsegWarning)
            yield path

    def _pixels(self) -> np.ndarray:
        rng, kind = np.random.default_rng(self.seed), np.dtype(self.dtype).kind
        if kind in "fc":
            values = rng.choice((0.0, 0.2, 0.7, 1.0, NAN, INF, -INF, -5.0, 1e30), self.shape)
            return values.astype(self.dtype)
        limits = np.iinfo(self.dtype)
        return rng.choice(
            np.array([limits.min, 0, 1, 40, limits.max // 2, limits.max], self.dtype), self.shape
        )


def _transforms() -> st.SearchStrategy[tuple[float, ...]]:
    good = st.sampled_from(PLACES)
    changed = st.tuples(good, st.integers(0, 5), st.sampled_from(ODD)).map(
        lambda t: (*t[0][: t[1]], t[2], *t[0][t[1] + 1 :])
    )
    return st.one_of(good, good, changed)


def made_rasters() -> st.SearchStrategy[MadeRaster]:
    """Any type, size, CRS, place, nodata, scale and layout; most parts of most are as they should be."""
    return st.builds(
        MadeRaster,
        dtype=st.sampled_from(DTYPES),
        shape=st.tuples(st.sampled_from([3, 3, 3, 4, 1, 2, 5]), st.integers(1, 70), st.integers(1, 70)),
        crs=st.sampled_from(CRSS),
        transform=_transforms(),
        nodata=st.sampled_from([None, None, 0, 255, -1, NAN, INF, 1e30]),
        scale=st.sampled_from([1.0, 1.0, 1.0, 0.0, 1e-4, -1.0, NAN, INF, 1e300]),
        offset=st.sampled_from([0.0, 0.0, 0.0, 5.0, NAN, -INF]),
        alpha=st.booleans(),
        layout=st.sampled_from(LAYOUTS).map(lambda options: tuple(options.items())),
        seed=st.integers(0, 99),
    )
