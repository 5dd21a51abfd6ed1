"""Names, layout and provenance of a run's files, and how they come to be: whole, and last of all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from odc.geo.geobox import GeoBox

from cropseg_geo import __version__
from cropseg_geo.engine.store import BlockStore
from cropseg_geo.errors import OutputError
from cropseg_geo.events import Listener, Written
from cropseg_geo.ground import Ground
from cropseg_geo.preflight import Preflight, require_writable
from cropseg_geo.raster.cog import PROBABILITY_STEPS, CogLayout


@dataclass(frozen=True)
class Outputs:
    """Paths of a run's files."""

    mask: Path
    prob: Path
    layers: Path
    plots_csv: Path | None

    @classmethod
    def named(cls, folder: Path, stem: str, *, with_plots: bool) -> Outputs:
        """Final names: ``<stem>_mask.tif``, ``<stem>_prob.tif``, ``<stem>.gpkg``, ``<stem>_plots.csv``."""
        return cls(
            folder / f"{stem}_mask.tif",
            folder / f"{stem}_prob.tif",
            folder / f"{stem}.gpkg",
            folder / f"{stem}_plots.csv" if with_plots else None,
        )

    @classmethod
    def drafted(cls, work: Path, *, with_plots: bool) -> Outputs:
        """Names within a work folder."""
        return cls.named(work, "draft", with_plots=with_plots)

    @property
    def paths(self) -> tuple[Path, ...]:
        return tuple(p for p in (self.mask, self.prob, self.layers, self.plots_csv) if p is not None)


def refuse_existing(paths: tuple[Path, ...], *, overwrite: bool) -> None:
    """Raise OutputError if an output exists and may not be replaced."""
    existing = [p for p in paths if p.exists()]
    if existing and not overwrite:
        raise OutputError(
            f"{existing[0].parent}: already holds {', '.join(p.name for p in existing)}",
            remedy="pass --overwrite to replace them, or choose another --out",
        )


def publish(drafts: Outputs, final: Outputs, listener: Listener) -> None:
    """Move finished drafts to their final names."""
    kinds = ("mask", "probability", "layers", "plots")
    for kind, source, target in zip(kinds, drafts.paths, final.paths, strict=False):
        move(source, target)
        listener(Written(kind, str(target)))


def move(source: Path, target: Path) -> None:
    """Give a finished file its final name, in one step. Raises OutputError."""
    try:
        source.replace(target)
    except OSError as err:
        raise OutputError(
            f"{target}: cannot be written ({err.strerror})", remedy="close programs that use it and try again"
        ) from err


@contextmanager
def drafted(final: Path, *, overwrite: bool, listener: Listener) -> Iterator[Path]:
    """A hidden name beside ``final`` to write to; it becomes ``final`` when the block ends well."""
    refuse_existing((final,), overwrite=overwrite)
    require_writable(final.parent)
    draft = final.with_name(f".{final.stem}.draft{final.suffix}")
    draft.unlink(missing_ok=True)
    try:
        yield draft
        move(draft, final)
    finally:
        draft.unlink(missing_ok=True)
    listener(Written("layers" if final.suffix == ".gpkg" else "table", str(final)))


def block_store(ready: Preflight, work: Path) -> BlockStore:
    """The store of a run's finished blocks in its work folder."""
    plan = ready.plan
    return BlockStore(str(work / "blocks.zarr"), plan.blocks, plan.channels, plan.fingerprint)


@contextmanager
def work_folder(folder: Path, ready: Preflight) -> Iterator[Path]:
    """A hidden folder beside the outputs, named after the run.

    It is deleted when the run is complete. When the run is stopped, finished blocks stay in it for the same
    command to take up again; where there are none, it goes.
    """
    work = folder / f".{ready.info.stem}-{ready.plan.fingerprint[:12]}.cropseg"
    work.mkdir(exist_ok=True)
    try:
        yield work
    except BaseException:
        for draft in (p for p in work.iterdir() if p.is_file()):
            with suppress(OSError):  # still open in a library call that cannot be stopped
                draft.unlink()
        if not block_store(ready, work).holds_anything():
            shutil.rmtree(work, ignore_errors=True)
        raise
    shutil.rmtree(work, ignore_errors=True)


def output_grid(ready: Preflight) -> GeoBox:
    """The grid that masks and probabilities are written on."""
    transform = ready.info.transform if ready.writes_source_grid else ready.source.transform
    extent = ready.output_extent
    return GeoBox(extent.shape, transform @ transform.translation(extent.col, extent.row), ready.info.crs)


def output_ground(ready: Preflight) -> Ground:
    """Metres on the output grid."""
    return Ground(output_grid(ready).transform, ready.info.crs, *ready.output_extent.shape)


def raster_layouts(ready: Preflight) -> tuple[CogLayout, CogLayout]:
    """What the mask and the probability raster look like."""
    grid, card, tags = output_grid(ready), ready.card, provenance(ready)
    mask = CogLayout(
        shape=(grid.height, grid.width),
        transform=grid.transform,
        crs=ready.info.crs,
        overview_resampling="mode",
        descriptions=("class",),
        tags=tags,
        colours={i: _rgb(colour) for i, colour in enumerate(card.colours)},
    )
    names = card.classes if ready.plan.channels > 1 else card.classes[-1:]
    prob = CogLayout(
        shape=mask.shape,
        transform=grid.transform,
        crs=ready.info.crs,
        overview_resampling="average",
        descriptions=tuple(f"probability of {name}" for name in names),
        tags=tags | {"CROPSEG_PROBABILITY": f"value / {PROBABILITY_STEPS}"},
        scale=1 / PROBABILITY_STEPS,
    )
    return mask, prob


def provenance(ready: Preflight) -> dict[str, str]:
    """Where a result comes from, as tags; no time stamps, so that equal runs write equal bytes."""
    card, tiles = ready.card, ready.plan.tiles
    return {
        "CROPSEG_VERSION": __version__,
        "CROPSEG_MODEL": f"{card.name} {card.version}",
        "CROPSEG_MODEL_DIGEST": card.digest,
        "CROPSEG_MODEL_LICENCE": card.licence,
        "CROPSEG_RUN": ready.plan.fingerprint,
        "CROPSEG_SOURCE": Path(ready.info.path).name,
        "CROPSEG_CLASSES": json.dumps(dict(enumerate(card.classes))),
        "CROPSEG_THRESHOLD": f"{ready.threshold:g}",
        "CROPSEG_WORKING_GSD_M": f"{ready.source.ground.gsd_m:.6g}",
        "CROPSEG_TILE_PX": str(tiles.tile_px),
        "CROPSEG_OVERLAP_PX": str(tiles.overlap_px),
    }


def _rgb(colour: str) -> tuple[int, int, int]:
    red, green, blue = bytes.fromhex(colour.lstrip("#"))
    return red, green, blue
