"""The README's first command on the sample field, against the field's exact truth."""

from __future__ import annotations

import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import cropseg_geo as cg

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_tiles"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def out(tmp_path_factory):
    """The outputs of the first command in the README, as it stands there."""
    line = next(x for x in (ROOT / "README.md").read_text().splitlines() if "uv run cropseg segment" in x)
    args = shlex.split(line.split("uv run cropseg", 1)[1])
    args[args.index("-o") + 1] = str(tmp_path_factory.mktemp("out"))
    done = subprocess.run(
        [sys.executable, "-m", "cropseg_geo.cli", *args],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Canopy cover" in done.stdout
    return Path(args[args.index("-o") + 1])


def test_the_first_command_finds_the_vegetation(out):
    with rasterio.open(SAMPLE / "field_truth.tif") as exact, rasterio.open(out / "field_mask.tif") as mask:
        truth, found = exact.read(1), mask.read(1)
    np.testing.assert_array_equal(found == 255, truth == 255)
    valid = truth != 255
    iou = ((found == 1) & (truth == 1)).sum() / (((found == 1) | (truth == 1)) & valid).sum()
    assert iou > 0.75


def test_the_first_command_measures_every_plot(out):
    table = pd.read_csv(out / "field_plots.csv").set_index("plot_id")
    truth = cg.measure_plots(SAMPLE / "field_truth.tif", SAMPLE / "plots.gpkg").set_index("plot_id")
    assert list(table.index) == list(truth.index)
    assert {"block", "row", "column", "treatment", "variety"} <= set(table.columns)
    error = table["coverage"] - truth["coverage"]
    assert error.abs().mean() < 0.08
    assert np.corrcoef(table["coverage"], truth["coverage"])[0, 1] > 0.85
    np.testing.assert_allclose(table["valid_fraction"], 1)
    np.testing.assert_allclose(table["plot_area_m2"], 3.6 * 6.0, rtol=1e-6)


def test_the_canopy_layer_of_the_first_command_is_exact(out):
    canopy = gpd.read_file(out / "field.gpkg", layer="canopy")
    with rasterio.open(out / "field_mask.tif") as mask:
        pixels = (mask.read(1) == 1).sum()
    assert canopy.geometry.is_valid.all()
    assert canopy["area_m2"].sum() == pytest.approx(pixels * 1e-4, rel=1e-9)


def test_the_first_command_takes_no_python_that_libraries_have_no_wheels_for():
    allowed = SpecifierSet(PROJECT["project"]["requires-python"])
    pythons = [f"3.{minor}.2" for minor in range(9, 17)]
    assert list(allowed.filter(pythons)) == ["3.11.2", "3.12.2", "3.13.2", "3.14.2"]


@pytest.mark.parametrize(
    ("system", "machine", "newest"),
    [
        ("Linux", "x86_64", True),
        ("Linux", "aarch64", True),
        ("Windows", "AMD64", True),
        ("Darwin", "arm64", True),
        ("Darwin", "x86_64", False),
    ],
)
def test_every_machine_gets_the_onnx_runtime_that_was_built_for_it(system, machine, newest):
    platform = {"Linux": "linux", "Windows": "win32", "Darwin": "darwin"}[system]
    environment = {"platform_system": system, "platform_machine": machine, "sys_platform": platform}
    needed, tested = (
        [r for r in map(Requirement, lines) if r.name == "onnxruntime" and r.marker.evaluate(environment)]
        for lines in (PROJECT["project"]["dependencies"], PROJECT["tool"]["uv"]["constraint-dependencies"])
    )
    assert len(needed) == 1
    assert needed[0].specifier.contains("1.23.2")
    assert needed[0].specifier.contains("1.24") == newest
    # The tested version does not stand against the one that Intel Macs need.
    assert len(tested) == newest
