"""The folder of labelled tiles: one run's, each file in it complete or absent."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from cropseg_geo.errors import OutputError
from cropseg_geo.grid import Window
from cropseg_geo.paths import replace_file
from cropseg_geo.raster.info import RasterInfo
from training.data import COLUMNS
from training.labels.clean import UNKNOWN, VEGETATION, Label
from training.labels.colour import Pixels
from training.labels.sheet import Decision

RUN, VERDICTS, SHEET = "labels.json", "verdicts.csv", "sheet.html"
DECISIONS = "decisions.json"


@dataclass(frozen=True)
class Provenance:
    """What the manifest says of the tiles. Without a group: the orthomosaic's name, as of one flight."""

    dataset: str = "height-labels"
    species: str = ""
    licence: str = ""
    group: str = ""
    split: str = "train"


@dataclass(frozen=True)
class Tile:
    """One row of the outcome. ``kept`` is the verdict's word, or a person's where there is one."""

    id: str
    window: Window
    score: float
    kept: bool
    reasons: tuple[str, ...]
    cover: float
    unknown: float
    decision: Decision | None = None


def write_pair(
    folder: Path, tile: Tile, image: Pixels, label: Label, *, ortho: RasterInfo, provenance: Provenance
) -> dict[str, str]:
    """Write picture and mask of a tile; returns the manifest's row. Raises OutputError."""
    picture, mask = (_png(pixels) for pixels in (image, label))
    image_name, mask_name = f"images/{tile.id}.png", f"masks/{tile.id}.png"
    replace_file(folder / image_name, picture)
    replace_file(folder / mask_name, mask)
    is_decided = label != UNKNOWN
    cover = float((label == VEGETATION).sum() / max(int(is_decided.sum()), 1))
    row = {
        "split": provenance.split,
        "dataset": provenance.dataset,
        "image": image_name,
        "mask": mask_name,
        "width": str(label.shape[1]),
        "height": str(label.shape[0]),
        "species": provenance.species,
        "frac_crop": f"{cover:.4f}",
        "frac_weed": "0.0",
        "licence": provenance.licence,
        "source": Path(ortho.path).name,
        "group": provenance.group or ortho.stem,
        "sha256_16": hashlib.sha256(picture).hexdigest()[:16],
        "mask_kind": "classes",
    }
    return {column: row.get(column, "") for column in COLUMNS}


def write_verdicts(folder: Path, tiles: tuple[Tile, ...]) -> None:
    """Write what became of every tile, and why. Raises OutputError."""
    columns = ("id", "kept", "score", "cover", "unknown", "decision", "reasons")
    rows = [
        {
            "id": tile.id,
            "kept": "yes" if tile.kept else "no",
            "score": f"{tile.score:.3f}",
            "cover": f"{tile.cover:.4f}",
            "unknown": f"{tile.unknown:.4f}",
            "decision": tile.decision or "",
            "reasons": "; ".join(tile.reasons),
        }
        for tile in tiles
    ]
    replace_file(folder / VERDICTS, _csv_text(columns, rows).encode())


def _csv_text(columns: tuple[str, ...], rows: list[dict[str, str]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _png(pixels: Pixels) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def claim(folder: Path, identity: Mapping[str, object]) -> None:
    """Make the folder of a run, or take up one that holds the same run.

    Raises
    ------
    OutputError
        If it holds something else, or cannot be made.
    """
    path = folder / RUN
    if folder.is_dir() and any(folder.iterdir()):
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            found = None
        if found != identity:
            raise OutputError(
                f"{folder}: holds something else than labels of these files with these options",
                remedy="give another folder with --out, or delete this one",
            )
    for name in ("images", "masks"):
        try:
            (folder / name).mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise OutputError(f"{folder}: cannot be made ({err.strerror})") from err
    replace_file(path, (json.dumps(identity, indent=2, sort_keys=True) + "\n").encode())
