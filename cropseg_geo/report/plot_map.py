"""Plots painted on the printed map: their colours, outlines and ids. Lengths are dots."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw

from cropseg_geo.report.paper import INK, font

_OPACITY = 0.75
_OUTLINE = "#14201a"
_NAME_PT = (7.0, 6.0, 5.0)
"""Sizes of names, largest first; smaller ones nobody reads."""

_FEW = 0.1
"""Share of the names that may be smaller than the others."""

_RIM, _AROUND = 2, 5
"""The white rim that keeps names readable on any colour, and the room between a name and its plot's edge."""


def paint_plots(
    base: Image.Image,
    outlines: npt.NDArray[Any],
    colours: Sequence[tuple[int, int, int]],
    names: Sequence[str],
) -> Image.Image:
    """The picture with plots over it, each in its colour, and its name where that fits into it.

    Parameters
    ----------
    outlines
        Polygons or multipolygons (n,), shapely, in dots of the picture, y down.
    colours, names
        Of each plot (n,).
    """
    parts, owner = shapely.get_parts(outlines, return_index=True)
    layer = base.copy()
    for part, plot in zip(parts, owner, strict=True):
        _fill(layer, part, colours[plot])
    painted = Image.blend(base, layer, _OPACITY)
    pen = ImageDraw.Draw(painted)
    for part in parts:
        for ring in (part.exterior, *part.interiors):
            pen.line(list(ring.coords), fill=_OUTLINE, width=2)
    _write_names(painted, outlines, [" ".join(name.split()) for name in names])
    return painted


def _fill(image: Image.Image, polygon: shapely.Polygon, colour: tuple[int, int, int]) -> None:
    """Paint a polygon; what lies in its holes stays as it is."""
    if not polygon.interiors:
        ImageDraw.Draw(image).polygon(list(polygon.exterior.coords), fill=colour)
        return
    inside = Image.new("1", image.size)
    pen = ImageDraw.Draw(inside)
    pen.polygon(list(polygon.exterior.coords), fill=1)
    for hole in polygon.interiors:
        pen.polygon(list(hole.coords), fill=0)
    image.paste(colour, mask=inside)


@dataclass(frozen=True)
class _Room:
    """Where a name fits into its plot: the middle of its box, its size (points), and whether it is turned."""

    x: float
    y: float
    size_pt: float
    is_turned: bool


def _write_names(picture: Image.Image, outlines: npt.NDArray[Any], names: Sequence[str]) -> None:
    """Names that fit, in one size but for the few whose room is less."""
    rooms = [_room(picture.size, outline, name) for outline, name in zip(outlines, names, strict=True)]
    sizes = [room.size_pt for room in rooms if room is not None]
    common = np.quantile(sizes, _FEW, method="lower") if sizes else 0.0
    for room, name in zip(rooms, names, strict=True):
        if room is not None:
            text = _drawn(name, min(room.size_pt, common))
            text = text.transpose(Image.Transpose.ROTATE_90) if room.is_turned else text
            picture.paste(text, (round(room.x - text.width / 2), round(room.y - text.height / 2)), text)


def _room(extent: tuple[int, int], outline: Any, name: str) -> _Room | None:
    """Room for a name within a plot's largest part and the picture, upright or turned; None without."""
    part = max(shapely.get_parts(outline), key=shapely.area)
    inside = shapely.intersection(part, shapely.box(0, 0, *extent))
    if inside.is_empty:
        return None
    for size_pt, is_turned in product(_NAME_PT, (False, True)):
        left, top, right, bottom = font(size_pt, bold=True).getbbox(name)
        width, height = (bottom - top, right - left) if is_turned else (right - left, bottom - top)
        for spot in (inside.centroid, inside.point_on_surface()):
            x, y = width / 2 + _AROUND, height / 2 + _AROUND
            if inside.covers(shapely.box(spot.x - x, spot.y - y, spot.x + x, spot.y + y)):
                return _Room(spot.x, spot.y, size_pt, is_turned)
    return None


def _drawn(text: str, size_pt: float) -> Image.Image:
    """Text with its rim, on nothing."""
    face = font(size_pt, bold=True)
    left, top, right, bottom = face.getbbox(text, stroke_width=_RIM)
    size = math.ceil(right - left), math.ceil(bottom - top)
    image = Image.new("RGBA", size, (255, 255, 255, 0))
    ImageDraw.Draw(image).text((-left, -top), text, INK, face, stroke_width=_RIM, stroke_fill="white")
    return image
