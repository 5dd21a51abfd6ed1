"""The engine as a child process: results, refusals, crashes, and a cancel that leaves nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from rasters import write_raster
from toolboxes import answering, write_engine

from qgis_plugin.cropseg.engine import protocol
from qgis_plugin.cropseg.engine.deaths import explain
from qgis_plugin.cropseg.engine.environment import (
    Engine,
    find_engine,
    forget,
    look,
    managed_folder,
    new_log,
    python_in,
)
from qgis_plugin.cropseg.engine.process import Cancelled, EngineError, run

pytestmark = pytest.mark.skipif(os.name == "nt", reason="the engines of these tests are scripts")


def do(python: Path, log: Path, *, task: str = "version", cancel_after_s: float | None = None, **arguments):
    """Result and events of a job."""
    events, start = [], time.monotonic()
    result = run(
        python,
        protocol.Job(task, arguments),
        on_event=events.append,
        is_cancelled=lambda: cancel_after_s is not None and time.monotonic() - start > cancel_after_s,
        log=log,
    )
    return result, events


def has_gone(pid: int) -> bool:
    """True where a process has ended, be it that nobody has asked for its exit code yet."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def are_gone_by(end: float, *pids: int) -> bool:
    """True where all processes end before a moment (s, monotonic): a killed one closes its files first."""
    while not all(map(has_gone, pids)):
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def test_a_job_of_the_real_engine_gives_its_result(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (1, 40, 40), dtype=np.uint8)
    mask = write_raster(tmp_path / "mä sk.tif", values, nodata=255)
    out = tmp_path / "canopy ü.gpkg"
    result, events = do(
        Path(sys.executable), tmp_path / "logs" / "run.log", task="vectorize", mask=str(mask), out=str(out)
    )
    assert out.is_file()
    assert result["n_polygons"] > 1
    assert result["canopy_area_m2"] == pytest.approx(values.sum() * 1e-4)
    assert protocol.Written("layers", str(out)) in events
    assert '"vectorize"' in (tmp_path / "logs" / "run.log").read_text()


def test_a_refusal_of_the_real_engine_keeps_its_kind_its_remedy_and_the_log(tmp_path):
    with pytest.raises(EngineError) as caught:
        do(Path(sys.executable), tmp_path / "run.log", task="vectorize", mask="nowhere.tif", out="o.gpkg")
    assert caught.value.kind == "InputError"
    assert "nowhere.tif" in caught.value.message
    assert str(tmp_path / "run.log") in str(caught.value)


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "Killed", "memory"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "Crash", "signal SIGSEGV"),
        ("print('about to fall', file=sys.stderr); sys.exit(3)", "Crash", "about to fall"),
        ("print('warming up'); sys.exit(0)", "Crash", "exit code 0"),
        ("sys.exit('No module named cropseg_geo')", "Missing", "does not hold the engine"),
    ],
    ids=["out of memory", "crash", "exit", "silent", "missing"],
)
def test_a_death_without_a_word_becomes_a_message_with_the_log(tmp_path, code, kind, said):
    log = tmp_path / "run.log"
    with pytest.raises(EngineError) as caught:
        do(write_engine(tmp_path / "python", code), log)
    assert caught.value.kind == kind
    assert said in caught.value.message
    assert caught.value.log == log
    assert log.is_file()


@pytest.mark.parametrize(
    ("code", "kind", "said"),
    [
        (0xC0000017, "Killed", "memory"),
        (0xC0000135, "Broken", "0xc0000135"),
        (0xC0000135 - 2**32, "Broken", "0xc0000135"),
        (0xC0000005, "Crash", "0xc0000005"),
        (127, "Broken", "exit code 127"),
        (-99, "Crash", "signal 99"),
    ],
)
def test_what_windows_and_the_loader_say_is_understood(code, kind, said):
    death = explain(code, "libgdal.so: not found")
    assert (death.kind, said in death.message) == (kind, True)
    assert death.remedy
    assert ("libgdal.so" in death.message) == (kind != "Killed")


def test_a_python_that_is_not_there_is_said(tmp_path):
    with pytest.raises(EngineError, match="cannot be started"):
        do(tmp_path / "nowhere", tmp_path / "run.log")


def test_what_the_engine_prints_beside_events_is_passed_on(tmp_path):
    code = "print('hello'); print(json.dumps({'event': 'result', 'task': 'version', 'version': '9'}))"
    result, events = do(write_engine(tmp_path / "python", code), tmp_path / "run.log")
    assert result["version"] == "9"
    assert events == [protocol.Unknown("hello")]


def test_cancel_ends_an_engine_that_does_not_listen_and_its_children_within_two_seconds(tmp_path):
    pids = tmp_path / "pids"
    code = (
        "signal.signal(signal.SIGTERM, signal.SIG_IGN); signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pids)!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        "while True: time.sleep(1)"
    )
    python, asked = write_engine(tmp_path / "python", code), []

    def is_cancelled() -> bool:
        if pids.exists() and len(pids.read_text().split()) == 2:
            asked.append(time.monotonic())
        return bool(asked)

    with pytest.raises(Cancelled):
        run(python, protocol.Job("x"), on_event=print, is_cancelled=is_cancelled, log=tmp_path / "run.log")
    assert are_gone_by(asked[0] + 2, *map(int, pids.read_text().split()))
    assert time.monotonic() - asked[0] < 2


def test_an_engine_that_dies_is_not_waited_for_because_of_its_children(tmp_path):
    pid = tmp_path / "pid"
    code = (
        "child = subprocess.Popen(['sleep', '600'])\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    start = time.monotonic()
    with pytest.raises(EngineError, match="memory"):
        do(write_engine(tmp_path / "python", code), tmp_path / "run.log", cancel_after_s=20)
    assert time.monotonic() - start < 10
    assert are_gone_by(time.monotonic() + 1, int(pid.read_text()))


def test_a_child_that_cannot_be_reached_holds_up_nothing(tmp_path):
    pid = tmp_path / "pid"
    code = (
        "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        f"open({str(pid)!r}, 'w').write(str(child.pid))\n"
        f"{answering('0.1.0')}"
    )
    try:
        result, _ = do(write_engine(tmp_path / "python", code), tmp_path / "run.log", cancel_after_s=20)
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)
    assert result["version"] == "0.1.0"


def test_cancel_of_the_real_engine_leaves_no_half_file(tmp_path):
    values = np.random.default_rng(0).integers(0, 2, (1, 4000, 4000), dtype=np.uint8)
    mask, out = write_raster(tmp_path / "mask.tif", values, nodata=255), tmp_path / "out" / "canopy.gpkg"
    started = []
    out.parent.mkdir()
    with pytest.raises(Cancelled):
        run(
            Path(sys.executable),
            protocol.Job("vectorize", {"mask": str(mask), "out": str(out)}),
            on_event=started.append,
            is_cancelled=lambda: bool(started),
            log=tmp_path / "run.log",
        )
    # Where the engine had no time to clean up, the plugin's own workspace goes with everything in it.
    left = [p for p in out.parent.iterdir() if not p.name.startswith(".")]
    assert not left


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user without any engine."""
    forget()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    yield tmp_path
    forget()


def test_the_chosen_engine_comes_first_then_the_plugins_own_then_the_path(home):
    assert find_engine(None) is None
    write_engine(home / "bin" / "cropseg", "")
    beside = write_engine(home / "bin" / "python", answering("0.1.3"))
    assert find_engine("") == Engine(beside, "0.1.3", "path", "3.13.1")
    own = write_engine(python_in(managed_folder()), answering("0.1.2"))
    assert find_engine(None) == Engine(own, "0.1.2", "managed", "3.13.1")
    chosen = write_engine(home / "env" / "bin" / "python", answering("0.1.1"))
    assert find_engine(str(home / "env")) == Engine(chosen, "0.1.1", "chosen", "3.13.1")
    assert find_engine(str(chosen)) == Engine(chosen, "0.1.1", "chosen", "3.13.1")
    write_engine(home / "env" / "bin" / "cropseg", "")
    # As a file dialog, a shell and Windows's "Copy as path" give it.
    for also in (home / "env" / "bin", home / "env" / "bin" / "cropseg", f'"{chosen}"', f" '{chosen}' "):
        assert find_engine(str(also)) == Engine(chosen, "0.1.1", "chosen", "3.13.1")
    assert find_engine("cropseg") == Engine(beside, "0.1.3", "chosen", "3.13.1")
    assert find_engine('""') == find_engine(None)
    # A user who chose one that does not answer does not get another one unasked.
    assert find_engine(str(home / "nowhere")) is None


def test_the_engine_of_the_checkout_answers_with_its_packages(home):
    engine = find_engine(sys.executable)
    assert engine is not None
    assert dict(engine.packages)["torch"]


def test_a_python_without_the_engine_is_no_engine(home):
    bare = shutil.which("python3", path="/usr/bin")
    if not bare:
        pytest.skip("there is no Python of the system")
    assert find_engine(bare) is None


def test_an_engine_that_lacks_a_package_says_which(home):
    lacking = "'version': '0.1.0', 'missing': ['rasterio', 'zarr']"
    python = write_engine(
        home / "env" / "bin" / "python", f"print(json.dumps({{'event': 'result', {lacking}}}))"
    )
    engine, fit = look(str(python))
    assert engine.missing == ("rasterio", "zarr")
    assert not fit.is_ok
    assert "rasterio, zarr" in str(fit)
    assert "Install the engine again" in str(fit)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit('/usr/bin/python3.8: No module named cropseg_geo')", "No module named cropseg_geo"),
        (
            "sys.exit('  File \"x.py\", line 3\\nSyntaxError: invalid syntax\\n')",
            "SyntaxError: invalid syntax",
        ),
        ("sys.exit(3)", "exit code 3"),
        ("sys.exit('SyntaxError: bad\\n    ^^^^')", "SyntaxError: bad"),
    ],
    ids=["another Python", "an old Python", "mute", "underlined"],
)
def test_an_engine_that_does_not_answer_is_quoted(home, code, said):
    python = write_engine(python_in(managed_folder()), code)
    engine, fit = look(None)
    assert engine is None
    assert fit.verdict.value == "silent"
    assert str(python) in str(fit)
    assert said in str(fit)
    assert "Install the engine" in str(fit)


def test_an_engine_whose_files_were_removed_is_quoted(home):
    engine, fit = look(str(home / "env" / "bin" / "python"))
    assert engine is None
    assert "No such file" in str(fit)
    python_in(managed_folder()).parent.mkdir(parents=True)
    assert "No such file" in str(look(None)[1])


def test_only_the_newest_logs_are_kept(home):
    folder = new_log("segment").parent
    for number in range(40):
        (folder / f"20200101-0000{number:02}-segment-1-1.log").touch()
    new_log("segment", keep=10).touch()
    assert len(list(folder.glob("*.log"))) == 10
    assert not (folder / "20200101-000030-segment-1-1.log").exists()
