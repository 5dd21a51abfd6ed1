"""Users' pictures and masks become a dataset, or are refused by name before anything is written."""

import csv
import json
import shutil
import unicodedata
import warnings
import zlib

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.errors import NotGeoreferencedWarning
from rasters import scene, write_raster

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from training.data import MANIFEST, UNKNOWN, read_image, read_vegetation
from training.sources import windows
from training.sources.dataset import Origin, Piece, name_of, read_dataset, write_dataset
from training.sources.finding import find_pairs
from training.sources.pairs import groups_of, prepare_pairs
from training.sources.split import Labels, hold_out
from training.sources.windows import ENOUGH, cut, cut_enough, thin


def picture(seed=0, height=70, width=90):
    """Pixels (H, W, 3) and where plants are (H, W)."""
    rng = np.random.default_rng(seed)
    plants = np.zeros((height, width), bool)
    plants[10:40, 20 : 40 + seed % 20] = True
    pixels = np.where(plants[..., None], (60, 150, 50), (120, 90, 70)) + rng.integers(
        0, 9, (height, width, 3)
    )
    return pixels.astype(np.uint8), plants


def save_pair(folder, name, mask=None, seed=0, suffix=".jpg", **kwargs):
    pixels, plants = picture(seed, **kwargs)
    # No two pictures are the same.
    pixels[:2, :2] = zlib.crc32(name.encode()) % 256
    for part in ("images", "masks"):
        (folder / part / name).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / "images" / f"{name}{suffix}")
    mask = Image.fromarray(plants.astype(np.uint8)) if mask is None else mask
    mask.save(folder / "masks" / f"{name}.png")
    return plants


def masks_of(dataset):
    return [read_vegetation(pair.mask) for split in ("train", "test") for pair in dataset.pairs(split)]


def prepare(folder, target):
    return prepare_pairs(folder, target, name="mine")


def palette(*colours):
    """A mask whose index 0 is background, in these colours; the palette is filled up with black."""

    def stored(plants):
        image = Image.fromarray(plants.astype(np.uint8) * (len(colours) - 1))
        image.putpalette([part for colour in colours for part in colour] + [0] * (768 - 3 * len(colours)))
        return image

    return stored


def plants_first(plants):
    image = Image.fromarray((~plants).astype(np.uint8))
    image.putpalette([0, 255, 0, 0, 0, 0])
    return image


def quantized(plants):
    return Image.fromarray(plants[..., None] * np.uint8([255, 255, 255])).quantize(4)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "mine"


def test_pairs_in_two_folders_become_a_dataset(folder, tmp_path):
    for index, name in enumerate(("north", "south", "west")):
        save_pair(folder, name, seed=index)
    dataset = prepare_pairs(folder, tmp_path / "data", name="mine", licence="CC0-1.0")
    assert dataset.pictures == 3
    assert dataset.labels.vegetation == sum(picture(seed)[1].sum() for seed in range(3))
    assert {pair.licence for pair in dataset.pairs("train")} == {"CC0-1.0"}
    pair = next(p for split in ("train", "test") for p in dataset.pairs(split) if "north" in p.image.name)
    np.testing.assert_array_equal(read_vegetation(pair.mask), picture(0)[1])
    assert np.abs(read_image(pair.image).astype(int) - picture(0)[0]).mean() < 8  # JPEG


def test_masks_beside_their_pictures_are_found(folder):
    folder.mkdir()
    for name in ("a.jpg", "a_mask.png", "b.tif", "b-label.tif", "notes.txt", "._a.jpg"):
        (folder / name).write_bytes(b"")
    assert [(p.image.name, p.mask.name) for p in find_pairs(folder)] == [
        ("a.jpg", "a_mask.png"),
        ("b.tif", "b-label.tif"),
    ]


@pytest.mark.parametrize(
    "stored",
    [
        pytest.param(lambda p: Image.fromarray(p.astype(np.uint8)), id="0 and 1"),
        pytest.param(lambda p: Image.fromarray(p.astype(np.uint8) * 7), id="a class number"),
        pytest.param(lambda p: Image.fromarray(p.astype(np.uint8) * 255), id="0 and 255"),
        pytest.param(Image.fromarray, id="1 bit"),
        pytest.param(lambda p: Image.fromarray(p.astype(np.uint16) * 1000), id="16 bit"),
        pytest.param(palette((0, 0, 0), (9, 9, 9), (0, 0, 0), (0, 0, 0)), id="palette, all but black"),
        pytest.param(palette((250, 250, 250), (0, 99, 0)), id="palette, white background"),
        pytest.param(plants_first, id="palette, plants first"),
        pytest.param(quantized, id="palette, white first"),
        pytest.param(lambda p: Image.fromarray(p[..., None] * np.uint8([255, 255, 255])), id="white"),
        pytest.param(lambda p: Image.fromarray(p[..., None] * np.uint8([1, 1, 1])), id="grey as RGB"),
        pytest.param(lambda p: Image.fromarray(p[..., None] * np.uint8([0, 128, 0])), id="colour"),
        pytest.param(lambda p: Image.fromarray(p[..., None] * np.uint8([9, 8, 7, 255])), id="transparent"),
    ],
)
def test_every_way_to_store_a_mask_gives_the_same_labels(folder, tmp_path, stored):
    for index, name in enumerate(("a", "b")):
        save_pair(folder, name, mask=stored(picture(index)[1]), seed=index)
    labels = prepare(folder, tmp_path / "data").labels
    expected = sum(int(picture(seed)[1].sum()) for seed in range(2))
    assert (labels.vegetation, labels.unknown) == (expected, 0)


def test_255_is_unknown_beside_other_classes_in_any_mask_of_the_dataset(folder, tmp_path):
    partly = picture(0)[1].astype(np.uint8)
    partly[50:] = 255
    only_unknown = np.where(np.arange(90) < 30, 255, np.zeros((70, 90))).astype(np.uint8)
    save_pair(folder, "a", mask=Image.fromarray(partly))
    save_pair(folder, "b", mask=Image.fromarray(only_unknown))
    save_pair(folder, "c", seed=2)
    masks = masks_of(prepare(folder, tmp_path / "data"))
    # "b" alone would be a mask of 0 and 255; beside "a" its 255 cannot be vegetation.
    assert sum(int((mask == UNKNOWN).sum()) for mask in masks) == 20 * 90 + 70 * 30


def test_a_geotiff_with_plants_first_in_its_colour_table_goes_by_colours(folder, tmp_path):
    plants = picture()[1]
    for name in ("a", "b"):
        save_pair(folder, name)
        (folder / "masks" / f"{name}.png").unlink()
        path = folder / "masks" / f"{name}.tif"
        write_raster(path, (~plants)[None].astype(np.uint8), photometric="palette")
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {0: (255, 255, 255, 255), 1: (0, 0, 0, 255)})
    assert prepare(folder, tmp_path / "data").labels.vegetation == 2 * plants.sum()


@pytest.mark.parametrize("nodata", [255, 15])
def test_nodata_is_no_black_of_a_palette(folder, tmp_path, nodata):
    values = picture()[1].astype(np.uint8)
    values[60:] = nodata
    for name in ("a", "b"):
        save_pair(folder, name)
        (folder / "masks" / f"{name}.png").unlink()
        path = folder / "masks" / f"{name}.tif"
        write_raster(path, values[None], photometric="palette", nodata=nodata)
        with rasterio.open(path, "r+") as file:
            file.write_colormap(1, {0: (255, 255, 255, 255), 1: (0, 200, 0, 255)})
    labels = prepare(folder, tmp_path / "data").labels
    assert (labels.vegetation, labels.unknown) == (2 * picture()[1].sum(), 2 * 10 * 90)


def test_255_is_no_black_of_a_palette(folder, tmp_path):
    values = picture()[1].astype(np.uint8)
    values[60:] = 255
    mask = Image.fromarray(values)
    # As PIL stores it, with more colours than are used, and filled up with black on reading.
    mask.putpalette([120, 120, 120, 0, 200, 0] + [50] * 54)
    for name in ("a", "b"):
        save_pair(folder, name, mask=mask)
    labels = prepare(folder, tmp_path / "data").labels
    assert (labels.vegetation, labels.unknown) == (2 * picture()[1].sum(), 2 * 10 * 90)


def test_a_black_class_among_others_of_a_palette_is_no_background_and_told(folder, tmp_path):
    values = picture()[1].astype(np.uint8)
    values[20:30] *= 2
    mask = Image.fromarray(values)
    mask.putpalette([139, 90, 43, 0, 200, 0, 0, 0, 0])
    for name in ("a", "b"):
        save_pair(folder, name, mask=mask)
    notes = []
    dataset = prepare_pairs(folder, tmp_path / "data", name="mine", listener=notes.append)
    assert dataset.labels.vegetation == 2 * picture()[1].sum()
    assert "black is 2, one of 3 numbers in use: 0 is taken as background" in notes[0]


def test_a_mask_of_plants_alone_is_read_as_the_others_of_its_palette(folder, tmp_path):
    save_pair(folder, "a", mask=plants_first(picture()[1]))
    save_pair(folder, "b", mask=plants_first(np.ones((70, 90), bool)))
    assert prepare(folder, tmp_path / "data").labels.vegetation == picture()[1].sum() + 70 * 90


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32])
def test_255_is_unknown_whatever_the_width_of_the_numbers(folder, tmp_path, dtype):
    values = picture()[1].astype(dtype)
    values[60:] = 255
    for name in ("a", "b"):
        save_pair(folder, name)
        (folder / "masks" / f"{name}.png").unlink()
        write_raster(folder / "masks" / f"{name}.tif", values[None])
    notes = []
    dataset = prepare_pairs(folder, tmp_path / "data", name="mine", listener=notes.append)
    assert dataset.labels.unknown == 2 * 10 * 90
    assert notes == ["255 is taken as unknown in 2 masks, for there are also 1"]


def test_255_beside_numbers_above_it_is_refused(folder, tmp_path):
    values = picture()[1].astype(np.uint16) * 700
    save_pair(folder, "a", mask=Image.fromarray(values))
    save_pair(folder, "b", mask=Image.fromarray(picture()[1].astype(np.uint8) * 255))
    with pytest.raises(InputError, match=r"b\.png holds 255, .*a\.png numbers above"):
        prepare(folder, tmp_path / "data")


def test_255_is_a_plant_where_plants_are_numbered_beyond_it(folder, tmp_path):
    numbers = (np.arange(70 * 90).reshape(70, 90) % 90 // 5 + 18 * (np.arange(70)[:, None] // 4)).astype(
        np.uint16
    )
    assert numbers.max() > 300
    for name in ("a", "b"):
        save_pair(folder, name, mask=Image.fromarray(numbers))
    notes = []
    dataset = prepare_pairs(folder, tmp_path / "data", name="mine", listener=notes.append)
    assert dataset.labels.vegetation == 2 * (numbers > 0).sum()
    assert dataset.labels.unknown == 0
    assert notes[0].startswith("255 is taken as vegetation: it is one of consecutive numbers")


def test_255_beside_numbers_with_gaps_around_it_is_refused_and_one_file_named_once(folder, tmp_path):
    values = picture()[1].astype(np.uint16) * 700
    values[60:] = 255
    for name in ("a", "b"):
        save_pair(folder, name, mask=Image.fromarray(values))
    with pytest.raises(InputError, match=r"a\.png holds 255 and numbers above"):
        prepare(folder, tmp_path / "data")


@pytest.mark.parametrize("quality", [5, 40, 70, 80, 95, 100])
def test_edges_of_any_jpeg_are_soft(folder, tmp_path, quality):
    rows, cols = np.mgrid[:70, :90]
    plants = (rows - 35) ** 2 + (cols - 45) ** 2 < 25**2
    Image.fromarray(plants.astype(np.uint8) * 255).save(tmp_path / "soft.jpg", quality=quality)
    for name in ("a", "b"):
        save_pair(folder, name, mask=Image.open(tmp_path / "soft.jpg"))
    with pytest.raises(InputError, match="2 of 2 masks have soft edges"):
        prepare(folder, tmp_path / "data")


@pytest.mark.parametrize("kind", ["resized", "saved as JPEG between", "one grey pixel"])
def test_soft_edges_are_refused_and_no_reason_to_take_255_for_unknown(folder, tmp_path, kind):
    white = Image.fromarray(picture()[1].astype(np.uint8) * 255)
    if kind == "resized":
        soft = white.resize((180, 140), Image.Resampling.BILINEAR).resize((90, 70), Image.Resampling.BILINEAR)
    elif kind == "one grey pixel":
        soft = white.copy()
        soft.putpixel((20, 20), 128)
    else:
        white.save(tmp_path / "between.jpg", quality=80)
        soft = Image.open(tmp_path / "between.jpg")
    save_pair(folder, "a", mask=white)
    save_pair(folder, "b", mask=soft)
    with pytest.raises(InputError, match=r"1 of 2 masks have soft edges .*b\.png"):
        prepare(folder, tmp_path / "data")


def test_grey_levels_of_classes_are_no_soft_edges(folder, tmp_path):
    levels = picture()[1].astype(np.uint8) * 128
    levels[60:] = 255
    for name in ("a", "b"):
        save_pair(folder, name, mask=Image.fromarray(levels))
    assert prepare(folder, tmp_path / "data").labels.unknown == 2 * 10 * 90


def test_vegetation_that_is_255_in_one_mask_and_1_in_another_is_refused(folder, tmp_path):
    save_pair(folder, "a", mask=Image.fromarray(picture()[1].astype(np.uint8) * 255))
    save_pair(folder, "b")
    with pytest.raises(InputError, match=r"a\.png holds nothing but 0 and 255, .*b\.png other numbers"):
        prepare(folder, tmp_path / "data")


def test_jpeg_masks_are_cut_at_half_of_white(folder, tmp_path):
    for index, name in enumerate(("a", "b")):
        save_pair(folder, name, seed=index)
        (folder / "masks" / f"{name}.png").unlink()
        Image.fromarray(picture(index)[1].astype(np.uint8) * 255).save(folder / "masks" / f"{name}.jpg")
    dataset = prepare(folder, tmp_path / "data")
    assert dataset.labels.vegetation == pytest.approx(
        sum(picture(seed)[1].sum() for seed in range(2)), rel=0.02
    )


def save_jpeg_mask(folder, name, levels):
    save_pair(folder, name)
    (folder / "masks" / f"{name}.png").unlink()
    Image.fromarray(levels.astype(np.uint8)).save(folder / "masks" / f"{name}.jpg")


def test_jpeg_masks_of_a_bright_colour_are_cut_like_white_ones(folder, tmp_path):
    plants = picture()[1]
    for name in ("a", "b"):
        # Half of its grey value lies below the cut.
        save_jpeg_mask(folder, name, plants[..., None] * np.array([0, 200, 0]))
    dataset = prepare(folder, tmp_path / "data")
    assert dataset.labels.vegetation == pytest.approx(2 * plants.sum(), rel=0.1)


@pytest.mark.parametrize("level", [1, 120, 150])
def test_jpeg_masks_of_a_grey_class_are_refused(folder, tmp_path, level):
    save_jpeg_mask(folder, "a", picture()[1] * level)
    with pytest.raises(InputError, match="JPEG keeps only black and white"):
        prepare(folder, tmp_path / "data")


@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_negative_mask_values_are_refused_unless_they_are_nodata(folder, tmp_path, dtype):
    plants = picture()[1]
    values = np.where(plants, 1, 0).astype(dtype)
    values[60:] = -1
    for name in ("a", "b"):
        save_pair(folder, name)
        (folder / "masks" / f"{name}.png").unlink()
        write_raster(folder / "masks" / f"{name}.tif", values[None])
    with pytest.raises(InputError, match="negative value -1"):
        prepare(folder, tmp_path / "data")
    for name in ("a", "b"):
        write_raster(folder / "masks" / f"{name}.tif", values[None], nodata=-1)
    assert prepare(folder, tmp_path / "data").labels.unknown == 2 * 10 * 90


def test_a_geotiff_pair_keeps_its_nodata_unknown(folder, tmp_path):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    valid = np.ones((100, 120), bool)
    valid[:, :20] = False
    write_raster(folder / "images" / "field.tif", scene(100, 120), valid=valid)
    labels = (scene(100, 120)[1] > 110).astype(np.uint8)
    labels[90:] = 9
    write_raster(folder / "masks" / "field.tif", labels[None], nodata=9)
    dataset = prepare(folder, tmp_path / "data")
    assert dataset.labels.unknown == 100 * 20 + 10 * 100
    assert dataset.labels.vegetation == int((labels[:90, 20:] == 1).sum())


def test_a_picture_on_its_side_is_turned_as_viewers_show_it(folder, tmp_path):
    pixels, plants = picture()
    for index, name in enumerate(("a", "b")):
        pixels[:2, :2] = 40 * index
        save_pair(folder, name)
        exif = Image.Exif()
        exif[0x0112] = 6  # shown turned by 90° to the right
        Image.fromarray(np.rot90(pixels)).save(folder / "images" / f"{name}.jpg", exif=exif, quality=98)
    pair = prepare(folder, tmp_path / "data").pairs("train")[0]
    green = read_image(pair.image)[..., 1] > 120
    assert (green == plants).mean() > 0.95


@pytest.mark.parametrize("orientation", [3, 6])
def test_a_mask_that_lies_as_its_picture_does_is_turned_too(folder, tmp_path, orientation):
    pixels, plants = picture()
    turns = {3: 2, 6: 1}[orientation]
    for index, name in enumerate(("a", "b")):
        save_pair(folder, name)
        exif = Image.Exif()
        exif[0x0112] = orientation
        for part, values in (("images", pixels + np.uint8(index)), ("masks", plants.astype(np.uint8))):
            stored = Image.fromarray(np.ascontiguousarray(np.rot90(values, turns)))
            stored.save(folder / part / f"{name}.png", exif=exif)
        (folder / "images" / f"{name}.jpg").unlink()
    pair = prepare(folder, tmp_path / "data").pairs("train")[0]
    assert (read_vegetation(pair.mask) == plants).all()
    assert ((read_image(pair.image)[..., 1] > 120) == plants).mean() > 0.95


def test_a_picture_turned_by_its_exif_beside_a_mask_that_is_not_says_so(folder, tmp_path):
    save_pair(folder, "a")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture()[0]).save(folder / "images" / "a.jpg", exif=exif)
    with pytest.raises(InputError, match="turned as its EXIF says"):
        prepare(folder, tmp_path / "data")


def test_a_mask_at_other_coordinates_than_its_picture_is_refused(folder, tmp_path):
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    write_raster(folder / "images" / "field.tif", scene(100, 120))
    labels = (scene(100, 120)[1:2] > 110).astype(np.uint8)
    mask = write_raster(folder / "masks" / "field.tif", labels)
    with rasterio.open(mask, "r+") as file:
        file.transform = file.transform @ file.transform.translation(3, 0)
    with pytest.raises(InputError, match=r"field\.tif: lies at other coordinates than its mask"):
        prepare(folder, tmp_path / "data")


def test_a_picture_that_is_there_twice_is_refused(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name)
    for part, suffix in (("images", ".jpg"), ("masks", ".png")):
        shutil.copy(folder / part / f"a{suffix}", folder / part / f"copy{suffix}")
    with pytest.raises(InputError, match=r"copy\.jpg is .*a\.jpg"):
        prepare(folder, tmp_path / "data")


def test_names_that_differ_in_case_or_in_how_unicode_writes_them_are_one(folder):
    composed, apart = (unicodedata.normalize(form, "Rübe") for form in ("NFC", "NFD"))
    save_pair(folder, "DJI_1")
    save_pair(folder, composed)
    (folder / "masks" / "DJI_1.png").rename(folder / "masks" / "dji_1.png")
    (folder / "masks" / f"{composed}.png").rename(folder / "masks" / f"{apart}.png")
    assert [pair.key for pair in find_pairs(folder)] == ["dji_1", composed.lower()]


def test_a_mask_that_carries_no_turn_beside_a_picture_that_does_is_told(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name)
        exif = Image.Exif()
        exif[0x0112] = 3
        path = folder / "images" / f"{name}.jpg"
        Image.open(path).save(path, exif=exif)
    notes = []
    prepare_pairs(folder, tmp_path / "data", name="mine", listener=notes.append)
    assert len(notes) == 1
    assert notes[0].startswith("2 pictures are turned as their EXIF says, and their masks have no such mark")


def layout(folder, *parts):
    for part in parts:
        (folder / part).parent.mkdir(parents=True, exist_ok=True)
        (folder / part).touch()


def test_folders_for_training_and_validation_are_found_one_level_down(folder):
    layout(folder, "train/images/a.jpg", "train/masks/a.png", "val/images/a.jpg", "val/masks/a.png")
    pairs = find_pairs(folder)
    layout(folder, "test/images/b.jpg")  # without masks: nothing to learn from
    notes = []
    assert find_pairs(folder, notes.append) == pairs
    assert "b.jpg" in notes[0]
    assert [pair.key for pair in pairs] == ["train/a", "val/a"]
    assert pairs[1].mask == folder / "val/masks/a.png"
    assert set(groups_of([pair.key for pair in pairs]).values()) == {"train", "val"}


def test_the_folders_of_pascal_voc_are_found(folder):
    layout(folder, "JPEGImages/a.jpg", "SegmentationClass/a.png")
    assert [pair.key for pair in find_pairs(folder)] == ["a"]


def test_an_empty_folder_of_masks_does_not_hide_a_full_one(folder):
    layout(folder, "images/a.jpg", "labels/a.png")
    (folder / "masks").mkdir()
    assert [pair.mask.parent.name for pair in find_pairs(folder)] == ["labels"]


def test_files_outside_of_the_two_folders_are_told(folder):
    layout(folder, "images/a.jpg", "masks/a.png", "extra.jpg", "extra_mask.png")
    notes = []
    assert [pair.key for pair in find_pairs(folder, notes.append)] == ["a"]
    assert notes[0].startswith("2 files are left out")
    assert "extra.jpg" in notes[0]


def test_a_mask_of_its_pictures_name_beside_it_is_to_be_renamed_not_taken_out(folder):
    layout(folder, "a0.jpg", "a0.png")
    with pytest.raises(InputError, match="have one name") as caught:
        find_pairs(folder)
    assert "rename it a0_mask.png" in caught.value.remedy


def test_pictures_that_are_left_out_are_told(folder, tmp_path, monkeypatch):
    for index in range(6):
        save_pair(folder, f"p{index}", seed=index)
    monkeypatch.setattr(windows, "MOST_PX", 4 * 70 * 90)
    notes = []
    dataset = prepare_pairs(folder, tmp_path / "data", name="mine", listener=notes.append)
    assert dataset.pictures == 4
    assert [note.partition(" labelled")[0] for note in notes] == ["4 of 6"]


def test_one_large_picture_is_held_out_by_windows(folder, tmp_path):
    _, plants = picture(height=260, width=300)
    save_pair(folder, "field", height=260, width=300)
    dataset = prepare(folder, tmp_path / "data")
    assert dataset.pictures >= ENOUGH
    assert dataset.labels.vegetation == plants.sum()
    assert {p.group for p in dataset.pairs("train")}.isdisjoint(p.group for p in dataset.pairs("test"))


def test_no_group_is_in_both_splits(folder, tmp_path):
    for day in ("monday", "tuesday", "friday"):
        for index in range(3):
            save_pair(folder, f"{day}/{index}", seed=index)
    dataset = prepare(folder, tmp_path / "data")
    train, test = ({pair.group for pair in dataset.pairs(split)} for split in ("train", "test"))
    assert train | test == {"monday", "tuesday", "friday"}
    assert not train & test


def test_series_are_grouped_and_a_long_one_falls_into_runs_of_neighbours():
    groups = groups_of([f"DJI_{n}" for n in range(1, 21)])
    assert len(set(groups.values())) == 5
    assert groups["DJI_1"] == groups["DJI_4"] != groups["DJI_5"]
    assert groups["DJI_9"] != groups["DJI_20"]
    two_dates = groups_of([f"{date}_frame{n}" for date in ("0501", "0601", "0701", "0801") for n in range(5)])
    assert set(two_dates.values()) == {"0501_frame", "0601_frame", "0701_frame", "0801_frame"}
    assert groups_of(["north", "south"]) == {"north": "north", "south": "south"}


def test_a_dataset_is_taken_up_again_and_not_written_over(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name)
    target = tmp_path / "data"
    first = prepare(folder, target)
    before = {path: path.stat().st_mtime_ns for path in target.rglob("*")}
    assert prepare(folder, target) == first == read_dataset(target)
    assert {path: path.stat().st_mtime_ns for path in target.rglob("*")} == before
    save_pair(folder, "c")
    with pytest.raises(InputError, match="other files or options"):
        prepare(folder, target)


def test_a_dataset_of_an_earlier_version_is_refused_as_such(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name)
    prepare(folder, tmp_path / "data")
    path = tmp_path / "data" / "sources.json"
    document = json.loads(path.read_text()) | {"format": "cropseg-dataset/1", "identity": "of before"}
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="made by another version") as caught:
        prepare(folder, tmp_path / "data")
    assert "--run" in caught.value.remedy


@pytest.mark.parametrize("beside", [True, False])
def test_a_run_within_the_pictures_is_passed_over(folder, beside):
    for index in range(2):
        save_pair(folder, f"p{index}", seed=index)
        if beside:
            (folder / "images" / f"p{index}.jpg").rename(folder / f"p{index}.jpg")
            (folder / "masks" / f"p{index}.png").rename(folder / f"p{index}_mask.png")
    if beside:
        for part in ("images", "masks"):
            (folder / part).rmdir()
    target = folder / "my-run" / "dataset"
    first = prepare(folder, target)
    shutil.copy(next(folder.rglob("p0.jpg")), folder / "my-run" / "labels.jpg")
    notes = []
    assert prepare_pairs(folder, target, name="mine", listener=notes.append) == first
    assert not notes


def test_a_failure_leaves_nothing_behind(tmp_path):
    def pieces():
        pixels, plants = picture()
        yield Piece("a", "a", pixels, plants.astype(np.uint8))
        raise InputError("the second one is broken")

    with pytest.raises(InputError, match="second one"):
        write_dataset(tmp_path / "data", Origin("pairs", "mine", "", ()), pieces())
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_anything_else_is_refused(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name)
    with pytest.raises(InputError, match="no dataset"):
        prepare(folder, folder)


def test_sources_say_where_a_dataset_comes_from(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name)
    prepare(folder, tmp_path / "data")
    sources = json.loads((tmp_path / "data" / "sources.json").read_text())
    assert sources["kind"] == "pairs"
    assert str(folder / "images" / "a.jpg") in sources["inputs"]
    assert sources["held_out"] in (["a"], ["b"])
    assert sources["gsd_m"] is None
    with (tmp_path / "data" / MANIFEST).open() as file:
        assert [row["source"] for row in csv.DictReader(file)] == ["a.jpg", "b.jpg"]
    assert sources["source"] == "a.jpg, b.jpg"


def test_files_without_a_partner_are_named(folder, tmp_path):
    for index in range(8):
        save_pair(folder, f"p{index}")
    for index in range(7):
        (folder / "masks" / f"p{index}.png").unlink()
    with pytest.raises(InputError, match="7 of 9 files have no partner") as caught:
        prepare(folder, tmp_path / "data")
    assert "p0.jpg" in caught.value.message
    assert "and 2 more" in caught.value.message
    assert not (tmp_path / "data").exists()


def test_masks_of_another_size_are_named_with_both_sizes(folder, tmp_path):
    save_pair(folder, "a")
    save_pair(folder, "b", mask=Image.new("L", (45, 35)))
    with pytest.raises(InputError, match=r"b\.jpg: 90 × 70, its mask 45 × 35 px"):
        prepare(folder, tmp_path / "data")


@pytest.mark.parametrize("content", [b"", b"no picture"])
def test_unreadable_files_are_named(folder, tmp_path, content):
    save_pair(folder, "a")
    save_pair(folder, "b")
    (folder / "masks" / "b.png").write_bytes(content)
    with pytest.raises(InputError, match=r"b\.png: cannot be read"):
        prepare(folder, tmp_path / "data")


def test_a_truncated_picture_is_named(folder, tmp_path):
    save_pair(folder, "a")
    save_pair(folder, "b")
    path = folder / "images" / "b.jpg"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(InputError, match=r"b\.jpg: cannot be read"):
        prepare(folder, tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_empty_and_missing_folders_are_refused_with_the_layout(folder):
    with pytest.raises(InputError, match="is no folder"):
        find_pairs(folder)
    (folder / "images").mkdir(parents=True)
    with pytest.raises(InputError, match="not the other") as caught:
        find_pairs(folder)
    assert "a_mask.png" in caught.value.remedy
    (folder / "masks").mkdir()
    with pytest.raises(InputError, match="0 pictures and 0 masks"):
        find_pairs(folder)


def test_two_pictures_of_one_name_are_refused(folder):
    save_pair(folder, "a")
    save_pair(folder, "a", suffix=".png")
    with pytest.raises(InputError, match="have one name"):
        find_pairs(folder)


def test_probabilities_are_no_masks(folder, tmp_path):
    save_pair(folder, "a")
    (folder / "masks" / "a.png").unlink()
    write_raster(folder / "masks" / "a.tif", np.full((1, 70, 90), 0.3, np.float32))
    with pytest.raises(InputError, match=r"fractions such as 0\.3"):
        prepare(folder, tmp_path / "data")


def test_pictures_of_16_bit_are_refused_with_the_way_out(folder, tmp_path):
    save_pair(folder, "a")
    (folder / "images" / "a.jpg").unlink()
    write_raster(folder / "images" / "a.tif", np.zeros((3, 70, 90), np.uint16))
    with pytest.raises(InputError, match="uint16 values") as caught:
        prepare(folder, tmp_path / "data")
    assert "gdal_translate" in caught.value.remedy


def test_png_of_16_bit_is_refused_and_not_read_as_its_upper_half(folder, tmp_path):
    save_pair(folder, "a")
    (folder / "images" / "a.jpg").unlink()
    values = np.full((3, 70, 90), 3000, np.uint16)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        options = {"driver": "PNG", "count": 3, "height": 70, "width": 90, "dtype": "uint16"}
        with rasterio.open(folder / "images" / "a.png", "w", **options) as file:
            file.write(values)
    with pytest.raises(InputError, match="more than 8 bits a channel"):
        prepare(folder, tmp_path / "data")


@pytest.mark.parametrize(("value", "match"), [(0, "is vegetation"), (1, "every labelled pixel")])
def test_masks_of_one_class_are_refused(folder, tmp_path, value, match):
    for name in ("a", "b"):
        save_pair(folder, name, mask=Image.fromarray(np.full((70, 90), value, np.uint8)))
    with pytest.raises(InputError, match=match):
        prepare(folder, tmp_path / "data")


def test_the_numbers_of_masks_without_background_are_named(folder, tmp_path):
    for name in ("a", "b"):
        save_pair(folder, name, mask=Image.fromarray(picture()[1].astype(np.uint8) + 1))
    with pytest.raises(InputError, match="no mask holds 0, only 1, 2: every labelled pixel is vegetation"):
        prepare(folder, tmp_path / "data")


def test_what_is_held_out_is_near_a_fifth_and_like_the_whole():
    rng = np.random.default_rng(1)
    groups = {f"g{n}": Labels(*(int(v) for v in rng.integers(100, 1000, 2))) for n in range(30)}
    chosen = hold_out(groups, np.random.default_rng(0))
    assert chosen == hold_out(groups, np.random.default_rng(0))
    held, total = (sum(part, Labels()) for part in ((groups[n] for n in chosen), groups.values()))
    assert 0.15 < held.known / total.known < 0.25
    assert abs(held.cover - total.cover) < 0.05


def test_of_choices_of_a_fifth_the_one_like_the_whole_is_held_out():
    groups = {f"g{n}": Labels(90, 10) if n < 5 else Labels(10, 90) for n in range(10)}
    held = sum((groups[name] for name in hold_out(groups, np.random.default_rng(0))), Labels())
    assert (held.known, held.cover) == (200, 0.5)


def test_the_only_group_with_plants_stays_in_training():
    groups = {"plants": Labels(50, 50), "soil": Labels(0, 100), "sand": Labels(0, 100)}
    assert "plants" not in hold_out(groups, np.random.default_rng(0))


def test_what_is_named_so_is_held_out():
    groups = {"train": Labels(50, 50), "val/north": Labels(50, 50), "Test": Labels(1, 9)}
    assert hold_out(groups, np.random.default_rng(0)) == {"val/north", "Test"}
    groups = {"train": Labels(50, 0), "val": Labels(50, 50), "more": Labels(50, 0)}
    assert "val" not in hold_out(groups, np.random.default_rng(0))


def test_one_group_alone_cannot_be_split():
    with pytest.raises(InputError, match="one group"):
        hold_out({"a": Labels(5, 5)}, np.random.default_rng(0))


@pytest.mark.parametrize("shape", [(1, 1), (64, 1000), (1025, 2049), (300, 7)])
def test_windows_partition_a_region_and_are_never_too_long(shape):
    seen = np.zeros(shape, int)
    for window in cut(Window(0, 0, *shape), 256):
        assert max(window.shape) <= 256
        seen[window.slices] += 1
    assert (seen == 1).all()


def test_few_labels_are_cut_smaller_and_many_are_thinned_evenly():
    small = cut_enough(Window(0, 0, 500, 500), lambda window: window.col < 250)
    assert len(small) >= ENOUGH
    assert thin(range(1000), 11) == (0, 100, 200, 300, 400, 500, 599, 699, 799, 899, 999)


def test_names_are_those_that_cards_accept():
    assert name_of("Müller 3") == "m-ller-3"
    with pytest.raises(InputError, match="no name"):
        name_of("…")


def test_a_broken_raster_is_named(folder, tmp_path):
    save_pair(folder, "a")
    save_pair(folder, "b")
    (folder / "images" / "b.jpg").unlink()
    path = write_raster(folder / "images" / "b.tif", scene(70, 90), compress="deflate")
    with rasterio.open(path) as dataset:
        assert dataset.shape == (70, 90)
    path.write_bytes(path.read_bytes()[:-9000])
    with pytest.raises(InputError, match=r"b\.tif"):
        prepare(folder, tmp_path / "data")
