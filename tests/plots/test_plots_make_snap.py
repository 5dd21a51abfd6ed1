"""Snapping plots to the canopy: a known shift and turn is found again; where nothing holds, nothing moves."""

import math
import re
from pathlib import Path

import geopandas as gpd
import numpy as np
import pytest
import rasterio
import rasterio.features
import shapely
from affine import Affine
from typer.testing import CliRunner

from cropseg_geo.cli.plots import app
from cropseg_geo.errors import InputError
from cropseg_geo.events import Warned
from cropseg_geo.pipeline import make_plots
from cropseg_geo.pipeline.layout import LAYOUT, Template
from cropseg_geo.plots.making.site import Site
from cropseg_geo.plots.making.trial import Trial

SAMPLE = Path(__file__).parents[2] / "sample_tiles"
UTM = "EPSG:32632"
WEST, NORTH, GSD_M = 565_800.0, 5_705_400.0, 0.05
A = (WEST + 4.0, NORTH - 16.0)
SITE = Site(UTM, ab=(A, (A[0] + 10, A[1])))
TRIAL = Trial(3, 6, 3.0, 1.5, row_alley_m=0.6, column_alley_m=0.4)


def mask_file(path: Path, classes: np.ndarray) -> Path:
    profile = {"driver": "GTiff", "dtype": "uint8", "nodata": 255, "count": 1, "crs": UTM}
    transform = Affine(GSD_M, 0, WEST, 0, -GSD_M, NORTH)
    height, width = classes.shape
    with rasterio.open(path, "w", height=height, width=width, transform=transform, **profile) as dataset:
        dataset.write(classes, 1)
    return path


def canopy(plots: gpd.GeoDataFrame, *, bare_m: float = 0.0) -> np.ndarray:
    """A mask with full canopy in plots, but for a bare rim."""
    transform = Affine(GSD_M, 0, WEST, 0, -GSD_M, NORTH)
    shapes = plots.buffer(-bare_m) if bare_m else plots.geometry
    return rasterio.features.rasterize(shapes, (400, 400), transform=transform, dtype="uint8")


def moved(plots: gpd.GeoDataFrame, east_m: float, north_m: float, turn_deg: float) -> gpd.GeoDataFrame:
    west, south, east, north = plots.total_bounds
    about = shapely.Point((west + east) / 2, (south + north) / 2)
    return plots.set_geometry(plots.rotate(turn_deg, origin=about).translate(east_m, north_m))


def largest_error_m(found: gpd.GeoDataFrame, truth: gpd.GeoDataFrame) -> float:
    difference = shapely.get_coordinates(found.geometry.values) - shapely.get_coordinates(
        truth.geometry.values
    )
    return float(np.linalg.norm(difference, axis=1).max())


def snapped(plots: gpd.GeoDataFrame, mask: Path, **options) -> tuple[gpd.GeoDataFrame, dict, list[str]]:
    events: list = []
    found = make_plots(template=Template(plots), snap_to=mask, listener=events.append, **options)
    return found, found.attrs[LAYOUT]["snap"], [e.message for e in events if isinstance(e, Warned)]


@pytest.mark.skipif(not (SAMPLE / "field_truth.tif").exists(), reason="the sample field is not there")
@pytest.mark.parametrize(("east_m", "north_m", "turn_deg"), [(0.4, -0.7, 1.2), (-1.2, 0.9, -2.5)])
def test_a_shifted_and_turned_layout_is_brought_back_onto_the_sample_field(east_m, north_m, turn_deg):
    truth = gpd.read_file(SAMPLE / "plots.gpkg", layer="plots")
    found, snap, notes = snapped(moved(truth, east_m, north_m, turn_deg), SAMPLE / "field_truth.tif")
    assert largest_error_m(found, truth) < 0.04
    assert snap["turn_deg"] == pytest.approx(-turn_deg, abs=0.05)
    assert (snap["east_m"], snap["north_m"]) == pytest.approx((-east_m, -north_m), abs=0.03)
    assert snap["contrast_after"] > snap["contrast_before"] + 0.15
    assert notes == []


@pytest.mark.parametrize("bare_m", [0.0, 0.3])
def test_plots_end_in_the_middle_of_their_canopy_even_where_it_does_not_reach_their_edges(tmp_path, bare_m):
    truth = make_plots(site=SITE, trial=TRIAL)
    mask = mask_file(tmp_path / "mask.tif", canopy(truth, bare_m=bare_m))
    found, _, notes = snapped(moved(truth, 0.5, -0.6, 1.5), mask)
    assert largest_error_m(found, truth) < 0.04
    assert notes == []


def test_sizes_ids_and_distances_between_plots_are_those_before_snapping(tmp_path):
    truth = make_plots(site=SITE, trial=TRIAL)
    mask = mask_file(tmp_path / "mask.tif", canopy(moved(truth, 0.3, 0.3, -1.0)))
    found = make_plots(site=SITE, trial=TRIAL, snap_to=mask)
    assert found["plot_id"].tolist() == truth["plot_id"].tolist()
    np.testing.assert_allclose(found.area, truth.area, rtol=1e-6)
    before, after = (g.geometry.iloc[0].distance(g.geometry.iloc[-1]) for g in (truth, found))
    assert after == pytest.approx(before, abs=1e-4)
    assert found.attrs[LAYOUT]["snap"]["turn_deg"] == pytest.approx(-1.0, abs=0.1)


def test_the_plots_may_be_in_another_crs_than_the_mask(tmp_path):
    truth = make_plots(site=SITE, trial=TRIAL)
    mask = mask_file(tmp_path / "mask.tif", canopy(truth))
    found, _, _ = snapped(moved(truth, 0.4, -0.3, 1.0).to_crs("EPSG:4326"), mask)
    assert found.crs == "EPSG:4326"
    assert largest_error_m(found.to_crs(UTM), truth) < 0.04


@pytest.mark.parametrize("kind", ["empty", "closed", "specks"])
def test_plots_stay_and_it_is_said_where_the_mask_gives_no_hold(tmp_path, kind):
    classes = np.full((400, 400), kind == "closed", np.uint8)
    if kind == "specks":
        classes = (np.random.default_rng(3).random((400, 400)) < 0.3).astype(np.uint8)
    truth = make_plots(site=SITE, trial=TRIAL)
    found, snap, notes = snapped(truth, mask_file(tmp_path / "mask.tif", classes))
    assert largest_error_m(found, truth) < 1e-6
    assert snap["shift_m"] == snap["turn_deg"] == 0.0
    assert len(notes) == 1
    assert "gives no hold" in notes[0]


def test_an_axis_without_hold_is_left_alone(tmp_path):
    truth = make_plots(site=SITE, trial=TRIAL)
    classes = canopy(truth)
    rows = np.flatnonzero(classes.any(axis=1))
    classes[:] = classes[rows[len(rows) // 2 + 20]]  # strips without ends: nothing says where rows begin
    _, snap, notes = snapped(moved(truth, 0.4, 0.3, 0.0), mask_file(tmp_path / "mask.tif", classes))
    assert snap["east_m"] == pytest.approx(-0.4, abs=0.03)
    assert abs(snap["north_m"]) < 0.02
    assert "along the plots" in notes[0]


@pytest.mark.parametrize(("east_m", "north_m"), [(0.76, 0.0), (0.95, 0.0), (0.0, 1.7), (0.8, 1.6)])
def test_plots_whose_best_fit_is_at_the_limit_stay_and_it_is_said(tmp_path, east_m, north_m):
    truth = make_plots(site=SITE, trial=TRIAL)
    off = moved(truth, east_m, north_m, 0.0)
    found, snap, (note,) = snapped(off, mask_file(tmp_path / "mask.tif", canopy(truth)))
    assert "limit of the search" in note
    assert largest_error_m(found, off) < 1e-6
    assert snap["shift_m"] == snap["turn_deg"] == 0.0


@pytest.mark.parametrize(
    ("east_m", "north_m", "further"),
    [(1.3, 0.0, (-1.3, 0.0)), (-1.9, 0.2, (1.9, 0.0)), (0.0, 2.4, (0.0, -2.4)), (0.1, -3.6, (0.0, 3.6))],
)
def test_plots_that_are_off_by_a_place_never_move_that_far_and_it_is_said(tmp_path, east_m, north_m, further):
    truth = make_plots(site=SITE, trial=TRIAL)
    mask = mask_file(tmp_path / "mask.tif", canopy(truth))
    _, snap, (note,) = snapped(moved(truth, east_m, north_m, 0.0), mask)
    assert abs(snap["east_m"]) < 0.75
    assert abs(snap["north_m"]) < 1.5
    assert "off by a whole place" in note
    told = re.search(r"better still ([+-].*) m east and ([+-].*) m north", note)
    assert [float(v) for v in told.groups()] == pytest.approx(further, abs=0.25)


def test_a_shift_just_below_half_a_plot_is_found(tmp_path):
    truth = make_plots(site=SITE, trial=TRIAL)
    mask = mask_file(tmp_path / "mask.tif", canopy(truth))
    found, _, notes = snapped(moved(truth, 0.69, 0.0, 0.0), mask)
    assert largest_error_m(found, truth) < 0.04
    assert notes == []


def test_what_is_unknown_counts_neither_for_nor_against(tmp_path):
    truth = make_plots(site=SITE, trial=TRIAL)
    classes = canopy(truth)
    classes[:, :170] = 255
    found, _, notes = snapped(moved(truth, 0.3, -0.3, 1.0), mask_file(tmp_path / "mask.tif", classes))
    assert largest_error_m(found, truth) < 0.05
    assert notes == []


def test_a_mask_of_another_place_is_refused(tmp_path):
    mask = mask_file(tmp_path / "mask.tif", np.ones((400, 400), np.uint8))
    far = Site(UTM, ab=((WEST + 500, NORTH), (WEST + 510, NORTH)))
    with pytest.raises(InputError, match="does not reach the plots"):
        make_plots(site=far, trial=TRIAL, snap_to=mask)
    nothing = mask_file(tmp_path / "nothing.tif", np.full((400, 400), 255, np.uint8))
    with pytest.raises(InputError, match="less than a quarter"):
        make_plots(site=SITE, trial=TRIAL, snap_to=nothing)


def test_the_command_tells_the_shift_the_turn_and_the_gain(tmp_path):
    mask = mask_file(tmp_path / "mask.tif", canopy(moved(make_plots(site=SITE, trial=TRIAL), 0.3, -0.2, 0.0)))
    arguments = [
        "make", "-o", tmp_path / "plots.gpkg", "--ab", f"{A[0]},{A[1]} {A[0] + 10},{A[1]}", "--crs", UTM,
        "--rows", 3, "--columns", 6, "--length", 3, "--width", 1.5, "--row-alley", 0.6, "--column-alley", 0.4,
        "--snap", mask,
    ]  # fmt: skip
    result = CliRunner().invoke(app, [str(a) for a in arguments])
    assert result.exit_code == 0, result.output
    told = re.search(r"Fitted to the canopy: ([+-].*) m east, ([+-].*) m north, (.*)° counter", result.output)
    assert [float(v) for v in told.groups()] == pytest.approx([0.3, -0.2, 0.0], abs=0.04)
    before, after = re.search(r"minus alleys (.*)% → (.*)%", result.output).groups()
    assert float(after) > float(before) + 10


def test_snapping_is_the_same_every_time(tmp_path):
    truth = make_plots(site=SITE, trial=TRIAL)
    mask = mask_file(tmp_path / "mask.tif", canopy(truth))
    first, second = (snapped(moved(truth, 0.2, 0.1, 0.5), mask)[1] for _ in range(2))
    assert first == second
    assert math.isfinite(first["contrast_after"])
