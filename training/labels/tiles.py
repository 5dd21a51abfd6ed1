"""Labelled tiles of an orthomosaic, with a manifest to train on and a sheet to look at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from cropseg_geo.paths import replace_file
from training.data import MANIFEST, write_manifest
from training.labels.colour import Pixels
from training.labels.folder import (
    SHEET,
    Provenance,
    Tile,
    claim,
    write_pair,
    write_verdicts,
)
from training.labels.height import Heights
from training.labels.label import Sizes, TileLabel, label_tile
from training.labels.screen import Limits, judge, weigh_evidence
from training.labels.sheet import Card, Decision, draw_strip, make_sheet
from training.labels.survey import Survey

METHOD = "height-labels/1"
"""Changes when the same files give other labels."""

TILE_PX = 512
_MIN_TILE_PX = 64  # narrower strips at the right and lower rim are left out


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
    claim(out_folder, _identity(survey, options))
    sizes = Sizes.on_ground(gsd_m=survey.ortho.gsd_m, height_gsd_m=survey.dsm.ground.gsd_m)
    (out_folder / MANIFEST).unlink(missing_ok=True)
    tiles, cards, rows = [], [], []
    for done, window in enumerate(windows, start=1):
        if (made := _make_tile(survey, window, sizes, options)) is not None:
            image, height, labelled = made
            name = tile_id(survey, window)
            tile = _tile_of(name, window, labelled, decisions.get(name))
            row = write_pair(
                out_folder, tile, image, labelled.label, ortho=survey.ortho.info, provenance=provenance
            )
            tiles.append(tile)
            rows.append(row)
            cards.append(_card_of(tile, labelled, draw_strip(image, height, labelled.label)))
        on_tile(done, len(windows))
    outcome = Labelled(out_folder, tuple(tiles))
    title = f"{provenance.dataset} · {survey.ortho.info.stem}"
    write_verdicts(out_folder, outcome.tiles)
    replace_file(out_folder / SHEET, make_sheet(title, cards, decisions).encode())
    write_manifest(out_folder, [row for tile, row in zip(tiles, rows, strict=True) if tile.kept])
    return outcome


def tile_windows(bounds: Window, tile_px: int) -> list[Window]:
    """Tiles that partition the raster, less the strips at its rim that are narrower than 64 px."""
    return [tile for tile in bounds.split(tile_px) if min(tile.shape) >= min(_MIN_TILE_PX, *bounds.shape)]


def tile_id(survey: Survey, window: Window) -> str:
    """Name of a tile, and of its files without suffix."""
    return f"{survey.ortho.info.stem}_r{window.row:05d}_c{window.col:05d}"


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


def _refuse_unknown(decisions: Mapping[str, Decision], names: set[str]) -> None:
    if strangers := sorted(set(decisions) - names):
        raise InputError(
            f"the decisions name {len(strangers)} tiles that this run lacks, the first is {strangers[0]}",
            remedy="give the decisions of this orthomosaic's sheet, made with the same --tile",
        )


def _identity(survey: Survey, options: Options) -> dict[str, object]:
    """What the labels depend on."""
    return {
        "method": METHOD,
        "ortho": survey.ortho.info.fingerprint,
        "reading": survey.ortho.facts,
        "dsm": survey.dsm.fingerprint,
        "dtm": survey.dtm.fingerprint if survey.dtm else None,
        "soil": asdict(survey.soil),
        "options": asdict(options),
    }
