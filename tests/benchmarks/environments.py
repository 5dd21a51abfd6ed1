"""Environments for other people's tools: made with uv in the cache, thrown away by deleting the folder.

Versions are pinned, so that a figure can be measured again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from harness import FailedError

# The newest versions that uv resolved for Python 3.11 on 2026-11-25.
REQUIREMENTS = {
    "geo-inference": ("geo-inference==3.2.4", "torch==2.15.0", "rasterio==1.4.4", "numpy==2.4.6"),
    "geoai": ("geoai-py==0.40.1", "torch==2.15.0", "rasterio==1.4.4", "numpy==2.4.6"),
    "rasterstats": ("rasterstats==0.21.0", "rasterio==1.4.4", "numpy==2.4.6"),
}


@dataclass(frozen=True)
class Environment:
    """A Python with its packages."""

    python: Path
    versions: dict[str, str]


def environment(name: str, cache: Path) -> Environment:
    """The environment of that name of ``REQUIREMENTS``; installed at the first call.

    Raises
    ------
    FailedError
        If it cannot be installed, with uv's reason.
    """
    requirements = REQUIREMENTS[name]
    digest = hashlib.sha256(" ".join(requirements).encode()).hexdigest()[:8]
    folder = cache / "environments" / f"{name}-{digest}"
    python = folder / "bin" / "python"
    whole = folder / "installed.json"
    if not whole.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _uv("venv", "--quiet", "--python", "3.11", str(folder))
        _uv("pip", "install", "--quiet", "--python", str(python), *requirements)
        whole.write_text(_uv("pip", "list", "--quiet", "--python", str(python), "--format", "json"))
    named = {requirement.partition("==")[0] for requirement in requirements}
    installed = {package["name"]: package["version"] for package in json.loads(whole.read_text())}
    return Environment(python, {name: version for name, version in installed.items() if name in named})


def _uv(*arguments: str) -> str:
    done = subprocess.run(["uv", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        said = " ".join(line.strip() for line in done.stderr.splitlines() if line.strip())
        raise FailedError(f"cannot be installed: {said[:300]}")
    return done.stdout
