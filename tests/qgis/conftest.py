"""One run of QGIS for all tests of the algorithms: what the toolbox answers to everything that they ask."""

from __future__ import annotations

import pytest
from job_table import jobs
from scenarios import (
    BBOX,
    MIN_AREA,
    PLOTS,
    SAMPLE,
    engines,
    makeplots,
    on_layers,
    onto_inputs,
    season,
    whole_job,
)
from toolboxes import ask_toolbox, new_home, qgis_version

import cropseg_geo as cg
from cropseg_geo.vector.options import Outlines


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("Feld Süd β")


@pytest.fixture(scope="session")
def ours(folder):
    """The package's own result for the same part of the field."""
    outlines = Outlines(min_area_m2=MIN_AREA)
    return cg.segment(SAMPLE / "field.tif", folder / "ours", bbox=BBOX, plots=PLOTS, outlines=outlines)


@pytest.fixture(scope="session")
def told(folder):
    """Answers by the names of the scenarios."""
    if not qgis_version():
        pytest.skip("QGIS with Python bindings is not installed")
    out = folder / "theirs"
    mask = str(out / "field_mask.tif")
    asked = [
        *whole_job(folder, out),
        *on_layers(folder, mask),
        *makeplots(folder, mask),
        *onto_inputs(folder),
        *season(folder),
        *jobs(folder / "jobs"),
    ]
    return ask_toolbox(new_home(folder / "home"), [*asked, *engines(folder, mask)])
