"""The contact sheet, its decisions, and the folder that honours them."""

import csv
import json
import re

import numpy as np
import pytest
from rasters import write_raster
from scipy import ndimage

from cropseg_geo.errors import InputError, OutputError
from training.data import read_pairs
from training.labels.screen import Verdict
from training.labels.sheet import FORMAT, Card, draw_strip, make_sheet, read_decisions
from training.labels.survey import open_survey
from training.labels.tiles import Options, label_orthomosaic


def survey_files(folder):
    rows, cols = np.mgrid[:256, :256]
    plants = ((rows % 40 - 20) ** 2 + (cols % 40 - 20) ** 2 < 100) & (cols < 128)
    height = ndimage.gaussian_filter(np.where(plants, 0.3, 0.0), 2.0)
    height += np.random.default_rng(0).normal(0, 0.003, height.shape)
    image = np.where(plants, [[[60]], [[130]], [[45]]], [[[125]], [[100]], [[78]]])
    image = (image + np.random.default_rng(1).normal(0, 6, image.shape)).clip(0, 255).astype(np.uint8)
    ortho = write_raster(folder / "trial.tif", image)
    return ortho, write_raster(folder / "dsm.tif", (100 + height).astype(np.float32)[None])


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_rerun_writes_the_same_bytes_and_decisions_count_more_than_verdicts(tmp_path):
    survey, out = open_survey(*survey_files(tmp_path), max_plant_width_m=0.5), tmp_path / "out"
    options = Options(tile_px=128)
    first = label_orthomosaic(survey, out, options=options)
    before = contents(out)
    assert {tile.id[-6:] for tile in first.kept} == {"c00000"}
    assert len(read_pairs(out, split="train")) == 2
    assert not [path for path in before if path.name.endswith(".part")]
    label_orthomosaic(survey, out, options=options)
    assert contents(out) == before

    bare = "trial_r00000_c00128"
    word = {bare: "accepted", "trial_r00000_c00000": "rejected"}
    second = label_orthomosaic(survey, out, options=options, decisions=word)
    assert {tile.id for tile in second.kept} == {bare, "trial_r00128_c00000"}
    with (out / "verdicts.csv").open(encoding="utf-8") as file:
        reasons = {row["id"]: row["reasons"] for row in csv.DictReader(file)}
    assert reasons[bare].startswith("almost bare")
    with pytest.raises(InputError, match="this run lacks"):
        label_orthomosaic(survey, out, options=options, decisions={"other": "accepted"})
    with pytest.raises(OutputError, match="something else"):
        label_orthomosaic(survey, out, options=Options(tile_px=64))


def test_the_sheet_holds_every_tile_and_asks_nothing_of_the_network():
    strip = draw_strip(
        np.zeros((64, 64, 3), np.uint8), np.eye(64, dtype=np.float32), np.eye(64, dtype=np.uint8)
    )
    cards = [
        Card(f"t{n}", Verdict(0.5, n % 2 == 0, ("</script> & co",)), 0.3, 0.1, strip) for n in range(300)
    ]
    page = make_sheet("field <1>", cards, {"t3": "accepted"})
    data = json.loads(re.search(r'id="data">(.*?)</script>', page, re.S)[1])
    assert [tile["id"] for tile in data["tiles"]] == [f"t{n}" for n in range(300)]
    assert data["decisions"] == {"t3": "accepted"}
    assert "field &lt;1&gt;" in page
    assert not re.search(r"""(src|href)\s*=\s*["']?https?:|@import|url\(""", page)


def test_decisions_are_read_back_and_other_files_refused(tmp_path):
    path = tmp_path / "decisions.json"
    path.write_text(json.dumps({"format": FORMAT, "decisions": {"a": "accepted", "b": "rejected"}}))
    assert read_decisions(path) == {"a": "accepted", "b": "rejected"}
    for text in ("{", "[]", json.dumps({"format": FORMAT, "decisions": {"a": "perhaps"}})):
        path.write_text(text)
        with pytest.raises(InputError):
            read_decisions(path)
