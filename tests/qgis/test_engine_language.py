"""What the engine's side says of itself comes in the user's language, without QGIS in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from qgis_plugin import package, translations
from qgis_plugin.cropseg.engine import language
from qgis_plugin.cropseg.engine.deaths import explain
from qgis_plugin.cropseg.engine.diagnostics import report
from qgis_plugin.cropseg.engine.environment import judge
from qgis_plugin.cropseg.engine.install import install, remedy
from qgis_plugin.cropseg.engine.process import EngineError, run
from qgis_plugin.cropseg.engine.protocol import Job
from qgis_plugin.cropseg.engine.tools import InstallError
from qgis_plugin.cropseg.engine.versions import Fit, Verdict
from qgis_plugin.cropseg.engine.workspace import PlaceError, place, workspace


@pytest.fixture
def german():
    """The German translation, in which a text that it lacks is an error."""
    language.speak(translations.read_ts(package.PLUGIN / "i18n" / "cropseg_de.ts").__getitem__)
    yield
    language.speak(str)


def install_into(target: Path, wheels: Path | None = None) -> None:
    told = {"on_line": print, "on_milestone": print, "is_cancelled": lambda: False}
    install(target, accelerator="cpu", wheels=wheels, **told)


def test_without_a_translator_it_is_english(tmp_path):
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(InstallError, match="holds other files"):
        install_into(tmp_path)


@pytest.mark.usefixtures("german")
def test_an_installation_is_refused_in_german(tmp_path):
    (tmp_path / "Arbeit {1}.odt").touch()
    with pytest.raises(InstallError, match=r"enthält andere Dateien\.\n→ einen leeren Ordner"):
        install_into(tmp_path)
    with pytest.raises(InstallError, match="enthält keine Wheels"):
        install_into(tmp_path / "engine", tmp_path)
    assert "Verbindung und Proxy" in remedy("No matching distribution found for numpy")
    assert "Paket des Plugins" in remedy("No matching distribution found for cropseg-geo==0.1.*")


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize(
    ("code", "said", "words"),
    [
        (-9, "", ["Arbeitsspeicher", "Stapelgröße"]),
        (127, "libgdal.so: not found", ["Rückgabewert 127", "sagte er:\nlibgdal.so", "neu installieren"]),
        (-11, "", ["Signal SIGSEGV", "ohne Ergebnis", "Protokoll"]),
        (1, "No module named cropseg_geo", ["enthält den Rechenkern nicht", "ein anderes Python"]),
    ],
    ids=["killed", "broken", "crash", "missing"],
)  # fmt: skip
def test_an_engine_that_died_is_told_in_german(code, said, words):
    death = explain(code, said)
    for word in words:
        assert word in f"{death.message}\n{death.remedy}"


@pytest.mark.usefixtures("german")
def test_an_engine_that_does_not_start_is_told_in_german_with_its_log(tmp_path):
    log = tmp_path / "run.log"
    with pytest.raises(EngineError, match="kann nicht gestartet werden"):
        run(tmp_path / "nowhere", Job("x"), on_event=print, is_cancelled=lambda: False, log=log)
    assert f"Protokoll: {log}" in str(EngineError("Nein.", log=log))


@pytest.mark.usefixtures("german")
@pytest.mark.parametrize("verdict", list(Verdict))
def test_every_verdict_is_told_in_german(verdict):
    english = Fit(verdict, "/opt/python", "0.1", "0.2", "torch").in_words(str)
    german = str(Fit(verdict, "/opt/python", "0.1", "0.2", "torch"))
    assert "Rechenkern" in german
    assert english[0] not in german


@pytest.mark.usefixtures("german")
def test_a_file_that_cannot_be_written_is_told_in_german(tmp_path):
    with pytest.raises(PlaceError, match="den Layer, der diese Datei zeigt"):
        place(tmp_path / "nothing.tif", tmp_path / "mask.tif")
    with (
        workspace(tmp_path / "mask.tif", keep_blocks=False),
        pytest.raises(PlaceError, match="Ein anderer Lauf schreibt gerade"),
        workspace(tmp_path / "mask.tif", keep_blocks=False),
    ):
        pytest.fail("two runs at once")


@pytest.mark.usefixtures("german")
def test_what_is_pasted_into_a_report_stays_english():
    assert "The engine is not installed yet." in report(None, judge(None, None))
