"""The command line and the environment that the engine is started with. Nothing of QGIS's own gets in."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

DROPPED = frozenset(
    {
        "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "PYTHONUSERBASE", "PYTHONEXECUTABLE",
        "__PYVENV_LAUNCHER__", "PROJ_DATA", "PROJ_LIB", "PROJ_NETWORK",
        "GDAL_DATA", "GDAL_DRIVER_PATH", "GDAL_FILENAME_IS_UTF8",
        "GEOTIFF_CSV", "OGR_DRIVER_PATH", "OSGEO4W_ROOT", "VIRTUAL_ENV",
        "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH", "DYLD_INSERT_LIBRARIES", "LD_PRELOAD",
    }
)  # fmt: skip
"""Variables by which QGIS tells its own libraries where their data is; the engine has its own libraries."""

DROPPED_PREFIXES = ("QT_", "QML", "QGIS_", "CONDA_", "PYTHONNET")

_CERTIFICATES = ("SSL_CERT_DIR", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""A user's own stay (a firm's proxy needs them), QGIS's go."""

_MARKS_OF_QGIS = ("qgis", "osgeo4w", "grass")

_NEW_GROUP = 0x00000200
_NO_WINDOW = 0x08000000


def command(python: Path, *, stop_at_eof: bool = True) -> list[str]:
    """Start the worker; its job is a line of standard input, whose end stops it, or all of standard input."""
    start = [str(python), "-X", "utf8", "-u", "-m", "cropseg_geo.worker"]
    return [*start, "--stop-at-eof"] if stop_at_eof else start


def without_window() -> dict[str, Any]:
    """Options of ``subprocess`` by which Windows opens no console for a program; none elsewhere."""
    return {"creationflags": _NO_WINDOW} if os.name == "nt" else {}


def in_own_group() -> dict[str, Any]:
    """Options of ``subprocess`` by which a program and all that it starts can be stopped together."""
    return {"creationflags": _NEW_GROUP | _NO_WINDOW} if os.name == "nt" else {"start_new_session": True}


def environment(inherited: Mapping[str, str], *, is_windows: bool = os.name == "nt") -> dict[str, str]:
    """The engine's environment: the user's own, without what QGIS added for itself.

    Names are compared without case on Windows. Proxies, CUDA and locale variables stay.
    """
    kept = {}
    for name, value in inherited.items():
        known = name.upper() if is_windows else name
        is_qgis_certificate = known in _CERTIFICATES and _is_of_qgis(value)
        if known not in DROPPED and not known.startswith(DROPPED_PREFIXES) and not is_qgis_certificate:
            kept[name] = value
    for name in [n for n in kept if (n.upper() if is_windows else n) in ("PATH", "LD_LIBRARY_PATH")]:
        kept[name] = _without_qgis(kept[name], separator=";" if is_windows else ":")
        if not kept[name]:
            del kept[name]
    # Neither what the user installed for the system's Python nor a folder named cropseg_geo where the engine
    # happens to start may shadow what is in its environment.
    return kept | {"PYTHONNOUSERSITE": "1", "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}


def _without_qgis(folders: str, *, separator: str) -> str:
    """A list of folders without those in QGIS's installation: their libraries have the engine's names."""
    parts = [part for part in folders.split(separator) if part]
    return separator.join(part for part in parts if not _is_of_qgis(part))


def _is_of_qgis(path: str) -> bool:
    return any(mark in path.lower() for mark in _MARKS_OF_QGIS)
