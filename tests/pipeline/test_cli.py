"""The command line as a user meets it: exit codes, messages, JSON lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from inspect import signature

import numpy as np
import pytest
from rasters import UTM, scene, write_plots, write_raster
from typer.testing import CliRunner

import cropseg_geo as cg
from cropseg_geo import __version__
from cropseg_geo.cli import app
from cropseg_geo.cli import segmentation as commands
from cropseg_geo.engine import tuning
from cropseg_geo.forecast import human_seconds

CROPSEG = [sys.executable, "-m", "cropseg_geo.cli"]


def run(*args: object, **options) -> subprocess.CompletedProcess[str]:
    command = [*CROPSEG, *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    folder = tmp_path_factory.mktemp("field")
    raster = write_raster(folder / "field.tif", scene(500, 520))
    return raster, write_plots(folder / "plots.gpkg", [(0.5, 0.5, 2, 2), (2, 2, 4, 4)], plot_id=[1, 2])


def test_segment_then_stats_and_vectorize_agree(field, tmp_path):
    raster, plots = field
    done = run("segment", raster, "--plots", plots, "-o", tmp_path / "out", "--events")
    assert done.returncode == 0, done.stderr
    events = [json.loads(line) for line in done.stdout.splitlines()]
    assert events[0] == {"event": "stage_started", "stage": "segment", "total": 500 * 520, "unit": "px"}
    assert [e["kind"] for e in events if e["event"] == "written"] == [
        "mask",
        "prob",
        "layers",
        "plots_csv",
    ]
    assert (events[-1]["event"], events[-1]["task"]) == ("result", "segment")
    assert events[-1]["files"] == {e["kind"]: e["path"] for e in events if e["event"] == "written"}
    out = tmp_path / "out"

    runner = CliRunner()
    mask, prob = str(out / "field_mask.tif"), str(out / "field_prob.tif")
    stats = runner.invoke(
        app,
        [
            "plots",
            "stats",
            mask,
            str(plots),
            "--prob",
            prob,
            "--raster",
            str(raster),
            "-o",
            str(tmp_path / "s.csv"),
        ],
    )
    assert stats.exit_code == 0, stats.output
    assert (tmp_path / "s.csv").read_text() == (out / "field_plots.csv").read_text()
    args = [mask, "--prob", prob, "--plots", str(plots), "-o", str(tmp_path / "v.gpkg"), "-q"]
    traced = runner.invoke(app, ["vectorize", *args])
    assert traced.exit_code == 0, traced.output
    import geopandas as gpd

    left = gpd.read_file(tmp_path / "v.gpkg", layer="canopy")
    right = gpd.read_file(out / "field.gpkg", layer="canopy")
    assert left.drop(columns="geometry").equals(right.drop(columns="geometry"))
    assert left.geometry.geom_equals(right.geometry).all()


def test_every_command_with_events_ends_with_its_result(tmp_path):
    mask = write_raster(tmp_path / "may_mask.tif", np.eye(40, dtype=np.uint8)[None], nodata=255)
    plots = write_plots(tmp_path / "plots.gpkg", [(0.1, 0.1, 0.3, 0.3)], plot_id=[1])
    layout = ["--corners", "0,0 9,0 9,9 0,9", "--crs", UTM, "--rows", 2, "--columns", 3]
    commands = {
        "vectorize": (["vectorize", mask, "-o", tmp_path / "v.fgb"], "n_polygons", 40),
        "plots_stats": (["plots", "stats", mask, plots, "-o", tmp_path / "s.csv"], "n_plots", 1),
        "plots_series": (
            ["plots", "series", mask, "--plots", plots, "--dates", "2026-05-31", "-o", tmp_path / "l.csv"],
            "n_plots",
            1,
        ),
        "plots_make": (["plots", "make", "-o", tmp_path / "p.gpkg", *layout], "n_plots", 6),
        "report": (["report", mask, "-o", tmp_path / "r.html"], None, None),
    }
    for task, (command, figure, value) in commands.items():
        done = CliRunner().invoke(app, [*map(str, command), "--events"])
        assert done.exit_code == 0, done.output
        *events, last = map(json.loads, done.stdout.splitlines())
        assert (last["event"], last["task"], last.get(figure)) == ("result", task, value)
        assert last["files"] == {e["kind"]: e["path"] for e in events if e["event"] == "written"}


@pytest.mark.parametrize(
    ("command", "kind"),
    [
        (["segment", "missing.tif"], "InputError"),
        (["plots", "make", "-o", "p.gpkg", "--rows", "0", "--columns", "3"], "InputError"),
    ],
)
def test_a_command_with_events_that_is_refused_ends_with_the_error(tmp_path, command, kind):
    done = run(*command, "--events", cwd=tmp_path)
    last = json.loads(done.stdout.splitlines()[-1])
    assert done.returncode == 1
    assert (last["event"], last["kind"]) == ("error", kind)
    assert f"Error: {last['message']}" in done.stderr
    assert last["remedy"] in done.stderr


def test_a_mistake_in_a_command_with_events_is_told_too():
    code = (
        "import sys; from cropseg_geo import cli; sys.argv = ['cropseg', 'models', '--events'];"
        "cli.app = lambda **_: 1 // 0; cli.main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert json.loads(done.stdout)["kind"] == "InternalError"
    assert "Traceback" in done.stderr


def test_check_says_what_will_happen_and_writes_nothing(field, tmp_path):
    raster, plots = field
    result = CliRunner().invoke(
        app, ["check", str(raster), "--plots", str(plots), "-o", str(tmp_path / "out")]
    )
    assert result.exit_code == 0, result.output
    for word in ("500 × 520 px", "EPSG:32632", "1 cm/px", "Tiles", "cpu", "Memory", "Disk", "Time", "Ready."):
        assert word in result.output, word
    assert not (tmp_path / "out").exists()
    as_json = CliRunner().invoke(app, ["check", str(raster), "--events", "-o", str(tmp_path / "out")])
    assert json.loads(as_json.output)["forecast"]["tiles"] == 2


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (3, "3 s"), (3.2, "4 s"), (3.6, "4 s"), (181, "4 min"), (9000, "2.5 h")],
)
def test_a_forecast_of_seconds_or_minutes_is_the_next_whole_one(seconds, said):
    assert human_seconds(seconds) == said


def test_check_takes_what_segment_takes_and_says_what_it_would_say(field, tmp_path):
    only_segment = {"rasters", "skip_refused", "share", "tune", "quiet"}
    assert set(signature(commands.segment).parameters) - only_segment == (
        set(signature(commands.check).parameters) - {"raster"}
    )
    assert [*signature(cg.check).parameters] == [*signature(cg.segment).parameters]
    raster, out = str(field[0]), tmp_path / "out"
    given = [raster, "-o", str(out), "--report", "--store", str(tmp_path / "store")]
    assert CliRunner().invoke(app, ["check", *given]).exit_code == 0
    assert not out.exists()
    assert not (tmp_path / "store").exists()
    out.mkdir()
    (out / "field_report.html").write_text("earlier")
    told, refused = run("check", *given), run("segment", *given)
    assert told.returncode == refused.returncode == 1
    assert told.stderr == refused.stderr
    assert "already holds field_report.html" in told.stderr
    assert CliRunner().invoke(app, ["check", *given, "--overwrite"]).exit_code == 0
    assert (out / "field_report.html").read_text() == "earlier"


def test_a_refusal_exits_1_with_the_message_and_the_remedy(tmp_path):
    raster = write_raster(tmp_path / "coarse.tif", scene(40, 40), gsd=0.5)
    refused = run("segment", raster, "-o", tmp_path / "out")
    assert refused.returncode == 1
    assert "Error: the raster has 0.5 m/px; model 'canopy-s' accepts" in refused.stderr
    assert "→" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert run("check", raster).returncode == 1


@pytest.mark.parametrize(
    "args",
    [
        ["segment"],
        ["segment", "a.tif", "--bands", "red"],
        ["segment", "a.tif", "--bbox", "1,2,3"],
        ["harvest"],
    ],
    ids=" ".join,
)
def test_wrong_usage_exits_2(args):
    assert CliRunner().invoke(app, args).exit_code == 2


def test_models_and_version():
    assert __version__ in CliRunner().invoke(app, ["--version"]).output
    listed = CliRunner().invoke(app, ["models"], env={"COLUMNS": "160"})
    assert listed.exit_code == 0
    assert "canopy-s" in listed.output


def test_help_starts_without_the_heavy_libraries():
    code = "import sys, cropseg_geo.cli; print([m for m in ('torch', 'rasterio') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_triton_leaves_no_lines_behind(tmp_path):
    """With torch's CUDA build, objects of Triton that are alive at the end would be listed on the screen."""
    (tmp_path / "none.tif").write_bytes(b"")
    code = "import timm; from cropseg_geo import cli; cli.main()"
    args = [sys.executable, "-c", code, "segment", str(tmp_path / "none.tif"), "-o", str(tmp_path / "out")]
    done = subprocess.run(args, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 1
    assert "Error" in done.stderr
    assert "leaked" not in done.stderr + done.stdout


@pytest.mark.parametrize(("encoding", "flag"), [("ascii", "-q"), ("cp1252", "-q"), ("ascii", "--events")])
def test_no_encoding_of_the_terminal_stops_a_command(field, tmp_path, encoding, flag):
    raster, _ = field
    named = tmp_path / "畑 ü.tif"
    named.write_bytes(raster.read_bytes())
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = run("segment", named, flag, "-o", tmp_path / "out", env=environment, encoding=encoding)
    assert done.returncode == 0, done.stderr
    if flag == "-q":
        assert "\\u7551" in done.stdout
    else:
        last = json.loads(done.stdout.splitlines()[-1])
        assert last["files"]["mask"].endswith("畑 ü_mask.tif")


@pytest.mark.parametrize(
    ("encoding", "size"), [("ascii", "64 x 64"), ("cp437", "64 x 64"), ("cp1252", "64 × 64")]
)
def test_letters_that_an_encoding_lacks_are_written_plainly(tmp_path, encoding, size):
    raster = write_raster(tmp_path / "field.tif", scene(64, 64))
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "1", "COLUMNS": "200"}
    told = run("check", raster, "-o", tmp_path / "out", env=environment, encoding=encoding)
    assert f"{size} px" in told.stdout
    refused = run("check", tmp_path / "none.tif", env=environment, encoding=encoding)
    assert "\n  -> give a raster" in refused.stderr
    helped = run("segment", "--help", env=environment, encoding=encoding)
    assert helped.returncode == 0
    for text in (told.stdout, refused.stderr, helped.stdout):
        assert not re.search(r"\\[ux]", text)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")  # noqa: PTH110
@pytest.mark.parametrize("flags", [(), ("--events",)], ids=["figures", "events"])
def test_where_what_is_printed_finds_no_room_the_command_says_so(field, tmp_path, flags):
    raster, _ = field
    command = [*CROPSEG, "segment", str(raster), "-q", "-o", str(tmp_path / "out"), *flags]
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "what this command prints cannot be written (No space left on device)" in done.stderr


def test_tune_measures_first_and_later_runs_remember_it(field, tmp_path, monkeypatch):
    raster, _ = field
    monkeypatch.setattr(tuning, "user_cache_path", lambda name: tmp_path / "cache" / name)
    monkeypatch.setattr(tuning, "_TRY_S", 0.01)  # which setting wins does not matter here
    done = CliRunner().invoke(app, ["segment", str(raster), "-o", str(tmp_path / "out"), "--tune"])
    assert done.exit_code == 0, done.output
    assert "tuned: tiles of" in done.output
    (note,) = (tmp_path / "cache" / "cropseg-geo" / "tuning").iterdir()
    lanes = json.loads(note.read_text())["best"]["lanes"]
    told = CliRunner().invoke(app, ["check", str(raster), "--overwrite"], env={"COLUMNS": "200"})
    assert f"{lanes} lane(s)" in told.output
