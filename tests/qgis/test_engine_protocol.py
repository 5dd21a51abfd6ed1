"""Plugin and engine understand each other: every event, the protocol's version, options in remedies."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest

from cropseg_geo import __version__, events, worker
from cropseg_geo.model import backends
from qgis_plugin.cropseg.engine import protocol, versions
from qgis_plugin.cropseg.engine.progress import STAGES, Progress
from qgis_plugin.cropseg.engine.words import PARAMETERS, in_toolbox_words

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "event",
    [
        events.RasterStarted("a.tif", 1, 2),
        events.RasterFinished("a.tif", "failed", "no"),
        events.StageStarted("segment", 512, "px"),
        events.StageAdvanced("segment", 5),
        events.StageFinished("segment"),
        events.Warned("ä → “b”"),
        events.Written("mask", "/tmp/mä sk.tif"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_every_event_of_the_engine_is_understood(event):
    understood = protocol.parse(events.to_json(event) + "\n")
    assert type(understood).__name__ == type(event).__name__
    assert asdict(understood) == asdict(event)


def test_no_event_of_the_engine_was_forgotten():
    named = {cls.__name__ for cls in events.Event.__args__}
    assert named <= {name for name in vars(protocol) if name[0].isupper()}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "warming up",
        "[]",
        "null",
        "{}",
        '{"event": "sung"}',
        '{"event": "warning"}',
        '{"event": ["x"]}',
        '{"a',
    ],
)
def test_a_line_that_is_no_event_is_kept_as_it_is(line):
    assert protocol.parse(line + "\r\n") == protocol.Unknown(line)


def test_results_and_errors_are_parsed():
    assert protocol.parse('{"event": "result", "task": "version", "version": "1"}').values["version"] == "1"
    failed = protocol.parse('{"event": "error", "kind": "InputError", "message": "no", "remedy": "yes"}')
    assert str(failed) == "no\n→ yes"


def test_a_job_is_one_line_that_the_engine_reads_without_what_was_not_given():
    text = protocol.Job("segment", {"raster": "Wiese\nä.tif", "bbox": None, "bands": [1, 2]}).to_json()
    assert "\n" not in text
    job = worker.parse_job(text)
    assert job == worker.Job("segment", {"raster": "Wiese\nä.tif", "bands": [1, 2]})


def test_plugin_and_engine_of_one_checkout_fit():
    assert versions.PROTOCOL == worker.PROTOCOL
    assert versions.compare(__version__, versions.plugin_version()).is_ok
    assert set(STAGES) <= set(worker.TASKS)


@pytest.mark.parametrize(
    ("engine", "plugin", "verdict"),
    [
        ("0.1.0", "0.1.4", "ok"),
        ("0.1.9+local", "0.1.0", "ok"),
        ("0.1.0", "0.2.0", "too old"),
        ("0.10.0", "0.9.0", "too new"),
        ("1.0", "0.9", "too new"),
        ("1.2.0", "1.7.1", "ok"),
        ("1.9", "2.0", "too old"),
    ],
)
def test_versions_are_compared_by_what_has_to_agree(engine, plugin, verdict):
    fit = versions.compare(engine, plugin)
    assert fit.verdict.value == verdict
    assert fit.is_ok == (verdict == "ok") == ("→" not in str(fit))


def test_every_verdict_has_words_and_a_remedy():
    for verdict in versions.Verdict:
        fit = versions.Fit(verdict, "/opt/python", "0.1", "0.2", "torch")
        assert ("→" in str(fit)) == (verdict is not versions.Verdict.OK)
        assert "{" not in str(fit)


def test_progress_reaches_the_end_and_never_falls():
    progress = Progress("segment")
    lived = [
        protocol.StageStarted("segment", 100, "px"),
        *[protocol.StageAdvanced("segment", 25)] * 4,
        protocol.StageFinished("segment"),
        protocol.StageStarted("write", 10, "px"),
        protocol.StageAdvanced("write", 40),
        protocol.StageStarted("vectorize", 0, "px"),
        protocol.StageFinished("vectorize"),
        protocol.StageStarted("report", 5, "px"),
        protocol.StageFinished("report"),
        protocol.Warned("late"),
    ]
    shares = [progress.take(event) for event in lived]
    assert shares == sorted(shares)
    assert shares[0] == pytest.approx(0.05)
    assert shares[2] - shares[1] == pytest.approx(0.78 / 4)
    assert shares[-1] == 1


def test_progress_of_several_dates_grows_with_each_of_them():
    progress = Progress("plots_series", rounds=4)
    share, seen = 0.0, []
    for _ in range(4):
        for stage in ("vectorize", "plots"):
            progress.take(protocol.StageStarted(stage, 100, "px"))
            assert progress.stage == stage
            share = progress.take(protocol.StageFinished(stage))
        seen.append(share)
    assert seen == [0.25, 0.5, 0.75, 1]


def test_what_is_to_be_installed_is_installed_from_the_toolbox():
    for command in backends._INSTALL.values():
        said = in_toolbox_words(f"torch is not installed; {command}")
        assert "pip" not in said
        assert "Install the engine" in said


def test_options_of_the_command_line_become_parameters_that_exist():
    assert in_toolbox_words("pass --gsd 0.02, or --out x") == "pass RESOLUTION 0.02, or OUTPUT x"
    assert in_toolbox_words("or --snap MASK") == "or MASK"
    assert (
        in_toolbox_words("measure them with `cropseg plots stats`") == "measure them with `cropseg:plotstats`"
    )
    assert in_toolbox_words("--never-heard a--b") == "--never-heard a--b"
    code = "".join(path.read_text() for path in (ROOT / "qgis_plugin/cropseg/algorithms").glob("*.py"))
    for parameter in PARAMETERS.values():
        for name in re.findall(r"\b[A-Z_]{2,}\b(?<!CRS)", parameter):
            assert f'"{name}"' in code, name
