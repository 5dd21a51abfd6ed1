"""Make plots: from corners or a line, or from a template; with a field book; fitted to the canopy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import geopandas as gpd
import numpy as np
import shapely

from cropseg_geo import __version__
from cropseg_geo.errors import InputError
from cropseg_geo.events import Listener, Warned, warn
from cropseg_geo.outputs.publishing import drafted
from cropseg_geo.outputs.refusals import refuse_inputs
from cropseg_geo.plots.making.control import Fit
from cropseg_geo.plots.making.fieldbook import join_fieldbook, read_fieldbook
from cropseg_geo.plots.making.numbering import Numbering, number_plots, text_map
from cropseg_geo.plots.making.plane import Plane, Points, parse_crs
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.snap import snap
from cropseg_geo.plots.making.template import move_template, with_plot_ids
from cropseg_geo.plots.making.trial import Trial
from cropseg_geo.plots.tables import with_plain_names, with_plain_values
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.raster.tags import PREFIX, Tag
from cropseg_geo.vector.files.formats import create_vector_file, require_format
from cropseg_geo.vector.files.layers import plots_layer
from cropseg_geo.vector.files.plot_style import outline_style
from cropseg_geo.vector_input import read_layer

LAYOUT = "layout"
"""Key of ``GeoDataFrame.attrs`` under which :func:`make_plots` says how the plots came to lie there."""

_PRECISION_M = 0.001
_DESCRIPTIONS = {
    "plot_id": "Plot",
    "block": "Block, counted from the corner where the numbering starts",
    "row": "Row of plots, counted from the corner where the numbering starts",
    "column": "Column of plots, counted from the corner where the numbering starts",
}


@dataclass(frozen=True)
class Template:
    """Plots to take over: a file or frame, and where the control points lie in it (x, y in its CRS)."""

    plots: str | Path | gpd.GeoDataFrame
    points: tuple[tuple[float, float], ...] | None = None


def make_plots(
    out: str | Path | None = None,
    *,
    site: Site | None = None,
    trial: Trial | None = None,
    numbering: Numbering = Numbering(),  # noqa: B008 - frozen, so that one will do for all
    template: Template | None = None,
    fieldbook: str | Path | None = None,
    fieldbook_by: str = "auto",
    snap_to: str | Path | None = None,
    overwrite: bool = False,
    listener: Listener | None = None,
) -> gpd.GeoDataFrame:
    """Lay out the plots of a trial: exact sizes on the ground in any CRS.

    Parameters
    ----------
    out
        The file to write, by suffix ``.gpkg``, ``.geojson``, ``.fgb`` or ``.parquet``; None writes nothing.
    site
        Corners or line. A template that stays where it is needs none.
    trial, numbering
        What to lay out, how to count it.
    template
        Instead of a trial: plots that exist, moved and turned onto the site; ids, sizes and attributes stay.
    fieldbook, fieldbook_by
        CSV whose columns are added, and what joins it, as
        :func:`~cropseg_geo.plots.making.fieldbook.join_fieldbook` takes it.
    snap_to
        A class mask to whose canopy the plots are fitted.

    Returns
    -------
    GeoDataFrame
        ``plot_id``, ``block``, ``row``, ``column`` (or the template's columns) and the field book's columns,
        in the site's CRS. ``attrs["layout"]`` tells the misfit, what snapping moved, the field book's gaps,
        and holds a map of the ids as text.

    Raises
    ------
    CropsegError
        For whatever cannot be laid out, joined or written.
    """
    listener = listener or warn
    if out is not None:
        require_format(out)
        refuse_inputs([Path(out)], template and template.plots, fieldbook, snap_to)
    facts: dict[str, Any] = {}
    if trial is not None and template is None:
        plane, table, shapes = _from_trial(site, trial, numbering, facts, listener)
    elif template is not None and trial is None:
        plane, table, shapes = _from_template(template, site, facts, listener, can_stay=bool(snap_to))
    else:
        raise InputError(
            "plots are made either from rows and columns or from a template",
            remedy="pass --rows and --columns, or --template",
        )
    if fieldbook is not None:
        table = _with_fieldbook(table, fieldbook, fieldbook_by, facts, listener)
    if snap_to is not None:
        shapes = _snapped(shapes, plane, snap_to, facts, listener)
    table = table.set_geometry(gpd.GeoSeries(list(shapely.transform(shapes, plane.to_crs)), crs=plane.crs))
    if out is not None:
        with drafted(Path(out), "plots", overwrite=overwrite, listener=listener) as draft:
            _write(draft, table, {k: v for k, v in facts.items() if k != "map"})
    table.attrs[LAYOUT] = facts
    return table


def _from_trial(
    site: Site | None, trial: Trial, numbering: Numbering, facts: dict[str, Any], listener: Listener
) -> tuple[Plane, gpd.GeoDataFrame, np.ndarray]:
    """The plane, the plots' columns, and their outlines in the plane."""
    if site is None:
        raise InputError("the place of the trial is not given", remedy="pass --corners or --ab")
    plane = _plane(site, listener)
    trial, placement, fit = site.place(trial, plane)
    table = number_plots(trial, numbering)
    width, length = trial.size_m
    facts |= {"rows": trial.rows, "columns": trial.columns, "width_m": width, "length_m": length}
    if trial.buffer_m:
        facts["buffer_m"] = trial.buffer_m
    _note_fit(fit, site, facts, listener)
    facts["map"] = text_map(table, trial)
    at = np.array(table.index.to_list())
    shapes = np.asarray(shapely.polygons(placement(trial.corners()[at[:, 0], at[:, 1]])))
    return plane, gpd.GeoDataFrame(table.reset_index(drop=True), geometry=list(shapes), crs=plane.crs), shapes


def _from_template(
    template: Template, site: Site | None, facts: dict[str, Any], listener: Listener, *, can_stay: bool
) -> tuple[Plane, gpd.GeoDataFrame, np.ndarray]:
    plots = template.plots
    plots = plots if isinstance(plots, gpd.GeoDataFrame) else read_layer(plots)
    frame = with_plain_values(with_plot_ids(with_plain_names(plots), listener))
    if site is not None:
        if site.rotate_deg or site.side != "left":
            raise InputError(
                "a template is turned by its new control points, nothing else",
                remedy="leave --rotate and --side out, and give the points where they shall lie",
            )
        plane = _plane(site, listener)
        points: Points | None = None if template.points is None else np.array(template.points)
        # With points told, the pairs are theirs: in the order that they were given, not in ours.
        target = site.targets(plane) if points is None else plane.from_crs(site.points)
        frame, fit = move_template(frame, plane, target, control=points)
        _note_fit(fit, site, facts, listener)
    elif can_stay:
        plane = Plane.around(np.reshape(frame.total_bounds, (2, 2)), parse_crs(frame.crs))
    else:
        raise InputError(
            "a template alone stays as it is",
            remedy="pass its new place with --ab or --corners, or --snap MASK",
        )
    facts["plots"] = len(frame)
    return plane, frame, shapely.transform(np.asarray(frame.geometry.values), plane.from_crs)


def _plane(site: Site, listener: Listener) -> Plane:
    plane = site.plane()
    if not plane.is_in_area_of_use:
        listener(
            Warned(
                f"the plots lie at longitude {plane.lon_deg:.2f}°, latitude {plane.lat_deg:.2f}°, outside "
                f"the area that {parse_crs(site.crs).name!r} is made for: check the coordinates and --crs"
            )
        )
    return plane


def _note_fit(fit: Fit | None, site: Site, facts: dict[str, Any], listener: Listener) -> None:
    if fit is None:
        return
    facts |= {"misfit_rms_m": fit.rms_m, "misfit_largest_m": fit.largest_m}
    if fit.largest_m > site.tolerance_m:
        listener(
            Warned(
                f"the plots miss a control point by {fit.largest_m:.2f} m ({fit.rms_m:.2f} m root mean "
                "square): check the points, the counts and the sizes"
            )
        )


def _with_fieldbook(
    table: gpd.GeoDataFrame, path: str | Path, by: str, facts: dict[str, Any], listener: Listener
) -> gpd.GeoDataFrame:
    joined = join_fieldbook(table, read_fieldbook(path), by=by)
    for note in joined.notes():
        listener(Warned(note))
    facts["fieldbook"] = {
        "file": Path(path).name,
        "by": joined.by,
        "plots_without_entry": list(joined.unlisted),
        "entries_without_plot": list(joined.unplaced),
    }
    return joined.frame


def _snapped(
    shapes: np.ndarray, plane: Plane, mask: str | Path, facts: dict[str, Any], listener: Listener
) -> np.ndarray:
    with open_mask(mask, listener=listener) as source:
        found = snap(shapes, plane, source, source.info.ground)
    if found.note:
        listener(Warned(found.note))
    facts["snap"] = {
        "mask": Path(mask).name,
        "east_m": found.east_m,
        "north_m": found.north_m,
        "turn_deg": found.turn_deg,
        "shift_m": math.hypot(found.east_m, found.north_m),
        "contrast_before": found.before,
        "contrast_after": found.after,
        "note": found.note,
    }
    moved: np.ndarray = shapely.transform(shapes, found.motion)
    return moved


def _write(path: Path, table: gpd.GeoDataFrame, facts: Mapping[str, Any]) -> None:
    layer = plots_layer(table, descriptions=_DESCRIPTIONS)
    is_multi = (table.geom_type == "MultiPolygon").any()
    layer = replace(
        layer,
        geometry_type="MultiPolygon" if is_multi else "Polygon",
        description="Plots of a field trial",
        style=layer.style or outline_style(layer.name),
    )
    provenance = {Tag.VERSION: __version__, **{f"{PREFIX}{k.upper()}": v for k, v in facts.items()}}
    with create_vector_file(
        path, crs=table.crs.to_wkt(), provenance=provenance, precision_m=_PRECISION_M
    ) as file:
        file.create_layer(layer)
        file.append(layer.name, {c.name: table[c.name] for c in layer.columns}, table.geometry.values)
