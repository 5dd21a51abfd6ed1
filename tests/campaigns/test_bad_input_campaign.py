"""Bad input, in numbers: an error of ours or a true answer; never a hang, a crash, or a wrong answer.

The long campaign, with what it found on standard output::

    uv run pytest -m campaign -s tests/campaigns/test_bad_input_campaign.py
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import fuzz_cases
import pytest
from fuzz_judge import Findings
from fuzz_rasters import formula_for_a_network, segment_and_check
from hypothesis import HealthCheck, given, settings
from made_rasters import made_rasters

# GDAL's messages may hold bytes that are no text: its Python layers then complain and go on.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

N_CASES = {"raster": 1800, "plots": 1200, "document": 1600}
"""Cases of the long campaign."""

IN_A_PROCESS = 200
DEADLINE_S = 600


@pytest.mark.parametrize(("kind", "n"), [("raster", 48), ("plots", 33), ("document", 48)])
def test_damaged_files_are_refused_in_our_words_or_answered_truly(tmp_path, kind, n):
    findings = fuzz_cases.run_cases(kind, tmp_path, range(n))
    assert findings.n_cases == n
    assert findings.outcomes["refused"]
    assert not findings.problems, "\n".join(findings.problems)


def test_undamaged_files_are_answered(tmp_path):
    for kind in fuzz_cases.KINDS:
        (tmp_path / kind).mkdir()
    with formula_for_a_network():
        for name, data in fuzz_cases.raster_seeds(tmp_path / "raster").items():
            path = tmp_path / "raster" / name
            path.write_bytes(data)
            segment_and_check(path, tmp_path / "raster" / f"out {name}")


@given(made_rasters())
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_rasters_with_any_header_are_refused_in_our_words_or_answered_truly(made):
    _judge_made(made)


@pytest.mark.campaign
@given(made_rasters())
@settings(max_examples=400, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_many_rasters_with_any_header(made):
    _judge_made(made)


def _judge_made(made) -> None:
    findings = Findings()
    with made.written() as path, formula_for_a_network():
        findings.judge(repr(made), lambda: segment_and_check(path, path.parent / "out"))
    assert not findings.problems, "\n".join(findings.problems)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", list(N_CASES))
def test_long_campaign(kind, capsys):
    total = Findings()
    for first in range(0, N_CASES[kind], IN_A_PROCESS):
        _add_process(total, kind, first)
    with capsys.disabled():
        print(f"\n{kind}: {total}")
        for problem in total.problems:
            print(problem)
    assert not total.problems
    assert total.n_cases == N_CASES[kind]


def _add_process(total: Findings, kind: str, first: int) -> None:
    """Cases in a process of their own: a crash of the interpreter is a finding that names its case."""
    script = Path(fuzz_cases.__file__)
    command = [sys.executable, "-X", "faulthandler", str(script), kind, str(first), str(IN_A_PROCESS)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DEADLINE_S, errors="replace", check=False
        )
    except subprocess.TimeoutExpired as err:
        total.note(f"{kind} {first}…", f"hung: {(err.stderr or b'').decode(errors='replace')[-2000:]}")
        return
    if done.returncode:
        total.note(f"{kind} {first}…", f"exit code {done.returncode}: {done.stderr[-2000:]}")
        return
    total.add(Findings(**json.loads(done.stdout)))
