"""The rasters of a season: files, folders and patterns, each raster once, and names that tell them apart."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from cropseg_geo.errors import InputError
from cropseg_geo.paths import is_remote, names_several, several_paths, without_query
from cropseg_geo.raster.info import raster_stem

RASTER_SUFFIXES = frozenset({".tif", ".tiff", ".vrt", ".jp2", ".img", ".png", ".jpg", ".jpeg", ".webp"})
"""What is taken for a raster when a folder is given."""

_OWN_OUTPUTS = ("_mask.tif", "_prob.tif")


def find_rasters(rasters: Iterable[str | Path]) -> list[str]:
    """Files, URLs, folders and patterns → rasters, each once, in the order given.

    Raises
    ------
    InputError
        If a folder or a pattern holds none.
    """
    found: dict[object, str] = {}
    for given in several_paths(rasters):
        for path in _expanded(given):
            found.setdefault(path if is_remote(path) else Path(path).resolve(), path)
    if not found:
        raise InputError(
            "no raster is given", remedy="name files, folders, or patterns such as 'flights/*.tif'"
        )
    return list(found.values())


def _expanded(given: str) -> Iterator[str]:
    if not names_several(given):
        yield given  # perhaps a subdataset, or a name that is refused in its place
        return
    is_folder = Path(given).is_dir()
    names = map(str, Path(given).iterdir()) if is_folder else glob.iglob(given, recursive=True)  # noqa: PTH207 - from any root
    paths = sorted(p for p in map(Path, names) if p.is_file() and not p.name.startswith("."))
    if is_folder:
        paths = [p for p in paths if p.suffix.lower() in RASTER_SUFFIXES]
    paths = [p for p in paths if not p.name.endswith(_OWN_OUTPUTS)]
    if not paths:
        kinds = f" ({', '.join(sorted(RASTER_SUFFIXES))})" if is_folder else ""
        raise InputError(f"{given}: holds no raster{kinds}", remedy="check the folder, or quote the pattern")
    yield from map(str, paths)


def distinct_stems(paths: list[str]) -> list[str]:
    """How the names of each raster's outputs begin: its own name, with those of folders where that is shared.

    >>> distinct_stems(["a/x.tif", "b/x.tif", "b/y.tif"])
    ['a_x', 'b_x', 'y']
    """
    parts = [_name_parts(path) for path in paths]
    depths = [1] * len(paths)
    while True:
        stems = ["_".join(p[-depth:]) for p, depth in zip(parts, depths, strict=True)]
        # Case as well: some disks do not tell it apart.
        shared = {stem for stem, n in Counter(map(str.casefold, stems)).items() if n > 1}
        deeper = [
            k for k, stem in enumerate(stems) if stem.casefold() in shared and depths[k] < len(parts[k])
        ]
        if not deeper:
            break
        for k in deeper:
            depths[k] += 1
    seen: Counter[str] = Counter()
    for k, stem in enumerate(stems):
        seen[stem.casefold()] += 1
        if stem.casefold() in shared:  # one folder, names that differ in their suffix alone
            stems[k] = f"{stem}_{seen[stem.casefold()]}"
    return stems


def _name_parts(path: str) -> list[str]:
    """The folders of a raster and its own name."""
    if is_remote(path):
        folders = without_query(path).rsplit("://", maxsplit=1)[-1].replace("!", "/").split("/")[:-1]
    else:
        folders = list(Path(path).resolve().parts[1:-1])
    return [*filter(None, folders), raster_stem(path)]
