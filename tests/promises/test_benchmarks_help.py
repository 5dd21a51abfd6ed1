"""Whoever asks a benchmark for help must not start it."""

from __future__ import annotations

from pathlib import Path

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def test_every_benchmark_is_listed_and_reads_its_arguments_before_it_starts():
    commands = {path: path.read_text() for path in BENCHMARKS.glob("[!_]*.py")}
    commands = {path.name: text for path, text in commands.items() if "\nif __name__ ==" in text}
    assert len(commands) > 10
    for name, text in commands.items():
        assert "\ndef main(" in text, f"{name} is not listed"
        assert "parse_args(" in text, f"{name} has no --help"
