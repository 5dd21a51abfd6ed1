"""The folder that the engine works in, and what becomes of the files in it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from cropseg_geo.engine.store import BlockStore
from cropseg_geo.grid import BlockGrid, TileGrid
from qgis_plugin.cropseg.engine import workspace as module
from qgis_plugin.cropseg.engine.process import Cancelled
from qgis_plugin.cropseg.engine.workspace import (
    PlaceError,
    holds_blocks,
    place,
    require_replaceable,
    workspace,
)

pytestmark = pytest.mark.skipif(os.name == "nt", reason="what Windows refuses is played here")


def write_blocks(work: Path, *, done: bool) -> None:
    """What a run leaves: the engine's own store, with a finished block or without, and half files."""
    grid = BlockGrid(TileGrid(64, 64, tile_px=32, overlap_px=8), 2)
    store = BlockStore(str(work / ".field-1234.cropseg" / "blocks.zarr"), grid, 1, "1234")
    store.create()
    if done:
        store.write(grid.block(0, 0), np.ones((1, 56, 56), dtype=np.uint32))
    (work / ".field-1234.cropseg" / "draft_mask.tif").touch()
    (work / "field_mask.tif").touch()


@pytest.mark.parametrize(("done", "keep"), [(True, True), (False, True), (True, False)])
def test_finished_blocks_and_nothing_else_stay_after_a_stop(tmp_path, done, keep):
    destination = tmp_path / "mäsk.tif"

    def work_until_stopped() -> None:
        with workspace(destination, keep_blocks=keep) as work:
            write_blocks(work, done=done)
            raise Cancelled

    with pytest.raises(Cancelled) as stopped:
        work_until_stopped()
    assert stopped.value.keeps_blocks == (done and keep)
    left = [p for p in tmp_path.rglob("*") if p.is_file()]
    assert bool(left) == (done and keep)
    assert all("blocks.zarr" in p.parts for p in left)
    assert (tmp_path / ".mäsk.cropseg").exists() == (done and keep)
    with workspace(destination, keep_blocks=True):
        pass
    assert not list(tmp_path.iterdir())


@contextmanager
def held(monkeypatch, name: str, *, tries: int) -> Iterator[None]:
    """A file that is not removed at first: on Windows, as long as a killed program's files are not let go."""
    left, unlink = [PermissionError(13, "in use by another process")] * tries, os.unlink

    def refuse(path, *arguments, **named):
        if Path(path).name == name and left:
            raise left.pop()
        unlink(path, *arguments, **named)

    with monkeypatch.context() as patched:
        patched.setattr(module, "_WAIT_S", 0)
        patched.setattr("os.unlink", refuse)
        yield


@pytest.mark.parametrize("tries", [2, 10**6])
@pytest.mark.parametrize("stopped", [True, False])
def test_a_file_that_is_held_changes_nothing_about_how_a_run_ends(tmp_path, monkeypatch, stopped, tries):
    destination = tmp_path / "mask.tif"
    ending = pytest.raises(Cancelled) if stopped else nullcontext()
    with (
        ending as caught,
        held(monkeypatch, "draft_mask.tif", tries=tries),
        workspace(destination, keep_blocks=stopped) as work,
    ):
        write_blocks(work, done=True)
        if stopped:
            raise Cancelled
    assert not stopped or caught.value.keeps_blocks
    left = {p.name for p in tmp_path.rglob("*") if p.is_file() and "blocks.zarr" not in p.parts}
    assert left == ({"draft_mask.tif"} if tries > 2 else set())
    with workspace(destination, keep_blocks=True):
        pass
    assert not list(tmp_path.iterdir())


def test_two_runs_do_not_write_one_file(tmp_path):
    destination = tmp_path / "mask.tif"
    with workspace(destination, keep_blocks=True) as work:
        write_blocks(work, done=True)
        before = sorted(work.rglob("*"))
        with pytest.raises(PlaceError, match="Another run writes"), workspace(destination, keep_blocks=False):
            pytest.fail("two runs at once")
        assert sorted(work.rglob("*")) == before
        with workspace(tmp_path / "other.tif", keep_blocks=False):
            pass
    with workspace(destination, keep_blocks=False):
        pass
    assert not list(tmp_path.iterdir())


def test_the_workspace_goes_when_the_work_is_done(tmp_path):
    with workspace(tmp_path / "new" / "mask.tif", keep_blocks=True) as work:
        write_blocks(work, done=True)
        assert holds_blocks(work)
    assert not list((tmp_path / "new").iterdir())


def test_a_finished_file_replaces_an_earlier_one_and_a_failure_says_what_to_do(tmp_path):
    (tmp_path / "draft.tif").write_text("new")
    (tmp_path / "mask.tif").write_text("old")
    (tmp_path / "mask.tif.aux.xml").write_text("old statistics")
    with (tmp_path / "mask.tif").open() as reader:
        place(tmp_path / "draft.tif", tmp_path / "mask.tif")
        assert reader.read() == "old"
    assert (tmp_path / "mask.tif").read_text() == "new"
    assert not (tmp_path / "mask.tif.aux.xml").exists()
    with pytest.raises(PlaceError, match="remove the layer"):
        place(tmp_path / "nothing.tif", tmp_path / "mask.tif")


def on_windows(monkeypatch, *held: str, tries: int = 10**6) -> None:
    """Open files cannot be replaced the first times that it is tried, and none by :func:`os.rename`."""
    replace, left = os.replace, dict.fromkeys(held, tries)

    def refuse(source, target):
        if left.get(name := Path(source).name) or left.get(name := Path(target).name):
            left[name] -= 1
            raise PermissionError(13, "in use by another process")
        replace(source, target)

    monkeypatch.setattr(module, "_ON_WINDOWS", True)
    monkeypatch.setattr(module, "_WAIT_S", 0)
    monkeypatch.setattr("os.rename", lambda *_: pytest.fail("refuses what is there"))
    monkeypatch.setattr("os.replace", refuse)


def test_an_earlier_file_that_is_held_stays_whole_with_what_is_beside_it(tmp_path, monkeypatch):
    (tmp_path / "draft.tif").write_text("new")
    for name in ("mask.tif", "mask.tif.aux.xml"):
        (tmp_path / name).write_text("old")
    on_windows(monkeypatch, "mask.tif")
    with pytest.raises(PlaceError, match="remove the layer"):
        place(tmp_path / "draft.tif", tmp_path / "mask.tif")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {
        "draft.tif": "new", "mask.tif": "old", "mask.tif.aux.xml": "old"
    }  # fmt: skip


def test_on_windows_what_is_held_for_good_is_refused_before_the_work_all_by_name(tmp_path, monkeypatch):
    paths = [tmp_path / name for name in ("mask.tif", "prob.tif", "a.gpkg")]
    for path in paths:
        path.write_text("old")
    new = tmp_path / "new.csv"
    require_replaceable([*paths, new])
    on_windows(monkeypatch, "mask.tif", "a.gpkg", "new.csv")
    with pytest.raises(
        PlaceError, match=r"mask\.tif, \S+a\.gpkg cannot be written .*another process"
    ) as refused:
        require_replaceable([*paths, new])
    assert "prob.tif" not in str(refused.value)
    assert "remove the layer" in str(refused.value)
    assert [path.read_text() for path in paths] == ["old"] * 3


@pytest.mark.parametrize("held", ["mask.tif", "draft.tif"])
def test_on_windows_what_is_held_for_a_moment_is_waited_for(tmp_path, monkeypatch, held):
    draft, mask = tmp_path / "draft.tif", tmp_path / "mask.tif"
    mask.write_text("old")
    on_windows(monkeypatch, held, tries=3)
    require_replaceable([mask])
    draft.write_text("new")
    place(draft, mask)
    assert mask.read_text() == "new"


@pytest.mark.parametrize("is_full", [False, True])
def test_from_another_file_system_a_file_is_whole_before_it_gets_its_name(tmp_path, monkeypatch, is_full):
    source, old = tmp_path / "elsewhere" / "draft.tif", tmp_path / "results" / "mask.tif"
    for path, text in ((source, "new"), (old, "old")):
        path.parent.mkdir()
        path.write_text(text)
    replace = os.replace

    def stay(start, target):
        if Path(start).parent != Path(target).parent:
            raise OSError(errno.EXDEV, "another file system")
        replace(start, target)

    def fill(_, target):
        Path(target).write_text("ne")
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr("os.replace", stay)
    if is_full:
        monkeypatch.setattr("shutil.copyfile", fill)
    with pytest.raises(PlaceError, match="no space left") if is_full else nullcontext():
        place(source, old)
    assert {p.name: p.read_text() for p in old.parent.iterdir()} == {"mask.tif": "old" if is_full else "new"}
