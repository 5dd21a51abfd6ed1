"""The package works from a clean profile without a window: in ``qgis_process``, in English and in German."""

from __future__ import annotations

import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
from qgis_desktop import environment, make_profile, program, qgis_process

from qgis_plugin import package

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def zipped(tmp_path_factory):
    return package.write_package(tmp_path_factory.mktemp("dist"))


@pytest.mark.parametrize(
    ("locale", "name"), [("en_GB", "Segment an orthomosaic"), ("de_CH", "Orthomosaik segmentieren")]
)
def test_the_package_works_in_qgis_process_in_the_language_of_qgis(zipped, tmp_path, locale, name):
    program("qgis_process")
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(make_profile(tmp_path, locale=locale, enabled=True))
    listed = qgis_process(tmp_path, "list")
    assert f"cropseg:segment\t{name}" in listed
    for algorithm in (
        "vectorize",
        "makeplots",
        "plotstats",
        "plotseries",
        "report",
        "pipeline",
        "check",
        "installengine",
    ):
        assert f"cropseg:{algorithm}\t" in listed


def test_the_engines_side_speaks_the_language_of_qgis(zipped, tmp_path):
    program("qgis_process")
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(make_profile(tmp_path, locale="de_CH", enabled=True))
    others = tmp_path / "Diplomarbeit"
    others.mkdir()
    (others / "Kapitel 1.odt").touch()
    refused = qgis_process(tmp_path, "run", "cropseg:installengine", "--", f"FOLDER={others}")
    assert "enthält andere Dateien" in refused
    mask = ROOT / "sample_tiles" / "field_truth.tif"
    arguments = (f"INPUT={mask}", f"OUTPUT={tmp_path / 'canopy.gpkg'}")
    missing = qgis_process(tmp_path, "run", "cropseg:vectorize", "--", *arguments)
    assert "noch nicht installiert" in missing


def test_help_pages_say_what_the_algorithms_say(tmp_path):
    program("qgis_process")
    python = shutil.which("python3", path="/usr/bin")
    done = subprocess.run(
        [python, ROOT / "qgis_plugin" / "help_tables.py", ROOT / "qgis_plugin", "--check"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(tmp_path, QT_QPA_PLATFORM="offscreen", PYTHONDONTWRITEBYTECODE="1"),
    )
    assert done.returncode == 0, f"run help_tables.py without --check\n{done.stdout}{done.stderr}"


def test_help_pages_refer_to_what_is_there():
    folder = package.PLUGIN / "help"
    for page in folder.glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for name in _targets(text):
            assert (folder / name).is_file(), f"{page.name} refers to {name}"


def test_each_step_of_the_readme_has_its_picture():
    text = (ROOT / "qgis_plugin" / "README.md").read_text(encoding="utf-8")
    steps = re.split(r"^\d\. ", text.partition("\n## The same as one line")[0], flags=re.MULTILINE)[1:]
    assert 3 < len(steps) < 10
    for step in steps[:-1]:
        assert "![" in step
    for name in re.findall(r"!\[[^]]*\]\(([^)]+)\)", text):
        assert (ROOT / "qgis_plugin" / name).is_file(), name


def test_help_pictures_are_small():
    assert sum(path.stat().st_size for path in (package.PLUGIN / "help").glob("*.png")) < 700_000


def _targets(text: str) -> list[str]:
    parts = [part.split('"')[0] for key in ('src="', 'href="') for part in text.split(key)[1:]]
    return [part for part in parts if not part.startswith("https://")]
