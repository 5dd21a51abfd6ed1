"""How a predictor's recipe names its model file to another process, which may run on another machine.

A shipped model goes by its name and digest, so that each installation takes its own file; any other by its
path.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from cropseg_geo.model.card import ModelCard
from cropseg_geo.model.files import file_digest, require_digest
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import shipped_file, shipped_name

Recipe = TypeVar("Recipe")
Packed = tuple[str | Path, str]
"""Name or path of a model file, and the SHA-256 that it must have (``""`` for any)."""


def packed(weights: Path, digest: str) -> Packed:
    """A file as it is pickled; ``digest`` is the one that it was to have itself."""
    if (name := shipped_name(weights)) is None:
        return weights, digest
    return name, digest or file_digest(weights)


def unpacked(make: Callable[..., Recipe], file: Packed, *options: str) -> Recipe:
    """``make(weights, *options, digest)`` for the file as it is called here; it is not looked at."""
    name, digest = file
    return make(shipped_file(name) if isinstance(name, str) else name, *options, digest)


def expected_card(weights: Path, digest: str) -> ModelCard:
    """The card of a file that must have that digest. Raises ModelError if there is none, or another one."""
    if digest:
        require_digest(weights, digest)
    return read_card(weights)
