"""Law 10: a run stopped at any moment, in any way, and started again gives the same bytes.

A handful of moments by default; the campaign, with its figures:
``uv run pytest -m campaign -s tests/campaigns/test_kill_campaign.py``.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from rasters import scene, write_raster

TESTS = Path(__file__).parents[1]
TILES_A_BLOCK = 4
IN_FLIGHT = 4 * TILES_A_BLOCK
"""Tiles of the blocks that two lanes, and the reader before them, may have open."""

WAYS = ("kill", "power cut", "Ctrl-C", "SIGTERM", "disk full", "memory")


@dataclass(frozen=True)
class Stop:
    """A signal to a run that has logged so many tiles, so much later."""

    sign: int
    tiles: int
    seconds: float


class Runs:
    """Runs of one raster as processes that share their start-up; :attr:`seconds` is one that nobody stops."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows, cols = np.mgrid[:420, :460]
        self.raster = write_raster(folder / "field.tif", scene(420, 460), valid=rows + cols > 150)
        self.starter = subprocess.Popen(
            [sys.executable, "-W", "ignore", str(Path(__file__).with_name("killed_runs.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        )
        self.run(folder / "warm")
        start = time.monotonic()
        assert self.run(folder / "straight") == 0, (folder / "straight" / "error.txt").read_text()
        self.seconds = time.monotonic() - start
        self.expected = contents(folder / "straight")
        self.tiles = len(self.log("straight"))

    def run(self, out: Path, *, stop: Stop | None = None, **trouble) -> int:
        """A run's exit code; a negative one is a signal's."""
        job = {"raster": str(self.raster), "out": str(out), "log": str(self.folder / f"{out.name}.log")}
        self.starter.stdin.write(json.dumps(job | trouble) + "\n")
        self.starter.stdin.flush()
        pid = json.loads(self.starter.stdout.readline())["pid"]
        ended = threading.Event()
        if stop is not None:
            sender = threading.Thread(target=self._send, args=(pid, out.name, stop, ended))
            sender.start()
        code = json.loads(self.starter.stdout.readline())["code"]
        ended.set()
        if stop is not None:
            sender.join()
        return code

    def _send(self, pid: int, name: str, stop: Stop, ended: threading.Event) -> None:
        """By progress rather than by the clock: a busy machine does not move the moments."""
        while len(self.log(name)) < stop.tiles and not ended.is_set():
            ended.wait(0.002)
        if not ended.wait(stop.seconds):
            with suppress(ProcessLookupError):
                os.kill(pid, stop.sign)

    def log(self, name: str) -> list[str]:
        log = self.folder / f"{name}.log"
        return log.read_text().split() if log.exists() else []

    def stop(self) -> None:
        self.starter.stdin.close()
        self.starter.stdout.close()
        self.starter.wait()


def contents(out: Path) -> dict[str, object]:
    """What the outputs hold: bytes of rasters; rows of the GeoPackage, which says when it was made."""
    found: dict[str, object] = {path.name: path.read_bytes() for path in out.glob("*.tif")}
    for path in out.glob("*.gpkg"):
        with closing(sqlite3.connect(path)) as package:
            found[path.name] = package.execute("SELECT * FROM canopy ORDER BY fid").fetchall()
    return found


def cut_power(out: Path, rng: np.random.Generator) -> int:
    """Spoil the chunks that were written last, as a disk does whose cache was lost; returns how many."""
    chunks = [p for p in out.rglob("*") if p.is_file() and re.fullmatch(r"\d+", p.name)]
    last = sorted(chunks, key=lambda p: p.stat().st_mtime_ns)[-2:]
    for chunk in last:
        data = bytearray(chunk.read_bytes()) or bytearray(1)
        kind, at = rng.integers(4), int(rng.integers(len(data)))
        if kind == 0:
            data = data[:at]
        elif kind == 1:
            data = bytearray()
        elif kind == 2:
            data[at:] = bytes(len(data) - at)
        else:
            data[at] ^= 0x40
        chunk.write_bytes(data)
    return len(last)


def random_stop(runs: Runs, name: str, way: str, rng: np.random.Generator) -> Stop:
    """Any moment: while tiles are inferred, before the first or after the last of them."""
    sign = {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}.get(way, signal.SIGKILL)
    logged, after = len(runs.log(name)), rng.random() < 0.3
    left = max(1, runs.tiles - logged)
    tiles = max(logged, runs.tiles) if after else logged + int(rng.integers(left))
    return Stop(sign, tiles, rng.uniform(0, 0.2 if after else 0.02))


def stop_and_go_on(runs: Runs, name: str, way: str, rng: np.random.Generator) -> dict[str, object]:
    """Stop a run one to three times in one way, let it finish, and judge what came of it."""
    out, stops, damaged = runs.folder / name, 0, 0
    for _ in range(rng.integers(1, 4)):
        if way == "disk full":
            code = runs.run(out, file_bytes=int(rng.integers(600, 30_000)))
        elif way == "memory":
            code = runs.run(out, fails_at=len(runs.log(name)) + int(rng.integers(1, runs.tiles)))
        else:
            code = runs.run(out, stop=random_stop(runs, name, way, rng))
        if code == 0:
            break
        assert code in (1, 130, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT), (way, code)
        (out / "error.txt").unlink(missing_ok=True)
        stops += 1
        if set(contents(out)) == set(runs.expected) and not list(out.glob(".*.cropseg")):
            break  # it had finished: what was killed was the way out
        if way == "power cut":
            damaged += cut_power(out, rng)
    else:
        code = runs.run(out)
        assert code == 0, (way, name, code, [path.read_text() for path in out.glob("error.txt")])
    assert contents(out) == runs.expected, (way, name)
    left = {p.name for p in out.iterdir()} - set(runs.expected)
    # A run that was killed on its way out leaves its lock and its folder, which the next one removes.
    assert all(name.endswith((".lock", ".cropseg.done")) for name in left), left
    repeated = len(runs.log(name)) - runs.tiles
    assert repeated <= stops * IN_FLIGHT + damaged * TILES_A_BLOCK, (way, name, repeated)
    shutil.rmtree(out)
    return {"way": way, "stops": stops, "repeated": max(0, repeated), "damaged": damaged}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    if os.name == "nt":
        pytest.skip("children are made by forking")
    runs = Runs(tmp_path_factory.mktemp("kills"))
    yield runs
    runs.stop()


@pytest.mark.parametrize("way", WAYS)
def test_law_10_a_run_that_is_stopped_goes_on_to_the_same_bytes(runs, way):
    rng = np.random.default_rng(WAYS.index(way))
    stop_and_go_on(runs, f"quick {way}", way, rng)


@pytest.mark.campaign
def test_law_10_at_many_moments(runs, capsys):
    rng = np.random.default_rng(20261125)
    results = [
        stop_and_go_on(runs, f"{k} {way}", way, rng)
        for k in range(int(os.environ.get("CROPSEG_KILLS", "25")))
        for way in WAYS
    ]
    stops, repeated = Counter(), Counter()
    for result in results:
        stops[result["way"]] += result["stops"]
        repeated[result["way"]] += result["repeated"]
    with capsys.disabled():
        print(f"\n{len(results)} runs of {runs.tiles} tiles, {runs.seconds:.2f} s; {stops.total()} stops")
        for way in WAYS:
            each = repeated[way] / max(stops[way], 1)
            print(f"  {way}: {stops[way]} stops, {each:.1f} tiles repeated for each")
    assert all(stops[way] for way in WAYS)
    assert stops["kill"] + stops["power cut"] >= 50 or "CROPSEG_KILLS" in os.environ
