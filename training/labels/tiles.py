"""Labelled tiles of an orthomosaic, with a manifest to train on and a sheet to look at."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.grid import Window
from training.data import COLUMNS, MANIFEST
from training.labels.clean import UNKNOWN, VEGETATION, Label
from training.labels.colour import Pixels
from training.labels.height import Heights
from training.labels.label import Sizes, TileLabel, label_tile
from training.labels.screen import Limits, judge, weigh_evidence
from training.labels.sheet import Card, Decision, draw_strip, make_sheet
from training.labels.survey import Survey

RUN, VERDICTS, SHEET = "labels.json", "verdicts.csv", "sheet.html"
DECISIONS = "decisions.json"
METHOD = "height-labels/1"
"""Changes when the same files give other labels."""

TILE_PX = 512
_MIN_TILE_PX = 64  # narrower strips at the right and lower rim are left out


@dataclass(frozen=True)
class Provenance:
    """What the manifest says of the tiles. Without a group: the orthomosaic's name, as of one flight."""

    dataset: str = "height-labels"
    species: str = ""
    licence: str = ""
    group: str = ""
    split: str = "train"


@dataclass(frozen=True)
class Options:
    """How tiles are cut, labelled and screened."""

    tile_px: int = TILE_PX
    colour: bool = True
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.tile_px < _MIN_TILE_PX:
            raise InputError(f"tiles of {self.tile_px} px; at least {_MIN_TILE_PX} px are needed")


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


@dataclass(frozen=True)
class Labelled:
    """A finished folder."""

    folder: Path
    tiles: tuple[Tile, ...]

    @property
    def kept(self) -> tuple[Tile, ...]:
        return tuple(tile for tile in self.tiles if tile.kept)


def label_orthomosaic(
    survey: Survey,
    out_folder: Path,
    *,
    options: Options | None = None,
    provenance: Provenance | None = None,
    decisions: Mapping[str, Decision] | None = None,
    on_tile: Callable[[int, int], None] = lambda done, total: None,
) -> Labelled:
    """Cut, label, screen and write; the same call writes the same bytes.

    The folder gets ``images/`` and ``masks/`` (PNG; 0 background, 1 vegetation, 255 unknown) of every tile
    with data, ``manifest_pairs.csv`` of the kept ones, ``verdicts.csv`` of all, and ``sheet.html``. Each
    file is complete or absent; the manifest comes last.

    Parameters
    ----------
    survey
        From :func:`training.labels.survey.open_survey`.
    out_folder
        Made where it does not exist; may hold an earlier run of the same survey and options.
    options, provenance
        See there.
    decisions
        A person's word on tiles by id, which counts more than the verdict.
    on_tile
        Called with the number of tiles done and in all.

    Raises
    ------
    InputError
        If the decisions name tiles that this survey does not have.
    OutputError
        If the folder holds something else, or cannot be written.
    """
    options, provenance, decisions = options or Options(), provenance or Provenance(), decisions or {}
    windows = tile_windows(survey.bounds, options.tile_px)
    _refuse_unknown(decisions, {tile_id(survey, window) for window in windows})
    _claim(out_folder, survey, options)
    sizes = Sizes.on_ground(gsd_m=survey.ortho.ground.gsd_m, height_gsd_m=survey.dsm.ground.gsd_m)
    (out_folder / MANIFEST).unlink(missing_ok=True)
    tiles, cards, rows = [], [], []
    for done, window in enumerate(windows, start=1):
        if (made := _make_tile(survey, window, sizes, options)) is not None:
            image, height, labelled = made
            name = tile_id(survey, window)
            tile = _tile_of(name, window, labelled, decisions.get(name))
            row = _write_pair(out_folder, tile, image, labelled.label, survey, provenance)
            tiles.append(tile)
            rows.append(row)
            cards.append(_card_of(tile, labelled, draw_strip(image, height, labelled.label)))
        on_tile(done, len(windows))
    outcome = Labelled(out_folder, tuple(tiles))
    title = f"{provenance.dataset} · {survey.ortho.stem}"
    _write(out_folder / VERDICTS, _verdicts(outcome.tiles).encode())
    _write(out_folder / SHEET, make_sheet(title, cards, decisions).encode())
    chosen = [row for tile, row in zip(tiles, rows, strict=True) if tile.kept]
    _write(out_folder / MANIFEST, _csv_text(COLUMNS, chosen).encode())
    return outcome


def tile_windows(bounds: Window, tile_px: int) -> list[Window]:
    """Tiles that partition the raster, less the strips at its rim that are narrower than 64 px."""
    return [tile for tile in bounds.split(tile_px) if min(tile.shape) >= min(_MIN_TILE_PX, *bounds.shape)]


def tile_id(survey: Survey, window: Window) -> str:
    """Name of a tile, and of its files without suffix."""
    return f"{survey.ortho.stem}_r{window.row:05d}_c{window.col:05d}"


def _make_tile(
    survey: Survey, window: Window, sizes: Sizes, options: Options
) -> tuple[Pixels, Heights, TileLabel] | None:
    """Picture, heights and label of a tile; None where it has no pixel with both."""
    # Plants at the tile's rim are judged with the tops that stand outside of it.
    wide = window.grown(2 * int(np.ceil(sizes.reach_px))) & survey.bounds
    image, height, valid = survey.read(wide)
    inner = window.relative_to(wide).slices
    if not (valid & np.isfinite(height))[inner].any():
        return None
    found = label_tile(
        image,
        height,
        sizes=sizes,
        valid=valid,
        soil=survey.soil,
        limits=options.limits,
        colour=options.colour,
    )
    label = np.ascontiguousarray(found.label[inner])
    evidence = weigh_evidence(label, found.seen.known[inner], found.evidence.relief, found.evidence.agreement)
    labelled = replace(found, label=label, evidence=evidence, verdict=judge(evidence, options.limits))
    return np.ascontiguousarray(image[inner]), height[inner], labelled


def _tile_of(name: str, window: Window, labelled: TileLabel, decision: Decision | None) -> Tile:
    verdict, evidence = labelled.verdict, labelled.evidence
    kept = verdict.kept if decision is None else decision == "accepted"
    return Tile(
        name,
        window,
        verdict.score,
        kept,
        verdict.reasons,
        cover=evidence.cover,
        unknown=evidence.unknown,
        decision=decision,
    )


def _card_of(tile: Tile, labelled: TileLabel, strip: bytes) -> Card:
    return Card(tile.id, labelled.verdict, tile.cover, tile.unknown, strip)


def _write_pair(
    folder: Path, tile: Tile, image: Pixels, label: Label, survey: Survey, provenance: Provenance
) -> dict[str, str]:
    """Write picture and mask; return the manifest's row."""
    picture, mask = (_png(pixels) for pixels in (image, label))
    image_name, mask_name = f"images/{tile.id}.png", f"masks/{tile.id}.png"
    _write(folder / image_name, picture)
    _write(folder / mask_name, mask)
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
        "source": Path(survey.ortho.path).name,
        "group": provenance.group or survey.ortho.stem,
        "sha256_16": hashlib.sha256(picture).hexdigest()[:16],
        "mask_kind": "classes",
    }
    return {column: row.get(column, "") for column in COLUMNS}


def _verdicts(tiles: tuple[Tile, ...]) -> str:
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
    return _csv_text(columns, rows)


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


def _refuse_unknown(decisions: Mapping[str, Decision], names: set[str]) -> None:
    if strangers := sorted(set(decisions) - names):
        raise InputError(
            f"the decisions name {len(strangers)} tiles that this run lacks, the first is {strangers[0]}",
            remedy="give the decisions of this orthomosaic's sheet, made with the same --tile",
        )


def _claim(folder: Path, survey: Survey, options: Options) -> None:
    """Make the folder, or take up one that holds the same run."""
    identity = {
        "method": METHOD,
        "ortho": survey.ortho.fingerprint,
        "dsm": survey.dsm.fingerprint,
        "dtm": survey.dtm.fingerprint if survey.dtm else None,
        "soil": asdict(survey.soil),
        "options": asdict(options),
    }
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
    _write(path, (json.dumps(identity, indent=2, sort_keys=True) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    """Beside, then renamed: a file is complete or absent."""
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    except OSError as err:
        part.unlink(missing_ok=True)
        raise OutputError(
            f"{path}: cannot be written ({err.strerror})", remedy="free space on the disk"
        ) from err
