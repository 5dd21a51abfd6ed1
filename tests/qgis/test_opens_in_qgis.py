"""The outputs open in the real QGIS, with their styles, and QGIS reads the same figures."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasters import write_plots, write_raster

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


def seen_styled(path: Path, picture: Path) -> dict:
    """What QGIS makes of a GeoPackage's layers, which it also draws."""
    done = subprocess.run(
        [PYTHON, Path(__file__).with_name("styled.py"), path, picture],
        capture_output=True, text=True, check=False, env=_environment(), timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_plots_without_a_valid_pixel_are_drawn_and_those_hardly_seen_are_marked(tmp_path):
    mask = np.full((200, 600), 255, np.uint8)
    mask[:, :280] = 1
    raster = write_raster(tmp_path / "m.tif", mask[None], gsd=0.01, nodata=255)
    plots = write_plots(
        tmp_path / "p.gpkg", [(0, 0, 1.8, 2), (2, 0, 3.8, 2), (4, 0, 5.8, 2)], plot_id=["a", "b", "c"]
    )
    cg.measure_plots(raster, plots, out=tmp_path / "s.gpkg", stats="coverage")
    seen = seen_styled(tmp_path / "s.gpkg", tmp_path / "s.png")["plots"]
    assert seen["legend"][-1] == seen["sld"]["rules"][-1] == "no valid pixel"
    assert seen["labelled"] == {"a": "a\n100 %", "b": "b\n100 % !", "c": "c !"}
    assert "% seen" in seen["map_tip"]
    third = np.asarray(Image.open(tmp_path / "s.png").convert("L"))[:, -330:-60]
    assert 0.05 < (third < 200).mean() < 0.6  # hatched, not empty


def three_classes(path: Path) -> Path:
    """A mask of crop, weed and a class without a single pixel, with names and a colour table."""
    rows, cols = np.ogrid[:400, :500]
    mask = np.zeros((400, 500), np.uint8)
    for row in range(40, 400, 80):
        for col in range(30, 500, 55):
            mask[(rows - row) ** 2 + (cols - col) ** 2 < (12 + (row + col) % 14) ** 2] = 1
    mask[(rows - 200) ** 2 + (cols - 250) ** 2 < 30**2] = 2
    write_raster(path, mask[None], gsd=0.02, nodata=255)
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {1: (51, 160, 44, 255), 2: (200, 30, 120, 255), 3: (9, 9, 200, 255)})
        dataset.update_tags(CROPSEG_CLASSES='{"0": "background", "1": "crop", "2": "weed", "3": "tree"}')
    return path


def test_a_vectorized_mask_opens_with_its_classes_titles_tips_and_a_readable_sld(tmp_path):
    mask, out, picture = three_classes(tmp_path / "m.tif"), tmp_path / "m.gpkg", tmp_path / "m.png"
    n = cg.vectorize(mask, out).n_polygons
    canopy = seen_styled(out, picture)["canopy"]
    assert n > 30
    assert canopy["valid"]
    assert canopy["indexed"]
    assert canopy["renderer"] == "categorizedSymbol"
    assert canopy["legend"] == ["crop", "weed", "tree"]
    assert canopy["aliases"]["area_m2"] == "Area (m²)"
    assert canopy["abstract"].startswith("Crop canopy")
    assert "class_name" in canopy["map_tip"]
    assert canopy["sld"] == {
        "fine": True, "message": "", "renderer": "RuleRenderer", "rules": ["crop", "weed", "tree"]
    }  # fmt: skip
    colours = np.asarray(Image.open(picture).convert("RGB")).reshape(-1, 3)
    # Translucent over white: green where there is crop, purple where there is weed.
    red, green, blue = colours.T.astype(int)
    assert ((green > red + 20) & (green > blue + 20)).mean() > 0.05
    assert ((red > green + 40) & (blue > green + 20)).mean() > 0.001
