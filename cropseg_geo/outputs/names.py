"""Names of a run's files."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.paths import longest_path

CANOPY_FORMATS = ("gpkg", "fgb", "parquet", "geojson")
"""Formats of a run's canopy polygons, which are their files' suffixes."""

_LONGEST_ENDING = len("._report.html.lock.takeover")
"""Letters that the names of a run's files, hidden ones included, have besides their stem."""


@dataclass(frozen=True)
class Outputs:
    """Paths of a run's files.

    ``layers`` holds the canopy polygons, and where it is a GeoPackage the plots as well; else the plots have
    a GeoPackage of their own, ``plots_layer``.
    """

    mask: Path
    prob: Path
    layers: Path
    plots_csv: Path | None
    plots_layer: Path | None = None

    @classmethod
    def named(cls, folder: Path, stem: str, *, with_plots: bool, canopy_format: str = "gpkg") -> Outputs:
        """Final names: ``<stem>_mask.tif``, ``<stem>_prob.tif``, ``<stem>.gpkg``, ``<stem>_plots.csv``.

        Raises
        ------
        InputError
            For a format that does not exist.
        """
        if canopy_format not in CANOPY_FORMATS:
            raise InputError(
                f"canopy polygons cannot be written as {canopy_format!r}",
                remedy=f"choose one of {', '.join(CANOPY_FORMATS)}",
            )
        apart = with_plots and canopy_format != "gpkg"
        return cls(
            folder / f"{stem}_mask.tif",
            folder / f"{stem}_prob.tif",
            folder / f"{stem}.{canopy_format}",
            folder / f"{stem}_plots.csv" if with_plots else None,
            folder / f"{stem}_plots.gpkg" if apart else None,
        )

    @classmethod
    def drafted(cls, work: Path, *, with_plots: bool, canopy_format: str = "gpkg") -> Outputs:
        """Names within a work folder."""
        return cls.named(work, "draft", with_plots=with_plots, canopy_format=canopy_format)

    @property
    def by_kind(self) -> tuple[tuple[str, Path], ...]:
        """What each file is, by the names above, and its path."""
        return tuple((kind, path) for kind, path in vars(self).items() if path is not None)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(path for _, path in self.by_kind)


def require_nameable(folder: Path, stem: str) -> None:
    """Raise InputError for names that no file system, or no driver of GDAL's, can hold."""
    room = 255
    with suppress(AttributeError, OSError, ValueError):  # no POSIX, or a folder that is to be made
        room = os.pathconf(folder, "PC_NAME_MAX")
    if "\0" in str(folder) or any(len(os.fsencode(part)) > 255 for part in folder.parts):
        raise InputError(
            f"{str(folder)!r} cannot be the name of a folder", remedy="choose another --out folder"
        )
    if any(ord(letter) < 32 or letter in "/\\\x7f" for letter in stem):
        raise InputError(
            f"outputs cannot be named after {stem!r}: it holds a slash or a control character",
            remedy="rename the raster",
        )
    if (length := len(os.fsencode(stem))) > room - _LONGEST_ENDING:
        raise InputError(
            f"outputs cannot be named after {stem[:20]}…: {length} bytes, and {folder} takes names of {room}",
            remedy=f"rename the raster: up to {room - _LONGEST_ENDING} bytes",
        )


def require_findable(path: str, folder: Path) -> None:
    """Raise OutputError if work in a folder makes a longer path than this system finds."""
    limit, length = longest_path(), len(path.encode("utf-16-le")) // 2
    if limit is not None and length > limit:
        raise OutputError(
            f"{folder}: names of files in it would have {length} letters with their folders, and Windows "
            f"takes {limit}",
            remedy=f"make the name of the --out or --store folder or of the raster {length - limit} letters "
            "shorter, or have long paths enabled in Windows (LongPathsEnabled)",
        )
