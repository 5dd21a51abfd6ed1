"""Canopy polygons on an orthomosaic become labelled windows, read as the product reads them."""

import geopandas as gpd
import numpy as np
import pytest
import shapely
from rasters import ORIGIN, UTM, scene, write_plots, write_raster

from cropseg_geo.errors import InputError
from cropseg_geo.raster.scaling import ValueScale
from training.data import UNKNOWN, read_image, read_vegetation
from training.reading import Reading
from training.sources.polygons import prepare_polygons

HEIGHT, WIDTH = 200, 300
BOXES = [(0.20, 0.30, 0.60, 0.70), (1.00, 1.00, 1.50, 1.30), (2.00, 0.20, 2.60, 0.90), (0.3, 1.4, 0.7, 1.8)]


@pytest.fixture(scope="module")
def ortho(tmp_path_factory):
    return write_raster(tmp_path_factory.mktemp("ortho") / "field.tif", scene(HEIGHT, WIDTH))


def outlined(boxes=BOXES, height=HEIGHT, width=WIDTH):
    """Where the boxes lie, at 1 cm/px."""
    mask = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in boxes:
        mask[round(y0 * 100) : round(y1 * 100), round(x0 * 100) : round(x1 * 100)] = True
    return mask


def assembled(dataset, height=HEIGHT, width=WIDTH):
    """The dataset's masks, put where their names say; 7 where there is none."""
    whole = np.full((height, width), 7, np.uint8)
    for pair in (*dataset.pairs("train"), *dataset.pairs("test")):
        row, col = (int(part[1:]) for part in pair.image.stem.split("_"))
        mask = read_vegetation(pair.mask)
        assert (whole[row : row + mask.shape[0], col : col + mask.shape[1]] == 7).all()
        whole[row : row + mask.shape[0], col : col + mask.shape[1]] = mask
    return whole


def prepare(ortho, polygons, target, **kwargs):
    return prepare_polygons(ortho, polygons, target, name="mine", **kwargs)


def test_polygons_are_vegetation_the_area_background_and_the_rest_unknown(ortho, tmp_path):
    polygons = write_plots(tmp_path / "canopy.gpkg", BOXES)
    area = write_plots(tmp_path / "area.gpkg", [(0.0, 0.0, 2.8, 1.9)])
    dataset = prepare(ortho, polygons, tmp_path / "data", area=area)
    whole = assembled(dataset)
    labelled = whole[:190, :280]
    np.testing.assert_array_equal(labelled == 1, outlined()[:190, :280])
    assert set(np.unique(labelled)) == {0, 1}
    assert set(np.unique(whole[190:])) | set(np.unique(whole[:, 280:])) <= {7, UNKNOWN}
    assert dataset.gsd_m == pytest.approx(0.01)


def test_without_an_area_nothing_outside_the_hull_is_called_background(ortho, tmp_path):
    polygons = write_plots(tmp_path / "canopy.gpkg", BOXES)
    whole = assembled(prepare(ortho, polygons, tmp_path / "data"))
    hull = shapely.union_all([shapely.box(*box) for box in BOXES]).convex_hull
    rows, cols = np.mgrid[:HEIGHT, :WIDTH]
    inside = shapely.contains_xy(hull, (cols + 0.5) / 100, (rows + 0.5) / 100)
    assert ((whole <= 1) == inside).mean() > 0.998
    np.testing.assert_array_equal(whole[inside & outlined()], 1)


def test_the_order_of_axes_and_the_crs_of_polygons_do_not_matter(ortho, tmp_path):
    polygons = write_plots(tmp_path / "canopy.gpkg", BOXES)
    gpd.read_file(polygons).to_crs("EPSG:4326").to_file(tmp_path / "canopy.geojson")
    gpd.read_file(polygons).to_file(tmp_path / "canopy.shp")
    area = write_plots(tmp_path / "area.gpkg", [(0.0, 0.0, 3.0, 2.0)])
    expected = assembled(prepare(ortho, polygons, tmp_path / "gpkg", area=area))
    for name in ("canopy.geojson", "canopy.shp"):
        found = assembled(prepare(ortho, tmp_path / name, tmp_path / f"{name}.data", area=area))
        assert (found == expected).mean() > 0.998


def test_invalid_pixels_are_unknown(tmp_path):
    valid = np.ones((HEIGHT, WIDTH), bool)
    valid[:, 250:] = False
    ortho = write_raster(tmp_path / "field.tif", scene(HEIGHT, WIDTH), valid=valid)
    polygons = write_plots(tmp_path / "canopy.gpkg", BOXES)
    area = write_plots(tmp_path / "area.gpkg", [(0.0, 0.0, 3.0, 2.0)])
    whole = assembled(prepare(ortho, polygons, tmp_path / "data", area=area))
    assert set(np.unique(whole[:, 250:])) <= {7, UNKNOWN}
    np.testing.assert_array_equal(whole[:, :250] == 1, outlined()[:, :250])


def test_windows_are_read_at_the_gsd_that_the_model_is_run_at(tmp_path):
    height, width = 120, 150
    ortho = write_raster(tmp_path / "coarse.tif", scene(height, width), gsd=0.02)
    polygons = write_plots(tmp_path / "canopy.gpkg", [(0.4, 0.4, 1.2, 1.2), (1.6, 1.0, 2.6, 2.0)])
    notes = []
    dataset = prepare(ortho, polygons, tmp_path / "data", listener=notes.append)
    working = Reading().open(ortho).gsd_m
    assert working < 0.02
    assert dataset.gsd_m == pytest.approx(working)
    assert dataset.labels.vegetation * working**2 == pytest.approx(0.64 + 1.0, rel=0.03)
    assert any("resampled" in note for note in notes)


def test_wide_values_become_the_bytes_that_the_scale_says(tmp_path):
    values = scene(HEIGHT, WIDTH)
    ortho = write_raster(tmp_path / "wide.tif", values.astype(np.uint16) * 16)
    polygons = write_plots(tmp_path / "canopy.gpkg", BOXES)
    reading = Reading(bands=(3, 2, 1), scale=(0, 4080))
    dataset = prepare(ortho, polygons, tmp_path / "data", reading=reading)
    pair = dataset.pairs("train")[0]
    row, col = (int(part[1:]) for part in pair.image.stem.split("_"))
    image = read_image(pair.image)
    expected = values[::-1, row : row + image.shape[0], col : col + image.shape[1]].transpose(1, 2, 0)
    assert np.abs(image.astype(int) - expected).max() <= 1


def test_reflectance_is_encoded_like_a_photograph_as_cropseg_segment_does(ortho):
    reading = Reading(scale=(0, 300), reflectance=True)
    assert reading.open(ortho).scale == ValueScale(0, 300, encode_srgb=True)


def test_train_and_held_out_windows_share_no_place(ortho, tmp_path):
    dataset = prepare(ortho, write_plots(tmp_path / "canopy.gpkg", BOXES), tmp_path / "data")
    train, test = ({pair.group for pair in dataset.pairs(split)} for split in ("train", "test"))
    assert train
    assert test == set(dataset.held_out)
    assert not train & test


def test_the_canopy_layer_of_a_result_is_found(ortho, tmp_path):
    path = write_plots(tmp_path / "field.gpkg", [(0.0, 0.0, 3.0, 2.0)])
    shapes = gpd.read_file(write_plots(tmp_path / "canopy.gpkg", BOXES))
    shapes.to_file(path, layer="canopy")
    dataset = prepare(ortho, path, tmp_path / "data", area=f"{path}|layername=field")
    assert dataset.labels.vegetation == outlined().sum()
    with pytest.raises(InputError, match="no layer 'x'"):
        prepare(ortho, f"{path}|layername=x", tmp_path / "other")
    dataset = prepare(ortho, f"{path}|subset=fid = 1", tmp_path / "one", area=f"{path}|layerid=0")
    assert 0 < dataset.labels.vegetation < outlined().sum()


def test_a_changed_polygon_file_is_not_mistaken_for_the_old_one(ortho, tmp_path):
    polygons = write_plots(tmp_path / "canopy.gpkg", BOXES)
    first = prepare(ortho, polygons, tmp_path / "data")
    assert prepare(ortho, polygons, tmp_path / "data") == first
    write_plots(polygons, BOXES[:3])
    with pytest.raises(InputError, match="files changed since"):
        prepare(ortho, polygons, tmp_path / "data")


def test_polygons_that_cannot_be_used_are_refused(ortho, tmp_path):
    with pytest.raises(InputError, match="no such file"):
        prepare(ortho, tmp_path / "missing.gpkg", tmp_path / "data")
    write_plots(tmp_path / "canopy.shp", BOXES)
    (tmp_path / "canopy.prj").unlink()
    with pytest.raises(InputError, match="no CRS"):
        prepare(ortho, tmp_path / "canopy.shp", tmp_path / "data")
    far = write_plots(tmp_path / "far.gpkg", [(x0 + 900, y0, x1 + 900, y1) for x0, y0, x1, y1 in BOXES])
    with pytest.raises(InputError, match="beside the raster"):
        prepare(ortho, far, tmp_path / "data")
    lines = gpd.GeoDataFrame(geometry=[shapely.LineString([ORIGIN, (ORIGIN[0] + 1, ORIGIN[1])])], crs=UTM)
    lines.to_file(tmp_path / "lines.gpkg")
    with pytest.raises(InputError, match="holds no polygon"):
        prepare(ortho, tmp_path / "lines.gpkg", tmp_path / "data")
    (tmp_path / "text.gpkg").write_text("no polygons")
    with pytest.raises(InputError, match="not a vector file"):
        prepare(ortho, tmp_path / "text.gpkg", tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_one_closed_polygon_without_an_area_is_refused_with_the_way_out(ortho, tmp_path):
    polygons = write_plots(tmp_path / "canopy.gpkg", [(0.2, 0.2, 2.5, 1.8)])
    with pytest.raises(InputError, match="every labelled pixel is vegetation") as caught:
        prepare(ortho, polygons, tmp_path / "data")
    assert "--area" in caught.value.remedy
