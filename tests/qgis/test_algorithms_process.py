"""The plugin from the shell: ``qgis_process`` in a clean profile, with names that are not plain English."""

from __future__ import annotations

import json
import shutil

import pytest
from toolboxes import PROCESS, ROOT, new_home, qgis_process, qgis_version

import cropseg_geo as cg

pytestmark = [
    pytest.mark.skipif(not qgis_version(), reason="QGIS with Python bindings is not installed"),
    pytest.mark.skipif(not PROCESS, reason="qgis_process is not installed"),
]

BBOX = (565814.0, 5705374.0, 565817.0, 5705377.0)
EXTENT = f"{BBOX[0]},{BBOX[2]},{BBOX[1]},{BBOX[3]} [EPSG:32632]"


def test_one_line_segments_a_field_whatever_its_name(tmp_path):
    folder = tmp_path / "Frühjahr 50 % & más"
    folder.mkdir()
    ortho = folder / "Feld (süd) β.tif"
    shutil.copy(ROOT / "sample_tiles/field.tif", ortho)
    parameters = [
        f"INPUT={ortho}", f"EXTENT={EXTENT}", f"OUTPUT={folder / 'máscara 1.tif'}",
        f"CANOPY={folder / 'canopée.gpkg'}",
    ]  # fmt: skip
    # Variables of QGIS's own libraries that would break the engine's if they reached it.
    broken = {"PROJ_LIB": "/nowhere", "GDAL_DATA": "/nowhere", "PYTHONPATH": "/usr/share/qgis/python"}
    done = qgis_process(new_home(tmp_path / "hôme"), "run", "cropseg:segment", "--", *parameters, **broken)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout[done.stdout.index("{") :])["results"]
    ours = cg.segment(ortho, tmp_path / "ours", bbox=BBOX).summary
    assert results["COVERAGE"] == pytest.approx(ours.canopy_cover, rel=1e-12)
    assert results["CANOPY_AREA"] == pytest.approx(ours.canopy_area_m2, rel=1e-12)
    assert results["N_POLYGONS"] == ours.n_polygons
    made = {p.name for p in folder.iterdir() if p.suffix != ".xml"}
    assert made == {ortho.name, "máscara 1.tif", "canopée.gpkg"}


def test_without_an_engine_the_shell_is_told_how_to_get_one(tmp_path):
    home = new_home(tmp_path / "home", engine=None)
    mask = ROOT / "sample_tiles/field_truth.tif"
    arguments = (f"INPUT={mask}", f"OUTPUT={tmp_path / 'c.gpkg'}")
    done = qgis_process(home, "run", "cropseg:vectorize", "--", *arguments, PATH="/usr/bin:/bin")
    assert done.returncode != 0
    assert "not installed" in done.stdout + done.stderr
    assert "Install the engine" in done.stdout + done.stderr
    assert not (tmp_path / "c.gpkg").exists()
