"""Several processes that do one season: each raster once, whoever dies, and the same files as from one."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pytest
from rasters import scene, write_raster

import cropseg_geo as cg
from cropseg_geo.engine.tuning import Setting, Tuned
from cropseg_geo.errors import InputError, InUseError
from cropseg_geo.events import RasterFinished, RasterStarted, Warned
from cropseg_geo.locks import locked, read_holder
from cropseg_geo.pipeline import turns

NAMES = "abcde"
SMALL = scene(120, 130)


@pytest.fixture
def flights(tmp_path):
    (tmp_path / "flights").mkdir()
    for name in NAMES:
        write_raster(tmp_path / "flights" / f"{name}.tif", SMALL)
    return tmp_path / "flights"


@pytest.fixture(autouse=True)
def _look_often(monkeypatch):
    monkeypatch.setattr(turns, "_LOOK_S", 0.05)


def start(flights, out, *more):
    command = [sys.executable, "-m", "cropseg_geo.cli", "segment", str(flights), "-o", str(out), "--share"]
    return subprocess.Popen(
        [*command, "--events", "--lanes", "1", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def states_of(process):
    out, err = process.communicate(timeout=180)
    last = json.loads(out.splitlines()[-1])
    assert process.returncode == 0, (last, err)
    return {Path(row["raster"]).stem: row["state"] for row in last["rasters"]}


def pixels(folder):
    return {path.name: path.read_bytes() for path in folder.glob("*_*.tif")}


def test_three_processes_do_each_raster_once_and_all_know_of_all(flights, tmp_path):
    out = tmp_path / "out"
    told = [states_of(process) for process in [start(flights, out) for _ in range(3)]]
    done = Counter(stem for states in told for stem, state in states.items() if state == "done")
    assert done == Counter(NAMES)
    assert all(set(states) == set(NAMES) for states in told)
    assert {state for states in told for state in states.values()} <= {"done", "kept"}
    cg.segment_many([flights], tmp_path / "alone")
    assert pixels(out) == pixels(tmp_path / "alone")
    assert [path.name for path in out.glob(".*")] == [".cropseg-season.json"]


def test_what_a_killed_process_had_begun_is_finished_by_another(flights, tmp_path):
    out = tmp_path / "out"
    victim = start(flights, out)
    deadline = time.monotonic() + 120
    while not (locks := list(out.glob(".*_mask.tif.lock"))) and time.monotonic() < deadline:
        time.sleep(0.01)
    victim.kill()
    victim.communicate()
    assert read_holder(locks[0]).pid == victim.pid
    assert set(states_of(start(flights, out)).values()) <= {"done", "kept"}
    assert len(list(out.glob("*_mask.tif"))) == len(NAMES)
    assert not list(out.glob(".*.lock"))


def held(path, until):
    """A thread that holds a file's lock as another run would, until the event."""
    taken = threading.Event()

    def hold():
        with locked([path]):
            taken.set()
            until.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    assert taken.wait(10)
    return thread


def listening(when, over):
    """A list of events and what fills it, which sets ``over`` at the first of a kind."""
    events = []

    def listen(event):
        events.append(event)
        if when(event):
            over.set()

    return events, listen


def test_what_others_have_begun_comes_last_and_is_waited_for(flights, tmp_path):
    out, over = tmp_path / "out", threading.Event()
    out.mkdir()
    events, listen = listening(lambda e: isinstance(e, Warned) and e.message.startswith("waiting"), over)
    thread = held(out / "b_mask.tif", over)
    outcomes = cg.segment_many([flights], out, share=True, listener=listen)
    thread.join()
    assert [outcome.stem for outcome in outcomes] == list(NAMES)
    assert {outcome.state for outcome in outcomes} == {"done"}
    waits = [e.message for e in events if isinstance(e, Warned) and "waiting" in e.message]
    assert waits == ["waiting for what other processes have begun: b.tif"]
    assert [e.number for e in events if isinstance(e, RasterStarted)] == [1, 3, 4, 5, 2]
    assert [e.state for e in events if isinstance(e, RasterFinished)] == ["done"] * 5


def test_what_is_finished_by_another_while_this_one_works_is_kept(flights, tmp_path, monkeypatch):
    out, whole = tmp_path / "out", turns.segment_noted

    def with_another(raster, *args, **options):
        monkeypatch.setattr(turns, "segment_noted", whole)
        others = sorted(flights.glob("[b-e].tif"))
        thread = threading.Thread(target=cg.segment_many, args=(others, out), kwargs={"share": True})
        thread.start()  # another one is faster with all others
        thread.join()
        return whole(raster, *args, **options)

    monkeypatch.setattr(turns, "segment_noted", with_another)
    outcomes = cg.segment_many([flights], out, share=True)
    assert {outcome.state for outcome in outcomes} <= {"done", "kept"}
    assert [outcome.state for outcome in outcomes[1:]] == ["kept"] * 4


def test_a_raster_that_is_lost_to_another_at_the_last_moment_is_waited_for(flights, tmp_path, monkeypatch):
    whole, lost, events = turns.segment_noted, [], []

    def losing(raster, *args, **options):
        if not lost:
            lost.append(raster)
            raise InUseError("another run was faster")
        return whole(raster, *args, **options)

    monkeypatch.setattr(turns, "segment_noted", losing)
    outcomes = cg.segment_many([flights], tmp_path / "out", share=True, listener=events.append)
    assert lost
    assert {outcome.state for outcome in outcomes} == {"done"}
    assert len([e for e in events if isinstance(e, RasterFinished)]) == len(NAMES)


@pytest.mark.parametrize("ending", ["_mask.tif", ".gpkg"])
def test_a_file_in_use_delays_its_raster_and_nothing_else(flights, tmp_path, ending):
    out, over = tmp_path / "out", threading.Event()
    out.mkdir()
    events, listen = listening(lambda e: isinstance(e, RasterFinished) and e.raster.endswith("e.tif"), over)
    thread = held(out / f"b{ending}", over)
    outcomes = cg.segment_many([flights], out, share=True, listener=listen)
    thread.join()
    assert {outcome.state for outcome in outcomes} == {"done"}
    assert [e.raster[-5] for e in events if isinstance(e, RasterFinished)] == list("acdeb")


def test_what_another_machine_does_in_another_way_is_refused_with_both_ways(flights, tmp_path, monkeypatch):
    out = tmp_path / "out"
    cg.segment_many([flights / "a.tif"], out, share=True, backend="onnxruntime")
    with pytest.raises(InputError) as told:
        cg.segment_many([flights], out, share=True, backend="torch")
    assert "by backend onnxruntime" in str(told.value)
    assert "by backend torch" in str(told.value)
    assert "--backend" in str(told.value)
    assert len(list(out.glob("*_mask.tif"))) == 1


def test_what_one_machine_has_measured_does_not_count(flights, tmp_path, monkeypatch):
    fastest = Setting(tile_px=128, lanes=1, batch_size=1)
    monkeypatch.setattr("cropseg_geo.preflight.remembered", lambda _: Tuned(fastest, fastest))
    monkeypatch.setattr("cropseg_geo.preflight.fits_extent", lambda *_: True)
    cg.segment_many([flights / "a.tif"], tmp_path / "shared", share=True)
    cg.segment_many([flights / "a.tif"], tmp_path / "tuned")
    cg.segment_many([flights / "a.tif"], tmp_path / "plain", tile_px=512)
    assert pixels(tmp_path / "shared") == pixels(tmp_path / "plain")
    assert pixels(tmp_path / "shared") != pixels(tmp_path / "tuned")


def test_an_unforeseen_error_at_a_rasters_turn_stops_no_other(flights, tmp_path, monkeypatch):
    kept, told = turns._kept, []

    def failing(journal, path, *more):
        if told and path.endswith("c.tif"):
            raise OSError(28, "No space left on device")
        return kept(journal, path, *more)

    def listen(event):
        if isinstance(event, RasterFinished):
            (tmp_path / "out" / ".cropseg-season.json").write_text(json.dumps({n: {} for n in NAMES}))
            told.append(event.state)

    monkeypatch.setattr(turns, "_kept", failing)
    outcomes = cg.segment_many([flights], tmp_path / "out", share=True, listener=listen)
    assert [outcome.state for outcome in outcomes] == ["done", "done", "failed", "done", "done"]
    assert told == ["done", "done", "failed", "done", "done"]


def test_without_sharing_a_raster_in_use_is_refused_and_sharing_overwrites_nothing(flights, tmp_path):
    over = threading.Event()
    (tmp_path / "out").mkdir()
    with ExitStack() as stack:
        stack.callback(held(tmp_path / "out" / "b_mask.tif", over).join)
        stack.callback(over.set)
        with pytest.raises(InputError, match=r"b_mask\.tif: is being written by another run"):
            cg.segment_many([flights], tmp_path / "out")
    with pytest.raises(InputError, match="share a season cannot overwrite it"):
        cg.segment_many([flights], tmp_path / "out", share=True, overwrite=True)


def test_what_is_wrong_is_refused_in_a_shared_season_too(flights, tmp_path):
    write_raster(flights / "plain.tif", SMALL[:1])
    with pytest.raises(InputError, match=r"1 of 6 rasters cannot(?s:.*)plain\.tif"):
        cg.segment_many([flights], tmp_path / "out", share=True)
    outcomes = cg.segment_many([flights], tmp_path / "out", share=True, skip_refused=True)
    assert [outcome.state for outcome in outcomes] == ["done"] * 5 + ["refused"]
