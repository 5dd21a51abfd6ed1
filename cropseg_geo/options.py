"""How an orthomosaic is to be segmented: what a user may choose, and what is refused at first sight."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from cropseg_geo.errors import InputError
from cropseg_geo.model.zoo import DEFAULT_MODEL

if TYPE_CHECKING:  # frames are loaded by whoever has one
    import geopandas as gpd
    import shapely

GRIDS = ("source", "working")

_NUMBERS = (
    ("bands", None, int),
    ("scale", 2, float),
    ("bbox", 4, float),
    ("threshold", 1, float),
    ("alpha_band", 1, int),
    ("tile_px", 1, int),
    ("overlap_px", 1, int),
    ("batch_size", 1, int),
)
"""Options that are numbers: how many (None: any number of them), and of which kind."""


@dataclass(frozen=True)
class Options:
    """How an orthomosaic is to be segmented; every field has the default that suits most.

    Parameters
    ----------
    model
        Name of a model of the zoo, a weights file, or its ``https://`` address.
    bands
        1-based band numbers in the order of the model's bands; None finds them.
    scale
        Stored values that mean 0 and 1; None finds them.
    reflectance
        Values are linear in light, as reflectance is, and to be encoded like a photograph. False finds out
        where ``scale`` is None, and takes values for a photograph's where it is given.
    alpha_band
        1-based number of a band that means validity although the file does not say so.
    gsd_m
        Working GSD (m/px); None takes the raster's own where the model accepts it, ``"auto"`` the one at
        which the model's answer can be trusted most, see :mod:`cropseg_geo.engine.resolution`.
    grid
        ``"source"``: outputs lie on the raster's grid; ``"working"``: on the grid of the working GSD.
    bbox
        Box (min x, min y, max x, max y) in the raster's CRS to restrict the work to.
    aoi
        Polygons to restrict the work to: a vector file, a GeoDataFrame or GeoSeries, any CRS, or a
        geometry of shapely in the raster's CRS.
    threshold
        Probability from which a pixel is crop; None takes the card's. With more than two classes the
        likeliest one counts instead.
    tile_px, overlap_px
        Tile side and overlap; None takes what :func:`tune` measured, else the card's.
    batch_size
        Tiles the model sees at once; None takes what :func:`tune` measured, else 1 on a CPU, where more gain
        nothing, and 8 on a GPU.
    backend, device, precision
        What computes the model, see :func:`cropseg_geo.model.backends.choose_predictor`.
    """

    model: str | Path = DEFAULT_MODEL
    bands: tuple[int, ...] | None = None
    scale: tuple[float, float] | None = None
    reflectance: bool = False
    alpha_band: int | None = None
    gsd_m: float | Literal["auto"] | None = None
    grid: str = "source"
    bbox: tuple[float, float, float, float] | None = None
    aoi: str | Path | gpd.GeoDataFrame | gpd.GeoSeries | shapely.Geometry | None = None
    threshold: float | None = None
    tile_px: int | None = None
    overlap_px: int | None = None
    batch_size: int | None = None
    backend: str = "auto"
    device: str = "auto"
    precision: str = "auto"

    def __post_init__(self) -> None:
        for name, count, kind in _NUMBERS:
            object.__setattr__(self, name, _numbers(name, getattr(self, name), count, kind))
        if not isinstance(self.reflectance, bool):
            raise InputError(f"reflectance={self.reflectance!r} cannot be used", remedy="give True or False")
        if self.tile_px is not None and self.tile_px < 1:
            raise InputError(f"--tile {self.tile_px} holds no pixel", remedy="give 1 or more")
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise InputError(
                f"--threshold {self.threshold:g} is not between 0 and 1", remedy="give, say, 0.5"
            )
        if isinstance(self.gsd_m, str) and self.gsd_m != "auto":
            raise InputError(f"--gsd {self.gsd_m!r} is no GSD", remedy='give metres per pixel, or "auto"')
        if self.grid not in GRIDS:
            raise InputError(f"--grid {self.grid!r} is unknown", remedy=f"choose one of {', '.join(GRIDS)}")
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"--batch-size {self.batch_size} holds no tile", remedy="give 1 or more")


class OptionFields(TypedDict, total=False):
    """The fields of :class:`Options` as keywords, for signatures that pass them on."""

    model: str | Path
    bands: tuple[int, ...] | None
    scale: tuple[float, float] | None
    reflectance: bool
    alpha_band: int | None
    gsd_m: float | Literal["auto"] | None
    grid: str
    bbox: tuple[float, float, float, float] | None
    aoi: str | Path | gpd.GeoDataFrame | gpd.GeoSeries | shapely.Geometry | None
    threshold: float | None
    tile_px: int | None
    overlap_px: int | None
    batch_size: int | None
    backend: str
    device: str
    precision: str


def _numbers(name: str, value: Any, count: int | None, kind: type[int] | type[float]) -> Any:
    """An option as Python's own numbers, numpy's among them accepted. Any: what a caller passes.

    Raises
    ------
    InputError
        If it is something else, or has another length.
    """
    if value is None:
        return None
    what = "a whole number" if kind is int else "a number"
    if count != 1:
        what = f"{count or 'some'} {what[2:]}s"
    try:
        if isinstance(value, str):
            raise TypeError  # a sequence of letters, to Python
        if count == 1:
            return _number(value, kind)
        found = tuple(_number(entry, kind) for entry in value)
        if count not in (None, len(found)):
            raise ValueError
    except (TypeError, ValueError, OverflowError) as err:
        raise InputError(f"{name}={value!r} cannot be used", remedy=f"give {what}") from err
    return found


def _number(value: Any, kind: type[int] | type[float]) -> int | float:
    if isinstance(value, str | bytes | bool):
        raise TypeError
    return operator.index(value) if kind is int else float(value)
