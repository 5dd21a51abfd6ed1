"""Looks at a package as plugins.qgis.org does when it is uploaded, and with our own rules.

Source: qgis/QGIS-Plugins-Website, plugins/validator.py (what is refused) and plugins/security_scanner.py
(what is flagged).
"""

from __future__ import annotations

import configparser
import importlib.util
import json
import stat
import subprocess  # nosec B404 # runs linters; no shell
import sys
import tempfile
import zipfile
from pathlib import Path, PurePosixPath

from .lint import lint_folder

MAX_BYTES = 25_000_000
MAX_UNPACKED_BYTES = 10 * MAX_BYTES
REQUIRED = (
    "name",
    "description",
    "version",
    "qgisMinimumVersion",
    "author",
    "email",
    "about",
    "tracker",
    "repository",
)
ADDRESSES = ("email", "homepage", "repository", "tracker")
PLACEHOLDER = ".invalid"
BINARIES = frozenset({".exe", ".dll", ".so", ".dylib", ".pyd", ".bat", ".sh", ".ps1", ".cmd", ".pyc", ".whl"})
TOOLS = ("bandit", "detect_secrets", "flake8")


def check_package(path: Path) -> list[str]:
    """What is wrong with a package, in words; empty if nothing is.

    Tools that are not installed are a problem too: a check that was not made must not look like one passed.
    """
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place).resolve()
        with zipfile.ZipFile(path) as archive:
            if problems := check_members(archive):
                return problems
            problems = check_form(archive) + check_metadata(archive)
            archive.extractall(folder)
        problems += [str(found).replace(f"{folder}/", "") for found in lint_folder(folder / "cropseg")]
        problems += [f"{tool} is not installed" for tool in missing_tools()]
        if not missing_tools():
            problems += bandit(folder) + secrets(folder) + flake8(folder)
    if path.stat().st_size > MAX_BYTES:
        problems.append(
            f"the package has {path.stat().st_size / 1e6:.1f} MB; the site takes {MAX_BYTES / 1e6:.0f}"
        )
    return problems


def check_members(archive: zipfile.ZipFile) -> list[str]:
    """What forbids to unpack a package: members that would lie elsewhere, or more than a plugin can hold."""
    problems = []
    for info in archive.infolist():
        parts = PurePosixPath(info.filename.replace("\\", "/")).parts
        if ".." in parts or parts[:1] == ("/",) or ":" in info.filename:
            problems.append(f"{info.filename} points outside of the package")
        if stat.S_ISLNK(info.external_attr >> 16):
            problems.append(f"{info.filename} is a link")
    unpacked = sum(info.file_size for info in archive.infolist())
    if unpacked > MAX_UNPACKED_BYTES:
        problems.append(
            f"unpacked it has {unpacked / 1e6:.0f} MB; {MAX_UNPACKED_BYTES / 1e6:.0f} are expected"
        )
    return problems


def check_form(archive: zipfile.ZipFile) -> list[str]:
    """One folder ``cropseg``, with what must be in it and nothing that must not."""
    names = archive.namelist()
    problems = [f"{name} lies outside cropseg/" for name in names if not name.startswith("cropseg/")]
    problems += [
        f"cropseg/{name} is missing"
        for name in ("__init__.py", "metadata.txt", "LICENSE", "icon.svg")
        if f"cropseg/{name}" not in names
    ]
    for info in archive.infolist():
        path = PurePosixPath(info.filename)
        if path.suffix in BINARIES:
            problems.append(f"{path} is a program")
        if any(part.startswith(".") or part in {"__pycache__", "__MACOSX", "tests"} for part in path.parts):
            problems.append(f"{path} does not belong into a package")
        if (info.external_attr >> 16) & 0o111:
            problems.append(f"{path} is marked as executable")
    return problems


def check_metadata(archive: zipfile.ZipFile) -> list[str]:
    """All required entries are there, and are read by a parser that knows interpolation, as QGIS's does."""
    entries = _entries(archive.read("cropseg/metadata.txt").decode())
    problems = [f"metadata.txt lacks {name}" for name in REQUIRED if not entries.get(name)]
    problems += [
        f"metadata.txt: {name} is no address"
        for name in ADDRESSES
        if name != "email" and not entries.get(name, "").startswith("https://")
    ]
    if "/" in entries.get("author", ""):
        problems.append("metadata.txt: an author's name has no slash")
    return problems


def placeholders(metadata: str) -> list[str]:
    """Entries that are to be filled in before the plugin is published.

    They hold names that are reserved for nobody (RFC 2606), so that they cannot lead to somebody else.
    """
    return [
        f"metadata.txt: {name} is a placeholder ({value})"
        for name, value in _entries(metadata).items()
        if PLACEHOLDER in value
    ]


def _entries(metadata: str) -> dict[str, str]:
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(metadata)
    return dict(parser.items("general"))


def missing_tools() -> list[str]:
    """The site's tools that are not installed here."""
    return [name for name in TOOLS if importlib.util.find_spec(name) is None]


def bandit(folder: Path) -> list[str]:
    """Bandit as the site runs it with tests of its own choice: findings of any severity."""
    report = json.loads(_run("bandit", "-r", ".", "-f", "json", "--quiet", cwd=folder))
    return [
        f"{found['filename']}:{found['line_number']}: bandit {found['test_id']} {found['issue_text']}"
        for found in report["results"]
    ] + [f"bandit could not read {error['filename']}" for error in report["errors"]]


def secrets(folder: Path) -> list[str]:
    """detect-secrets over all files except ``metadata.txt``, as the site does it."""
    options = ("scan", "--all-files", "--exclude-files", r"metadata\.txt", ".")
    report = json.loads(_run("detect_secrets", *options, cwd=folder))
    return [
        f"{path}:{found['line_number']}: {found['type']}"
        for path, all_found in report["results"].items()
        for found in all_found
    ]


def flake8(folder: Path) -> list[str]:
    """flake8 with the site's line length and nothing else."""
    return _run("flake8", "--isolated", "--max-line-length=120", ".", cwd=folder).splitlines()


def _run(module: str, *options: str, cwd: Path) -> str:
    done = subprocess.run(  # nosec B603 # a list, no shell
        [sys.executable, "-m", module, *options], cwd=cwd, capture_output=True, text=True, check=False
    )
    if done.returncode not in {0, 1}:
        raise RuntimeError(f"{module} failed: {done.stderr[-500:]}")
    return done.stdout
