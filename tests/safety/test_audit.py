"""CI's audit of the installed packages: a known vulnerability fails, a silent service is said and passes."""

from __future__ import annotations

import json
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "audit"


@pytest.fixture(scope="module")
def audit():
    spec = spec_from_loader("audit", SourceFileLoader("audit", str(SCRIPT)))
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def report(*packages: dict) -> str:
    return json.dumps({"dependencies": list(packages)})


def test_a_known_vulnerability_fails(audit, capsys):
    hole = {"id": "PYSEC-1", "fix_versions": ["2.1"], "description": "reads too far"}
    sound = {"name": "affine", "version": "3", "vulns": []}
    code = audit.judge(1, report(sound, {"name": "pillow", "version": "2.0", "vulns": [hole]}), "")
    assert code == 1
    assert "pillow 2.0: PYSEC-1, fixed in 2.1" in capsys.readouterr().out


def test_packages_without_a_known_vulnerability_pass(audit, capsys):
    assert audit.judge(0, report({"name": "affine", "version": "3", "vulns": []}), "") == 0
    assert "1 of 1 packages audited, 0 vulnerabilities" in capsys.readouterr().out


@pytest.mark.parametrize("answer", ["", report({"name": "affine", "skip_reason": "not found"})])
def test_a_service_that_does_not_answer_passes_and_is_said(audit, capsys, answer):
    assert audit.judge(1, answer, "no route") == 0
    assert "NOT MADE" in capsys.readouterr().out
