"""The engine's environment: the commands that make it, and a real one from a folder of wheels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from toolboxes import write_engine, write_wheel

from qgis_plugin.cropseg.engine.diagnostics import report, without_home
from qgis_plugin.cropseg.engine.environment import Engine, find_engine, forget, judge, python_in
from qgis_plugin.cropseg.engine.install import install, remedy
from qgis_plugin.cropseg.engine.milestones import Milestones
from qgis_plugin.cropseg.engine.pip_settings import for_uv
from qgis_plugin.cropseg.engine.tools import InstallError, Tool, find_tools, requirement, steps

TARGET = Path("/data/cropseg/engine")
PYTHON = str(python_in(TARGET))


def test_for_a_processor_nothing_but_the_engine_is_asked_for(monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    make, engine = steps(Tool("uv", "uv"), TARGET, accelerator="cpu", wheels=None)
    assert make == ["uv", "venv", "--python", ">=3.11,<3.15", str(TARGET)]
    assert engine == ["uv", "pip", "install", "--python", PYTHON, requirement()]
    assert "torch" not in requirement()


@pytest.mark.parametrize(("accelerator", "index"), [("torch", "whl/cpu"), ("cuda", "whl/cu")])
def test_torch_comes_from_its_own_index_and_the_engine_from_the_users(accelerator, index, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    _, torch, engine = steps(Tool("uv", "uv"), TARGET, accelerator=accelerator, wheels=None)
    assert torch[:5] == ["uv", "pip", "install", "--python", PYTHON]
    assert index in torch[torch.index("--index-url") + 1]
    assert "torch" in torch
    assert engine == ["uv", "pip", "install", "--python", PYTHON, requirement(with_torch=True)]
    assert engine[-1].startswith("cropseg-geo[torch]==")


@pytest.mark.parametrize(
    ("machine", "accelerator", "extra", "pythons"),
    [
        ("arm64", "cpu", "", ">=3.11,<3.15"),
        ("arm64", "torch", "[torch]", ">=3.11,<3.15"),
        # onnxruntime has wheels for it up to 1.23, and that up to Python 3.13.
        ("x86_64", "cpu", "", ">=3.11,<3.14"),
    ],
)
def test_on_macos_there_is_one_torch_and_intel_does_without(
    monkeypatch, machine, accelerator, extra, pythons
):
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr("platform.machine", lambda: machine)
    make, engine = steps(Tool("uv", "uv"), TARGET, accelerator=accelerator, wheels=None)
    assert engine[-1].startswith(f"cropseg-geo{extra}==")
    assert pythons in make


def test_with_wheels_nothing_comes_from_the_network():
    make, only = steps(Tool("venv", "python3"), TARGET, accelerator="cpu", wheels=Path("/stick/wheels"))
    assert make == ["python3", "-m", "venv", str(TARGET)]
    assert only[:4] == [PYTHON, "-m", "pip", "install"]
    assert only[-4:] == ["--no-index", "--find-links", "/stick/wheels", requirement()]


@pytest.mark.parametrize(("accelerator", "extra"), [("cpu", ""), ("cuda", "[torch]")])
def test_an_engine_that_came_with_the_plugin_is_taken_from_there(accelerator, extra, monkeypatch):
    monkeypatch.setattr("sys.platform", "linux")
    own = TARGET.parent / "die Räder" / "cropseg_geo-0.1.0-py3-none-any.whl"
    *_, engine = steps(Tool("uv", "uv"), TARGET, accelerator=accelerator, wheels=None, own=own)
    assert engine == ["uv", "pip", "install", "--python", PYTHON, f"cropseg-geo{extra} @ {own.as_uri()}"]
    assert "%C3%A4" in engine[-1]


def test_an_unknown_accelerator_is_refused():
    with pytest.raises(InstallError, match="cpu, cuda, torch"):
        steps(Tool("uv", "uv"), TARGET, accelerator="tpu", wheels=None)


def test_uv_is_told_what_pip_is_configured_to_use(tmp_path):
    site, own = tmp_path / "pip.conf", tmp_path / "own.conf"
    site.write_text("[global]\nindex-url = https://one/simple\nproxy = http://proxy:8080\ntimeout = 5\n")
    folder, page, missing = tmp_path / "wheels", "https://two/wheels.html", tmp_path / "missing"
    folder.mkdir()
    places = "".join(f"\n  {place}" for place in (folder, missing, missing.as_uri(), page, folder.as_uri()))
    own.write_text(f"[install]\nindex-url = https://two/simple\nfind-links ={places}\n")
    told = for_uv({"PIP_TRUSTED_HOST": "two three", "PIP_CERT": "/ca.pem"}, [site, own, tmp_path / "none"])
    assert told == {
        "UV_DEFAULT_INDEX": "https://two/simple",
        # pip warns of a missing folder and goes on, uv does not.
        "UV_FIND_LINKS": f"{folder},{page},{folder.as_uri()}",
        "UV_INSECURE_HOST": "two three",
        "SSL_CERT_FILE": "/ca.pem",
        "ALL_PROXY": "http://proxy:8080",
    }


def test_what_the_user_set_for_uv_or_as_a_proxy_stays(tmp_path):
    conf = tmp_path / "pip.conf"
    conf.write_text("[global]\nindex-url = https://one/simple\nproxy = http://proxy:8080\n")
    assert for_uv({"UV_DEFAULT_INDEX": "https://mine", "https_proxy": "http://other"}, [conf]) == {}
    conf.write_text("no settings at all\x00")
    assert for_uv({}, [conf]) == {}


@pytest.fixture
def tool():
    try:
        return next(find_tools())
    except InstallError as err:
        pytest.skip(f"nothing here makes environments: {err}")


def put(
    target: Path, wheels: Path | None, *, is_cancelled=lambda: False, on_milestone=lambda _share, _step: None
) -> tuple[Engine | None, list[str]]:
    lines: list[str] = []
    told = {"on_line": lines.append, "on_milestone": on_milestone, "is_cancelled": is_cancelled}
    return install(target, accelerator="cpu", wheels=wheels, **told), lines


@pytest.mark.skipif(os.name == "nt", reason="paths are POSIX")
def test_an_engine_is_installed_from_wheels_updated_and_kept_when_the_next_one_fails(tmp_path, tool):
    forget()
    target, wheels = tmp_path / "daten ü" / "engine", tmp_path / "wheels"
    write_wheel(wheels, "0.1.0")
    shown: list[tuple[float, str]] = []
    engine, lines = put(target, wheels, on_milestone=lambda *step: shown.append(step))
    assert (engine.python, engine.version, engine.kind) == (python_in(target), "0.1.0", "managed")
    assert lines[0].startswith("$ ")
    assert [share for share, _ in shown] == sorted(share for share, _ in shown)
    assert [step for _, step in shown if step != "Installing the libraries"] == [
        "Making the environment", "Collecting the libraries", "Checking the engine"
    ]  # fmt: skip
    assert find_engine(str(target)).version == "0.1.0"

    write_wheel(wheels, "0.1.5")
    assert put(target, wheels)[0].version == "0.1.5"

    # Cancelled on the way: the engine that was there is there.
    asked = iter([False, *[True] * 50])
    assert put(target, wheels, is_cancelled=lambda: next(asked))[0] is None
    assert find_engine(str(target)).version == "0.1.5"

    write_wheel(tmp_path / "too new", "0.9.0")
    with pytest.raises(InstallError, match=r"exit code(.|\n)*no engine for this plugin"):
        put(target, tmp_path / "too new")
    assert find_engine(str(target)).version == "0.1.5"
    assert not target.with_name("engine.before").exists()
    forget()


@pytest.mark.skipif(os.name == "nt", reason="paths are POSIX")
def test_the_plugins_own_engine_needs_no_index_and_no_folder(tmp_path, tool, monkeypatch):
    forget()
    brought, given = tmp_path / "Erweiterung ü, neu" / "wheels", tmp_path / "wheels"
    monkeypatch.setattr("qgis_plugin.cropseg.engine.tools.OWN_WHEELS", brought)
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    write_wheel(brought, "0.1.2")
    assert put(tmp_path / "engine", None)[0].version == "0.1.2"

    # A folder of wheels that holds an engine was chosen for it; one without has what the engine needs.
    given.mkdir()
    (given / "other-1.0-py3-none-any.whl").touch()
    assert put(tmp_path / "engine", given)[0].version == "0.1.2"
    write_wheel(given, "0.1.1")
    assert put(tmp_path / "engine", given)[0].version == "0.1.1"
    forget()


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: No matching distribution found for cropseg-geo==0.1.*",
        "ERROR: No matching distribution found for cropseg-geo[torch]==0.1.*",
        "Because cropseg-geo was not found in the package registry and you require cropseg-geo==0.1.*",
        "Because there is no version of cropseg-geo==0.1.* and you require cropseg-geo==0.1.*, we can",
        "Because only cropseg-geo==0.9.0 is available and you require cropseg-geo==0.1.*, we can",
    ],
)
def test_an_index_without_the_engine_is_not_taken_for_a_broken_connection(said):
    assert "the plugin's package with the engine in it" in remedy(said)
    assert remedy("No matching distribution found for numpy") == remedy("")


UV = ["Using CPython 3.13.1", "Resolved 31 packages in 1.20s", "Downloading openvino (42.1MiB)",
      "Prepared 31 packages in 9.81s", "Installed 31 packages in 301ms", " + numpy==2.3.1"]  # fmt: skip
PIP = ["Collecting cropseg-geo==0.1.*", "  Downloading numpy-2.3.1.whl (16.6 MB)",
       "Installing collected packages: numpy, cropseg-geo", "Successfully installed numpy-2.3.1"]  # fmt: skip


@pytest.mark.parametrize("lines", [UV, PIP], ids=["uv", "pip"])
def test_an_installation_tells_its_steps_and_never_falls_back(lines):
    told: list[tuple[float, str]] = []
    milestones = Milestones(2, lambda *step: told.append(step))
    for _ in ("torch", "engine"):
        milestones.add()
        for line in lines:
            milestones.hear(line)
    milestones.check()
    shares, steps = zip(*told, strict=True)
    assert shares == pytest.approx((0, 0.05, 0.365, 0.5, 0.815, 0.95))
    each = ["Collecting the libraries", "Installing the libraries"]
    assert list(steps) == ["Making the environment", *each, *each, "Checking the engine"]


@pytest.mark.skipif(os.name == "nt", reason="paths are POSIX")
def test_where_one_tool_makes_no_environment_the_next_one_does(tmp_path, tool, monkeypatch):
    forget()
    write_wheel(tmp_path / "wheels", "0.1.2")
    # As the Python of an application does, whose libraries are found by that application alone.
    broken = write_engine(
        tmp_path / "python",
        f"os.makedirs({str(tmp_path / 'engine/bin')!r}); sys.exit('dyld: Library not loaded')",
    )
    monkeypatch.setattr(
        "qgis_plugin.cropseg.engine.install.find_tools", lambda: iter([Tool("venv", str(broken)), tool])
    )
    assert put(tmp_path / "engine", tmp_path / "wheels")[0].version == "0.1.2"

    tools = [Tool("venv", str(broken)), Tool("venv", "/bin/false")]
    monkeypatch.setattr("qgis_plugin.cropseg.engine.install.find_tools", lambda: iter(tools))
    with pytest.raises(InstallError) as caught:
        put(tmp_path / "engine", tmp_path / "wheels")
    assert "dyld: Library not loaded" in str(caught.value)
    assert "written to" in str(caught.value)
    assert "proxy" not in str(caught.value)
    assert find_engine(str(tmp_path / "engine")).version == "0.1.2"
    forget()


def test_a_folder_of_other_files_is_not_touched(tmp_path):
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(InstallError, match="holds other files"):
        put(tmp_path, tmp_path)
    assert (tmp_path / "thesis.odt").exists()


def test_a_folder_without_wheels_is_refused(tmp_path):
    with pytest.raises(InstallError, match="holds no wheels"):
        put(tmp_path / "engine", tmp_path)
    assert not (tmp_path / "engine").exists()


def test_diagnostics_tell_the_engine_and_not_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://user:password@proxy:8080")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    engine = Engine(Path.home() / "env/bin/python", "0.0.9", "chosen", "3.12.1", (("torch", "2.9"),))
    text = report(engine, judge(engine, None))
    assert "too old" in text
    assert "torch 2.9" in text
    assert "HTTPS_PROXY" in text
    assert "password" not in text
    assert str(Path.home() / "env") not in text
    assert "missing" in report(None, judge(None, None))


@pytest.mark.parametrize(
    "place",
    [r"C:\Users\Anna B\env", "C:/Users/Anna B/env", r"c:\users\anna b/env", r"C:\\Users\\Anna B\env"],
)
def test_diagnostics_leave_out_the_user_however_windows_spells_the_home(place):
    home = r"C:\Users\Anna B"
    assert without_home(f'"raster": "{place}"', home, is_windows=True) in (
        r'"raster": "~\env"',
        '"raster": "~/env"',
    )
    assert without_home("/home/anna/env, /Home/anna", "/home/anna", is_windows=False) == "~/env, /Home/anna"
