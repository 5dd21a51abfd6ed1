"""The printed sheet: map, legend, key figures and provenance on one A4 landscape page, as PNG or PDF.

Lengths are millimetres on paper; the page is drawn at 300 dots per inch. The PDF holds that picture.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import shapely
from PIL import Image, ImageDraw

from cropseg_geo.errors import OutputError
from cropseg_geo.plots.ids import PLOT_ID
from cropseg_geo.report.colours import nice_range, ramp_colour
from cropseg_geo.report.columns import ColumnFacts
from cropseg_geo.report.content import Content, key_figures, mask_image
from cropseg_geo.report.paper import DPI, GREY, INK, PAGE_MM, RULE, Paper, broken_lines, font, mm, px
from cropseg_geo.report.plot_map import paint_plots

_MARGIN = 14.0
_MAP_MM = (_MARGIN, 52.0, 190.0, 128.0)  # left, top, and at most width and height
_GAP = 11.0
_FOOT = 190.0
_ACCENT, _WARN = "#1f6b45", "#8a4b08"
_MASK_OPACITY = 0.6
_INSET_MM = 54.0


def write_sheet(path: Path, content: Content, kind: str) -> None:
    """Draw the sheet and write it as ``kind`` (``"png"`` or ``"pdf"``). Raises OutputError."""
    image = draw_sheet(content)
    try:
        if kind == "pdf":
            image.save(path, "PDF", resolution=DPI, quality=88, title=f"{content.title} – field report")
        else:
            image.save(path, "PNG", dpi=(DPI, DPI), compress_level=6)
    except OSError as err:
        raise OutputError(f"{path}: cannot be written ({err})", remedy="check free disk space") from err


def draw_sheet(content: Content) -> Image.Image:
    """The sheet as an RGB image of 3508 × 2480 dots."""
    image = Image.new("RGB", (px(PAGE_MM[0]), px(PAGE_MM[1])), "white")
    paper = Paper(image, ImageDraw.Draw(image))
    _draw_head(paper, content)
    side = _draw_map(paper, content) + _GAP
    column = Column(side, min(PAGE_MM[0] - _MARGIN - side, 110.0))
    y = _draw_scale(paper, content, column)
    y = _draw_classes(paper, content, column, y)
    _draw_notes(paper, content, column, y)
    _draw_foot(paper, content)
    return image


def _draw_head(paper: Paper, content: Content) -> None:
    paper.text(_MARGIN, 18.5, "Field report", size=9, colour=_ACCENT, bold=True)
    title = broken_lines(content.title, width=170, size=24)
    paper.text(_MARGIN, 28.0, title[0] if title else "", size=24, bold=True)
    paper.line(_MARGIN, 33.5, PAGE_MM[0] - _MARGIN, 33.5)
    cells = key_figures(content)
    step = (PAGE_MM[0] - 2 * _MARGIN) / len(cells)
    for k, (label, value, remark) in enumerate(cells):
        x = _MARGIN + k * step
        paper.text(x, 38.6, label, size=7.5, colour=GREY)
        paper.text(x, 44.0, value, size=12, bold=True, colour=_ACCENT if k == 0 else INK)
        paper.text(x, 47.8, remark, size=6.5, colour=GREY)


def _draw_map(paper: Paper, content: Content) -> float:
    """The map with its scale and north; returns its right edge (mm)."""
    left, top, width, height = _MAP_MM
    scale = _fitting(content, width, height)
    picture = _map_picture(content, scale, with_mask=not _has_outlines(content))
    if _has_outlines(content):
        picture = _with_plots(picture, content, scale)
    right, bottom = _paste(paper, picture, left, top)
    metres_per_mm = content.overview.ground.gsd_m / scale * DPI / 25.4
    _draw_scale_bar(paper, left, bottom + 3.2, metres_per_mm=metres_per_mm)
    _draw_north(paper, right - 8, top + 8, content.overview.north_degrees)
    return right


def _fitting(content: Content, width: float, height: float) -> float:
    """Dots for each pixel of the overview so that it fits into ``width`` × ``height`` mm."""
    rows, cols = content.overview.shape
    return min(px(width) / cols, px(height) / rows)


def _paste(paper: Paper, picture: Image.Image, x: float, y: float) -> tuple[float, float]:
    """A framed picture at (x, y); returns its right and lower edge (mm)."""
    left, top = px(x), px(y)
    paper.image.paste(picture, (left, top))
    paper.draw.rectangle((left, top, left + picture.width, top + picture.height), outline=RULE, width=2)
    return mm(left + picture.width), mm(top + picture.height)


def _has_outlines(content: Content) -> bool:
    return content.table is not None and content.table.outlines_px is not None


def _map_picture(content: Content, scale: float, *, with_mask: bool) -> Image.Image:
    """Photograph, and the mask over it, at ``scale`` dots for each pixel of the overview."""
    overview = content.overview
    rows, cols = overview.shape
    size = (max(1, round(cols * scale)), max(1, round(rows * scale)))
    base = Image.new("RGB", size, "#f1efe7")
    if overview.photo is not None:
        photo = Image.fromarray(overview.photo).resize(size, Image.Resampling.BOX)
        base.paste(photo, mask=photo.getchannel("A"))
    if with_mask:
        classes, colours = mask_image(content)
        tinted = Image.fromarray(np.array(colours, np.uint8)[classes]).resize(size, Image.Resampling.NEAREST)
        veil = Image.fromarray((255 * _MASK_OPACITY * (classes > 0)).astype(np.uint8))
        base.paste(tinted, mask=veil.resize(size, Image.Resampling.BOX))
    return base


def _with_plots(base: Image.Image, content: Content, scale: float) -> Image.Image:
    table, facts = content.table, _shown_statistic(content)
    if table is None or table.outlines_px is None:
        return base
    values = np.full(len(table), np.nan) if facts is None else _numbers(content, facts)
    low, high = _range(values)
    outlines = shapely.transform(table.outlines_px, lambda xy: xy * [scale, -scale])
    colours = [ramp_colour((value - low) / (high - low)) for value in values]
    return paint_plots(base, outlines, colours, table.frame[PLOT_ID].astype(str).tolist())


def _shown_statistic(content: Content) -> ColumnFacts | None:
    statistics = content.table.statistics if content.table is not None else ()
    return statistics[0] if statistics else None


def _numbers(content: Content, facts: ColumnFacts) -> npt.NDArray[np.float64]:
    if content.table is None:
        return np.empty(0)
    return content.table.frame[facts.name].to_numpy(np.float64, na_value=np.nan)


def _range(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return nice_range(float(known.min()), float(known.max())) if known.size else (0.0, 1.0)


def _draw_scale_bar(paper: Paper, x: float, y: float, *, metres_per_mm: float) -> None:
    most = 45.0 * metres_per_mm
    power = 10.0 ** math.floor(math.log10(most))
    length = next(k * power for k in (5, 2, 1) if k * power <= most)
    width = length / metres_per_mm
    for k in range(4):
        paper.box(x + k * width / 4, y, width / 4, 1.1, INK if k % 2 == 0 else "white", INK)
    text = (
        f"{length / 1000:g} km"
        if length >= 1000
        else f"{length:g} m"
        if length >= 1
        else f"{100 * length:g} cm"
    )
    paper.text(x + width + 2, y + 1.5, text, size=7.5)


def _draw_north(paper: Paper, x: float, y: float, degrees: float) -> None:
    """An arrow around (x, y) on a pale disc, turned clockwise by ``degrees``."""
    paper.draw.ellipse((px(x - 6), px(y - 6), px(x + 6), px(y + 6)), fill="white", outline=RULE)
    angle = math.radians(degrees)

    def turned(right: float, up: float) -> tuple[int, int]:
        east = right * math.cos(angle) + up * math.sin(angle)
        north = up * math.cos(angle) - right * math.sin(angle)
        return px(x + east), px(y - north)

    paper.draw.polygon([turned(0, 2.2), turned(2.2, -4.6), turned(0, -3.2), turned(-2.2, -4.6)], fill=INK)
    dots = turned(0, 4.0)
    paper.draw.text(dots, "N", fill=INK, font=font(7, bold=True), anchor="mm")


@dataclass(frozen=True)
class Column:
    """The column beside the map: its left edge and width (mm)."""

    x: float
    width: float


def _draw_scale(paper: Paper, content: Content, column: Column) -> float:
    """The colour scale of the plots and how many plots have which value; returns where it ends (mm)."""
    x, y, facts = column.x, _MAP_MM[1] + 3.0, _shown_statistic(content)
    if facts is None:
        return y
    paper.text(x, y, f"{facts.label} of the plots", size=9, bold=True)
    values = _numbers(content, facts)
    low, high = _range(values)
    y = _draw_histogram(paper, column, y + 3, values, (low, high))
    dots = px(column.width)
    bar = np.array([[ramp_colour(k / (dots - 1)) for k in range(dots)]], np.uint8)
    paper.image.paste(Image.fromarray(bar).resize((dots, px(3))), (px(x), px(y + 0.6)))
    for share, anchor in ((0.0, "ls"), (0.5, "ms"), (1.0, "rs")):
        text = f"{facts.factor * (low + share * (high - low)):,.4g} {facts.unit}".strip()
        paper.text(x + share * column.width, y + 7.2, text, size=7.5, anchor=anchor)
    about = f"Number of plots by {facts.about or facts.label}"
    return paper.paragraph(x, y + 11.5, about, width=column.width, size=7) + 3


def _draw_histogram(
    paper: Paper,
    column: Column,
    y: float,
    values: npt.NDArray[np.float64],
    ends: tuple[float, float],
    height: float = 16.0,
) -> float:
    """Ten bars, each with its number of plots; returns their foot (mm)."""
    counts, edges = np.histogram(values[np.isfinite(values)], bins=10, range=ends)
    step, y = column.width / len(counts), y + 2.5
    for k, count in enumerate(counts):
        tall = height * count / max(1, counts.max())
        middle = ((edges[k] + edges[k + 1]) / 2 - ends[0]) / (ends[1] - ends[0])
        left = column.x + k * step
        if count:
            paper.box(left + 0.3, y + height - tall, step - 0.6, tall, ramp_colour(middle), "#7d877f")
            paper.text(
                left + step / 2, y + height - tall - 0.8, str(count), size=6.5, colour=GREY, anchor="ms"
            )
    return y + height


def _draw_classes(paper: Paper, content: Content, column: Column, y: float) -> float:
    """The mask's classes and, with plots, which hide it, a small map of it; returns where it ends (mm)."""
    paper.text(column.x, y, "Mask", size=9, bold=True)
    x = column.x + 14
    for mask_class in content.classes[1:]:
        if x > column.x + column.width - 20:
            x, y = column.x + 14, y + 4.6
        paper.box(x, y - 2.4, 2.8, 2.8, mask_class.colour)
        x += 4.4 + paper.text(x + 4.4, y, mask_class.name, size=8) + 5
    if not _has_outlines(content):
        return y + 7
    picture = _map_picture(content, _fitting(content, column.width, _INSET_MM), with_mask=True)
    return _paste(paper, picture, column.x, y + 2.6)[1] + 6


def _draw_notes(paper: Paper, content: Content, column: Column, y: float) -> None:
    if not content.notes:
        return
    paper.text(column.x, y, "Quality", size=9, bold=True)
    y += 4.6
    for note in content.notes:
        lines = broken_lines(note.text, width=column.width, size=7)
        if y + 3.6 * (len(lines) + 1) > _FOOT - 3:
            paper.text(column.x, y, "More in the HTML report.", size=7, colour=GREY)
            return
        colour = _WARN if note.level == "warning" else INK
        paper.text(column.x, y, note.title, size=7.5, bold=True, colour=colour)
        y = paper.paragraph(column.x, y + 3.5, note.text, width=column.width, size=7) + 1.2


def _draw_foot(paper: Paper, content: Content) -> None:
    y = _FOOT
    paper.line(_MARGIN, y, PAGE_MM[0] - _MARGIN, y)
    facts = "  ·  ".join(f"{label}: {value}" for label, value in content.provenance)
    paper.paragraph(_MARGIN, y + 4.4, facts, width=PAGE_MM[0] - 2 * _MARGIN, size=6.5)
