"""One writer for a file: the second is told who the first is; who has died holds nothing."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from dataclasses import asdict, replace

import numpy as np
import pytest
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo import locks
from cropseg_geo.errors import OutputError
from cropseg_geo.locks import lock_path, locked, read_holder, refuse_locked


def in_another_thread(work):
    """The error that some work raises in a thread of its own, or None."""
    errors = []

    def run():
        try:
            work()
        except OutputError as err:
            errors.append(err)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    return errors[0] if errors else None


def take(path):
    with locked([path]):
        pass


def test_the_second_writer_is_told_who_the_first_is(tmp_path):
    file = tmp_path / "field.gpkg"
    with locked([file, tmp_path / "other.tif"]):
        refused = in_another_thread(lambda: take(file))
        assert isinstance(refused, OutputError)
        for part in (str(file), f"process {os.getpid()}", socket.gethostname(), "since 20"):
            assert part in refused.message
        assert isinstance(in_another_thread(lambda: refuse_locked([file])), OutputError)
        with locked([file]):  # a sentence within the sentence
            pass
        assert lock_path(file).exists()
    assert in_another_thread(lambda: take(file)) is None
    assert not list(tmp_path.iterdir())


def test_only_one_of_many_gets_a_lock_even_a_stale_one(tmp_path):
    file, held, most = tmp_path / "f.tif", [], []
    gate = threading.Barrier(8)
    holder = dead_holder()
    for _ in range(10):
        lock_path(file).write_text(json.dumps(asdict(holder)))
        got = []

        def run(got=got):
            gate.wait()
            try:
                with locked([file]):
                    held.append(1)
                    most.append(len(held))
                    gate.wait()
                    held.pop()
                    got.append(1)
            except OutputError:
                gate.wait()

        threads = [threading.Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 1
    assert max(most) == 1


def dead_holder() -> locks.Holder:
    """A lock's holder that ran on this machine and has died."""
    code = "import json, cropseg_geo.locks as l; print(json.dumps(vars(l._this_process())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return locks.Holder(**json.loads(done.stdout))


def test_a_lock_of_a_process_that_died_or_whose_number_came_round_again_is_taken_over(tmp_path):
    file = tmp_path / "f.tif"
    holder = dead_holder()
    for stale in (holder, replace(holder, pid=os.getpid())):
        lock_path(file).write_text(json.dumps(asdict(stale)))
        with locked([file]):
            assert read_holder(lock_path(file)).pid == os.getpid()
            assert read_holder(lock_path(file)).token != stale.token
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", [None, "", "{}"])
def test_a_lock_of_another_machine_holds_until_it_gives_no_sign_of_life(tmp_path, text):
    file = tmp_path / "f.tif"
    lock = lock_path(file)
    other = replace(dead_holder(), host="far", machine="another boot")
    lock.write_text(json.dumps(asdict(other)) if text is None else text)
    with pytest.raises(OutputError, match="on far" if text is None else "does not say which") as refused:
        take(file)
    assert "120 s" in refused.value.remedy
    past = lock.stat().st_mtime - locks.EXPIRY_S - 1
    os.utime(lock, (past, past))
    take(file)
    assert not lock.exists()


def test_a_holder_gives_signs_of_life_and_learns_that_it_was_taken_for_dead(tmp_path, monkeypatch):
    monkeypatch.setattr(locks, "TOUCH_S", 0.02)
    file = tmp_path / "f.tif"
    lock = lock_path(file)
    with locked([file]) as (held,):
        os.utime(lock, (1, 1))
        for _ in range(200):
            if lock.stat().st_mtime > 1:
                break
            threading.Event().wait(0.02)
        assert lock.stat().st_mtime > 1
        held.require_held()
        theirs = json.dumps(asdict(replace(held.holder, token="theirs")))
        lock.write_text(theirs)
        with pytest.raises(OutputError, match="another run has taken over"):
            held.require_held()
    assert lock.read_text() == theirs


def test_a_second_run_on_the_same_output_is_refused_and_the_first_unharmed(tmp_path):
    raster = write_raster(tmp_path / "field.tif", scene(150, 160))
    out, refusals = tmp_path / "out", []

    def second(event):
        """While the first run works."""
        if not refusals:
            refusals.append(in_another_thread(lambda: cg.segment(raster, out)))
            mask = write_raster(tmp_path / "m.tif", np.ones((1, 40, 40), dtype=np.uint8), nodata=255)
            trace = lambda: cg.vectorize(mask, out / "field.gpkg", overwrite=True)  # noqa: E731
            refusals.append(in_another_thread(trace))

    from cropseg_geo.events import StageAdvanced

    result = cg.segment(
        raster, out, listener=lambda event: isinstance(event, StageAdvanced) and second(event)
    )
    for refused in refusals:
        assert isinstance(refused, OutputError)
        assert "is being written by another run" in refused.message
    assert len(refusals) == 2
    assert sorted(out.iterdir()) == sorted(result.outputs.paths)


def test_two_runs_that_write_the_same_file_do_not_share_a_draft(tmp_path):
    mask = write_raster(tmp_path / "m.tif", np.ones((1, 40, 40), dtype=np.uint8), nodata=255)
    out, refusals = tmp_path / "c.gpkg", []

    def second(_):
        if not refusals:
            refusals.append(in_another_thread(lambda: cg.vectorize(mask, out)))

    assert cg.vectorize(mask, out, listener=second).n_polygons == 1
    assert isinstance(refusals[0], OutputError)
    assert "another run" in refusals[0].message


def test_a_lock_from_the_future_is_stale_too(tmp_path):
    """Of a machine that crashed before its clock was set back."""
    file = tmp_path / "f.tif"
    holder = replace(dead_holder(), machine="another")
    lock_path(file).write_text(json.dumps(asdict(holder)))
    with pytest.raises(OutputError):
        take(file)
    os.utime(lock_path(file), (4e9, 4e9))
    refuse_locked([file])
    take(file)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("entry", [{"pid": "x"}, {"pid": -5}, {"pid": None}, {"started": "noon"}])
def test_a_lock_whose_holder_cannot_be_is_one_that_says_nothing(tmp_path, entry):
    file = tmp_path / "f.tif"
    holder = replace(dead_holder(), machine=locks._machine())
    lock_path(file).write_text(json.dumps(asdict(holder) | entry))
    with pytest.raises(OutputError, match="it does not say which"):
        take(file)
    os.utime(lock_path(file), (1e9, 1e9))
    take(file)


@pytest.mark.parametrize("n_refused", [3, 10_000])
@pytest.mark.parametrize("kind", [".lock", ".cropseg-lock-"])
def test_a_lock_that_another_program_looks_at_stops_nobody(tmp_path, monkeypatch, kind, n_refused):
    """Windows deletes no file that a virus scanner has open: for a moment, or for longer than one waits."""
    unlink, refused = os.unlink, []

    def unlink_later(path, **how):
        if kind in os.path.basename(path) and len(refused) < n_refused:  # noqa: PTH119 - any kind of path
            refused.append(path)
            raise PermissionError(13, "used by another process", str(path))
        unlink(path, **how)

    monkeypatch.setattr(os, "unlink", unlink_later)
    monkeypatch.setattr("cropseg_geo.paths._PATIENCE_S", 0.3)
    file = tmp_path / "f.tif"
    take(file)
    assert refused
    assert bool(list(tmp_path.iterdir())) == (n_refused > 3)
    refuse_locked([file])
    n_refused = 0
    take(file)
    refuse_locked([file])
    assert not lock_path(file).exists()
