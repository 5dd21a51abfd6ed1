"""The README's first command on the sample field, against the field's exact truth."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
import rasterio

import cropseg_geo as cg

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_tiles"


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
