"""The grid, layout and provenance of the rasters that a run writes."""

from __future__ import annotations

import json

from cropseg_geo import __version__
from cropseg_geo.colours import rgb
from cropseg_geo.ground import Ground
from cropseg_geo.paths import file_name
from cropseg_geo.preflight import Preflight
from cropseg_geo.raster.cog import PROBABILITY_STEPS, CogLayout
from cropseg_geo.raster.tags import Tag
from cropseg_geo.vector.options import Outlines


def output_ground(ready: Preflight) -> Ground:
    """The grid that masks and probabilities are written on, and metres on it."""
    transform = ready.info.transform if ready.writes_source_grid else ready.source.transform
    extent = ready.output_extent
    corner = transform @ transform.translation(extent.col, extent.row)
    return Ground(corner, ready.info.crs, *extent.shape)


def raster_layouts(ready: Preflight, outlines: Outlines) -> tuple[CogLayout, CogLayout]:
    """What the mask and the probability raster look like."""
    ground, card, tags = output_ground(ready), ready.card, provenance(ready, outlines)
    mask = CogLayout(
        shape=ground.shape,
        transform=ground.transform,
        crs=ready.info.crs,
        overview_resampling="mode",
        descriptions=("class",),
        tags=tags,
        colours={i: rgb(colour) for i, colour in enumerate(card.colours)},
    )
    names = card.classes if ready.plan.channels > 1 else card.classes[-1:]
    prob = CogLayout(
        shape=mask.shape,
        transform=ground.transform,
        crs=ready.info.crs,
        overview_resampling="average",
        descriptions=tuple(f"probability of {name}" for name in names),
        tags=tags | {Tag.PROBABILITY: f"value / {PROBABILITY_STEPS}"},
        scale=1 / PROBABILITY_STEPS,
    )
    return mask, prob


def provenance(ready: Preflight, outlines: Outlines) -> dict[str, str]:
    """Where a result comes from, as tags; no time stamps, so that equal runs write equal bytes."""
    card, tiles, predictor = ready.card, ready.plan.tiles, ready.predictor
    return {
        Tag.VERSION: __version__,
        Tag.MODEL: f"{card.name} {card.version}",
        Tag.MODEL_DIGEST: card.digest,
        Tag.MODEL_LICENCE: card.licence,
        Tag.BACKEND: f"{predictor.backend}, {predictor.device}, {predictor.precision}",
        Tag.RUN: ready.plan.fingerprint,
        Tag.SOURCE: file_name(ready.info.path),
        Tag.CLASSES: json.dumps(dict(enumerate(card.classes))),
        Tag.THRESHOLD: f"{ready.threshold:g}",
        Tag.WORKING_GSD_M: f"{ready.source.ground.gsd_m:.6g}",
        Tag.TILE_PX: str(tiles.tile_px),
        Tag.OVERLAP_PX: str(tiles.overlap_px),
        Tag.OUTLINES: outlines.text,
    }
