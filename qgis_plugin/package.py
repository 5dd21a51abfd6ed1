"""Packs the plugin for plugins.qgis.org.

python -m qgis_plugin.package -o dist            # dist/cropseg-<version>.zip
python -m qgis_plugin.package -o dist --check    # and look at it as the site does
python -m qgis_plugin.package -o dist --release  # and refuse what may not be published yet
python -m qgis_plugin.package -o dist --with-engine  # for "Install from ZIP": the engine's wheel in it

The addresses of whoever publishes it are given on the way (``--email``, ``--homepage``, ``--repository``,
``--tracker``) or written into ``metadata.txt``.
"""

from __future__ import annotations

import argparse
import configparser
import io
import shutil
import subprocess  # nosec B404 # runs uv; no shell
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

from .checks import ADDRESSES, check_package, placeholders
from .translations import compile_qm, read_ts

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "cropseg"
SAMPLE = HERE.parent / "sample_tiles"
SAMPLE_FILES = ("field.tif", "field_dsm.tif", "field_dtm.tif", "plots.gpkg")

METADATA = "cropseg/metadata.txt"
ENGINE = "cropseg/wheels"
"""Where the plugin looks for an engine of its own, see ``cropseg/engine/tools.py``."""

LEFT_OUT = frozenset({".ts", ".pyc", ".pyo", ".toml"})
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip file can hold: the same content gives the same bytes on any day."""

READABLE = 0o100644 << 16


def version(plugin: Path = PLUGIN) -> str:
    """The plugin's version: ``metadata.txt`` is the one place that has it."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(plugin / "metadata.txt", encoding="utf-8")
    return metadata.get("general", "version")


def with_addresses(metadata: str, addresses: Mapping[str, str]) -> str:
    """``metadata.txt`` with other values of some of its lines; key → value.

    Raises ValueError for a value of several lines: it would bring in entries of its own.
    """
    lines = metadata.splitlines(keepends=True)
    for key, value in addresses.items():
        if not value.isprintable():
            raise ValueError(f"{key} is not one line of text: {value!r}")
        # The parsers of QGIS read % as the beginning of a reference.
        entry = f"{key}={value.replace('%', '%%')}\n"
        lines = [entry if line.startswith(f"{key}=") else line for line in lines]
    return "".join(lines)


def build_engine(folder: Path) -> Path:
    """Build the engine's wheel, which is pure Python with its models, into a folder.

    Raises ValueError if it cannot be built; says why.
    """
    uv = shutil.which("uv")
    if uv is None:
        raise ValueError("uv builds the engine's wheel, and was not found; install it (pip install uv)")
    command = [uv, "build", "--wheel", "--quiet", "--out-dir", str(folder), str(HERE.parent)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)  # nosec B603
    if built.returncode:
        raise ValueError(f"the engine's wheel could not be built:\n{built.stderr.strip()}")
    return next(folder.glob("cropseg_geo-*.whl"))


def contents(addresses: Mapping[str, str] | None = None, engine: Path | None = None) -> dict[str, bytes]:
    """Name in the package → bytes: the plugin, its translations compiled, and the sample field.

    ``addresses``: entries of ``metadata.txt`` → what the package has instead; ``engine``: a wheel that
    the package brings.
    """
    files = {
        f"cropseg/{path.relative_to(PLUGIN).as_posix()}": path.read_bytes()
        for path in PLUGIN.rglob("*")
        if path.is_file() and path.suffix not in LEFT_OUT and not _is_hidden(path.relative_to(PLUGIN))
    }
    for path in (PLUGIN / "i18n").glob("*.ts"):
        files[f"cropseg/i18n/{path.stem}.qm"] = compile_qm(read_ts(path))
    for name in SAMPLE_FILES:
        files[f"cropseg/sample/{name}"] = (SAMPLE / name).read_bytes()
    files[METADATA] = with_addresses(files[METADATA].decode(), addresses or {}).encode()
    if engine is not None:
        files[f"{ENGINE}/{engine.name}"] = engine.read_bytes()
    return dict(sorted(files.items()))


def pack(files: dict[str, bytes]) -> bytes:
    """A zip file that depends on nothing but names and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.external_attr = READABLE
            entry.create_system = 3
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, data)
    return buffer.getvalue()


def write_package(
    folder: Path, addresses: Mapping[str, str] | None = None, engine: Path | None = None
) -> Path:
    """Write ``cropseg-<version>.zip`` into a folder and return its path; the rest as in :func:`contents`.

    With an engine it is ``cropseg-<version>-with-engine.zip``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"cropseg-{version()}{'' if engine is None else '-with-engine'}.zip"
    path.write_bytes(pack(contents(addresses, engine)))
    return path


def _is_hidden(path: Path) -> bool:
    return any(part.startswith((".", "__pycache__")) for part in path.parts)


def main(arguments: list[str] | None = None) -> int:
    """Pack, and check if asked to; 1 if the check found something, and then a release is not left behind."""
    parser = argparse.ArgumentParser(
        prog="python -m qgis_plugin.package", description="Pack the QGIS plugin."
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("dist"), help="folder of the zip file")
    parser.add_argument("--check", action="store_true", help="look at the package as plugins.qgis.org does")
    parser.add_argument(
        "--release", action="store_true", help="check, and refuse while an address is a placeholder"
    )
    parser.add_argument(
        "--with-engine",
        action="store_true",
        help="pack the engine's wheel, too, for Install from ZIP: plugins.qgis.org takes no wheels",
    )
    for name in ADDRESSES:
        parser.add_argument(f"--{name}", help=f"the package's {name}  [default: that of metadata.txt]")
    options = parser.parse_args(arguments)
    if options.with_engine and (options.check or options.release):
        parser.error("plugins.qgis.org takes no wheels; check and release the package without the engine")
    addresses = {name: value for name in ADDRESSES if (value := getattr(options, name)) is not None}
    try:
        with tempfile.TemporaryDirectory() as place:
            engine = build_engine(Path(place)) if options.with_engine else None
            path = write_package(options.out, addresses, engine)
    except ValueError as err:
        parser.error(str(err))
    problems = check_package(path) if options.check or options.release else []
    if options.release:
        with zipfile.ZipFile(path) as archive:
            problems += placeholders(archive.read(METADATA).decode())
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    if problems and options.release:
        path.unlink()
        sys.stdout.write("Not released.\n")
    else:
        sys.stdout.write(f"{path} ({path.stat().st_size / 1e6:.1f} MB)\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
