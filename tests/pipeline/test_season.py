"""Many orthomosaics in one call: names, refusals before any work, failures that stop nobody else."""

from __future__ import annotations

import json
import shutil
import threading
from collections import namedtuple
from inspect import signature

import geopandas as gpd
import numpy as np
import pytest
import shapely
from geopandas.testing import assert_geodataframe_equal
from rasters import ORIGIN, UTM, scene, write_plots, write_raster
from typer.testing import CliRunner

import cropseg_geo as cg
from cropseg_geo.cli import app
from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.events import RasterFinished, RasterStarted, StageStarted, Warned
from cropseg_geo.pipeline.finding import distinct_stems, find_rasters
from cropseg_geo.pipeline.journal import Journal, digest_inputs
from cropseg_geo.preflight import prepare

SMALL = scene(120, 130)
JOURNAL = ".cropseg-season.json"


@pytest.fixture
def flights(tmp_path):
    """Two folders with a raster of the same name, and another raster in the second."""
    for folder in ("may", "june"):
        (tmp_path / folder).mkdir()
        write_raster(tmp_path / folder / "field.tif", SMALL)
    return tmp_path, write_raster(tmp_path / "june" / "late.tif", SMALL)


def test_names_that_are_shared_are_told_apart_by_their_folders():
    paths = ["/s/may/field.tif", "/s/june/field.tif", "/s/june/other.tif", "/t/june/field.tif"]
    assert distinct_stems(paths) == ["may_field", "s_june_field", "other", "t_june_field"]
    assert distinct_stems(["/s/a.tif", "/s/a.vrt", "/s/A.jp2"]) == ["s_a_1", "s_a_2", "s_A_3"]
    assert distinct_stems(["https://h/1/o.tif", "https://h/2/o.tif?x=/3"]) == ["1_o", "2_o"]
    assert distinct_stems(["https://h/o.tif?x=1#a/b", "zip://a/z.zip!p.tif"]) == ["o", "p"]
    assert distinct_stems(["zip://a/y.zip!o.tif", "zip://a/z.zip!o.tif"]) == ["y.zip_o", "z.zip_o"]
    assert len(set(distinct_stems(["/b_a/x.tif", "/c/x.tif", "/c/c_x.tif"]))) == 3


def test_folders_and_patterns_are_found_once_and_our_own_outputs_are_not(flights):
    folder, late = flights
    (folder / "june" / "field_mask.tif").write_bytes(b"")
    (folder / "june" / "notes.txt").write_bytes(b"")
    june = str(folder / "june" / "field.tif")
    found = find_rasters([june, folder / "june", f"{folder}/*/field.tif", "s3://b/x.tif"])
    assert found == [june, str(late), str(folder / "may" / "field.tif"), "s3://b/x.tif"]
    (folder / "empty").mkdir()
    for nothing in (folder / "empty", f"{folder}/*.jp2"):
        with pytest.raises(InputError, match="holds no raster"):
            find_rasters([nothing])


def test_a_refused_one_refuses_all_before_any_work_unless_it_is_skipped(flights, tmp_path):
    folder, _ = flights
    write_raster(folder / "may" / "plain.tif", SMALL[:1])
    out, events = tmp_path / "out", []
    with pytest.raises(InputError, match=r"1 of 2 rasters cannot(?s:.*)plain\.tif") as refused:
        cg.segment_many([folder / "may"], out, listener=events.append)
    assert "--skip-refused" in refused.value.remedy
    assert not events
    assert not list(out.iterdir())
    outcomes = cg.segment_many([folder / "may"], out, skip_refused=True)
    assert [outcome.state for outcome in outcomes] == ["done", "refused"]
    assert (out / "field_mask.tif").exists()


def test_a_failed_one_does_not_stop_the_others_and_the_same_call_does_only_it_again(
    flights, tmp_path, monkeypatch
):
    folder, _ = flights
    out, events = tmp_path / "out", []
    from cropseg_geo.pipeline import turns

    whole = turns.segment_noted

    def failing(raster, *args, **options):
        if "late" in raster:
            raise OutputError("the disk is full", remedy="buy another")
        return whole(raster, *args, **options)

    monkeypatch.setattr(turns, "segment_noted", failing)
    given = [folder / "may", folder / "june"]
    outcomes = cg.segment_many(given, out, listener=events.append)
    assert [(o.stem, o.state) for o in outcomes] == [
        ("may_field", "done"),
        ("june_field", "done"),
        ("late", "failed"),
    ]
    started = [event.number for event in events if isinstance(event, RasterStarted)]
    finished = [(event.state, event.message) for event in events if isinstance(event, RasterFinished)]
    assert started == [1, 2, 3]
    assert finished[2][0] == "failed"
    assert "the disk is full" in finished[2][1]

    monkeypatch.setattr(turns, "segment_noted", whole)
    with pytest.raises(InputError, match=r"may_field_mask\.tif"):  # another option: what is done is not kept
        cg.segment_many(given, out, threshold=0.7)
    again = []
    outcomes = cg.segment_many(given, out, listener=again.append)
    assert [outcome.state for outcome in outcomes] == ["kept", "kept", "done"]
    assert sum(isinstance(e, StageStarted) and e.stage == "segment" for e in again) == 1
    assert [path.name for path in out.glob(".*")] == [JOURNAL]


@pytest.fixture
def season(tmp_path):
    """Two rasters, what they are measured with, and a call that does them."""
    for name in "ab":
        write_raster(tmp_path / f"{name}.tif", SMALL)
    for name, height in (("dsm", 101), ("dtm", 100)):
        write_raster(tmp_path / f"{name}.tif", np.full((1, 120, 130), height, dtype=np.float32))
    write_plots(tmp_path / "plots.gpkg", [(0.2, 0.2, 0.9, 0.9)], plot_id=["p"])

    def call(*names, out="out", **arguments):
        return cg.segment_many([tmp_path / f"{name}.tif" for name in names], tmp_path / out, **arguments)

    return tmp_path, call


def test_what_is_wrong_with_the_plots_themselves_is_said_once(season):
    folder, call = season
    frame = gpd.read_file(folder / "plots.gpkg")
    frame.assign(geometry=frame.boundary).to_file(folder / "lines.gpkg")
    told = []
    call("a", "b", plots=folder / "lines.gpkg", listener=told.append)
    assert [e.message for e in told if "closed lines" in getattr(e, "message", "")] == [
        "closed lines are taken for outlines: plot p"
    ]


def test_a_folder_that_has_grown_is_finished_by_the_same_call(season):
    folder, call = season
    (first,) = call("a", plots=folder / "plots.gpkg", report=True)
    kept, done = call("a", "b", plots=folder / "plots.gpkg", report=True)
    assert (kept.state, done.state) == ("kept", "done")
    assert kept.result.summary == first.result.summary
    assert kept.result.files == first.result.files
    assert list(kept.result.plots["plot_id"]) == ["p"]
    assert kept.result.plots["coverage"].to_list() == pytest.approx(first.result.plots["coverage"], abs=1e-4)


def test_what_has_changed_since_is_not_kept(season):
    folder, call = season
    heights = {"dsm": folder / "dsm.tif", "dtm": folder / "dtm.tif"}
    call("a", plots=folder / "plots.gpkg", **heights)

    def state(**changes):
        try:
            (outcome,) = call("a", **{"plots": folder / "plots.gpkg", **heights, **changes})
        except OutputError as err:
            return err.message.partition(": ")[2]
        return outcome.state

    assert state() == "kept"
    assert state(workers=cg.Workers(lanes=1), outlines=cg.Outlines()) == "kept"
    shutil.copy(folder / "dsm.tif", folder / "other.tif")
    changes = {
        "dsm": folder / "other.tif",
        "dtm": folder / "other.tif",
        "outlines": cg.Outlines(min_area_m2=0.1),
        "canopy_format": "fgb",
        "report": True,
        "gsd_m": "auto",
        "grid": "working",
        "threshold": 0.6,
    }
    own = signature(digest_inputs).parameters.values()
    assert {p.name for p in own if p.kind is p.KEYWORD_ONLY} <= set(changes)
    for name, value in changes.items():
        assert state(**{name: value}).startswith("already holds"), name
    for name in heights:
        write_raster(folder / f"{name}.tif", np.full((1, 120, 130), 99, dtype=np.float32))
        assert state().startswith("already holds"), name
        call("a", plots=folder / "plots.gpkg", **heights, overwrite=True)
        assert state() == "kept"
    write_plots(folder / "plots.gpkg", [(0.2, 0.2, 0.8, 0.9)], plot_id=["p"])
    assert state().startswith("already holds")


def test_plots_given_as_a_frame_count_by_every_row(season):
    _folder, call = season
    left, top = ORIGIN
    boxes = [shapely.box(left + k / 200, top - 0.5, left + k / 200 + 0.1, top) for k in range(200)]
    frame = gpd.GeoDataFrame({"plot_id": range(200)}, geometry=boxes, crs=UTM)
    call("a", plots=frame)
    assert call("a", plots=frame.copy())[0].state == "kept"
    other = frame.copy()
    other.loc[100, "geometry"] = shapely.box(left, top - 1, left + 1, top)
    with pytest.raises(OutputError, match="already holds"):
        call("a", plots=other)


@pytest.mark.parametrize(
    ("ids", "shape"), [([3, 1, 2], "shape"), (["01", "b", "3"], "geometry"), ([1, "b", 2], "coverage")]
)
def test_what_is_kept_has_the_same_frame_as_what_was_done(season, ids, shape):
    _folder, call = season
    left, top = ORIGIN
    boxes = [shapely.box(left + x, top - 0.9, left + x + 0.3, top - 0.2) for x in (0, 0.4, 0.8)]
    frame = gpd.GeoDataFrame({"plot_id": ids, "n": [7, 8, 9]}, geometry=boxes, crs=UTM)
    frame = frame.set_geometry(frame.geometry.rename(shape)).iloc[::-1]
    frame = frame[["plot_id", "n", shape]]
    (done,), (kept,) = call("a", plots=frame), call("a", plots=frame)
    assert kept.state == "kept"
    assert_geodataframe_equal(kept.result.plots, done.result.plots, check_less_precise=True)
    assert len(set(kept.result.plots["coverage"])) == 3


def test_without_its_layer_of_plots_nothing_is_kept(season):
    folder, call = season
    call("a", plots=folder / "plots.gpkg")
    layers = folder / "out" / "a.gpkg"
    canopy = gpd.read_file(layers, layer="canopy")
    layers.unlink()
    canopy.to_file(layers, layer="canopy")
    with pytest.raises(OutputError, match="already holds"):
        call("a", plots=folder / "plots.gpkg")


def test_a_season_that_is_stopped_while_it_deletes_blocks_goes_on(season, monkeypatch):
    folder, call = season

    def stop(_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cropseg_geo.runs._remove", stop)
        with pytest.raises(KeyboardInterrupt):
            call("a", "b")
    assert [outcome.state for outcome in call("a", "b")] == ["kept", "done"]
    assert [path.name for path in (folder / "out").glob(".*")] == [JOURNAL]


def test_a_season_that_is_stopped_before_it_notes_a_raster_finishes_it(season, monkeypatch):
    folder, call = season

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("cropseg_geo.pipeline.journal.Journal.note", stop)
        with pytest.raises(KeyboardInterrupt):
            call("a")
    (again,) = call("a")
    assert again.state == "done"
    assert again.result.summary.blocks_resumed
    assert [path.name for path in (folder / "out").glob(".*")] == [JOURNAL]


def test_what_was_done_before_its_name_was_shared_is_kept(season):
    folder, call = season
    (folder / "more").mkdir()
    call("a")
    write_raster(folder / "more" / "a.tif", scene(120, 130, seed=1))
    (folder / "c").mkdir()
    shutil.copy2(folder / "a.tif", folder / "c" / "a.tif")  # of the same content, and still another raster
    outcomes = call("a", "more/a", "c/a")
    assert [(o.stem, o.state) for o in outcomes] == [("a", "kept"), ("more_a", "done"), ("c_a", "done")]
    assert [o.state for o in call("a", "more/a", "c/a")] == ["kept"] * 3


def test_arguments_that_segment_does_not_have_are_refused_also_where_all_is_kept(season):
    _, call = season
    call("a")
    for name in ("treshold", "stem"):
        with pytest.raises(TypeError, match=rf"segment_many\(\) got an unexpected keyword argument '{name}'"):
            call("a", **{name: "x"})


@pytest.mark.parametrize("value", ["x", None, [1], float("inf")])
def test_what_has_a_damaged_summary_is_not_kept(season, value):
    folder, call = season
    call("a")
    journal = folder / "out" / JOURNAL
    said = json.loads(journal.read_text())
    said["a"]["summary"]["n_polygons"] = value
    journal.write_text(json.dumps(said))
    with pytest.raises(OutputError, match="already holds"):
        call("a")


@pytest.mark.parametrize("name", ["a.gpkg", "a_prob.tif", "a_report.html"])
def test_every_file_has_to_be_there(season, name):
    folder, call = season
    call("a", report=True)
    (folder / "out" / name).unlink()
    with pytest.raises(OutputError, match="already holds"):
        call("a", report=True)


def test_a_mask_that_another_command_has_replaced_is_not_kept(season):
    folder, call = season
    call("a")
    cg.segment(folder / "a.tif", folder / "out", overwrite=True, threshold=0.7)
    with pytest.raises(OutputError, match="already holds"):
        call("a")


def test_two_seasons_in_one_folder_keep_what_each_other_has_done(season):
    _, call = season
    during = []

    def do_the_other(event):
        if isinstance(event, RasterStarted) and not during:
            during.extend(call("b"))

    call("a", listener=do_the_other)
    assert [outcome.state for outcome in call("a", "b")] == ["kept", "kept"]


def test_what_several_note_at_a_time_is_all_in_the_journal(season):
    folder, call = season
    (done,) = call("a")
    together, names = threading.Barrier(2), [[f"{n}_{k}" for k in range(20)] for n in range(2)]

    def note(stems):
        journal = Journal(folder / "out")
        together.wait()
        for stem in stems:
            journal.note(stem, "inputs", {"backend": "torch"}, done.result)

    threads = [threading.Thread(target=note, args=(stems,)) for stems in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(json.loads((folder / "out" / JOURNAL).read_text())) == {"a", *names[0], *names[1]}


def test_a_listener_that_raises_stops_the_season(season):
    folder, call = season

    class CancelledError(Exception):
        pass

    def cancel(event):
        if isinstance(event, StageStarted):
            raise CancelledError

    with pytest.raises(CancelledError):
        call("a", "b", listener=cancel)
    assert not list((folder / "out").glob("*.tif"))


def test_a_journal_that_cannot_be_written_is_told_and_stops_nobody(season):
    folder, call = season
    (folder / "out" / JOURNAL).mkdir(parents=True)
    told = []
    assert [outcome.state for outcome in call("a", "b", listener=told.append)] == ["done", "done"]
    assert sum("would not know" in event.message for event in told if isinstance(event, Warned)) == 2


@pytest.mark.parametrize(
    "said", ["5", "[1, 2]", "{", "[" * 100_000, '{"field": 5}', '{"field": {"files": 5}}']
)
def test_a_damaged_journal_is_none(flights, said):
    folder, _ = flights
    (folder / "out").mkdir()
    (folder / "out" / JOURNAL).write_text(said)
    (outcome,) = cg.segment_many([folder / "may"], folder / "out")
    assert outcome.state == "done"


def test_what_the_disk_lacks_for_all_of_them_is_told_before_the_first(flights, monkeypatch):
    folder, _ = flights
    ready = [prepare(path) for path in find_rasters([folder / "may", folder / "june"])]
    needed = sum(r.finished_bytes for r in ready) + ready[0].disk_bytes - ready[0].finished_bytes
    assert max(r.disk_bytes for r in ready) < needed < sum(r.disk_bytes for r in ready)
    usage = namedtuple("usage", "total used free")

    def told(free, rasters, out, **more):
        events = []
        monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10**9, 10**9 - free, free))
        cg.segment_many(rasters, folder / out, listener=events.append, **more)
        first = next(k for k, event in enumerate(events) if isinstance(event, RasterStarted))
        return [e.message for e in events[:first] if isinstance(e, Warned)]

    (lacking,) = told(needed - 1, [folder / "may", folder / "june"], "a")
    assert "these 3 rasters may need" in lacking
    assert not told(needed - 1, [folder / "may", folder / "june"], "a", overwrite=True)
    assert not told(needed, [folder / "may", folder / "june"], "b")
    assert not told(needed - 1, [folder / "may"], "c")


def test_the_command_ends_with_a_table_and_says_by_its_exit_code_that_one_failed(flights):
    folder, _ = flights
    runner, out = CliRunner(), folder / "out"
    command = ["segment", str(folder / "may"), f"{folder}/june/f*.tif", "-o", str(out), "--lanes", "1"]
    done = runner.invoke(app, [*command, "--events"])
    assert done.exit_code == 0, done.output
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["number"] for line in lines if line["event"] == "raster_started"] == [1, 2]
    assert lines[-1]["task"] == "segment_many"
    assert [row["state"] for row in lines[-1]["rasters"]] == ["done", "done"]
    assert sorted(p.name for p in out.glob("*_mask.tif")) == ["june_field_mask.tif", "may_field_mask.tif"]
    write_raster(folder / "may" / "plain.tif", SMALL[:1])
    again = runner.invoke(app, [*command, "-q", "--overwrite", "--skip-refused"])
    assert again.exit_code == 1
    for part in ("refused", "2 of 3 rasters are segmented"):
        assert part in again.stdout
