"""The printed sheet."""

from __future__ import annotations

import re

import numpy as np
import shapely
from PIL import Image

from cropseg_geo.pipeline import make_report
from cropseg_geo.report.colours import ramp_colour
from cropseg_geo.report.plot_map import paint_plots


def test_the_sheet_is_a4_landscape_and_shows_plots_in_their_colours(field, tmp_path):
    sheet = make_report(field["mask"], tmp_path / "r.png", raster=field["raster"], plots=field["plots"])
    with Image.open(sheet) as image:
        assert image.size == (3508, 2480)
        dark = np.array(ramp_colour(0.93)) * 0.75
        pixels = np.asarray(image)[600:2100, 160:2300].reshape(-1, 3)
    away = np.abs(pixels - (dark + 0.25 * np.array([100, 100, 70]))).max(axis=1)
    assert (away < 25).mean() > 0.01


def test_a_pdf_is_one_page_of_a4_landscape(field, tmp_path):
    data = make_report(field["mask"], tmp_path / "sheet.out", file_format="pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    box = re.search(rb"/MediaBox \[ ?0 0 ([\d.]+) ([\d.]+)", data)
    assert [round(float(v)) for v in box.groups()] == [842, 595]
    assert data.count(b"/Type /Page\n") + data.count(b"/Type /Page ") + data.count(b"/Type /Page/") <= 1


# Plots on the map

_FIELD = shapely.box(20, 20, 280, 280)
_SOIL, _GREEN, _BLUE = (240, 230, 220), (0, 120, 60), (0, 0, 200)


def painted(*outlines, names=None, colours=(_GREEN, _BLUE)):
    """The picture (300, 300, 3) of plots over soil."""
    base = Image.new("RGB", (300, 300), _SOIL)
    texts = names or [""] * len(outlines)
    return np.asarray(paint_plots(base, np.array(outlines), colours[: len(outlines)], texts)).astype(int)


def mixed(colour):
    return np.round(0.75 * np.array(colour) + 0.25 * np.array(_SOIL))


def test_what_lies_in_the_hole_of_a_plot_shows():
    hole = shapely.box(100, 100, 200, 200)
    ring, inner = _FIELD.difference(hole), shapely.box(120, 120, 150, 150)
    for order in ((0, 1), (1, 0)):
        outlines, colours = [ring, inner], [_GREEN, _BLUE]
        picture = painted(*[outlines[k] for k in order], colours=[colours[k] for k in order])
        assert np.abs(picture[60, 60] - mixed(_GREEN)).max() <= 1
        assert np.abs(picture[135, 135] - mixed(_BLUE)).max() <= 1
        assert (picture[180, 180] == _SOIL).all()
        assert picture[150, 100].max() < 60  # the hole's edge is a line


def inked(picture):
    """Where the white rim of a name is: left, top, right, lower edge; None without."""
    rows, cols = np.nonzero((picture == 255).all(axis=2))
    return (cols.min(), rows.min(), cols.max(), rows.max()) if len(rows) else None


def test_plots_carry_their_names_where_there_is_room():
    plain, tall, flat = (
        shapely.box(20, 20, 140, 80),
        shapely.box(160, 20, 200, 200),
        shapely.box(20, 150, 60, 170),
    )
    for outline, is_turned in ((plain, False), (tall, True)):
        place = inked(painted(outline, names=["B1-02"]))
        assert outline.contains(shapely.box(*place))
        assert (place[3] - place[1] > place[2] - place[0]) == is_turned
    assert inked(painted(flat, names=["B1-02"])) is None
    assert inked(painted(plain, names=["an id much longer than its plot is wide"])) is None


def test_a_name_keeps_clear_of_holes_and_of_what_lies_outside_the_map():
    hole = shapely.box(100, 60, 200, 240)
    assert _FIELD.difference(hole).contains(
        shapely.box(*inked(painted(_FIELD.difference(hole), names=["12"])))
    )
    place = inked(painted(shapely.box(200, 100, 5000, 200), names=["12"]))
    assert shapely.box(200, 100, 300, 200).contains(shapely.box(*place))
    assert inked(painted(shapely.box(290, 100, 5000, 200), names=["12"])) is None
    assert inked(painted(shapely.box(900, 100, 5000, 200), names=["12"])) is None


def test_names_are_of_one_size_where_some_have_little_room():
    small = [shapely.box(5, 5 + 35 * k, 80, 35 + 35 * k) for k in range(4)]
    among, alone = (
        inked(painted(*small, _FIELD, names=[name] * 4 + ["B1-02"], colours=[_GREEN] * 5)[150:])
        for name in ("B1-02", "")
    )
    assert among[2] - among[0] < alone[2] - alone[0]
    few = inked(painted(*small[:1], *[_FIELD] * 12, names=["B1-02"] * 13, colours=[_GREEN] * 13)[100:])
    assert few[2] - few[0] == alone[2] - alone[0]
