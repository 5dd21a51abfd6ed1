"""``cropseg plots make``: files that are read back, templates, the command line."""

import json
import math
import sqlite3
from contextlib import closing
from xml.etree import ElementTree

import geopandas as gpd
import numpy as np
import pytest
import shapely
from affine import Affine
from pyproj import CRS
from typer.testing import CliRunner

from cropseg_geo.cli.plots import app
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import WarnedOfOutlines
from cropseg_geo.ground import Ground
from cropseg_geo.pipeline import make_plots
from cropseg_geo.pipeline.layout import LAYOUT, Template
from cropseg_geo.plots.layout import read_plots
from cropseg_geo.plots.making.numbering import Numbering
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.trial import Trial

UTM = "EPSG:32632"
A, B = (565_800.0, 5_705_400.0), (565_900.0, 5_705_400.0)
SITE, TRIAL = Site(UTM, ab=(A, B)), Trial(2, 3, 5.0, 1.5, row_alley_m=0.5)
GROUND = Ground(Affine(0.1, 0, 565_790, 0, -0.1, 5_705_430), CRS(UTM).to_wkt(), 600, 600)


@pytest.mark.parametrize("suffix", [".gpkg", ".geojson", ".fgb", ".parquet"])
@pytest.mark.parametrize("template", ["", "{row:02}-{column:02}", "{number:04}"])
def test_what_is_written_is_read_back_with_the_same_ids_sizes_and_places(tmp_path, suffix, template):
    path = tmp_path / f"plots{suffix}"
    made = make_plots(path, site=SITE, trial=TRIAL, numbering=Numbering("serpentine", template=template))
    read = read_plots(path, ground=GROUND)
    order = np.argsort([made["plot_id"].tolist().index(i) for i in read.ids])
    assert [read.ids[k] for k in order] == made["plot_id"].tolist()
    assert read.id_field == "plot_id"
    assert list(read.frame.columns) == ["plot_id", "block", "row", "column", "geometry"]
    difference = shapely.get_coordinates(read.geometry[order]) - shapely.get_coordinates(made.geometry.values)
    assert np.abs(difference).max() < 0.0005


def test_the_geopackage_has_descriptions_a_style_and_its_origin(tmp_path):
    path = tmp_path / "plots.gpkg"
    make_plots(path, site=SITE, trial=TRIAL)
    with closing(sqlite3.connect(path)) as db:
        columns = dict(db.execute("SELECT column_name, description FROM gpkg_data_columns"))
        name, qml, sld = db.execute("SELECT f_table_name, styleQML, styleSLD FROM layer_styles").fetchone()
        facts = json.loads(db.execute("SELECT metadata FROM gpkg_metadata").fetchone()[0])
    assert name == "plots"
    assert "counted from the corner" in columns["row"]
    assert ElementTree.fromstring(qml).find(".//text-style").get("fieldName") == "plot_id"
    assert ElementTree.fromstring(sld).tag.endswith("StyledLayerDescriptor")
    assert facts["CROPSEG_WIDTH_M"] == 1.5


def test_a_refused_run_leaves_the_earlier_file_untouched(tmp_path):
    path = tmp_path / "plots.gpkg"
    make_plots(path, site=SITE, trial=TRIAL)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="already holds"):
        make_plots(path, site=SITE, trial=TRIAL)
    with pytest.raises(InputError):
        make_plots(path, site=SITE, trial=TRIAL, fieldbook=tmp_path / "none.csv", overwrite=True)
    with pytest.raises(OutputError, match="is read by this run"):
        make_plots(path, site=SITE, template=Template(path), overwrite=True)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["plots.gpkg"]
    with pytest.raises(InputError, match="no format"):
        make_plots(tmp_path / "plots.shp", site=SITE, trial=TRIAL)


@pytest.mark.parametrize("flag", ["--corners", "--ab"])
def test_a_layer_of_control_points_is_not_replaced_by_the_plots(tmp_path, flag):
    path = tmp_path / "points.gpkg"
    points = [A, B] if flag == "--ab" else [A, B, (B[0], B[1] + 50), (A[0], A[1] + 50)]
    gpd.GeoDataFrame(geometry=[shapely.Point(p) for p in points], crs=UTM).to_file(path)
    before = path.read_bytes()
    sizes = ["--rows", "2", "--columns", "3", "--length", "5", "--width", "2"]
    for given in (str(path), f"{path}|layername=points"):
        run = CliRunner().invoke(app, ["make", "-o", str(path), flag, given, *sizes, "--overwrite"])
        assert run.exit_code != 0
        assert "is read by this run" in f"{run.output}{run.exception}"
        assert path.read_bytes() == before


def template_frame(crs: str = UTM) -> gpd.GeoDataFrame:
    plots = make_plots(site=SITE, trial=TRIAL, numbering=Numbering(first=11)).to_crs(crs)
    plots.attrs.clear()
    return plots.assign(variety=list("abcdef"))


def distances(plots: gpd.GeoDataFrame) -> np.ndarray:
    xy = shapely.get_coordinates(plots.to_crs(UTM).geometry.values)
    return np.linalg.norm(xy[:, None] - xy[None], axis=2)


@pytest.mark.parametrize("crs", [UTM, "EPSG:4326", "EPSG:3857"])
def test_a_template_moved_onto_a_line_keeps_ids_attributes_and_sizes(crs):
    site = Site(UTM, ab=((565_850.0, 5_705_500.0), (565_850.0, 5_705_600.0)))
    template = template_frame(crs)
    moved = make_plots(site=Site(UTM, ab=(site.ab[0], (565_850.0, 5_705_504.5))), template=Template(template))
    assert moved["plot_id"].tolist() == [11, 12, 13, 14, 15, 16]
    assert moved["variety"].tolist() == list("abcdef")
    np.testing.assert_allclose(distances(moved), distances(template), atol=1e-3)
    # the bottom edge runs north now, so the plots lie to the west of it
    np.testing.assert_allclose(moved.total_bounds - [565_850, 5_705_500] * 2, [-10.5, 0, 0, 4.5], atol=0.01)


def test_a_template_moved_onto_four_corners_or_pairs_of_points_tells_its_misfit():
    template = template_frame()
    goal = np.array([[0, 0], [4.5, 0], [4.5, 10.5], [0, 10.5]]) + np.array([565_900, 5_705_450])
    corners = tuple(map(tuple, goal[[2, 0, 3, 1]] + np.array([[0.1, 0], [-0.1, 0], [0, 0], [0, 0]])))
    moved = make_plots(site=Site(UTM, corners=corners), template=Template(template))
    # The errors turn the plots by 2 · 5.25 · 0.1 / (4 · 5.71²) rad, which leaves (0.058, 0.018) m.
    assert moved.attrs[LAYOUT]["misfit_largest_m"] == pytest.approx(0.0606, abs=0.005)
    np.testing.assert_allclose(moved.total_bounds, [*goal[0], *goal[2]], atol=0.1)
    points = (A, (A[0] + 3.0, A[1]))
    target = Site(UTM, ab=((565_900.0, 5_705_450.0), (565_900.0, 5_705_453.0)))
    turned = make_plots(site=target, template=Template(template, points))
    np.testing.assert_allclose(turned.total_bounds - [565_900, 5_705_450] * 2, [-10.5, 0, 0, 4.5], atol=0.01)


def test_a_template_without_plot_ids_takes_a_usual_column_or_counts():
    site = Site(UTM, ab=(B, (B[0] + 1, B[1])))
    plain = template_frame().drop(columns=["plot_id", "block", "row", "column"])
    named = plain.assign(Name=list("uvwxyz")).rename(columns={"Name": "plot"})
    assert make_plots(site=site, template=Template(named))["plot_id"].tolist() == list("uvwxyz")
    assert make_plots(site=site, template=Template(plain))["plot_id"].tolist() == [1, 2, 3, 4, 5, 6]
    floats = plain.assign(**{"Plot ID": np.arange(6) + 101.0})  # as a file without whole numbers keeps them
    assert make_plots(site=site, template=Template(floats))["plot_id"].tolist() == list(range(101, 107))


@pytest.mark.parametrize(
    "columns",
    [
        {"Name": list("uvwxyz")},
        {"PlotNr": [101, 102, 103, 104, 105, 106]},
        {"Name": ["u"] * 6, "uid": range(6)},
    ],
)
def test_a_template_has_the_ids_that_it_would_be_measured_by(columns):
    frame = template_frame()[["variety", "geometry"]].assign(**columns)
    measured = read_plots(frame, ground=GROUND)
    told: list = []
    made = make_plots(site=SITE, template=Template(frame), listener=told.append)
    assert made["plot_id"].tolist() == measured.ids
    assert not any(isinstance(event, WarnedOfOutlines) for event in told)


def test_that_the_plots_of_a_template_are_counted_is_told():
    told: list = []
    counted = template_frame()[["geometry"]].assign(Name="oats")
    assert make_plots(site=SITE, template=Template(counted), listener=told.append)["plot_id"].tolist() == [
        1, 2, 3, 4, 5, 6,
    ]  # fmt: skip
    assert "(Name: not unique, or not complete) and are counted from 1" in told[0].message
    told.clear()
    make_plots(site=SITE, template=Template(counted[["geometry"]]), listener=told.append)
    assert not any(isinstance(event, WarnedOfOutlines) for event in told)


def test_two_columns_of_plot_ids_of_a_template_stay_apart():
    frame = template_frame().assign(**{"Plot-ID": list("uvwxyz")})
    made = make_plots(site=SITE, template=Template(frame))
    assert made["plot_id"].tolist() == [11, 12, 13, 14, 15, 16]
    assert made["Plot-ID"].tolist() == list("uvwxyz")


def test_templates_that_cannot_be_used_are_refused(tmp_path):
    frame = template_frame()

    def refused(message: str, template: Template, site: Site | None = SITE) -> None:
        with pytest.raises(InputError, match=message):
            make_plots(site=site, template=template)

    refused(
        "cannot be kept: column 'plot_id' names more than one plot 11",
        Template(frame.assign(plot_id=[11, 11, 13, 14, 15, 16])),
    )
    refused("holds no plot", Template(frame.iloc[:0]))
    refused("stays as it is", Template(frame), None)
    refused("has no CRS", Template(frame.set_crs(None, allow_override=True)))
    refused("3 points of the template for 2 new", Template(frame, (A, B, (0.0, 0.0))))
    refused("by its new control points", Template(frame), Site(UTM, ab=(A, B), rotate_deg=5))
    refused("does not exist", Template(tmp_path / "none.gpkg"))


def command(*arguments: object):
    return CliRunner().invoke(app, ["make", *map(str, arguments)])


AB = ("--ab", "565800,5705400 565900,5705400", "--crs", UTM)
SIZES = ("--rows", 2, "--columns", 3, "--length", 5, "--width", 1.5)


def test_the_command_makes_plots_and_draws_the_walk(tmp_path):
    out = tmp_path / "plots.gpkg"
    book = tmp_path / "book.csv"
    book.write_text("plot,variety\n" + "".join(f"{n},v{n}\n" for n in range(101, 107)))
    result = command(
        "-o", out, *AB, *SIZES, "--row-alley", 0.5, "--column-alley", 0.3, "--numbering", "serpentine",
        "--start", "bottom-right", "--first", 101, "--fieldbook", book,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "6 plots of 1.500 × 5.000 m" in result.output
    assert "→ 104  105  106\n← 103  102  101*" in result.output.replace(" \n", "\n")
    plots = gpd.read_file(out, layer="plots")
    assert plots["variety"].tolist() == [f"v{n}" for n in range(101, 107)]
    drawn_in = command("-o", out, "--overwrite", *AB, *SIZES, "--buffer", 0.1)
    assert "6 plots of 1.500 × 5.000 m, drawn in by 0.1 m on all sides" in drawn_in.output


def test_the_command_reads_corners_as_text_or_layer_and_tells_the_misfit(tmp_path):
    box = shapely.box(565_800, 5_705_400, 565_806, 5_705_410)
    layer = tmp_path / "corners.gpkg"
    gpd.GeoDataFrame(geometry=[box], crs=UTM).to_file(layer)
    text = " ".join(f"{x},{y}" for x, y in shapely.get_coordinates(box)[:4])
    sizes = ("--rows", 2, "--columns", 3)
    first = command("-o", tmp_path / "a.gpkg", "--corners", text, "--crs", UTM, *sizes)
    second = command("-o", tmp_path / "b.gpkg", "--corners", layer, *sizes, "--events")
    assert (first.exit_code, second.exit_code) == (0, 0), first.output + second.output
    assert "Misfit of the control points: 0.00" in first.output
    event = json.loads(second.output.splitlines()[-1])
    assert (event["event"], event["task"]) == ("result", "plots_make")
    assert event["layout"]["width_m"] == pytest.approx(2.0, abs=0.002)
    a, b = (gpd.read_file(tmp_path / name, layer="plots") for name in ("a.gpkg", "b.gpkg"))
    assert a.geometry.geom_equals_exact(b.geometry, 1e-6).all()
    clash = command("-o", tmp_path / "c.gpkg", "--corners", layer, "--crs", "EPSG:4326", *sizes)
    assert clash.exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [
        (*AB, "--rows", 2),  # no columns
        ("--ab", "1,2 3;4 x", "--crs", UTM, *SIZES),  # no coordinates
        ("--ab", "1 2", "--crs", UTM, *SIZES),
        (*AB, "--template", "t.gpkg", "--rows", 2),
    ],
)
def test_wrong_usage_is_told_apart_from_bad_input(tmp_path, arguments):
    assert command("-o", tmp_path / "plots.gpkg", *arguments).exit_code == 2


def test_coordinates_without_a_crs_are_refused(tmp_path):
    result = command("-o", tmp_path / "plots.gpkg", *AB[:2], *SIZES)
    assert isinstance(result.exception, InputError)
    assert "--crs" in result.exception.remedy


def test_a_rotated_trial_in_degrees_is_read_back_onto_a_metric_raster(tmp_path):
    lon, lat = 9.94717, 51.4955
    site = Site("EPSG:4326", ab=((lon, lat), (lon + 0.001, lat)), rotate_deg=30)
    made = make_plots(tmp_path / "p.gpkg", site=site, trial=TRIAL).to_crs(UTM)
    x, y = made.geometry.iloc[0].exterior.coords[0]
    ground = Ground(Affine(0.1, 0, x - 30, 0, -0.1, y + 30), CRS(UTM).to_wkt(), 600, 600)
    read = read_plots(tmp_path / "p.gpkg", ground=ground)
    assert read.ids == [1, 2, 3, 4, 5, 6]
    edge = shapely.get_coordinates(read.geometry[0])[1] - [x, y]
    # grid north of UTM differs from true north by the convergence, 0.74° here
    assert math.degrees(math.atan2(edge[1], edge[0])) == pytest.approx(30, abs=1.0)
