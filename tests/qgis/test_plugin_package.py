"""The package is what plugins.qgis.org takes: one folder, complete, reproducible, without findings."""

from __future__ import annotations

import configparser
import io
import re
import shutil
import struct
import zipfile

import pytest

import cropseg_geo
from qgis_plugin import checks, package, translations

GERMAN = package.PLUGIN / "i18n" / "cropseg_de.ts"


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return package.write_package(tmp_path_factory.mktemp("dist"))


def test_the_site_finds_nothing_in_the_package(path):
    missing = checks.missing_tools()
    problems = checks.check_package(path)
    if missing:
        assert problems == [f"{tool} is not installed" for tool in missing]
        pytest.skip(f"not installed: {', '.join(missing)}")
    assert problems == []


def test_the_package_holds_what_the_plugin_needs_and_nothing_else(path):
    with zipfile.ZipFile(path) as archive:
        names = set(archive.namelist())
    needed = {"__init__.py", "plugin.py", "provider.py", "metadata.txt", "LICENSE", "icon.svg"}
    needed |= {"i18n/cropseg_de.qm", "sample/field.tif", "sample/plots.gpkg", "help/index.html"}
    assert {f"cropseg/{name}" for name in needed} <= names
    assert {name.split("/")[0] for name in names} == {"cropseg"}
    assert not [name for name in names if name.endswith((".pyc", ".ts", ".toml", ".whl", ".so"))]


def test_a_package_with_the_engine_holds_its_wheel_and_is_not_for_the_site(tmp_path, capsys):
    if shutil.which("uv") is None:
        pytest.skip("uv is not installed")
    assert package.main(["-o", str(tmp_path), "--with-engine"]) == 0
    with zipfile.ZipFile(tmp_path / f"cropseg-{package.version()}-with-engine.zip") as archive:
        name = f"{package.ENGINE}/cropseg_geo-{package.version()}-py3-none-any.whl"
        with zipfile.ZipFile(io.BytesIO(archive.read(name))) as wheel:
            needed = {"cropseg_geo/worker.py", "cropseg_geo/model/weights/canopy-s.onnx"}
            assert needed <= set(wheel.namelist())
        assert any("is a program" in problem for problem in checks.check_form(archive))
    for option in ("--check", "--release"):
        with pytest.raises(SystemExit):
            package.main(["-o", str(tmp_path), "--with-engine", option])
        assert "takes no wheels" in capsys.readouterr().err


def test_packing_twice_gives_the_same_bytes(path):
    assert package.pack(package.contents()) == path.read_bytes()


def test_files_in_the_package_are_not_programs(path):
    with zipfile.ZipFile(path) as archive:
        assert {(info.external_attr >> 16) & 0o777 for info in archive.infolist()} == {0o644}


def test_the_version_comes_from_one_place_and_is_the_engines(path):
    assert path.name == f"cropseg-{package.version()}.zip"
    assert package.version() == cropseg_geo.__version__


def test_metadata_names_every_version_of_qgis_from_3_22_to_4():
    metadata = configparser.ConfigParser()
    metadata.optionxform = str  # type: ignore[assignment,method-assign]
    metadata.read(package.PLUGIN / "metadata.txt", encoding="utf-8")
    general = dict(metadata.items("general"))
    assert general["qgisMinimumVersion"] == "3.22"
    assert general["qgisMaximumVersion"] == "4.99"
    assert general["hasProcessingProvider"] == "yes"
    assert general["license"] == "GPL-2.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in (package.PLUGIN / "LICENSE").read_text()


def test_a_release_is_refused_while_addresses_are_placeholders(tmp_path, capsys):
    if checks.missing_tools():
        pytest.skip("the site's tools are not installed")
    assert package.main(["-o", str(tmp_path), "--release"]) == 1
    said = capsys.readouterr().out
    for name in ("tracker", "repository", "homepage", "email"):
        assert f"metadata.txt: {name} is a placeholder" in said
    assert not list(tmp_path.iterdir())
    filled = (package.PLUGIN / "metadata.txt").read_text().replace(checks.PLACEHOLDER, ".org")
    assert checks.placeholders(filled) == []


ADDRESSES = (
    "--email=someone@example.org",
    "--homepage=https://example.org/cropseg%20field",
    "--repository=https://example.org/cropseg.git",
    "--tracker=https://example.org/issues",
)


def test_a_release_takes_the_addresses_of_whoever_publishes_it(tmp_path):
    if checks.missing_tools():
        pytest.skip("the site's tools are not installed")
    assert package.main(["-o", str(tmp_path), "--release", *ADDRESSES]) == 0
    with zipfile.ZipFile(tmp_path / f"cropseg-{package.version()}.zip") as archive:
        metadata = configparser.ConfigParser()
        metadata.read_string(archive.read("cropseg/metadata.txt").decode())
    given = dict(address.removeprefix("--").split("=", 1) for address in ADDRESSES)
    assert {name: metadata.get("general", name) for name in given} == given
    assert "example.org" not in (package.PLUGIN / "metadata.txt").read_text()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("--homepage=http://example.org", "homepage is no address"),
        ("--email=a@example.org\nserver=True", "email is not one line of text"),
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path, capsys, address, said):
    if checks.missing_tools():
        pytest.skip("the site's tools are not installed")
    try:
        code = package.main(["-o", str(tmp_path), "--release", *ADDRESSES, address])
    except SystemExit as stop:
        code = stop.code
    assert code
    captured = capsys.readouterr()
    assert said in captured.out + captured.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("names", "part"),
    [
        ({"cropseg/lib.so": b""}, "is a program"),
        ({"other/__init__.py": b""}, "outside"),
        ({"cropseg/__pycache__/a.py": b""}, "does not belong"),
        ({"cropseg/.hidden": b""}, "does not belong"),
        ({}, "cropseg/LICENSE is missing"),
    ],
)
def test_a_package_of_the_wrong_form_is_refused(names, part):
    with zipfile.ZipFile(io.BytesIO(package.pack(names))) as archive:
        assert any(part in problem for problem in checks.check_form(archive))


@pytest.mark.parametrize(
    "name", ["../cropseg.py", "cropseg/../../a.py", "/etc/a", "c:\\\\a.py", "a\\\\..\\\\b.py"]
)
def test_a_package_with_a_member_that_points_outside_is_not_unpacked(tmp_path, name):
    path = tmp_path / "plugin.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"")
    assert any("points outside" in problem for problem in checks.check_package(path))


def test_a_package_that_unpacks_to_hundreds_of_megabytes_is_not_unpacked(tmp_path):
    path = tmp_path / "plugin.zip"
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("cropseg/a", "w") as member,
    ):
        for _ in range(26):
            member.write(bytes(10_000_000))
    assert path.stat().st_size < 1_000_000
    assert any("unpacked it has 260 MB" in problem for problem in checks.check_package(path))


def test_a_secret_in_the_package_would_be_found(tmp_path):
    if checks.missing_tools():
        pytest.skip("detect-secrets is not installed")
    word = "A" + "KIA" + "Z7QK2M9XW4TB8LRD"
    (tmp_path / "keys.py").write_text(f'aws = "{word}"\n')
    assert checks.secrets(tmp_path)
    (tmp_path / "keys.py").write_text("import pickle\npickle.loads(open('x', 'rb').read())\n")
    assert checks.bandit(tmp_path)
    (tmp_path / "keys.py").write_text("import os\n")
    assert checks.flake8(tmp_path)


def test_every_text_of_the_plugin_has_its_german():
    german = translations.read_ts(GERMAN)
    texts = translations.collect()
    assert [text for text in texts if not german.get(text)] == []
    assert sorted(german) == sorted(texts)


def test_translations_keep_the_places_for_values():
    places = re.compile(r"\{[^}]*\}")
    for source, target in translations.read_ts(GERMAN).items():
        assert sorted(places.findall(source)) == sorted(places.findall(target)), source


def test_a_text_that_cannot_be_collected_is_refused(tmp_path):
    (tmp_path / "a.py").write_text("tr(name)\n")
    with pytest.raises(ValueError, match=r"a\.py:1"):
        translations.collect(tmp_path)
    (tmp_path / "a.py").write_text('LABELS = {"a": "One"}\ntr(LABELS["a"])\nself.tr("Two")\n')
    assert sorted(translations.collect(tmp_path)) == ["One", "Two"]


def test_a_qm_file_leads_from_each_hash_to_its_message():
    texts = {"Run": "Los", "Grün?": "Grün!", "missing": ""}
    data = translations.compile_qm(texts)
    assert data.startswith(translations.MAGIC)
    tag, size = struct.unpack_from(">BI", data, 16)
    hashes = [struct.unpack_from(">II", data, 21 + at) for at in range(0, size, 8)]
    assert tag == translations.HASHES
    assert [value for value, _ in hashes] == sorted(
        translations.elf_hash(t.encode()) for t in ("Run", "Grün?")
    )
    messages = data[21 + size + 5 :]
    for _, at in hashes:
        assert messages[at] == translations.TRANSLATION
