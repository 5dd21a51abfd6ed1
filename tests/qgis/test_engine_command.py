"""The engine starts in an environment without anything of QGIS's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from qgis_plugin.cropseg.engine.command import command, environment


def test_the_engine_is_started_as_a_module_and_stops_with_its_parent():
    start = command(Path("/opt/my engine/bin/python"))
    assert start[0] == "/opt/my engine/bin/python"
    assert start[start.index("-m") + 1] == "cropseg_geo.worker"
    assert start[-1] == "--stop-at-eof"
    assert "--stop-at-eof" not in command(Path("python"), stop_at_eof=False)


@pytest.mark.parametrize(
    "name",
    ["PYTHONPATH", "PYTHONHOME", "PROJ_DATA", "PROJ_LIB", "GDAL_DATA", "GDAL_DRIVER_PATH", "QT_PLUGIN_PATH",
     "QT_QPA_PLATFORM", "QGIS_PREFIX_PATH", "LD_PRELOAD", "DYLD_LIBRARY_PATH", "VIRTUAL_ENV"],
)  # fmt: skip
def test_what_qgis_sets_for_itself_is_dropped(name):
    assert name not in environment({name: "/somewhere"}, is_windows=False)
    assert name not in environment({name: "/somewhere"}, is_windows=True)


@pytest.mark.parametrize(
    "name",
    ["HTTPS_PROXY", "no_proxy", "PIP_INDEX_URL", "UV_CACHE_DIR", "CUDA_VISIBLE_DEVICES", "HOME", "LANG"],
)
def test_what_the_user_set_stays(name):
    assert environment({name: "mine"}, is_windows=False)[name] == "mine"


def test_windows_names_are_compared_without_case():
    kept = environment(
        {
            "PythonHome": r"C:\OSGeo4W\apps\Python312",
            "Path": r"C:\OSGeo4W\bin;C:\Windows",
            "SystemRoot": "C:",
        },
        is_windows=True,
    )
    assert "PythonHome" not in kept
    assert kept["Path"] == r"C:\Windows"
    assert kept["SystemRoot"] == "C:"


def test_folders_of_qgis_leave_the_search_paths():
    kept = environment(
        {
            "PATH": "/Applications/QGIS.app/Contents/MacOS/bin:/usr/bin",
            "LD_LIBRARY_PATH": "/usr/lib/grass82/lib",
        },
        is_windows=False,
    )
    assert kept["PATH"] == "/usr/bin"
    assert "LD_LIBRARY_PATH" not in kept
    assert environment({"LD_LIBRARY_PATH": "/opt/cuda"}, is_windows=False)["LD_LIBRARY_PATH"] == "/opt/cuda"


def test_only_certificates_of_qgis_are_dropped():
    assert "SSL_CERT_FILE" not in environment({"SSL_CERT_FILE": r"C:\OSGeo4W\bin\ca.crt"}, is_windows=True)
    assert (
        environment({"SSL_CERT_FILE": "/etc/firm.pem"}, is_windows=False)["SSL_CERT_FILE"] == "/etc/firm.pem"
    )


def test_neither_the_users_packages_nor_the_folder_of_the_start_get_in():
    kept = environment({}, is_windows=False)
    assert kept["PYTHONNOUSERSITE"] == kept["PYTHONSAFEPATH"] == "1"
