"""The tags in which files say where they come from: a mask and its probability, and what is made of them."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from cropseg_geo.paths import file_name

if TYPE_CHECKING:
    from cropseg_geo.raster.mask import MaskFiles

PREFIX = "CROPSEG_"


class Tag(StrEnum):
    """Names of the tags."""

    BACKEND = f"{PREFIX}BACKEND"
    CLASSES = f"{PREFIX}CLASSES"
    MASK = f"{PREFIX}MASK"
    MODEL = f"{PREFIX}MODEL"
    MODEL_DIGEST = f"{PREFIX}MODEL_DIGEST"
    MODEL_LICENCE = f"{PREFIX}MODEL_LICENCE"
    OUTLINES = f"{PREFIX}OUTLINES"
    OVERLAP_PX = f"{PREFIX}OVERLAP_PX"
    PLOTS = f"{PREFIX}PLOTS"
    PLOT_OPTIONS = f"{PREFIX}PLOT_OPTIONS"
    PROBABILITY = f"{PREFIX}PROBABILITY"
    RUN = f"{PREFIX}RUN"
    SOURCE = f"{PREFIX}SOURCE"
    THRESHOLD = f"{PREFIX}THRESHOLD"
    TILE_PX = f"{PREFIX}TILE_PX"
    VERSION = f"{PREFIX}VERSION"
    WORKING_GSD_M = f"{PREFIX}WORKING_GSD_M"


def is_ours(tag: str) -> bool:
    """True for the name of a tag that this package writes."""
    return tag.startswith(PREFIX)


def tags_of(mask: MaskFiles) -> dict[str, str]:
    """What a file made of a mask says: which mask it is of, and what that says of itself."""
    kept = {tag: text for tag, text in mask.mask.tags().items() if is_ours(tag)}
    return {**kept, Tag.MASK: file_name(mask.info.path)}
