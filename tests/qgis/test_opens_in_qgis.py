"""The outputs open in the real QGIS, with their styles, and QGIS reads the same figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import cropseg_geo as cg

ROOT = Path(__file__).resolve().parents[2]
PYTHON = shutil.which("python3", path="/usr/bin") or ""


def qgis_version() -> str:
    """QGIS's version as its own Python sees it, or an empty string."""
    if not PYTHON:
        return ""
    code = "from qgis.core import Qgis; print(Qgis.QGIS_VERSION)"
    done = subprocess.run(
        [PYTHON, "-c", code], capture_output=True, text=True, check=False, env=_environment()
    )
    return done.stdout.strip()


def _environment() -> dict[str, str]:
    names = ("PATH", "HOME", "LANG", "XDG_RUNTIME_DIR")
    return {n: os.environ[n] for n in names if n in os.environ} | {"QT_QPA_PLATFORM": "offscreen"}


pytestmark = pytest.mark.skipif(not qgis_version(), reason="QGIS with Python bindings is not installed")


def test_layers_open_styled_and_their_areas_are_ours(tmp_path):
    sample = ROOT / "sample_tiles"
    left, top = 565800.0, 5705400.0
    bbox = (left + 14, top - 26, left + 26, top - 14)
    result = cg.segment(sample / "field.tif", tmp_path / "out", plots=sample / "plots.gpkg", bbox=bbox)
    picture = tmp_path / "qgis.png"
    script = Path(__file__).with_name("render.py")
    command = [PYTHON, script, sample / "field.tif", tmp_path / "out", picture]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env=_environment(), timeout=120
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["mask"]["valid"]
    assert seen["mask"]["renderer"] == "paletted"
    assert seen["canopy"]["features"] == result.summary.n_polygons
    assert seen["canopy"]["area_m2"] == pytest.approx(result.summary.canopy_area_m2, rel=1e-9)
    assert seen["canopy"]["crs"] == seen["plots"]["crs"] == "EPSG:32632"
    assert seen["plots"]["features"] == 32
    assert seen["plots"]["renderer"] == "graduatedSymbol"
    assert seen["plots"]["labels"]
    assert {"plot_id", "variety", "coverage", "canopy_area_m2"} <= set(seen["plots"]["fields"])
    assert picture.stat().st_size > 20_000
