"""Areas of interest: which pixels the user wants an answer for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import geometry_mask

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, WarnedOfOutlines, ignore
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.paths import path_text

if TYPE_CHECKING:
    import geopandas as gpd

    Area: TypeAlias = str | Path | gpd.GeoDataFrame | gpd.GeoSeries | shapely.Geometry


@dataclass(frozen=True)
class AreaOfInterest:
    """Polygons in pixel coordinates of one grid, as WKB (so that the value pickles and compares).

    A pixel is inside where its centre is.
    """

    polygons: tuple[bytes, ...]

    @cached_property
    def _tree(self) -> shapely.STRtree:
        return shapely.STRtree(shapely.from_wkb(np.array(self.polygons, dtype=object)))

    def __getstate__(self) -> dict[str, Any]:
        return {"polygons": self.polygons}

    @property
    def digest(self) -> str:
        return hashlib.sha256(b"".join(self.polygons)).hexdigest()

    def window(self, bounds: Window) -> Window:
        """The smallest window within ``bounds`` that holds all of the area."""
        min_x, min_y, max_x, max_y = shapely.total_bounds(self._tree.geometries)
        row, col = int(np.floor(min_y)), int(np.floor(min_x))
        return Window(row, col, int(np.ceil(max_y)) - row, int(np.ceil(max_x)) - col) & bounds

    def scaled(self, pixel: tuple[float, float]) -> AreaOfInterest:
        """The same area in pixels of another size (height, width, in pixels of this grid)."""
        factors = np.array([1 / pixel[1], 1 / pixel[0]])
        geometries = shapely.transform(self._tree.geometries, lambda xy: xy * factors)
        return AreaOfInterest(tuple(shapely.to_wkb(geometries).tolist()))

    def mask(self, window: Window) -> npt.NDArray[np.bool_]:
        """(H, W) of ``window``, True inside the area."""
        box = shapely.box(window.col, window.row, window.col_stop, window.row_stop)
        near = self._tree.geometries[self._tree.query(box, predicate="intersects")]
        if len(near) == 0:
            return np.zeros(window.shape, dtype=bool)
        origin = Affine.translation(window.col, window.row)
        return np.asarray(geometry_mask(near, window.shape, origin, invert=True))


def read_aoi(area: Area, ground: Ground, listener: Listener = ignore) -> AreaOfInterest:
    """Read polygons and place them on a raster's grid; any CRS.

    Parameters
    ----------
    area
        A vector file (``path`` or ``path|layername=name``), a frame or series of outlines, or one geometry of
        shapely in the raster's CRS.
    ground
        The raster's grid.
    listener
        Told of outlines that are read only in part, and of a CRS that leads inexactly to the raster's.

    Raises
    ------
    InputError
        If a file is no vector file or leaves open which of its layers is meant, there is no CRS or no
        polygon, or they lie wholly beside the raster.
    """
    name = path_text(area) if isinstance(area, str | PathLike) else "aoi"
    shapes = shapely.make_valid(_shapes(area, ground, listener))
    polygons = [p for p in shapely.get_parts(shapes) if p is not None and p.area > 0]
    if not polygons:
        raise InputError(
            f"{name}: holds no polygon",
            remedy="give at least one polygon with an area, or a layer of closed lines",
        )
    inverse = ~ground.transform
    to_pixels = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
    shift = np.array([inverse.c, inverse.f])
    in_pixels = shapely.transform(np.array(polygons), lambda xy: xy @ to_pixels.T + shift)
    placed = AreaOfInterest(tuple(shapely.to_wkb(in_pixels).tolist()))
    if not placed.window(Window(0, 0, ground.height, ground.width)):
        raise InputError(
            f"{name}: the area of interest lies beside the raster",
            remedy="check its CRS, and that it belongs to this orthomosaic",
        )
    return placed


def _shapes(area: Area, ground: Ground, listener: Listener) -> npt.NDArray[Any]:
    """Geometries (n,) in the raster's CRS."""
    if isinstance(area, shapely.Geometry):
        return np.array([area])
    # Frames come with pandas in their wake, which only an area of interest has to wait for.
    import geopandas as gpd

    from cropseg_geo.datums import doubtful_shift
    from cropseg_geo.vector_input import AREA, read_layer, with_closed_lines_drawn, with_crs

    frame = area
    if isinstance(area, str | PathLike):
        frame = read_layer(path_text(area), purpose=AREA, listener=listener)
    if isinstance(frame, gpd.GeoSeries):
        frame = frame.to_frame("geometry")
    if not isinstance(frame, gpd.GeoDataFrame) or frame.active_geometry_name is None:
        raise InputError(
            f"the area of interest is given as {type(frame).__name__} without outlines",
            remedy="give a path, a GeoDataFrame, a GeoSeries, or a polygon of shapely in the raster's CRS",
        )
    placed = with_crs(frame, purpose=AREA).geometry
    if note := doubtful_shift(placed.crs, ground, f"the {AREA.what}"):
        listener(Warned(note))
    shapes, is_line = with_closed_lines_drawn(np.asarray(placed.to_crs(ground.crs)))
    if is_line.any():
        listener(WarnedOfOutlines(f"closed lines are taken for outlines of the {AREA.what}"))
    return shapes
