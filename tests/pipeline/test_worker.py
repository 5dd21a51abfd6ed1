"""The engine as a parent program sees it: one job in, JSON lines out, an exit code."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from rasters import write_plots, write_raster

import cropseg_geo as cg
from cropseg_geo import __version__, pipeline, worker
from cropseg_geo.arguments import bind
from cropseg_geo.engine.workers import Workers
from cropseg_geo.errors import InputError
from cropseg_geo.options import Options
from cropseg_geo.vector.options import Outlines

WORKER = [sys.executable, "-m", "cropseg_geo.worker"]


def job(task: str, **arguments: object) -> str:
    return json.dumps({"protocol": worker.PROTOCOL, "task": task, "arguments": arguments})


def do(text: str) -> tuple[int, list[dict]]:
    """Exit code and events of a job that is done in this process."""
    out = io.StringIO()
    code = worker.run(text, out)
    return code, [json.loads(line) for line in out.getvalue().splitlines()]


def write_mask(path, *, side: int, seed: int = 0) -> str:
    """A mask of single pixels: many polygons for its size."""
    values = np.random.default_rng(seed).integers(0, 2, (1, side, side), dtype=np.uint8)
    return str(write_raster(path, values, nodata=255))


@pytest.fixture(scope="module")
def mask(tmp_path_factory):
    return write_mask(tmp_path_factory.mktemp("mask") / "mask.tif", side=60)


def test_the_version_is_told_without_torch_and_alone_on_standard_output():
    code = (
        "import sys; from cropseg_geo import worker; worker.run(sys.argv[1], sys.stdout);"
        "print([m for m in ('torch', 'rasterio', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, job("version")], capture_output=True, text=True, check=True
    )
    answer, loaded = done.stdout.splitlines()
    told = json.loads(answer)
    assert (told["event"], told["version"], told["protocol"]) == ("result", __version__, worker.PROTOCOL)
    assert told["packages"]["torch"]
    assert loaded == "[]"


def test_what_libraries_print_does_not_reach_the_parent():
    code = (
        "import os; from cropseg_geo import worker;"
        "worker.TASKS['version'] = lambda *_: print('noise') or os.write(1, b'more noise') and {};"
        "worker.main([])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], input=job("version"), capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"event": "result", "task": "version"}
    assert "noise" in done.stderr


@pytest.mark.parametrize("options", [[], ["--stop-at-eof"]])
def test_while_a_job_runs_standard_input_is_empty_for_everybody_else(options):
    code = (
        "import os, sys; from cropseg_geo import worker;"
        "worker.TASKS['version'] = lambda *_: {'null': os.path.sameopenfile(0, os.open(os.devnull, 0))};"
        "worker.main(sys.argv[1:])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(job("version") + "\n")
        process.stdin.flush()
        if not options:
            process.stdin.close()
        told = json.loads(process.stdout.readline())
    assert told == {"event": "result", "task": "version", "null": True}


class Pipe:
    """What Windows says of a pipe that is asked what waits in it."""

    def __init__(self, *answers: int | OSError) -> None:
        self.answers = list(answers)

    def PeekNamedPipe(self, handle: int, size: int) -> tuple[int, int]:  # noqa: N802
        assert (handle, size) == (700, 0)
        answer = self.answers.pop(0)
        if isinstance(answer, OSError):
            raise answer
        return answer, 0


@pytest.mark.parametrize(
    ("answers", "reads"),
    [
        ((0, 0, BrokenPipeError()), 0),
        ((0, 5, 0, BrokenPipeError()), 1),
        # As of a file or a console: it ends where a read says so.
        ((OSError(22, "no pipe"), OSError(22, "no pipe")), 2),
    ],
)
def test_on_windows_nothing_is_read_before_it_is_there(monkeypatch, answers, reads):
    pipe, read = Pipe(*answers), iter([b"more", b""])
    done: list[bytes] = []
    monkeypatch.setattr("sys.platform", "win32")
    monkeypatch.setitem(sys.modules, "_winapi", pipe)
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(get_osfhandle=lambda _: 700))
    monkeypatch.setattr("cropseg_geo.worker.os.read", lambda *_: done.append(next(read)) or done[-1])
    monkeypatch.setattr(worker, "_POLL_S", 0)
    worker._wait_for_end(7)
    assert len(done) == reads
    assert not pipe.answers


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[1]", "names no task"),
        ('{"protocol": 1}', "names no task"),
        ('{"protocol": 99, "task": "version"}', "speaks protocol 99"),
        ('{"protocol": 1, "task": "harvest"}', "unknown task 'harvest'"),
        ('{"protocol": 1, "task": "version", "extra": 1}', "unknown entries: extra"),
        ('{"protocol": 1, "task": "version", "arguments": []}', "not an object"),
    ],
)
def test_what_is_no_job_is_refused_with_a_remedy(text, said):
    code, (event,) = do(text)
    assert code == worker.NO_JOB
    assert event["event"] == "error"
    assert said in event["message"]
    assert event["remedy"]


@pytest.mark.parametrize(
    ("arguments", "said", "remedy"),
    [
        ({}, "lacks mask, out", "it takes mask"),
        ({"mask": "m.tif", "out": "o.gpkg", "seed": 1}, "unknown arguments: seed", "it takes mask"),
        ({"mask": 7, "out": "o.gpkg"}, "'mask' is 7", "text or a path"),
        ({"mask": "m.tif", "out": "o.gpkg", "overwrite": "yes"}, "'overwrite' is 'yes'", "true or false"),
        ({"mask": "m.tif", "out": "o.gpkg", "listener": None}, "unknown arguments: listener", "it takes"),
        (
            {"mask": "m", "out": "o.gpkg", "outlines": {"sharp": 1}},
            "'outlines' has unknown",
            "outline, objects",
        ),
        ({"mask": "m", "out": "o.gpkg", "outlines": {"outline": "fuzzy"}}, "'outline' is 'fuzzy'", "contour"),
    ],
)
def test_arguments_that_do_not_fit_are_named(arguments, said, remedy):
    code, (event,) = do(job("vectorize", **arguments))
    assert code == worker.FAILED
    assert event["kind"] == "InputError"
    assert said in event["message"]
    assert remedy in event["remedy"]


def test_values_of_json_become_what_the_sentences_take():
    values = {
        "raster": "a.tif",
        "out": "out",
        "bbox": [0, 1, 2.5, 3],
        "gsd_m": "auto",
        "bands": [3, 2, 1],
        "workers": {"lanes": 2},
        "outlines": {"min_area_m2": 1},
    }
    bound = bind(pipeline.segment, values, options=Options)
    assert bound["bbox"] == (0.0, 1.0, 2.5, 3.0)
    assert bound["bands"] == (3, 2, 1)
    assert bound["workers"] == Workers(lanes=2)
    assert bound["outlines"] == Outlines(min_area_m2=1.0)
    with pytest.raises(InputError, match="'bands'"):
        bind(pipeline.segment, values | {"bands": [1.5]}, options=Options)
    with pytest.raises(InputError, match="'gsd_m'"):
        bind(pipeline.segment, values | {"gsd_m": "fine"}, options=Options)


@pytest.mark.parametrize(
    "sentence", [pipeline.check, pipeline.measure_plots, pipeline.make_plots, pipeline.make_report]
)
def test_every_sentence_can_be_bound(sentence):
    with pytest.raises(InputError, match="harvest"):
        bind(sentence, {"raster": "", "mask": "", "plots": "", "out": "", "harvest": 1}, options=Options)


def test_vectorize_and_plot_statistics_are_those_of_the_package(mask, tmp_path):
    out, ours = tmp_path / "worker.gpkg", tmp_path / "ours.gpkg"
    code, events = do(job("vectorize", mask=mask, out=str(out)))
    assert code == worker.DONE
    result = events[-1]
    made = cg.vectorize(mask, ours)
    assert made.path == ours
    assert (result["n_polygons"], result["canopy_area_m2"]) == (made.n_polygons, made.canopy_area_m2)
    assert result["files"] == {"layers": str(out)}
    import geopandas as gpd

    assert result["canopy_area_m2"] == pytest.approx(
        gpd.read_file(ours, layer="canopy")["area_m2"].sum(), rel=1e-12
    )
    assert {e["event"] for e in events} >= {"stage_started", "stage_finished", "written", "result"}

    plots = write_plots(tmp_path / "plots.gpkg", [(0.1, 0.1, 0.3, 0.3), (9, 9, 10, 10)], plot_id=[1, 2])
    code, events = do(job("plots_stats", mask=mask, plots=str(plots), out=str(tmp_path / "s.csv")))
    assert code == worker.DONE
    table = cg.measure_plots(mask, plots)
    assert events[-1]["n_plots"] == 2
    assert events[-1]["mean_coverage"] == pytest.approx(table["coverage"].mean())


def test_a_mistake_in_the_engine_reaches_the_parent_in_words(monkeypatch, capsys):
    def fail(*_):
        raise ZeroDivisionError("nought")

    monkeypatch.setitem(worker.TASKS, "version", fail)
    code, (event,) = do(job("version"))
    assert (code, event["kind"]) == (worker.FAILED, "InternalError")
    assert "ZeroDivisionError: nought" in event["message"]
    assert "Traceback" in capsys.readouterr().err


def test_a_package_that_cannot_be_loaded_is_no_mistake_of_the_engine(monkeypatch, capsys):
    def fail(*_: object) -> None:
        raise ImportError("please read pages of advice") from ImportError("libgone.so: cannot open")

    monkeypatch.setitem(worker.TASKS, "version", fail)
    code, events = do(job("version"))
    assert code == worker.FAILED
    assert events[-1]["kind"] == "BrokenInstallation"
    assert "libgone.so" in events[-1]["message"]
    assert "install the engine again" in events[-1]["remedy"]
    assert "Traceback" in capsys.readouterr().err


def test_libraries_that_were_removed_are_listed(monkeypatch, tmp_path):
    facts = tmp_path / "frail-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: frail\nVersion: 1.0\n")
    (facts / "RECORD").write_text('frail/a.so,sha256=x,1\n"frail/b,c.pyd",,\nfrail/d.py,,\nfrail/e.onnx,,\n')
    (tmp_path / "frail").mkdir()
    (tmp_path / "frail" / "a.so").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("importlib.metadata.requires", lambda _name: ["frail>=1"])
    assert do(job("version"))[1][-1]["missing"] == ["frail/b,c.pyd", "frail/e.onnx"]


def test_packages_that_are_required_and_not_there_are_listed(monkeypatch):
    needs = ["dask>=1", "no-such.thing>=2", "other>=1; extra == 'x'"]
    monkeypatch.setattr("importlib.metadata.requires", lambda _name: needs)
    assert do(job("version"))[1][-1]["missing"] == ["no-such.thing"]


def test_what_json_does_not_know_becomes_null(monkeypatch):
    monkeypatch.setitem(worker.TASKS, "version", lambda *_: {"cover": float("nan"), "of": [1, float("inf")]})
    out = io.StringIO()
    assert worker.run(job("version"), out) == worker.DONE
    assert json.loads(out.getvalue(), parse_constant=pytest.fail)["of"] == [1, None]


@pytest.mark.skipif(os.name == "nt", reason="signals are POSIX")
@pytest.mark.parametrize("how", ["the end of standard input", "SIGTERM"])
def test_a_job_that_is_stopped_leaves_no_half_file(tmp_path, how):
    mask, out = write_mask(tmp_path / "big.tif", side=4000), tmp_path / "out" / "canopy.gpkg"
    out.parent.mkdir()
    with subprocess.Popen(
        [*WORKER, "--stop-at-eof"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write(job("vectorize", mask=mask, out=str(out)) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["event"] == "stage_started"
        if how == "SIGTERM":
            process.send_signal(signal.SIGTERM)
        else:
            process.stdin.close()
        assert process.wait(timeout=30) == worker.STOPPED
    assert not list(out.parent.iterdir())


def test_a_job_may_be_a_file_and_a_missing_one_is_said(tmp_path):
    path = tmp_path / "jöb.json"
    path.write_text(job("models"), encoding="utf-8")
    done = subprocess.run([*WORKER, "--job", str(path)], capture_output=True, text=True, check=True)
    listed = json.loads(done.stdout)
    assert listed["default"] in [card["name"] for card in listed["models"]]
    # Standard input is not needed, and may be closed.
    closed = ["sh", "-c", 'exec "$@" <&-', "sh"] if os.name == "posix" else []
    done = subprocess.run([*closed, *WORKER, "--job", str(path)], capture_output=True, check=False)
    assert done.returncode == worker.DONE
    missing = subprocess.run(
        [*WORKER, "--job", str(tmp_path / "none")], capture_output=True, text=True, check=False
    )
    assert missing.returncode == worker.NO_JOB
    assert "cannot be read" in json.loads(missing.stdout)["message"]
