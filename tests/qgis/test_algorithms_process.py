"""The plugin from the shell: ``qgis_process`` in a clean profile, with names that are not plain English."""

from __future__ import annotations

import json
import shutil

import geopandas as gpd
import numpy as np
import pytest
from scenarios import BBOX, EXTENT, FIELD, LINE, PLOTS, SAMPLE, SITE
from toolboxes import PROCESS, ROOT, new_home, qgis_process, qgis_version, write_wheel

import cropseg_geo as cg
from cropseg_geo.pipeline import make_plots
from cropseg_geo.pipeline.layout import Template

pytestmark = [
    pytest.mark.skipif(not qgis_version(), reason="QGIS with Python bindings is not installed"),
    pytest.mark.skipif(not PROCESS, reason="qgis_process is not installed"),
]


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return new_home(tmp_path_factory.mktemp("hôme") / "u s e r")


def run(home, algorithm: str, *, cwd=None, extra: dict[str, str] | None = None, **parameters: object) -> dict:
    """The results of one line of the shell, given in a folder."""
    given = [f"{name}={value}" for name, value in parameters.items()]
    done = qgis_process(home, "run", algorithm, "--", *given, cwd=cwd, **(extra or {}))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout[done.stdout.index("{") :])["results"]


def test_one_line_does_the_whole_job_whatever_the_fields_name(home, tmp_path):
    folder = tmp_path / "Frühjahr 50 % & más"
    folder.mkdir()
    ortho = folder / "Feld (süd) β.tif"
    shutil.copy(FIELD, ortho)
    # Variables of QGIS's own libraries that would break the engine's if they reached it.
    broken = {"PROJ_LIB": "/nowhere", "GDAL_DATA": "/nowhere", "PYTHONPATH": "/usr/share/qgis/python"}
    out = folder / "résultats"
    given = {"INPUT": ortho.name, "EXTENT": EXTENT, "PLOTS": PLOTS, "OUTPUT": out.name}
    results = run(home, "cropseg:pipeline", cwd=folder, extra=broken, **given)
    ours = cg.segment(ortho, tmp_path / "ours", bbox=BBOX, plots=PLOTS)
    assert results["COVERAGE"] == pytest.approx(ours.summary.canopy_cover, rel=1e-12)
    assert results["CANOPY_AREA"] == pytest.approx(ours.summary.canopy_area_m2, rel=1e-12)
    assert results["N_POLYGONS"] == ours.summary.n_polygons
    theirs = gpd.read_file(out / "Feld (süd) β.gpkg", layer="plots").set_index("plot_id")["coverage"]
    mine = ours.plots.set_index("plot_id")["coverage"]
    np.testing.assert_allclose(theirs.astype(float), mine[theirs.index].astype(float), rtol=5e-6)
    stem = ortho.stem
    names = {
        f"{stem}_mask.tif",
        f"{stem}_prob.tif",
        f"{stem}.gpkg",
        f"{stem}_plots.csv",
        f"{stem}_report.html",
    }
    assert {p.name for p in out.iterdir() if p.suffix != ".xml"} == names
    assert {p.name for p in folder.iterdir() if p.suffix != ".xml"} == {ortho.name, out.name}


def test_one_line_moves_a_template_joins_a_field_book_and_fits_to_the_canopy(home, tmp_path):
    ids = gpd.read_file(SAMPLE / "plots.gpkg")["plot_id"]
    book = tmp_path / "Feldbuch ß.csv"
    book.write_text(
        "plot;Sorte\n" + "".join(f"{name};Sörte {i}\n" for i, name in enumerate(ids)), encoding="utf-8"
    )
    truth = SAMPLE / "field_truth.tif"
    made = {"TEMPLATE": PLOTS, "FIELD_BOOK": book.name, "MASK": truth, "OUTPUT": "Parzellen ü.gpkg"}
    results = run(home, "cropseg:makeplots", cwd=tmp_path, **LINE, **made)
    theirs = gpd.read_file(tmp_path / results["OUTPUT"], layer="plots")
    mine = make_plots(site=SITE, template=Template(PLOTS), fieldbook=book, snap_to=truth)
    assert results["N_PLOTS"] == len(mine) == 32
    assert list(theirs["Sorte"]) == list(mine["Sorte"]) == [f"Sörte {i}" for i in range(32)]
    np.testing.assert_allclose(theirs.get_coordinates(), mine.get_coordinates(), atol=1e-5)


def test_one_line_runs_a_model_of_the_designer(home, told, tmp_path):
    model = told["chain"]["file"]
    out = tmp_path / "gemessen ü.gpkg"
    run(home, model, **{told["chain"]["destination"]: out})
    theirs, before = (gpd.read_file(p, layer="plots") for p in (out, told["chain"]["measured"]))
    assert list(theirs["coverage"]) == list(before["coverage"])


def test_one_line_looks_before_a_run_with_a_model_of_the_users(home, tmp_path):
    shutil.copy(ROOT / "cropseg_geo/model/weights/canopy-s.onnx", tmp_path / "mein Modell.onnx")
    results = run(home, "cropseg:check", cwd=tmp_path, INPUT=FIELD, EXTENT=EXTENT, MODEL="mein Modell.onnx")
    assert results["TILES"] == cg.check(FIELD, bbox=BBOX).tiles


def test_one_line_installs_the_engine(tmp_path):
    home = new_home(tmp_path / "home", engine=None)
    write_wheel(tmp_path / "wheels", "0.1.0")
    results = run(home, "cropseg:installengine", cwd=tmp_path, WHEELS="wheels")
    assert results["VERSION"] == "0.1.0"
    assert (home / ".local/share/cropseg/engine/pyvenv.cfg").is_file()


def test_without_an_engine_the_shell_is_told_how_to_get_one(tmp_path):
    home = new_home(tmp_path / "home", engine=None)
    mask = ROOT / "sample_tiles/field_truth.tif"
    arguments = (f"INPUT={mask}", f"OUTPUT={tmp_path / 'c.gpkg'}")
    done = qgis_process(home, "run", "cropseg:vectorize", "--", *arguments, PATH="/usr/bin:/bin")
    assert done.returncode != 0
    assert "not installed" in done.stdout + done.stderr
    assert "Install the engine" in done.stdout + done.stderr
    assert not (tmp_path / "c.gpkg").exists()
