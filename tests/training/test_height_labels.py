"""Heights from files of any grid, and labels from heights."""

from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasters import ORIGIN, UTM, write_raster
from scipy import ndimage

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.raster.info import inspect_raster
from training.data import default_data_root
from training.labels import depth_only
from training.labels.clean import UNKNOWN, clean_label, near_outline, remove_small
from training.labels.colour import learn_colours, refine_with_colour
from training.labels.height import inspect_heights, read_onto, read_window, require_overlap
from training.labels.label import Sizes, label_tile
from training.labels.survey import open_survey
from training.labels.threshold import (
    Soil,
    find_cut,
    find_soil,
    measure_relief,
    share_of_top,
    threshold_heights,
)

FIELD = Path(__file__).resolve().parents[2] / "sample_tiles"
PLIMAN = default_data_root() / "orthos" / "pliman_soy_dsm"
SIZES = Sizes(reach_px=15, blur_px=4, min_area_px=15, max_hole_px=15)


def blobs(shape=(160, 200), *, tops_m=(0.05, 0.5), radius_px=11, blur_px=3.0, noise_m=0.003, seed=0):
    """Heights of round plants, low and tall in turn, blurred as by a matcher; and where they stand."""
    rows, cols = np.mgrid[: shape[0], : shape[1]]
    height, truth = np.zeros(shape), np.zeros(shape, dtype=bool)
    for n, (row, col) in enumerate((r, c) for r in range(20, shape[0], 40) for c in range(20, shape[1], 40)):
        disc = (rows - row) ** 2 + (cols - col) ** 2 < radius_px**2
        height[disc], truth[disc] = tops_m[n // 10 % len(tops_m)], True
    height = ndimage.gaussian_filter(height, blur_px)
    height += np.random.default_rng(seed).normal(0.0, noise_m, shape)
    return height.astype(np.float32), truth


def painted(truth, *, plant=(60, 130, 45), soil=(125, 100, 78), seed=0):
    colours = np.where(truth[..., None], plant, soil)
    noise = np.random.default_rng(seed).normal(0, 6, (*truth.shape, 3))
    return np.clip(colours + noise, 0, 255).astype(np.uint8)


def iou(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


def decided_iou(label, truth):
    known = (label != UNKNOWN) & (truth != UNKNOWN)
    return iou((label == 1) & known, (truth == 1) & known)


# --- height models -----------------------------------------------------------------------------------------


def test_a_tilted_plane_comes_through_another_grid_and_crs_unchanged(tmp_path):
    ortho = inspect_raster(write_raster(tmp_path / "o.tif", np.zeros((3, 60, 80), np.uint8), gsd=0.03))
    x = ORIGIN[0] - 1 + 0.07 * (np.arange(120) + 0.5)
    surface = np.tile(50 + 0.2 * (x - ORIGIN[0]), (90, 1)).astype(np.float32)[None]
    place = Affine(0.07, 0, ORIGIN[0] - 1, 0, -0.07, ORIGIN[1] + 1)
    same = write_raster(tmp_path / "same.tif", surface, transform=place)
    with rasterio.open(same) as source:
        from rasterio.warp import calculate_default_transform, reproject

        to, width, height = calculate_default_transform(source.crs, "EPSG:4326", 120, 90, *source.bounds)
        turned = np.full((1, height, width), np.nan, np.float32)
        reproject(
            surface, turned, src_transform=place, src_crs=UTM, dst_transform=to, dst_crs="EPSG:4326",
            src_nodata=np.nan, dst_nodata=np.nan, resampling=rasterio.enums.Resampling.bilinear,
        )  # fmt: skip
    other = write_raster(tmp_path / "other.tif", turned, transform=to, crs="EPSG:4326", nodata=np.nan)
    expected = 50 + 0.2 * 0.03 * (np.arange(80) + 0.5)
    for path in (same, other):
        got = read_onto(inspect_heights(path), ortho.geobox)
        assert got.shape == (60, 80)
        np.testing.assert_allclose(got, np.tile(expected, (60, 1)), atol=4e-3)


def test_heights_are_unknown_outside_at_nodata_and_where_no_field_can_be(tmp_path):
    ortho = inspect_raster(write_raster(tmp_path / "o.tif", np.zeros((3, 40, 40), np.uint8), gsd=0.05))
    values = np.full((1, 40, 20), 120.0, np.float32)
    values[0, :10] = -9999.0  # declared
    values[0, 30:] = -32767.0  # not declared
    dsm = write_raster(tmp_path / "d.tif", values, gsd=0.05, nodata=-9999.0)
    got = read_onto(inspect_heights(dsm), ortho.geobox)
    known = np.isfinite(got)
    assert known[11:29, :19].all()
    assert not known[:9].any()
    assert not known[31:].any()
    assert not known[:, 21:].any()
    assert (got[known] == 120.0).all()


def test_feet_become_metres_and_unknown_units_are_refused(tmp_path):
    path = write_raster(tmp_path / "d.tif", np.full((1, 8, 8), 100.0, np.float32), gsd=0.05)
    with rasterio.open(path, "r+") as dataset:
        dataset.units = ("ft",)
    info = inspect_heights(path)
    np.testing.assert_allclose(read_window(info, Window(0, 0, 8, 8)).values, 30.48, rtol=1e-6)
    with rasterio.open(path, "r+") as dataset:
        dataset.units = ("fathom",)
    with pytest.raises(InputError, match="fathom"):
        inspect_heights(path)


@pytest.mark.parametrize(("unit", "metres"), [("cm", 1.0), ("mm", 0.1), ("us-ft", 100 * 1200 / 3937)])
def test_units_of_heights_are_those_that_plots_know(tmp_path, unit, metres):
    path = write_raster(tmp_path / "d.tif", np.full((1, 8, 8), 100.0, np.float32), gsd=0.05)
    with rasterio.open(path, "r+") as dataset:
        dataset.units = (unit,)
    heights = read_window(inspect_heights(path), Window(0, 0, 8, 8)).values
    np.testing.assert_allclose(heights, metres, rtol=1e-6)


def test_height_models_that_cannot_show_plants_are_refused(tmp_path):
    one = np.zeros((1, 8, 8), np.float32)
    with pytest.raises(InputError, match=r"50 cm/px"):
        inspect_heights(write_raster(tmp_path / "coarse.tif", one, gsd=0.5))
    with pytest.raises(InputError, match="no coordinate reference system"):
        inspect_heights(write_raster(tmp_path / "nowhere.tif", one, crs=None))
    with pytest.raises(InputError, match="not a picture"):
        inspect_heights(write_raster(tmp_path / "rgb.tif", np.zeros((3, 8, 8), np.uint8)))
    far = write_raster(tmp_path / "far.tif", one, transform=Affine(0.01, 0, 9e5, 0, -0.01, 5.2e6))
    near = write_raster(tmp_path / "near.tif", np.zeros((3, 8, 8), np.uint8))
    with pytest.raises(InputError, match="does not overlap"):
        require_overlap(inspect_raster(near), inspect_heights(far))


# --- thresholds --------------------------------------------------------------------------------------------


def test_soil_is_found_below_a_canopy_that_covers_most():
    rng = np.random.default_rng(3)
    values = np.concatenate([rng.normal(0.1, 0.01, 3000), rng.normal(0.6, 0.08, 7000)]).astype(np.float32)
    soil = find_soil(values)
    assert soil.level == pytest.approx(0.1, abs=0.01)
    assert soil.noise == pytest.approx(0.01, rel=0.4)


def test_one_cut_finds_low_and_tall_plants_where_otsu_in_metres_finds_only_the_tall():
    height, truth = blobs()
    found = threshold_heights(height, reach_px=15)
    assert iou(found.vegetation, truth) > 0.8
    assert iou(height > 0.25, truth) < 0.5


@pytest.mark.parametrize("factor", [0.01, 1.0, 300.0])
def test_the_mask_does_not_depend_on_the_unit(factor):
    height, _ = blobs()
    plain = threshold_heights(height, reach_px=15).vegetation
    scaled = threshold_heights(height * np.float32(factor) + np.float32(2 * factor), reach_px=15).vegetation
    assert iou(scaled, plain) > 0.98


@pytest.mark.parametrize("rule", ["otsu", "steepest", "stable"])
def test_every_rule_cuts_inside_the_doubt(rule):
    height, _ = blobs()
    soil = find_soil(height)
    shares = share_of_top(height, soil, reach_px=15)
    cut = find_cut(shares, shares > 0.02, rule=rule)
    assert 0 < cut.low <= cut.value <= cut.high < 1


def test_bare_soil_has_no_relief_and_no_vegetation():
    flat = np.random.default_rng(0).normal(0, 0.01, (80, 80)).astype(np.float32)
    found = threshold_heights(flat, reach_px=10)
    assert not found.relief.is_clear
    assert not found.vegetation.any()
    assert measure_relief(blobs()[0], Soil(0.0, 0.003)).separability > 0.7


def test_a_tile_without_soil_is_measured_against_the_survey_s():
    height, truth = blobs(tops_m=(0.5,))
    canopy = height[8:32, 8:32]
    alone = threshold_heights(canopy, reach_px=15, soil=Soil(0.0, 0.003))
    assert iou(alone.vegetation, truth[8:32, 8:32]) > 0.8


# --- labels ------------------------------------------------------------------------------------------------


def test_specks_and_pinholes_go_and_what_the_rim_cuts_stays():
    mask = np.zeros((30, 30), dtype=bool)
    mask[10:20, 10:20] = True
    mask[14, 14] = False
    mask[5, 5] = mask[0, 20] = True
    kept = remove_small(mask, 4)
    assert not kept[5, 5]
    assert kept[0, 20]
    assert not remove_small(~mask, 4)[14, 14]


def test_the_band_reaches_as_far_as_the_blur_to_both_sides():
    mask = np.zeros((40, 40), dtype=bool)
    mask[:, 20:] = True
    band = near_outline(mask, 3)
    assert band[:, 17:23].all()
    assert not band[:, :17].any()
    assert not band[:, 23:].any()


def test_a_label_is_sure_away_from_outlines_and_unknown_without_height():
    height, truth = blobs()
    height[:10] = np.nan
    seen = threshold_heights(height, reach_px=15)
    label = clean_label(seen, blur_px=4, min_area_px=15, max_hole_px=15)
    assert set(np.unique(label)) == {0, 1, 255}
    assert (label[:10] == UNKNOWN).all()
    assert decided_iou(label, truth) > 0.95


def refined_by_own_colours(label, image):
    return refine_with_colour(label, image, learn_colours(image, label))


def test_colour_fills_the_band_and_sharpens_the_outline():
    height, truth = blobs()
    label = clean_label(threshold_heights(height, reach_px=15), blur_px=4, min_area_px=15, max_hole_px=15)
    refined = refined_by_own_colours(label, painted(truth))
    assert (label == UNKNOWN).mean() > 0.15
    assert (refined == UNKNOWN).mean() < 0.05
    assert decided_iou(refined, truth) > 0.97


@pytest.mark.parametrize("plant", [(190, 170, 60), (110, 45, 60), (150, 150, 150)])
def test_yellow_red_and_grey_plants_stay(plant):
    height, truth = blobs()
    label = clean_label(threshold_heights(height, reach_px=15), blur_px=4, min_area_px=15, max_hole_px=15)
    refined = refined_by_own_colours(label, painted(truth, plant=plant))
    assert (refined[label == 1] == 1).all()
    assert decided_iou(refined, truth) > 0.95


def test_colour_that_disagrees_with_height_has_no_say():
    height, truth = blobs()
    label = clean_label(threshold_heights(height, reach_px=15), blur_px=4, min_area_px=15, max_hole_px=15)
    shuffled = painted(np.random.default_rng(0).permuted(truth.ravel()).reshape(truth.shape))
    assert np.array_equal(refined_by_own_colours(label, shuffled), label)


def test_green_lower_than_height_can_see_becomes_unknown_and_not_soil():
    height, truth = blobs(tops_m=(0.4,))
    image = painted(truth | (np.indices(truth.shape)[0] % 40 == 0))
    label = label_tile(image, height, sizes=SIZES).label
    assert (label[40] == UNKNOWN).mean() > 0.5
    assert not (label[40][~truth[40]] == 1).any()


def test_pixels_without_picture_are_unknown():
    height, truth = blobs()
    valid = np.ones(truth.shape, dtype=bool)
    valid[:, :50] = False
    found = label_tile(painted(truth), height, sizes=SIZES, valid=valid)
    assert (found.label[:, :50] == UNKNOWN).all()
    assert found.evidence.known == pytest.approx(0.75)


# --- depth alone -------------------------------------------------------------------------------------------


def test_depth_alone_finds_plants_on_a_ground_that_lies_askew():
    height, truth = blobs((240, 320), tops_m=(0.4,))
    tilt = np.linspace(0, 0.6, 240, dtype=np.float32)[:, None]
    black = np.zeros((240, 320, 3), np.uint8)
    assert iou(depth_only(black, 3 * (height + tilt) + 7, unit=None) > 0, truth) > 0.7
    assert iou(depth_only(black, height) > 0, truth) > 0.8


def test_depth_alone_does_not_look_at_colours_and_knows_nothing_from_nothing():
    height, truth = blobs()
    assert np.array_equal(depth_only(painted(truth), height), depth_only(painted(~truth), height))
    unknown = np.full(truth.shape, np.nan, np.float32)
    for unit in ("m", None):
        assert depth_only(painted(truth), unknown, unit=unit).sum() == 0
        assert depth_only(painted(truth), np.zeros(truth.shape, np.float32), unit=unit).sum() == 0


@pytest.mark.parametrize(
    ("surface_m", "terrain_m", "match"),
    [
        pytest.param(100.0, 101.0, "lies below", id="swapped"),
        pytest.param(1.0, 100.0, "lies below", id="the surface holds heights above ground"),
        pytest.param(330.0, 100.0, "above .* in the middle", id="feet and metres"),
    ],
)
def test_a_surface_that_no_field_has_above_its_terrain_is_refused(tmp_path, surface_m, terrain_m, match):
    height, _ = blobs()
    ortho = write_raster(tmp_path / "ortho.tif", np.full((3, *height.shape), 90, np.uint8))
    dsm = write_raster(tmp_path / "dsm.tif", (height + np.float32(surface_m))[None])
    dtm = write_raster(tmp_path / "dtm.tif", np.full((1, *height.shape), terrain_m, np.float32))
    with pytest.raises(InputError, match=match):
        open_survey(ortho, dsm, dtm)


# --- against the truth of real and generated fields ---------------------------------------------------------


def scores(label, truth):
    """Vegetation IoU and mIoU of the decided pixels, and the share of unknown ones."""
    decided = (label != UNKNOWN) & (truth != UNKNOWN)
    vegetation = iou((label == 1) & decided, (truth == 1) & decided)
    background = iou((label == 0) & decided, (truth == 0) & decided)
    return vegetation, (vegetation + background) / 2, 1 - decided.sum() / (truth != UNKNOWN).sum()


@pytest.mark.parametrize("with_dtm", [True, False])
def test_labels_of_the_sample_field_are_those_of_its_truth(with_dtm):
    dtm = FIELD / "field_dtm.tif" if with_dtm else None
    survey = open_survey(FIELD / "field.tif", FIELD / "field_dsm.tif", dtm)
    window = Window(1024, 1024, 1024, 1024)
    image, height, valid = survey.read(window)
    with rasterio.open(FIELD / "field_truth.tif") as file:
        truth = file.read(1)[window.slices]
    sizes = Sizes.on_ground(gsd_m=0.01, height_gsd_m=0.04)
    by_height, refined = (
        label_tile(image, height, sizes=sizes, valid=valid, soil=survey.soil, colour=colour).label
        for colour in (False, True)
    )
    plain, sharp = scores(by_height, truth), scores(refined, truth)
    print(f"sample field, DTM {with_dtm}: height {np.round(plain, 3)}, with colour {np.round(sharp, 3)}")
    assert plain[0] > 0.80
    assert sharp[0] > 0.80
    assert sharp[2] < 0.10 < plain[2]


@pytest.mark.skipif(not PLIMAN.is_dir(), reason="the soybean orthomosaic with DSM is not on this machine")
@pytest.mark.parametrize("with_dtm", [True, False])
def test_labels_of_a_soybean_trial_agree_with_its_mask(with_dtm):
    dtm = PLIMAN / "soy_dtm.tif" if with_dtm else None
    survey = open_survey(PLIMAN / "soy_ortho.tif", PLIMAN / "soy_dsm.tif", dtm)
    image, height, valid = survey.read(survey.bounds)
    mask = inspect_raster(PLIMAN / "plant_mask_0soil_1plant_255nodata.tif")
    truth = np.full(valid.shape, UNKNOWN, np.uint8)
    with rasterio.open(mask.path) as file:
        from rasterio.warp import reproject

        reproject(
            file.read(1), truth, src_transform=file.transform, src_crs=file.crs,
            dst_transform=survey.ortho.source.transform, dst_crs=file.crs, src_nodata=255, dst_nodata=255,
        )  # fmt: skip
    truth[~valid] = UNKNOWN
    sizes = Sizes.on_ground(gsd_m=survey.ortho.gsd_m, height_gsd_m=survey.dsm.ground.gsd_m)
    found = {
        colour: label_tile(image, height, sizes=sizes, valid=valid, soil=survey.soil, colour=colour)
        for colour in (False, True)
    }
    plain, sharp = (scores(found[colour].label, truth) for colour in (False, True))
    alone = scores(depth_only(image, height, gsd_m=survey.ortho.gsd_m), truth)
    print(f"soybean, DTM {with_dtm}: height {np.round(plain, 3)}, with colour {np.round(sharp, 3)}")
    print(f"  depth alone {np.round(alone, 3)}, {found[True].verdict}")
    assert plain[0] > 0.6
    assert sharp[0] > 0.6
    assert alone[0] > 0.5
