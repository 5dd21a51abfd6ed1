"""An engine that cannot be used says why and what to do; one is installed from the toolbox."""

from __future__ import annotations

from pathlib import Path

import pytest
from scenarios import results


@pytest.mark.parametrize(
    ("name", "entry", "words"),
    [
        ("missing", "refused", ["does not answer", "No such file", "Install the engine"]),
        ("another", "refused", ["does not answer", "No module named cropseg_geo", "Install the engine"]),
        ("old", "refused", ["0.0.9", "too old", "Install the engine"]),
        ("new", "refused", ["7.0.0", "update the plugin"]),
        ("incomplete", "refused", ["rasterio", "Install the engine again"]),
        ("killed", "error", ["memory", "Log: "]),
        ("crashed", "error", ["SIGSEGV", "out of luck", "Log: "]),
    ],
)
def test_an_engine_that_cannot_be_used_says_why_and_what_to_do(told, folder, name, entry, words):
    for word in words:
        assert word in told[name].get(entry, ""), told[name]
    assert not (folder / "never.gpkg").exists()
    assert not list(folder.glob(".never*"))


def test_the_engine_is_installed_from_the_toolbox(told, folder):
    given = results(told["installed"])
    assert given["VERSION"] == "0.1.0"
    assert Path(given["PYTHON"]).is_relative_to(folder / "my engine")
    said = told["installed"]["said"]
    assert any(line.startswith("$ ") for line in said)
    assert said.index("Making the environment") < said.index("Collecting the libraries")
    assert said.index("Collecting the libraries") < said.index("Checking the engine")
    assert told["installed"]["percent"] >= 95
