"""Plots that exist already, moved and turned onto new control: ids, attributes and sizes stay."""

from __future__ import annotations

import geopandas as gpd
import numpy as np
import shapely

from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, WarnedOfOutlines, ignore
from cropseg_geo.plots.ids import PLOT_ID, ids_of, why_counted
from cropseg_geo.plots.making.control import Fit, corners_in_order, rigid_fit
from cropseg_geo.plots.making.plane import Plane, Points, parse_crs
from cropseg_geo.plots.naming import plainly
from cropseg_geo.plots.tables import making_way


def with_plot_ids(template: gpd.GeoDataFrame, listener: Listener = ignore) -> gpd.GeoDataFrame:
    """The template with unique ``plot_id``: its own, else a copy of a usual column of ids, else counted.

    The ids are those that the template would have where it is measured; that they are counted is told.

    Raises
    ------
    InputError
        There is no plot or no CRS, or its own ids are not unique and complete.
    """
    if not len(template):
        raise InputError("the template holds no plot", remedy="check that the right file and layer are named")
    if template.crs is None:
        raise InputError(
            "the template has no CRS, and none is guessed", remedy="assign the CRS of its survey to the layer"
        )
    try:
        ids, used = ids_of(template, None)
    except InputError as err:
        raise InputError(
            f"the plot ids of the template cannot be kept: {err.message}",
            remedy="give every plot of the template an id of its own",
        ) from err
    if used is None and len(template.columns) > 1:
        listener(WarnedOfOutlines(f"{why_counted(template)}; in a column plot_id they would be kept"))
    is_ours = used is not None and plainly(used) == PLOT_ID
    result = making_way(template.drop(columns=used) if is_ours else template, [PLOT_ID])
    result.insert(0, PLOT_ID, ids.array)
    return result


def outer_corners(geometries: np.ndarray) -> Points:
    """Corners (4, 2) of the smallest rectangle around plots, in :func:`corners_in_order`."""
    around = shapely.oriented_envelope(shapely.GeometryCollection(list(geometries)))
    return corners_in_order(shapely.get_coordinates(around)[:4])


def move_template(
    template: gpd.GeoDataFrame, plane: Plane, target: Points, *, control: Points | None = None
) -> tuple[gpd.GeoDataFrame, Fit]:
    """A layer of plots, brought rigidly onto control points.

    Parameters
    ----------
    template
        Plots with a CRS; every column is kept.
    plane
        Of the new place; its CRS is the result's.
    target
        Where the control points are now (N, 2), metres in ``plane``.
    control
        Where they are in the template (N, 2), in its CRS. None: its outer corners, bottom left, bottom right,
        top right, top left; for two targets the first two.

    Returns
    -------
    The plots in their new place, and how well the points meet.

    Raises
    ------
    InputError
        The points do not pair up.
    """
    crs = parse_crs(template.crs)
    old = Plane.around(np.reshape(template.total_bounds, (2, 2)), crs)
    shapes = shapely.transform(np.asarray(template.geometry.values), old.from_crs)
    source = outer_corners(shapes)[: len(target)] if control is None else old.from_crs(control)
    if len(source) != len(target) or len(source) < 2:
        raise InputError(
            f"{len(source)} points of the template for {len(target)} new ones; 2 or 4 pairs are needed",
            remedy="give as many --template-points as there are in --ab (2) or --corners (4), in one order",
        )
    motion, fit = rigid_fit(source, target)
    moved = shapely.transform(shapes, lambda xy: plane.to_crs(motion(xy)))
    result = template.drop(columns=template.geometry.name)
    return gpd.GeoDataFrame(result, geometry=list(moved), crs=plane.crs), fit
