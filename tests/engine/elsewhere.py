"""Workers as on another machine: another copy of the package, another home and temporary folder."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from engine.cluster import TESTS, Cluster

import cropseg_geo

PACKAGE = Path(cropseg_geo.__file__).parent


def install(folder: Path) -> Path:
    """A copy of the package; the folder for ``PYTHONPATH``."""
    shutil.copytree(PACKAGE, folder / "cropseg_geo", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def add_worker_elsewhere(
    cluster: Cluster, folder: Path, installed: Path, *, before: str = "", **environment: str
) -> subprocess.Popen:
    """A worker that uses no folder of this process; ``before`` goes before its installation on the path."""
    places = {name: folder / name.lower() for name in ("HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for place in places.values():
        place.mkdir(parents=True)
    path = ":".join(filter(None, (before, str(installed), str(TESTS))))
    variables = {name: str(place) for name, place in places.items()} | {"PYTHONPATH": path} | environment
    return cluster.add_worker(cwd=places["HOME"], **variables)
