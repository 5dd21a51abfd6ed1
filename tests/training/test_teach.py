"""A teacher's labels: kept where it is sure and colour agrees, unknown where it doubts."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from fakes import fake_card
from PIL import Image

from cropseg_geo.errors import InputError
from training.data import CERTAIN, UNKNOWN, read_pairs, read_target
from training.teach import (
    GUESSES,
    Picture,
    Screen,
    find_pictures,
    judge,
    look,
    teach_labelled,
    teach_unlabelled,
)

GREEN, SOIL, YELLOW = (60, 150, 50), (120, 90, 70), (200, 180, 40)


class GreenTeacher:
    """Logits by how green a pixel is: sure of what is green or brown, undecided on yellow."""

    card = fake_card()

    def predict(self, batch):
        excess = 2 * batch[:, 1] - batch[:, 0] - batch[:, 2]
        margin = np.clip(40.0 * (excess - 0.3), -6, 6) * (np.abs(excess - 0.3) > 0.18)
        return np.stack([-margin, margin], axis=1).astype(np.float32)


class BlindTeacher(GreenTeacher):
    """Sees plants everywhere, and is sure of it."""

    def predict(self, batch):
        margin = np.full((len(batch), *batch.shape[2:]), 8.0, np.float32)
        return np.stack([-margin, margin], axis=1)


def picture(path, *, yellow=False):
    image = np.empty((96, 128, 3), np.uint8)
    image[:] = SOIL
    image[20:60, 30:90] = GREEN
    if yellow:
        image[70:90, 10:60] = YELLOW
    Image.fromarray(image).save(path)
    return Picture(path, "field", "CC0", "made up")


def test_what_the_teacher_is_sure_of_is_kept_and_its_doubts_are_unknown(tmp_path):
    shown = picture(tmp_path / "a.png", yellow=True)
    (judgement,) = teach_unlabelled(GreenTeacher(), [shown], tmp_path / "out", screen=Screen(sure=0.3))
    assert judgement.kept
    (pair,) = read_pairs(tmp_path / "out", split="train")
    assert (pair.dataset, pair.kind, pair.group, pair.licence) == (GUESSES, "guess", "field", "CC0")
    target = read_target(pair)
    assert (target[30:50, 40:80] > 0.9 * CERTAIN).all()
    assert (target[5:15, 100:120] < 0.1 * CERTAIN).all()
    assert (target[75:85, 20:50] == UNKNOWN).all()


def test_a_teacher_that_colour_contradicts_is_not_believed(tmp_path):
    shown = picture(tmp_path / "a.png")
    (judgement,) = teach_unlabelled(BlindTeacher(), [shown], tmp_path / "out", screen=Screen())
    assert judgement.sure == 1.0
    assert not judgement.kept
    with pytest.raises(InputError, match="no pairs"):
        read_pairs(tmp_path / "out", split="train")


def test_a_picture_without_plants_needs_no_colour_to_agree():
    image = np.random.default_rng(0).integers(90, 110, (64, 64, 3)).astype(np.uint8)
    nothing = np.full((64, 64), 0.02, np.float32)
    assert judge(image, nothing, 1.0, Screen()).kept
    assert not judge(image, nothing, 0.5, Screen()).kept


def test_what_is_said_of_a_mosaics_black_rim_does_not_count(tmp_path):
    shown = np.asarray(Image.open(picture(tmp_path / "a.png").image)).copy()
    plants = (shown == GREEN).all(axis=2)
    shown[:, 64:] = 0
    plants[:, 64:] = True
    assert judge(shown, plants.astype(np.float32), 1.0, Screen()).colour == 1.0


def test_looks_that_differ_are_unsteady(tmp_path):
    class Sided(GreenTeacher):
        def predict(self, batch):
            logits = super().predict(batch)
            logits[..., : batch.shape[3] // 2] = -logits[..., : batch.shape[3] // 2]
            return logits

    image = np.asarray(Image.open(picture(tmp_path / "a.png").image))
    assert look(GreenTeacher(), image)[1] > 0.95
    assert look(Sided(), image)[1] < 0.5


def test_the_teachers_opinion_is_mixed_into_masks(tmp_path):
    shown = picture(tmp_path / "a.png")
    mask = np.zeros((96, 128), np.uint8)
    mask[20:60, 30:100] = 1
    mask[:4] = UNKNOWN
    Image.fromarray(mask).save(tmp_path / "mask.png")
    (tmp_path / "field").mkdir()
    pair = replace(
        _pair(tmp_path), image=shown.image, mask=tmp_path / "mask.png", dataset="soy", group="monday"
    )
    teach_labelled(GreenTeacher(), [pair], tmp_path / "out", weight=0.5)
    (mixed,) = read_pairs(tmp_path / "out", split="train")
    assert (mixed.dataset, mixed.kind, mixed.group) == ("mixed-soy", "probability", "monday")
    target = read_target(mixed)
    assert (target[30:50, 40:80] > 0.95 * CERTAIN).all()
    assert np.abs(target[30:50, 94:98].astype(int) - CERTAIN // 2).max() < 0.05 * CERTAIN
    assert (target[:4] == UNKNOWN).all()


def test_unlabelled_pictures_bring_their_licence(tmp_path):
    folder = tmp_path / "unlabelled" / "shots"
    folder.mkdir(parents=True)
    picture(folder / "1.png")
    with pytest.raises(InputError, match="no licence file"):
        find_pictures(tmp_path)
    (folder / "LICENSE.txt").write_text("CC0 1.0\n\nmore", encoding="utf-8")
    (found,) = find_pictures(tmp_path)
    assert (found.group, found.licence) == ("shots", "CC0 1.0")
    with pytest.raises(InputError, match="no unlabelled pictures"):
        find_pictures(tmp_path / "elsewhere")


def _pair(root):
    """Any pair, to be changed."""
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(root / "0.png")
    with (root / "manifest_pairs.csv").open("w", newline="", encoding="utf-8") as file:
        row = {"split": "train", "dataset": "d", "image": "0.png", "mask": "0.png", "group": "g"}
        writer = csv.DictWriter(file, [*row, "licence", "source", "sha256_16"], restval="x")
        writer.writeheader()
        writer.writerow(row)
    return read_pairs(root, split="train")[0]
