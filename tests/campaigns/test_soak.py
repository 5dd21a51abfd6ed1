"""Many runs in one process: memory stays flat, and nothing is left open, running or lying about.

Two hundred runs, with the figures: ``uv run pytest -m campaign -s tests/campaigns/test_soak.py``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent / "soak.py"
LEFT_ALONE = ["damaged.tif", "field.tif", "plots.gpkg", "temp"]
WARM = 60
"""Runs after which every library has loaded what it loads, and the heap has grown to what a run takes."""


def soak(n: int, folder: Path) -> list[dict]:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), str(n), str(folder)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "ResourceWarning" not in done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_runs_in_one_process_leave_nothing_open_or_lying_about(tmp_path):
    samples = soak(10, tmp_path)
    assert [s["run"] for s in samples] == list(range(1, 11))
    _require_nothing_left(samples[4:])


@pytest.mark.campaign
def test_two_hundred_runs_take_no_more_memory_than_sixty(tmp_path, capsys):
    samples = soak(200, tmp_path)
    with capsys.disabled():
        print()
        for sample in (samples[0], samples[WARM - 1], samples[99], samples[-1]):
            print({k: sample[k] for k in ("run", "rss_mb", "fds", "threads")})
    _require_nothing_left(samples[WARM - 1 :])
    assert _lowest(samples[-20:]) - _lowest(samples[WARM - 1 : WARM + 19]) < 30


def _lowest(samples: list[dict]) -> float:
    """What is really held: between runs the allocator keeps more or less of what was freed."""
    return min(sample["rss_mb"] for sample in samples)


def _require_nothing_left(samples: list[dict]) -> None:
    assert {s["fds"] for s in samples} == {samples[0]["fds"]}
    # A thread that has just done its work is counted until the system has buried it.
    half = len(samples) // 2
    assert min(s["threads"] for s in samples[half:]) <= min(s["threads"] for s in samples[:half])
    for sample in samples:
        assert sample["temp"] == []
        assert sample["beside"] == LEFT_ALONE
        assert not [name for name in sample["files"] if name.endswith((".tif", ".gpkg", ".csv", ".fgb"))]
        assert sample["children"] == samples[0]["children"]
