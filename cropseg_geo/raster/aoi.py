"""Areas of interest: which pixels the user wants an answer for."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from affine import Affine
from rasterio.features import geometry_mask

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.ground import Ground
from cropseg_geo.paths import is_pipe, path_text


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


def read_aoi(path: str | Path, ground: Ground) -> AreaOfInterest:
    """Read polygons and place them on a raster's grid; any CRS.

    Raises
    ------
    InputError
        If the file is no vector file, leaves open which of its layers is meant, has no CRS or no polygon, or
        lies wholly beside the raster.
    """
    import pyogrio  # with pandas in its wake, which only an area of interest has to wait for

    source, _, layer = path_text(path).partition("|layername=")
    if is_pipe(source):
        raise InputError(
            f"{path}: is a pipe or a device", remedy="write the polygons to a file and give that"
        )
    try:
        names = [str(name) for name, kind in pyogrio.list_layers(source) if kind is not None]
        if not layer and len(names) > 1:
            raise InputError(
                f"{path}: has {len(names)} layers ({', '.join(names)})",
                remedy=f"name the one that holds the area: {source}|layername={names[0]}",
            )
        frame = pyogrio.read_dataframe(source, layer=layer or None, columns=[])
    except InputError:
        raise
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError) as err:
        raise InputError(
            f"{path}: not a vector file that can be read ({err})",
            remedy="give polygons as GeoPackage, GeoJSON, FlatGeobuf or Shapefile",
        ) from err
    if getattr(frame, "crs", None) is None:
        raise InputError(
            f"{path}: the area of interest has no CRS", remedy="assign its CRS and save it again"
        )
    shapes = shapely.make_valid(np.asarray(frame.geometry.to_crs(ground.crs)))
    polygons = [p for p in shapely.get_parts(shapes) if p is not None and p.area > 0]
    if not polygons:
        raise InputError(f"{path}: holds no polygon", remedy="give at least one polygon with an area")
    inverse = ~ground.transform
    to_pixels = np.array([[inverse.a, inverse.b], [inverse.d, inverse.e]])
    shift = np.array([inverse.c, inverse.f])
    in_pixels = shapely.transform(np.array(polygons), lambda xy: xy @ to_pixels.T + shift)
    area = AreaOfInterest(tuple(shapely.to_wkb(in_pixels).tolist()))
    if not area.window(Window(0, 0, ground.height, ground.width)):
        raise InputError(
            f"{path}: the area of interest lies beside the raster",
            remedy="check its CRS, and that it belongs to this orthomosaic",
        )
    return area
