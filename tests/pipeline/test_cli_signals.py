"""Signals that a command meets: Ctrl-C, the end of a session, a terminal that closes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from rasters import scene, write_raster

CROPSEG = [sys.executable, "-m", "cropseg_geo.cli"]

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")


@pytest.mark.slow
def test_ctrl_c_stops_leaves_no_half_file_and_the_same_command_goes_on(tmp_path):
    raster = write_raster(tmp_path / "big.tif", scene(2000, 2000), tiled=True)
    out = tmp_path / "out"
    # One lane, so that there is time left to be stopped in.
    args = ["segment", raster, "-o", out, "--tile", 256, "--overlap", 32, "--lanes", 1, "--events"]
    # Where the tests run in a shell's background Ctrl-C is ignored, and children would inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        process = subprocess.Popen([*CROPSEG, *map(str, args)], stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)
    with process:
        advanced = 0
        for line in process.stdout:
            event = json.loads(line)
            advanced += event["event"] == "stage_advanced" and event["stage"] == "segment"
            if advanced == 2:
                break
        process.send_signal(signal.SIGINT)
        # A second or two on an idle machine; the whole run takes minutes on a busy one.
        code = process.wait(timeout=60)
    assert code == 130
    assert not [p for p in out.iterdir() if not p.name.startswith(".")]
    again = subprocess.run(
        [*CROPSEG, *map(str, args)], capture_output=True, text=True, timeout=120, check=False
    )
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout.splitlines()[-1])["summary"]["blocks_resumed"] >= 2
    assert sorted(p.name for p in out.iterdir()) == ["big.gpkg", "big_mask.tif", "big_prob.tif"]


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_run_in_the_background_where_shells_have_ctrl_c_ignored_is_stopped_by(tmp_path, name):
    raster = write_raster(tmp_path / "big.tif", scene(3000, 3000), tiled=True)
    out = tmp_path / "out"
    args = ["segment", raster, "-o", out, "--tile", 256, "--overlap", 32, "--events"]
    # Children inherit what is ignored; the other signal is not, even where the tests run under nohup.
    number = getattr(signal, name)
    handlers = {signal.SIGINT: signal.SIG_IGN, number: signal.SIG_DFL}
    before = {n: signal.signal(n, handler) for n, handler in handlers.items()}
    try:
        process = subprocess.Popen(
            [*CROPSEG, *map(str, args)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
    finally:
        for n, handler in before.items():
            signal.signal(n, handler)
    with process:
        next(iter(process.stdout))
        process.send_signal(number)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert "Stopped. Finished blocks are kept; the same command goes on." in process.stderr.read()
    assert not [p for p in out.iterdir() if not p.name.startswith(".")]


def test_a_run_under_nohup_goes_on_where_its_terminal_closes(tmp_path):
    raster = write_raster(tmp_path / "field.tif", scene(500, 520))
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # children inherit that, as nohup has it
    try:
        command = [*CROPSEG, "segment", str(raster), "-o", str(tmp_path / "out"), "--events"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGHUP, before)
    with process:
        next(iter(process.stdout))
        process.send_signal(signal.SIGHUP)
        process.stdout.read()
        assert process.wait(timeout=60) == 0
