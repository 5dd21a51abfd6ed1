"""What a report says, before anything draws it."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from html.parser import HTMLParser

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
import shapely
from affine import Affine
from rasterio.vrt import WarpedVRT
from rasters import ORIGIN, scene, write_plots, write_raster
from report.survey import GSD, HOSTILE, content_of, tag
from typer.testing import CliRunner

from cropseg_geo.cli import app
from cropseg_geo.colours import rgb
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model
from cropseg_geo.pipeline import make_report, measure_plots
from cropseg_geo.plots.columns import COLUMNS, SERIES_COLUMNS
from cropseg_geo.raster.mask import open_mask
from cropseg_geo.report.colours import RAMP, nice_range, ramp_colour
from cropseg_geo.report.columns import describe_column
from cropseg_geo.report.content import Inputs, gather
from cropseg_geo.report.notes import plot_flags
from cropseg_geo.report.overview import read_overview
from cropseg_geo.report.page import ASSETS, render_page

# Figures


def test_the_figures_count_every_pixel_and_leave_nodata_out(field):
    figures = content_of(field).figures
    valid = field["classes"] != 255
    assert figures.valid_area_m2 == pytest.approx(valid.sum() * GSD**2)
    assert figures.canopy_cover == pytest.approx((field["classes"] == 1).sum() / valid.sum())
    assert figures.valid_fraction == pytest.approx(valid.mean())
    assert figures.uncertain_fraction == pytest.approx(20 / valid.sum())


@pytest.mark.parametrize(
    ("name", "day"),
    [
        ("field_31.05.2024", "2024-05-31"),
        ("field_2024-5-31", "2024-05-31"),
        ("a_2024-05-31_b_2024-06-01", None),
        ("field", None),
    ],
)
def test_the_date_is_read_as_series_read_it(field, tmp_path, name, day):
    raster = tmp_path / f"{name}.tif"
    raster.write_bytes(field["raster"].read_bytes())
    assert content_of(field, raster=raster).date == day


def test_the_page_knows_every_statistic_by_the_table_that_describes_them():
    described = {c.name: c for c in (*COLUMNS, *SERIES_COLUMNS)}
    texts = {"plot_id", "low_validity", "date", "days"}
    shown = {name: describe_column(name, pd.Series([0.5])) for name in described.keys() - texts}
    for name, facts in shown.items():
        assert facts.about.casefold() == described[name].description.casefold()
    units = {
        name: shown[name].unit for name in ("coverage", "coverage_per_day", "uniformity_cv", "volume_m3")
    }
    assert units == {"coverage": "%", "coverage_per_day": "%/d", "uniformity_cv": "%", "volume_m3": "m³"}
    assert {shown[name].unit for name in ("n_objects", "exg")} == {""}


def test_uncertain_pixels_are_those_of_the_plot_statistics(tmp_path):
    """Threshold and margin are one thing in both; half of 254 steps lies on the margin around 0.6."""
    mask = write_raster(tmp_path / "m.tif", np.zeros((1, 40, 50), np.uint8), nodata=255)
    prob = write_raster(tmp_path / "p.tif", np.full((1, 40, 50), 127, np.uint8), nodata=255)
    tag(mask, CROPSEG_THRESHOLD="0.6")
    plots = write_plots(tmp_path / "plots.gpkg", [(0.1, 0.1, 0.3, 0.3)], plot_id=[1])
    assert measure_plots(mask, plots, prob=prob)["uncertain_fraction"].tolist() == [1.0]
    with open_mask(mask, prob) as source:
        assert gather(source, Inputs(), lambda event: None).figures.uncertain_fraction == 1
    tag(mask, CROPSEG_THRESHOLD="6")
    with open_mask(mask, prob) as source, pytest.raises(InputError, match="CROPSEG_THRESHOLD is '6'"):
        gather(source, Inputs(), lambda event: None)


def test_a_mask_without_valid_pixels_is_reported_as_such(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.full((1, 40, 50), 255, np.uint8), nodata=255)
    page = make_report(mask, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "No valid pixel" in page
    seen = re.sub(r"<script.*?</script>|<style.*?</style>", "", page, flags=re.S)
    assert re.search(r"\bnan\b", seen, re.I) is None


def test_a_mask_of_one_pixel_makes_a_report(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.ones((1, 1, 1), np.uint8), nodata=255)
    assert "100.0 %" in make_report(mask, tmp_path / "r.html").read_text(encoding="utf-8")


# The overview


def test_plots_land_on_their_pixels_of_a_rotated_raster(tmp_path):
    turned = Affine.translation(*ORIGIN) @ Affine.rotation(-30) @ Affine.scale(0.05, -0.05)
    classes = np.zeros((1, 200, 300), np.uint8)
    classes[0, 40:80, 100:180] = 1
    mask = write_raster(tmp_path / "m.tif", classes, transform=turned, nodata=255)
    corners = [turned @ (100, 40), turned @ (180, 40), turned @ (180, 80), turned @ (100, 80)]
    plots = gpd.GeoDataFrame({"plot_id": ["a"]}, geometry=[shapely.Polygon(corners)], crs="EPSG:32632")
    with open_mask(mask) as source:
        content = gather(source, Inputs(plots=plots), lambda event: None, longest_px=150)
    assert np.allclose(content.table.outlines_px[0].bounds, (50, -40, 90, -20), atol=0.01)
    assert content.overview.classes[30, 70] == 1
    assert content.overview.north_degrees == pytest.approx(-30)


def test_a_north_up_raster_has_north_up(field):
    assert content_of(field).overview.north_degrees == pytest.approx(0)


@pytest.mark.parametrize("crs", ["EPSG:32632", "EPSG:4326"])
def test_an_orthomosaic_on_another_grid_is_brought_onto_the_mask(tmp_path, crs):
    image = np.zeros((3, 300, 300), np.uint8) + 90
    image[0, 100:200, 100:200] = 250
    raster = write_raster(tmp_path / "o.tif", image, gsd=0.1)
    if crs != "EPSG:32632":
        with rasterio.open(raster) as source, WarpedVRT(source, crs=crs, add_alpha=True) as vrt:
            profile = vrt.profile | {"driver": "GTiff"}
            with rasterio.open(tmp_path / "w.tif", "w", **profile) as target:
                target.write(vrt.read())
        raster = tmp_path / "w.tif"
    place = Affine(0.1, 0, ORIGIN[0] + 5, 0, -0.1, ORIGIN[1] - 5)
    mask = write_raster(tmp_path / "m.tif", np.ones((1, 200, 200), np.uint8), transform=place, nodata=255)
    with open_mask(mask) as source:
        photo = read_overview(source, raster, longest_px=100).photo
    assert photo.shape == (100, 100, 4)
    assert photo[50, 50, 0] == pytest.approx(250, abs=3)
    assert photo[10, 10, 0] == pytest.approx(90, abs=3)
    assert photo[50, 50, 3] == 255


def test_sixteen_bit_pixels_are_stretched_for_the_eye(field, tmp_path):
    image = scene(300, 400).astype(np.uint16) * 60
    raster = write_raster(tmp_path / "deep.tif", image, gsd=GSD)
    photo = content_of(field, raster=raster).overview.photo
    assert photo[..., :3].min() == 0
    assert photo[..., :3].max() == 255


def test_an_orthomosaic_of_another_place_is_refused(field, tmp_path):
    far = Affine(GSD, 0, ORIGIN[0] + 9000, 0, -GSD, ORIGIN[1])
    raster = write_raster(tmp_path / "far.tif", scene(60, 60), transform=far)
    with pytest.raises(InputError, match="lies beside the mask"):
        content_of(field, raster=raster)
    empty = write_raster(tmp_path / "empty.tif", scene(60, 60), gsd=GSD, valid=np.zeros((60, 60), bool))
    with pytest.raises(InputError, match="no valid pixel where the mask lies"):
        content_of(field, raster=empty)


# Notes


def test_low_validity_and_missing_values_are_noted_and_flagged(field):
    content = content_of(field)
    titles = {note.title for note in content.notes if note.level == "warning"}
    assert {"Low validity", "Plots without data"} <= titles
    assert any("last" in note.text for note in content.notes)


def test_plots_without_a_valid_pixel_are_not_partly_valid(field):
    flags = {"valid_fraction": [0.0, 0.4], "low_validity": [True, True]}
    frame = gpd.read_file(field["plots"]).iloc[:2].assign(plot_id=["none", "some"], coverage=[None, 0.5])
    content = content_of(field, plots=frame.assign(**flags), series=None)
    texts = {note.title: note.text for note in content.notes}
    assert re.match("1 of 2 plots .*: some", texts["Low validity"])
    assert "none" in texts["Plots without data"]
    assert plot_flags(content.table) == [["no valid pixel"], ["low valid area"]]


def test_plots_of_another_mask_are_told_of(field, tmp_path):
    """As far as both say what they are of."""
    titles = {}
    for run in ("a", "b"):
        folder = tmp_path / run
        folder.mkdir()
        masks = [
            shutil.copy(field["mask"], folder / f"{name}_mask.tif") for name in ("first", "other", "bare")
        ]
        tag(masks[0], CROPSEG_RUN="a")
        tag(masks[1], CROPSEG_RUN=run)
        measure_plots(masks[0], field["plots"], folder / "plots.gpkg", stats="coverage")
        told = []
        plots = f"{folder / 'plots.gpkg'}|layername=plots"
        contents = [
            content_of(field | {"mask": mask}, plots=plots, series=None, listener=told.append)
            for mask in masks[1:]
        ]
        titles[run] = [any(n.title == "Plots of another mask" for n in c.notes) for c in contents]
        assert sum("another mask" in getattr(event, "message", "") for event in told) == sum(titles[run])
    assert titles == {"a": [False, False], "b": [True, False]}


@pytest.mark.parametrize(("gsd", "title"), [(0.2, "Too coarse for the model"), (0.01, "Resolution")])
def test_a_gsd_outside_the_models_range_is_noted(tmp_path, gsd, title):
    card = read_card(find_model("canopy-s"))
    mask = write_raster(tmp_path / "m.tif", np.ones((1, 20, 20), np.uint8), gsd=gsd, nodata=255)
    tag(mask, CROPSEG_MODEL=f"{card.name} {card.version}", CROPSEG_MODEL_DIGEST=card.digest)
    with open_mask(mask) as source:
        notes = gather(source, Inputs(), lambda event: None).notes
    assert title in {note.title for note in notes}


def test_an_uncertain_field_is_noted(field, tmp_path):
    steps = np.where(field["classes"] == 255, 255, 130).astype(np.uint8)
    prob = write_raster(tmp_path / "p.tif", steps[None], gsd=GSD, nodata=255)
    with open_mask(field["mask"], prob) as mask:
        notes = gather(mask, Inputs(), lambda event: None).notes
    assert "Low confidence" in {note.title for note in notes}


# The page as text


class Links(HTMLParser):
    """Everything in a page that a browser would fetch, and scripts by their type."""

    def __init__(self):
        super().__init__()
        self.targets, self.scripts = [], []

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.targets += [found[key] for key in ("src", "href", "action", "data") if key in found]
        if tag == "script":
            self.scripts.append(found.get("type"))


def test_the_page_points_at_nothing_outside_itself(field):
    links = Links()
    links.feed(render_page(content_of(field)))
    assert links.targets
    assert all(target.startswith(("data:", "#")) for target in links.targets)


def test_text_of_users_is_escaped_wherever_it_stands(field):
    page = render_page(content_of(field))
    assert "<script>window.hacked" not in page
    assert "<img src=x" not in page
    data = page.split('type="application/json">')[1].split("</script>")[0]
    assert HOSTILE in json.loads(data)["rows"]["plot_id"]


def test_equal_inputs_give_equal_bytes(field):
    assert render_page(content_of(field)) == render_page(content_of(field))


def test_vendored_files_are_those_that_the_list_names():
    listed = re.findall(
        r"\| `([^`]+)` \| `([0-9a-f]{64})` \|", (ASSETS / "vendor/THIRD_PARTY.md").read_text()
    )
    files = {p.relative_to(ASSETS / "vendor").as_posix() for p in (ASSETS / "vendor").rglob("*.*")}
    assert {name for name, _ in listed} == files - {"THIRD_PARTY.md"}
    for name, digest in listed:
        assert hashlib.sha256((ASSETS / "vendor" / name).read_bytes()).hexdigest() == digest
        assert (ASSETS / "vendor" / name).with_name("LICENSE").stat().st_size > 500


# Colours

_SIGHT = {  # linear RGB as seen; source: Machado, Oliveira, Fernandes (2009), severity 1, to four digits
    "deuteranopia": [[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]],
    "protanopia": [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]],
    "tritanopia": [[1.2555, -0.0767, -0.1788], [-0.0784, 0.9308, 0.1476], [0.0047, 0.6914, 0.3039]],
    "normal": [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
}


@pytest.mark.parametrize("sight", _SIGHT)
def test_the_scale_gets_darker_all_the_way_for_every_eye(sight):
    colours = np.array([ramp_colour(k / 60) for k in range(61)]) / 255
    linear = np.where(colours <= 0.04045, colours / 12.92, ((colours + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(_SIGHT[sight]).T, 0, 1)
    lightness = 116 * np.cbrt(seen @ (0.2126, 0.7152, 0.0722)) - 16
    assert (np.diff(lightness) < -0.4).all()
    assert lightness[0] - lightness[-1] > 60


def test_the_scale_starts_and_ends_with_its_own_colours():
    assert (ramp_colour(-1), ramp_colour(2)) == (rgb(RAMP[0]), rgb(RAMP[-1]))


@pytest.mark.parametrize(
    "ends", [(0.065, 0.959), (3.0, 3.0), (-2.0, 7.0), (1234.0, 1240.0), (0, 0), (0.001, 0.0013)]
)
def test_a_scale_holds_its_values(ends):
    low, high = nice_range(*ends)
    assert low <= ends[0]
    assert high >= ends[1]
    assert high > low


# Files


def test_an_earlier_report_is_kept_without_overwrite_and_when_making_one_fails(field, tmp_path):
    page = tmp_path / "r.html"
    page.write_text("earlier")
    with pytest.raises(OutputError, match="already holds"):
        make_report(field["mask"], page)
    with pytest.raises(InputError):
        make_report(field["mask"], page, plots=tmp_path / "none.gpkg", overwrite=True)
    assert page.read_text() == "earlier"
    assert [p.name for p in tmp_path.iterdir()] == ["r.html"]


def test_an_unknown_format_is_refused(field, tmp_path):
    with pytest.raises(InputError, match="html, png or pdf"):
        make_report(field["mask"], tmp_path / "r.docx")


def test_the_command_writes_a_report(field, tmp_path):
    page = tmp_path / "r.html"
    arguments = [
        "report",
        field["mask"],
        "--raster",
        field["raster"],
        "--plots",
        field["plots"],
        "-o",
        page,
        "-q",
    ]
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    assert page.stat().st_size < 2_000_000
    assert "2026-05-31" in page.read_text(encoding="utf-8")


def test_plots_of_another_crs_are_brought_onto_the_mask(field, tmp_path):
    frame = gpd.read_file(field["plots"])
    here = content_of(field, plots=frame, series=None).table.outlines_px
    there = content_of(field, plots=frame.to_crs("EPSG:4326"), series=None).table.outlines_px
    assert all(a.symmetric_difference(b).area < 0.5 for a, b in zip(here, there, strict=True))


def test_a_plot_layer_without_statistics_is_shown_with_a_warning(field, tmp_path):
    bare = write_plots(tmp_path / "bare.gpkg", [(2, 2, 5, 5)], name=["only"])
    told = []
    make_report(field["mask"], tmp_path / "r.html", plots=bare, listener=told.append)
    assert any("carry no statistics" in getattr(event, "message", "") for event in told)
