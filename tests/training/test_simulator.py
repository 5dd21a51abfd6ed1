"""The simulator: the same scenes from the same seed, and masks and heights that fit the pictures."""

from __future__ import annotations

import os
import sys
import time
from functools import lru_cache
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image
from scipy import ndimage

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from training.data import read_image, read_pairs, read_vegetation
from training.simulator import FIELDS, KINDS, Scene, make_field, make_scene, write_corpus
from training.simulator.corpus import HEIGHT_UNIT_M, kind_at
from training.simulator.fields import averaged, render_field
from training.simulator.layout import Stage, turned_normals
from training.simulator.leaves import OUTLINES, Sprite, make_leaves, paint
from training.simulator.noise import noise
from training.simulator.plants import HABITS, draw_look, grow

SIZE_PX = 96
SCENES_PER_KIND = 4


@lru_cache(maxsize=64)
def scene_of(kind: str, number: int = 0) -> Scene:
    return make_scene(np.random.default_rng([77, number]), size_px=SIZE_PX, kind=kind)


def scenes_of(kind: str) -> list[Scene]:
    return [scene_of(kind, number) for number in range(SCENES_PER_KIND)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_scene_has_finite_heights_where_its_mask_is_and_none_elsewhere(kind: str) -> None:
    for scene in scenes_of(kind):
        assert scene.image.shape == (SIZE_PX, SIZE_PX, 3)
        assert scene.image.dtype == scene.mask.dtype == np.uint8
        assert scene.height_m.dtype == np.float32
        assert np.isfinite(scene.height_m).all()
        assert (scene.height_m[scene.mask == 0] == 0).all()
        assert (scene.height_m[scene.mask == 1] > 0).all()
        assert scene.height_m.max() < 3.0
        assert 0.0003 <= scene.gsd_m <= 0.05


@pytest.mark.parametrize("kind", KINDS)
def test_the_mask_is_at_least_half_covered_pixels(kind: str) -> None:
    for scene in scenes_of(kind):
        np.testing.assert_array_equal(scene.mask, scene.coverage >= 0.5)
        assert scene.coverage.min() >= 0
        assert scene.coverage.max() <= 1


@pytest.mark.parametrize("kind", ["rows", "pots", "night"])
def test_the_same_generator_state_gives_the_same_scene(kind: str) -> None:
    again = make_scene(np.random.default_rng([77, 0]), size_px=SIZE_PX, kind=kind)
    np.testing.assert_array_equal(again.image, scene_of(kind).image)
    np.testing.assert_array_equal(again.height_m, scene_of(kind).height_m)
    assert not np.array_equal(again.image, scene_of(kind, 1).image)


def test_closed_canopies_are_closed_and_bare_ground_is_bare() -> None:
    closed = [scene.mask.mean() for scene in scenes_of("closed")]
    assert min(closed) > 0.4
    assert np.mean(closed) > 0.6
    assert all(not scene.mask.any() for scene in scenes_of("bare"))


def test_every_kind_with_plants_shows_some() -> None:
    for kind in set(KINDS) - {"bare"}:
        assert max(scene.coverage.mean() for scene in scenes_of(kind)) > 0.01, kind


def test_nights_are_darker_than_days() -> None:
    night = np.mean([scene.image.mean() for scene in scenes_of("night")])
    day = np.mean([scene.image.mean() for kind in ("rows", "cereal") for scene in scenes_of(kind)])
    assert night < 0.7 * day


def test_an_unknown_kind_is_refused_with_the_known_ones() -> None:
    with pytest.raises(InputError, match="seedlings"):
        make_scene(np.random.default_rng(0), kind="forest")


@pytest.mark.parametrize("name", HABITS)
def test_a_plant_covers_the_same_ground_at_twice_the_gsd(name: str) -> None:
    rng = np.random.default_rng(5)
    plant = grow(HABITS[name], draw_look(rng), 0.5, rng)
    cell_m = float(plant.length_m.max()) / 200
    areas = []
    for factor in (1, 2):
        sprite = paint(plant, cell_m * factor, half_cells=10_000, rng=np.random.default_rng(1))
        areas.append(np.isfinite(sprite.top_m).sum() * factor**2)
        extent_m = max(sprite.top_m.shape) * cell_m * factor
        assert extent_m < 8 * float(plant.length_m.max()) + 2 * HABITS[name].height_m[1]
    assert areas[1] == pytest.approx(areas[0], rel=0.15)


def test_a_blade_thinner_than_a_cell_takes_its_share_of_cells() -> None:
    flat = {"elevation": 0.0, "fold": 0.0, "outline": OUTLINES.index("strap"), "colour": (0.1, 0.2, 0.1)}
    angles = np.linspace(0.1, 3.0, 40)
    base = np.random.default_rng(3).uniform(-1, 1, (40, 3)) * (1, 1, 0)
    blades = make_leaves(40, base_m=base, azimuth=angles, length_m=1.0, width_m=0.004, **flat)
    sprites = [
        paint(blades.take(np.array([k])), 0.01, half_cells=10_000, rng=np.random.default_rng(1))
        for k in range(40)
    ]
    covered_m2 = np.mean([np.isfinite(sprite.top_m).sum() * 0.01**2 for sprite in sprites])
    assert covered_m2 == pytest.approx(1.0 * 0.004, rel=0.2)


def test_leaves_are_painted_without_holes() -> None:
    leaf = make_leaves(
        1, base_m=(0, 0, 0.1), azimuth=0.7, elevation=0.0, length_m=0.1, width_m=0.06, fold=0.0,
        outline=OUTLINES.index("round"), colour=(0.1, 0.2, 0.1),
    )  # fmt: skip
    shown = np.isfinite(paint(leaf, 0.001, half_cells=1000, rng=np.random.default_rng(1)).top_m)
    np.testing.assert_array_equal(ndimage.binary_fill_holes(shown), shown)
    assert shown.sum() == pytest.approx(np.pi / 4 * 100 * 60, rel=0.03)


def test_the_higher_leaf_is_seen_whatever_is_put_first() -> None:
    def flat(height_m: float) -> Sprite:
        table = np.full((9, 7), height_m, dtype=np.float32)
        return Sprite(-1, -1, np.full((3, 3), height_m, dtype=np.float32), table)

    for order in ((0, 1), (1, 0)):
        stage = Stage.on(np.zeros((9, 9), dtype=np.float32))
        for owner in order:
            sprite = flat((0.1, 0.2)[owner])
            stage.put(sprite, 9 * owner, (4, 4 + owner), owner=owner, turn=0, ground_m=0.0)
        assert stage.owner[4].tolist() == [-1, -1, -1, 0, 1, 1, 1, -1, -1]


def test_normals_turn_with_their_sprite() -> None:
    # A slope that falls toward larger columns: its normal points to +x. It must do so for any turn.
    ramp = -np.arange(5, dtype=np.float32)[None, :].repeat(5, axis=0) + 9
    sprite = Sprite(-2, -2, ramp, np.zeros((25, 7), dtype=np.float32))
    for turn in range(8):
        stage = Stage.on(np.zeros((9, 9), dtype=np.float32))
        stage.put(sprite, 0, (4, 4), owner=0, turn=turn, ground_m=0.0)
        part = stage.top_m[3:6, 3:6]
        falls = np.array([part[1, 0] - part[1, 2], part[0, 1] - part[2, 1]]) / 2
        x, y = turned_normals(np.ones(1, np.float32), np.zeros(1, np.float32), np.array([turn]))
        np.testing.assert_allclose([x[0], y[0]], falls, atol=1e-6, err_msg=str(turn))


@pytest.mark.parametrize("feature_px", [2.5, 9.0, 40.0])
def test_noise_has_its_size_and_about_unit_deviation(feature_px: float) -> None:
    fields = [noise(np.random.default_rng(k), 128, feature_px) for k in range(12)]
    assert fields[0].shape == (128, 128)
    assert 0.6 < np.mean([field.std() for field in fields]) < 1.4


def test_a_corpus_is_read_as_training_data_and_holds_its_heights(tmp_path: Path) -> None:
    manifest = write_corpus(tmp_path, count=3, seed=4, size_px=64)
    pairs = read_pairs(tmp_path, split="train")
    assert [pair.group for pair in pairs] == [kind_at(k) for k in range(3)]
    assert manifest.parent == tmp_path
    for pair in pairs:
        mask = read_vegetation(pair.mask)
        with Image.open(tmp_path / "heights" / pair.image.name) as image:
            height_m = np.asarray(image) * HEIGHT_UNIT_M
        assert read_image(pair.image).shape == (64, 64, 3)
        assert (height_m[mask == 0] == 0).all()


def test_an_interrupted_corpus_goes_on_and_comes_out_the_same(tmp_path: Path) -> None:
    class StoppedError(Exception):
        pass

    def stop(index: int) -> None:
        if index == 1:
            raise StoppedError

    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write_corpus(whole, count=3, seed=4, size_px=64)
    with pytest.raises(StoppedError):
        write_corpus(broken, count=3, seed=4, size_px=64, on_scene=stop)
    assert not (broken / "manifest_pairs.csv").exists()
    done: list[int] = []
    write_corpus(broken, count=3, seed=4, size_px=64, on_scene=done.append)
    assert sorted(done) == [0, 1, 2]
    for path in sorted(p for p in whole.rglob("*") if p.is_file()):
        assert (broken / path.relative_to(whole)).read_bytes() == path.read_bytes(), path.name


def test_processes_that_draw_scenes_end_with_a_killed_parent(tmp_path: Path) -> None:
    code = (
        "if __name__ == '__main__':\n"
        "    from pathlib import Path\n"
        "    from training.simulator import write_corpus\n"
        f"    write_corpus(Path({str(tmp_path / 'corpus')!r}), count=10**4, seed=4, size_px=64, workers=2)\n"
    )
    (tmp_path / "draw.py").write_text(code, encoding="utf-8")
    parent = psutil.Popen(
        [sys.executable, tmp_path / "draw.py"],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "corpus").glob("rows/*.csv")) and time.monotonic() < deadline:
        time.sleep(0.05)
    family = parent.children(recursive=True)
    parent.kill()
    parent.wait()
    assert family
    _, left = psutil.wait_procs(family, timeout=30)
    assert not left


def test_a_folder_of_another_seed_is_refused(tmp_path: Path) -> None:
    write_corpus(tmp_path, count=1, seed=4, size_px=64)
    with pytest.raises(InputError, match="seed 4"):
        write_corpus(tmp_path, count=1, seed=5, size_px=64)


def test_hidden_files_do_not_fill_a_folder(tmp_path: Path) -> None:
    (tmp_path / ".DS_Store").touch()
    assert write_corpus(tmp_path, count=1, seed=4, size_px=64).is_file()


def test_a_folder_with_anything_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "mine.jpg").touch()
    with pytest.raises(InputError, match="other things"):
        write_corpus(tmp_path, count=1, seed=1, size_px=64)
    assert {path.name for path in tmp_path.rglob("*")} == {"images", "mine.jpg"}


def test_any_stretch_of_a_corpus_holds_the_kinds_in_their_shares() -> None:
    names = [kind_at(k) for k in range(300, 700)]
    total = sum(kind.share for kind in KINDS.values())
    for name, kind in KINDS.items():
        assert names.count(name) / 400 == pytest.approx(kind.share / total, abs=0.02)


def test_a_field_says_what_it_has_and_at_which_gsd() -> None:
    with pytest.raises(InputError, match="drought"):
        make_field("jungle")
    with pytest.raises(InputError, match=r"at 0\.007 m/px"):
        make_field("day", gsd_m=0.007)
    assert set(FIELDS) == {"day", "night", "dense", "seedlings", "drought"}


def test_a_field_has_the_same_cover_and_heights_at_every_gsd() -> None:
    base = render_field(FIELDS["dense"], Window(1700, 1900, 128, 128))
    views = [averaged(base, "dense", factor) for factor in (1, 2, 4, 8)]
    assert [view.gsd_m for view in views] == pytest.approx([0.005, 0.01, 0.02, 0.04])
    assert [view.image.shape[0] for view in views] == [256, 128, 64, 32]
    for view in views:
        assert view.coverage.mean() == pytest.approx(views[0].coverage.mean(), abs=1e-4)
        np.testing.assert_array_equal(view.mask, view.coverage >= 0.5)
        assert (view.height_m[view.mask == 0] == 0).all()
        assert 0 < view.height_m[view.mask == 1].mean() < 1
    assert 0.2 < views[0].coverage.mean() < 0.9
