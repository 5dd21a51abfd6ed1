"""An orthomosaic with its heights: checked as a whole, then read tile by tile."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import RasterInfo
from training.labels.colour import Pixels
from training.labels.ground import MAX_PLANT_WIDTH_M, estimate_ground
from training.labels.height import (
    HeightArray,
    Heights,
    canopy_height,
    inspect_heights,
    read_onto,
    read_window,
    require_overlap,
    resample_onto,
    window_under,
)
from training.labels.threshold import Soil, find_soil
from training.reading import Ortho, Reading

GROUND_GSD_M = 0.05
"""Terrain is estimated near this, above half of it: it is smooth, and a halving costs four times the work."""

GROUND_MAX_PX = 4096 * 4096
"""The surface is held in memory for the estimate, at most this much of it."""

TALLEST_M = 50.0
"""No canopy's median height is above; ellipsoids and geoids, feet and metres can be as far apart."""


@dataclass(frozen=True)
class Survey:
    """What :func:`open_survey` checked and estimated.

    Parameters
    ----------
    ortho
        The orthomosaic, on the grid that it is labelled on.
    dsm, dtm
        Surface and terrain models; without a terrain model ``ground`` holds the estimate.
    soil
        Level and noise of bare soil over the whole survey, in metres above ground.
    """

    ortho: Ortho
    dsm: RasterInfo
    dtm: RasterInfo | None
    soil: Soil
    ground: HeightArray | None = field(repr=False, default=None)

    @property
    def bounds(self) -> Window:
        return self.ortho.bounds

    def read(self, window: Window) -> tuple[Pixels, Heights, npt.NDArray[np.bool_]]:
        """RGB (H, W, 3) uint8, height above ground (H, W) in metres, and validity of the picture (H, W)."""
        image, valid = self.ortho.read(window)
        geobox = self.ortho.geobox[window.slices]
        dsm = read_onto(self.dsm, geobox)
        if self.dtm is not None:
            return image, canopy_height(dsm, read_onto(self.dtm, geobox)), valid
        if self.ground is None:
            raise InputError("a survey needs a terrain model or an estimate of it")
        return image, canopy_height(dsm, resample_onto(self.ground, geobox)), valid


def open_survey(
    ortho: Ortho | str | Path,
    dsm: str | Path,
    dtm: str | Path | None = None,
    *,
    max_plant_width_m: float = MAX_PLANT_WIDTH_M,
) -> Survey:
    """Check an orthomosaic and its height models, estimate the terrain where there is no model of it.

    The labels will lie on the grid that the orthomosaic was opened on; of a path, on that of its file.

    Raises
    ------
    InputError
        If a file cannot be used (no CRS, pixels above 20 cm, not heights), they do not overlap, or surface
        and terrain are of two fields, units or orders.
    """
    opened = ortho if isinstance(ortho, Ortho) else Reading(model=None).open(ortho)
    info, surface = opened.info, inspect_heights(dsm)
    terrain = inspect_heights(dtm) if dtm is not None else None
    for heights in (surface, terrain):
        if heights is not None:
            require_overlap(info, heights)
    coarse = _coarse_surface(info, surface)
    if not np.isfinite(coarse.values).any():
        raise InputError(
            f"{dsm}: not one height is known where {info.path} lies",
            remedy="check the nodata value of the DSM with gdalinfo -mm FILE",
        )
    if terrain is not None:
        above = canopy_height(coarse.values, read_onto(terrain, coarse.geobox))
        if not np.isfinite(above).any():
            raise InputError(f"{dtm}: not one height is known where {dsm} has some")
        _require_canopy(above, dsm, dtm)
        return Survey(opened, surface, terrain, find_soil(above))
    gsd_m = surface.ground.gsd_m * np.sqrt(_pixels_in_one(surface, coarse))
    ground = estimate_ground(coarse.values, gsd_m=float(gsd_m), max_plant_width_m=max_plant_width_m)
    soil = find_soil(canopy_height(coarse.values, ground))
    return Survey(opened, surface, None, soil, HeightArray(ground, coarse.geobox))


def _require_canopy(above_m: Heights, dsm: str | Path, dtm: str | Path | None) -> None:
    """Refuse what no field looks like: a surface below its terrain, or far above it."""
    middle, high = np.nanquantile(above_m, (0.5, 0.95))
    if high < 0.0:
        raise InputError(
            f"{dsm} lies below {dtm} nearly everywhere (by {-middle:.2f} m in the middle)",
            remedy="give the surface (DSM) first and the terrain with --dtm, in one unit and vertical datum; "
            "a model that holds heights above ground already needs no --dtm",
        )
    if middle > TALLEST_M:
        raise InputError(
            f"{dsm} lies {middle:.0f} m above {dtm} in the middle; no canopy is that tall",
            remedy="give both in one unit and vertical datum; a band's unit is set with gdal_edit.py -units",
        )


def _coarse_surface(ortho: RasterInfo, dsm: RasterInfo) -> HeightArray:
    """The surface below the orthomosaic, near 5 cm per pixel or coarser, and small enough for memory."""
    window = window_under(dsm, ortho.geobox)
    shrink = max(1, int(GROUND_GSD_M / dsm.ground.gsd_m), int(np.ceil(np.sqrt(window.size / GROUND_MAX_PX))))
    return read_window(dsm, window, shrink=shrink)


def _pixels_in_one(dsm: RasterInfo, coarse: HeightArray) -> float:
    """Pixels of the file in one of the coarser grid."""
    return abs(coarse.geobox.transform.determinant / dsm.transform.determinant)
