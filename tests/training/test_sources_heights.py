"""An orthomosaic and its heights become labelled tiles, read as the product reads them."""

import numpy as np
import pytest
from rasters import scene, write_raster
from typer.testing import CliRunner

from cropseg_geo.errors import InputError
from training.__main__ import app
from training.data import read_image, read_vegetation
from training.reading import Reading
from training.sources.heights import prepare_heights

SIDE = 256


def files(folder, *, gsd=0.01, values=None, **profile):
    """Orthomosaic, surface and terrain; where plants are (H, W)."""
    pixels = scene(SIDE, SIDE)
    plants = pixels[1] > 115
    noise = np.random.default_rng(0).normal(0.0, 0.003, plants.shape)
    surface = 50 + np.where(plants, 0.3, 0.0) + noise
    ortho = write_raster(
        folder / "field.tif", pixels if values is None else values(pixels), gsd=gsd, **profile
    )
    dsm = write_raster(folder / "dsm.tif", surface[None].astype(np.float32), gsd=gsd)
    dtm = write_raster(folder / "dtm.tif", np.full((1, SIDE, SIDE), 50, np.float32), gsd=gsd)
    return (ortho, dsm, dtm), plants


def pairs_of(dataset):
    return [*dataset.pairs("train"), *dataset.pairs("test")]


def test_tiles_are_read_at_the_gsd_that_the_model_is_run_at(tmp_path):
    paths, plants = files(tmp_path, gsd=0.03)
    working = Reading().open(paths[0])
    assert working.gsd_m < 0.02
    notes = []
    dataset = prepare_heights(*paths, tmp_path / "data", name="mine", listener=notes.append)
    assert dataset.gsd_m == pytest.approx(working.gsd_m)
    assert any("resampled from 3 " in note for note in notes)
    # The heights follow to that grid: the labels lie where the plants are.
    assert dataset.labels.cover == pytest.approx(plants.mean(), abs=0.04)
    known, agree = 0, 0
    for pair in pairs_of(dataset):
        mask, green = read_vegetation(pair.mask), read_image(pair.image)[..., 1] > 115
        known, agree = known + (mask != 255).sum(), agree + ((mask == 1) & green | (mask == 0) & ~green).sum()
    assert agree / known > 0.97


def test_wide_values_and_other_bands_are_read_as_the_options_say(tmp_path):
    paths, _ = files(tmp_path, values=lambda pixels: pixels[::-1].astype(np.uint16) * 16)
    with pytest.raises(InputError, match="uint16") as caught:
        prepare_heights(*paths, tmp_path / "data", name="mine")
    assert "--scale" in caught.value.remedy
    reading = Reading(bands=(3, 2, 1), scale=(0, 4080))
    pair = pairs_of(prepare_heights(*paths, tmp_path / "data", name="mine", reading=reading))[0]
    row, col = (int(part[1:]) for part in pair.image.stem.split("_")[-2:])
    image = read_image(pair.image)
    expected = scene(SIDE, SIDE)[:, row : row + image.shape[0], col : col + image.shape[1]]
    assert np.abs(image.astype(int) - expected.transpose(1, 2, 0)).max() <= 1


def test_bands_without_names_are_told(tmp_path):
    paths, _ = files(tmp_path, photometric="MINISBLACK")
    notes = []
    prepare_heights(*paths, tmp_path / "data", name="mine", listener=notes.append)
    assert any("are taken as red, green, blue" in note for note in notes)


def test_labels_takes_the_same_options(tmp_path):
    paths, _ = files(
        tmp_path, values=lambda pixels: pixels[::-1].astype(np.uint16) * 16, photometric="MINISBLACK"
    )
    command = ["labels", str(paths[0]), str(paths[1]), "--dtm", str(paths[2]), "--tile", "128"]
    command += ["--out", str(tmp_path / "out"), "--scale", "0,4080"]
    result = CliRunner().invoke(app, command)
    assert "bands (1, 2, 3) are taken as red, green, blue" in result.output
    result = CliRunner().invoke(app, [*command, "--bands", "3,2,1"])
    assert "something else than labels of these files with these options" in str(result.exception)
