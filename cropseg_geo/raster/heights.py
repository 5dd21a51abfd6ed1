"""Heights above ground: a surface model minus a terrain model, on the grid of a mask.

Law: where both models lie on the mask's grid, a height is the difference of their pixels, in metres.
Elsewhere both are resampled bilinearly (low-passed when shrinking); a pixel without surface or terrain is
NaN, and no value is invented across gaps wider than the kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import rasterio
import shapely
from pyproj import CRS
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RasterioWindow

from cropseg_geo.datums import doubtful_shift
from cropseg_geo.errors import InputError, ReadError
from cropseg_geo.events import Listener, Warned, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.paths import path_text
from cropseg_geo.raster.info import GDAL_ERRORS, inspect_raster, opened

_UNITS_M = {
    "m": 1.0, "metre": 1.0, "metres": 1.0, "meter": 1.0, "meters": 1.0,
    "cm": 0.01, "centimetre": 0.01, "centimeter": 0.01, "mm": 0.001, "millimetre": 0.001, "millimeter": 0.001,
    "ft": 0.3048, "foot": 0.3048, "feet": 0.3048, "us-ft": 1200 / 3937, "ftus": 1200 / 3937,
    "us survey foot": 1200 / 3937, "us_survey_foot": 1200 / 3937,
}  # fmt: skip
"""Metres per unit, by the names that files use."""

LOWEST_M, HIGHEST_M = -1_000.0, 10_000.0
"""No field lies outside; a value that does is a mark for nodata that the file does not declare."""


@dataclass(frozen=True)
class Heights:
    """Open surface and terrain models, read as heights above ground by windows of the mask's grid.

    One thread at a time.
    """

    height: int
    width: int
    surface: _Model = field(repr=False)
    terrain: _Model = field(repr=False)

    def read(self, window: Window) -> npt.NDArray[np.float32]:
        """Height above ground (H, W) float32 in metres; NaN where surface or terrain is unknown.

        Small heights below zero, the noise of both models, stay as they are: means stay unbiased.

        Raises
        ------
        ReadError
            If a file's bytes cannot be decoded; names the window.
        InputError
            If a model holds a value that is no elevation on Earth.
        """
        return np.asarray(self.surface.read(window) - self.terrain.read(window), dtype=np.float32)


@dataclass(frozen=True)
class _Model:
    """One elevation model on the mask's grid."""

    path: str
    warped: Any  # a rasterio dataset
    unit_m: float

    def read(self, window: Window) -> npt.NDArray[np.float64]:
        """Elevation (H, W) in metres, NaN where unknown. float64: elevations are large, heights small."""
        region = RasterioWindow(window.col, window.row, window.width, window.height)
        try:
            values = self.warped.read(1, window=region)
        except GDAL_ERRORS as err:
            raise ReadError(f"{self.path}: {window} cannot be read ({err.__cause__ or err})") from err
        elevation = values.astype(np.float64) * self.unit_m
        wild = (elevation < LOWEST_M) | (elevation > HIGHEST_M)
        if wild.any():
            found = float(values[wild][0])
            raise InputError(
                f"{self.path}: holds the value {found:g}, which is neither an elevation nor declared nodata",
                remedy=f"declare it: rio edit-info --nodata {found:g} {self.path}",
            )
        return np.asarray(elevation)


@contextmanager
def maybe_heights(
    dsm: str | Path | None, dtm: str | Path | None, ground: Ground, listener: Listener = ignore
) -> Iterator[Heights | None]:
    """Open heights where a surface model is given.

    Raises
    ------
    InputError
        For a terrain model alone, and as :func:`open_heights`.
    """
    if dsm is None:
        if dtm is not None:
            raise InputError(
                f"{dtm}: a terrain model alone says nothing of the canopy",
                remedy="add the surface model, --dsm FILE",
            )
        yield None
        return
    with open_heights(dsm, dtm, ground=ground, listener=listener) as heights:
        yield heights


@contextmanager
def open_heights(
    dsm: str | Path, dtm: str | Path | None, *, ground: Ground, listener: Listener = ignore
) -> Iterator[Heights]:
    """Open a surface and a terrain model for reading on a mask's grid.

    Parameters
    ----------
    dsm
        Digital surface model: elevation of the canopy's top. Any CRS, GSD and extent; its first band.
    dtm
        Digital terrain model: elevation of the bare ground, above the same datum.
    ground
        The grid to read on.
    listener
        Told where a model's CRS leads inexactly to that of the grid.

    Raises
    ------
    InputError
        Without a DTM; if a file is no elevation model, does not meet the mask, or its vertical unit is open.
    """
    if dtm is None:
        raise InputError(
            f"{dsm}: a surface model alone holds elevations, not heights above ground",
            remedy="give the terrain model too (--dtm FILE); photogrammetry software exports it as DTM",
        )
    with ExitStack() as stack:
        surface, terrain = (
            stack.enter_context(_open_model(path_text(p), ground, listener)) for p in (dsm, dtm)
        )
        yield Heights(ground.height, ground.width, surface, terrain)


@contextmanager
def _open_model(path: str, ground: Ground, listener: Listener) -> Iterator[_Model]:
    info = inspect_raster(path)
    if info.dtype == "uint8" or "red" in info.colours:
        raise InputError(
            f"{path}: {info.count} band(s) of {info.dtype} look like an image, not like an elevation model",
            remedy="give the DSM or DTM: one band of elevations, usually float32",
        )
    # Destination pixels per source pixel. Left to itself GDAL measures it anew for each piece that it warps,
    # by bounding boxes, which blurs rotated grids.
    scale = min(1.0, info.ground.gsd_m / ground.gsd_m)
    with opened(path) as dataset:
        unit_m = metres_per_unit(path, dataset)
        _require_overlap(path, info.ground, ground)
        if note := doubtful_shift(CRS.from_wkt(info.crs), ground, path):
            listener(Warned(note))
        if (dataset.scales[0], dataset.offsets[0]) != (1.0, 0.0):
            raise InputError(
                f"{path}: elevations are stored with a scale and an offset",
                remedy="unpack them: gdal_translate -unscale -ot Float32 FILE OUT",
            )
        options = _warp_options(dataset, ground)
        with WarpedVRT(dataset, **options, XSCALE=str(scale), YSCALE=str(scale)) as warped:
            yield _Model(path, warped, unit_m)


def _warp_options(dataset: Any, ground: Ground) -> dict[str, Any]:
    is_masked = dataset.nodata is not None or MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    is_alpha = ColorInterp.alpha in dataset.colorinterp
    options: dict[str, Any] = {
        "crs": ground.crs,
        "transform": ground.transform,
        "height": ground.height,
        "width": ground.width,
        "resampling": Resampling.bilinear,
        "nodata": float("nan"),
        # Greatest error of approximated coordinates, in pixels of the model; GDAL's default is an eighth.
        "tolerance": 0.01,
    }
    if is_alpha:
        options["src_alpha"] = dataset.colorinterp.index(ColorInterp.alpha) + 1
    elif not is_masked:
        options["src_nodata"] = float("nan")
    return options


def metres_per_unit(path: str, dataset: Any) -> float:
    """Metres per unit of elevation: as the band says, else as a compound CRS says, else 1.

    Raises
    ------
    InputError
        If the unit is unknown, or may be that of a CRS in feet.
    """
    stated = (dataset.units[0] or "").strip().casefold()
    if stated in _UNITS_M:
        return _UNITS_M[stated]
    if stated:
        raise InputError(
            f"{path}: elevations are in {stated!r}, an unknown unit",
            remedy="state it as m or ft: rio edit-info --bidx 1 --units m FILE",
        )
    with rasterio.Env(GTIFF_REPORT_COMPD_CS="YES"), rasterio.open(path) as again:
        crs = CRS.from_wkt(again.crs.to_wkt())
    if len(crs.axis_info) == 3:
        return float(crs.axis_info[2].unit_conversion_factor)
    if crs.is_projected and crs.axis_info[0].unit_conversion_factor != 1.0:
        unit = crs.axis_info[0].unit_name
        raise InputError(
            f"{path}: its CRS counts in {unit}, and whether its elevations do so too is not said",
            remedy="state their unit: rio edit-info --bidx 1 --units ft FILE (or -units m)",
        )
    return 1.0


def _require_overlap(path: str, model: Ground, ground: Ground) -> None:
    from rasterio.warp import transform_geom

    outline = transform_geom(model.crs, ground.crs, shapely.geometry.mapping(model.outline))
    if not shapely.intersects(shapely.geometry.shape(outline), ground.outline):
        raise InputError(
            f"{path}: lies beside the mask", remedy="check its CRS, and that it is of the same survey"
        )
