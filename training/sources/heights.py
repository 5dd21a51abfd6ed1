"""An orthomosaic with its heights → a dataset folder: masks made from height and colour, without hands.

Tiles are read as ``cropseg segment`` would read them, and heights are brought to that grid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from cropseg_geo.errors import InputError
from cropseg_geo.grid import Window
from training.data import Pair, decode, read_pairs
from training.labels.height import inspect_heights, require_overlap
from training.reading import Ortho, Reading
from training.sources.dataset import Dataset, Origin, Piece, write_dataset
from training.sources.windows import ENOUGH, LEAST_SIDE_PX

Labeller = Callable[[Path], tuple[Pair, ...]]
"""Makes labelled tiles below a folder → their pairs."""


def prepare_heights(
    ortho: Path,
    dsm: Path,
    dtm: Path | None,
    target: Path,
    *,
    name: str,
    licence: str = "",
    decisions: Path | None = None,
    reading: Reading | None = None,
    labeller: Labeller | None = None,
    listener: Callable[[str], None] = lambda note: None,
    on_piece: Callable[[], None] = lambda: None,
) -> Dataset:
    """Make a dataset of an orthomosaic and its surface model.

    Parameters
    ----------
    ortho, dsm, dtm
        Orthomosaic, surface and terrain; without a terrain it is estimated from the surface.
    target
        The dataset folder; taken up again where it is there already. The labels, and a sheet to look at them,
        stay in ``labels/`` beside it.
    name, licence
        Of the dataset.
    decisions
        A person's word on tiles, saved from the sheet of an earlier run.
    reading
        How to read the orthomosaic.
    labeller
        Makes the labels; :func:`training.labels.tiles.label_orthomosaic` on these files by default.
    listener
        Told what was decided about the orthomosaic.
    on_piece
        Called after each piece.

    Raises
    ------
    InputError
        For heights that do not overlap the orthomosaic, or show no plants, and whatever ``cropseg segment``
        would refuse.
    """
    inputs = tuple(path for path in (ortho, dsm, dtm, decisions) if path is not None)
    opened = (reading or Reading()).open(ortho)
    for path in (dsm, dtm):
        if path is not None:
            require_overlap(opened.info, inspect_heights(path))
    for note in opened.notes:
        listener(note)
    origin = Origin(
        "heights",
        name,
        licence,
        inputs,
        options={**opened.facts, "dtm": dtm is not None},
        gsd_m=opened.gsd_m,
    )
    labeller = labeller or _labeller(opened, dsm, dtm, decisions)
    return write_dataset(target, origin, _pieces(labeller, target.parent / "labels"), on_piece=on_piece)


def _pieces(labeller: Labeller, folder: Path) -> Iterator[Piece]:
    for pair in labeller(folder):
        decoded = decode(pair)
        # A tile is a place in the field: held out by place, never at random among neighbours' pixels.
        yield Piece(pair.image.stem, pair.image.stem, decoded.image, decoded.mask)


def _labeller(ortho: Ortho, dsm: Path, dtm: Path | None, decisions: Path | None) -> Labeller:
    def label(folder: Path) -> tuple[Pair, ...]:
        from training.labels.folder import SHEET
        from training.labels.sheet import read_decisions
        from training.labels.survey import open_survey
        from training.labels.tiles import Options, label_orthomosaic

        chosen = read_decisions(decisions) if decisions else {}
        survey = open_survey(ortho, dsm, dtm)
        options = Options(tile_px=tile_side_px(survey.bounds))
        labelled = label_orthomosaic(survey, folder, options=options, decisions=chosen)
        if not labelled.kept:
            raise InputError(
                f"not one of {len(labelled.tiles)} tiles could be labelled by its heights",
                remedy=f"{folder / SHEET} shows why; outline some plants instead, and use 'tune polygons'",
            )
        return read_pairs(folder, split="train")

    return label


def tile_side_px(bounds: Window) -> int:
    """512, halved until an orthomosaic has eight tiles to hold some out of."""
    side_px = 512
    while side_px > LEAST_SIDE_PX and -(-bounds.height // side_px) * -(-bounds.width // side_px) < ENOUGH:
        side_px //= 2
    return side_px
