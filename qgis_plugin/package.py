"""Packs the plugin for plugins.qgis.org.

python -m qgis_plugin.package -o dist            # dist/cropseg-<version>.zip
python -m qgis_plugin.package -o dist --check    # and look at it as the site does
python -m qgis_plugin.package -o dist --release  # and refuse what may not be published yet
"""

from __future__ import annotations

import argparse
import configparser
import io
import sys
import zipfile
from pathlib import Path

from .checks import check_package, placeholders
from .translations import compile_qm, read_ts

HERE = Path(__file__).resolve().parent
PLUGIN = HERE / "cropseg"
SAMPLE = HERE.parent / "sample_tiles"
SAMPLE_FILES = ("field.tif", "field_dsm.tif", "field_dtm.tif", "plots.gpkg")

LEFT_OUT = frozenset({".ts", ".pyc", ".pyo", ".toml"})
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The oldest time that a zip file can hold: the same content gives the same bytes on any day."""

READABLE = 0o100644 << 16


def version(plugin: Path = PLUGIN) -> str:
    """The plugin's version: ``metadata.txt`` is the one place that has it."""
    metadata = configparser.ConfigParser(interpolation=None)
    metadata.read(plugin / "metadata.txt", encoding="utf-8")
    return metadata.get("general", "version")


def contents() -> dict[str, bytes]:
    """Name in the package → bytes: the plugin, its translations compiled, and the sample field."""
    files = {
        f"cropseg/{path.relative_to(PLUGIN).as_posix()}": path.read_bytes()
        for path in PLUGIN.rglob("*")
        if path.is_file() and path.suffix not in LEFT_OUT and not _is_hidden(path.relative_to(PLUGIN))
    }
    for path in (PLUGIN / "i18n").glob("*.ts"):
        files[f"cropseg/i18n/{path.stem}.qm"] = compile_qm(read_ts(path))
    for name in SAMPLE_FILES:
        files[f"cropseg/sample/{name}"] = (SAMPLE / name).read_bytes()
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


def write_package(folder: Path) -> Path:
    """Write ``cropseg-<version>.zip`` into a folder and return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"cropseg-{version()}.zip"
    path.write_bytes(pack(contents()))
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
        "--release", action="store_true", help="check, and refuse while metadata.txt holds placeholders"
    )
    options = parser.parse_args(arguments)
    path = write_package(options.out)
    problems = check_package(path) if options.check or options.release else []
    if options.release:
        problems += placeholders((PLUGIN / "metadata.txt").read_text(encoding="utf-8"))
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    if problems and options.release:
        path.unlink()
        sys.stdout.write("Not released.\n")
    else:
        sys.stdout.write(f"{path} ({path.stat().st_size / 1e6:.1f} MB)\n")
    return 1 if problems else 0


if __name__ == "__main__":
    raise SystemExit(main())
