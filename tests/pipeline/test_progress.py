"""Progress: bars on a terminal, else lines, few and plain; none with --quiet."""

import io
import subprocess
import sys

import pytest
from rasters import scene, write_raster
from rich.console import Console

from cropseg_geo import console as front
from cropseg_geo.console import event_listener
from cropseg_geo.events import RasterStarted, StageAdvanced, StageFinished, StageStarted
from cropseg_geo.progress import EVERY_S, Lines


class Clock:
    """Goes only when it is told to."""

    now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def log(monkeypatch):
    """A log that takes the place of standard error, and its clock."""
    clock, written = Clock(), io.StringIO()
    monkeypatch.setattr(front, "Console", lambda **_: Console(file=written))
    monkeypatch.setattr(front, "Lines", lambda console: Lines(console, clock=clock))
    return clock, written


def tell(clock, listener, *, stage="segment", total=1000, steps=100, seconds_each=1.0):
    listener(StageStarted(stage, total, "px"))
    for _ in range(steps):
        clock.now += seconds_each
        listener(StageAdvanced(stage, total // steps))
    listener(StageFinished(stage))


def test_a_long_stage_is_told_by_its_tenths(log):
    clock, written = log
    with event_listener(as_json=False, quiet=False) as listener:
        listener(RasterStarted("a.tif", 1, 2))
        tell(clock, listener, total=100_000_000)
    lines = written.getvalue().splitlines()
    assert lines[:3] == ["1/2 a.tif", "Segmenting", "Segmenting: 10%, 1.0 MP/s"]
    assert lines[2:] == [f"Segmenting: {tenth}0%, 1.0 MP/s" for tenth in range(1, 11)]


def test_lines_are_seconds_apart_and_short_stages_have_one(log):
    clock, written = log
    with event_listener(as_json=False, quiet=False) as listener:
        tell(clock, listener, stage="write", steps=10, seconds_each=EVERY_S / 11)
        tell(clock, listener, stage="plots", steps=10, seconds_each=EVERY_S / 3.5)
        tell(clock, listener, steps=2, seconds_each=EVERY_S)
    told = [line.partition(",")[0] for line in written.getvalue().splitlines()]
    assert told == [
        "Writing rasters",
        *("Measuring plots", "Measuring plots: 40%", "Measuring plots: 80%"),
        *("Segmenting", "Segmenting: 50%", "Segmenting: 100%"),
    ]


def test_a_stage_that_ends_early_is_complete(log):
    clock, written = log
    with event_listener(as_json=False, quiet=False) as listener:
        listener(StageStarted("segment", 100_000_000, "px"))
        clock.now += 10
        listener(StageFinished("segment"))
    assert written.getvalue().splitlines() == ["Segmenting", "Segmenting: 100%, 10.0 MP/s"]


def test_a_stage_of_unknown_length_or_of_nothing_is_named(log):
    clock, written = log
    with event_listener(as_json=False, quiet=False) as listener:
        tell(clock, listener, stage="fetch", total=0, seconds_each=60)
    assert written.getvalue() == "Fetching the model\n"


def test_quiet_says_nothing(log):
    clock, written = log
    with event_listener(as_json=False, quiet=True) as listener:
        tell(clock, listener)
    assert not written.getvalue()


def test_a_terminal_shows_bars(monkeypatch):
    terminal = Console(file=io.StringIO(), force_terminal=True, force_interactive=True)
    monkeypatch.setattr(front, "Console", lambda **_: terminal)
    with event_listener(as_json=False, quiet=False) as listener:
        tell(Clock(), listener)
    assert "100 %" in terminal.file.getvalue()


@pytest.mark.parametrize("flags", [[], ["-q"]])
def test_a_log_of_a_run_is_plain_text_and_standard_output_is_as_ever(tmp_path, flags):
    raster = write_raster(tmp_path / "field.tif", scene(120, 130))
    command = [sys.executable, "-m", "cropseg_geo.cli", "segment", raster, "-o", tmp_path / "out", *flags]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.startswith("Canopy cover")
    assert "\x1b" not in done.stdout + done.stderr
    told = {line.partition(":")[0] for line in done.stderr.splitlines()}
    assert told & {"Segmenting", "Writing rasters"} == (set() if flags else {"Segmenting", "Writing rasters"})
