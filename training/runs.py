"""Folders of runs: where one reads and writes, what it is made of, and whether a folder is that run's."""

from __future__ import annotations

import csv
import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch

from cropseg_geo.errors import InputError
from training.data import Pair, manifest_digest
from training.recipe import Recipe


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes; ``threshold``: weights of the colour index's threshold, if any."""

    data: Path
    run: Path
    threshold: Path | None = None


def require_run_of(recipe: Recipe, run: Path) -> None:
    """Raise InputError unless the folder's run is one of this recipe, whatever its data."""
    path = run / "run.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if not _same_training(found, recipe):
        raise InputError(
            f"{run} holds a model, but not of the recipe {recipe.name!r} as it is now",
            remedy="move the folder away to train it again",
        )


def _same_training(found: Mapping[str, Any], recipe: Recipe) -> bool:
    recorded = found.get("recipe", {})
    wanted = recipe.training
    # What else it records was not read: a name's version, the finish of the model that came of it.
    return {name: recorded.get(name) for name in wanted} == wanted


def describe_run(recipe: Recipe, pairs: Sequence[Pair], places: Places) -> None:
    """``run.json`` and ``data.csv``: what is trained on what, with which versions.

    Refuses a folder of another run.
    """
    places.run.mkdir(parents=True, exist_ok=True)
    path = places.run / "run.json"
    data = {"data": manifest_digest(pairs), "pairs": len(pairs)}
    if path.is_file():
        found = json.loads(path.read_text(encoding="utf-8"))
        if {key: found.get(key) for key in data} != data or not _same_training(found, recipe):
            raise InputError(
                f"{places.run} holds a run of another recipe or of other data",
                remedy="give another folder with --run, or delete this one",
            )
        return
    with (places.run / "data.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("dataset", "group", "image", "licence", "source", "sha256_16"))
        writer.writerows((p.dataset, p.group, p.image.name, p.licence, p.source, p.sha256_16) for p in pairs)
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "lightning": lightning.__version__,
    }
    document = {"recipe": json.loads(recipe.to_json()), **data, "versions": versions}
    path.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", encoding="utf-8")
