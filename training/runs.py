"""Folders of runs: where one reads and writes, what it is made of, and whether a folder is that run's."""

from __future__ import annotations

import csv
import json
import pickle  # nosec B403 # only for the name of its error
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric import Fabric

from cropseg_geo.errors import InputError
from cropseg_geo.paths import replace_file
from training.data import Pair, manifest_digest
from training.recipe import Recipe
from training.start import start_digest

RECORD = "run.json"


@dataclass(frozen=True)
class Places:
    """Where a run reads and writes; ``threshold``: weights of the colour index's threshold, if any."""

    data: Path
    run: Path
    threshold: Path | None = None


def load_checkpoint(fabric: Fabric, checkpoint: Path, state: dict[str, Any]) -> None:
    """Fill ``state`` in place. Raises InputError if the file is damaged."""
    try:
        fabric.load(checkpoint, state)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as err:
        raise InputError(
            f"{checkpoint} is no checkpoint of this run, or damaged ({type(err).__name__})",
            remedy="delete this file, and the run starts again from its first step",
        ) from err


def save_checkpoint(fabric: Fabric, checkpoint: Path, state: dict[str, Any]) -> None:
    """Beside, then renamed: a run that is killed while writing resumes from the checkpoint before."""
    part = checkpoint.with_suffix(".part")
    try:
        fabric.save(part, state)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    fabric.barrier()
    if fabric.is_global_zero:
        part.replace(checkpoint)


def require_run_of(recipe: Recipe, run: Path) -> None:
    """Raise InputError unless the folder's run is one of this recipe, whatever its data."""
    path = run / RECORD
    found = _read_record(path) if path.is_file() else {}
    if changed := _changed_training(found, recipe):
        raise InputError(
            f"{run} holds a model, but not of the recipe {recipe.name!r} as it is now: {'; '.join(changed)}",
            remedy="move the folder away to train it again",
        )


def _read_record(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as err:
        raise InputError(
            f"{path} is damaged, so nobody knows what this run was",
            remedy="move the folder away, or delete it, to train again",
        ) from err


def _changed_training(found: Mapping[str, Any], recipe: Recipe) -> list[str]:
    """What differs from a recorded recipe, with both values."""
    # What else it records was not read: a name's version, the finish of the model that came of it.
    recorded = {name: value for name, value in found.get("recipe", {}).items() if name in recipe.training}
    return list(_changes(recorded, recipe.training))


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for name in sorted(before.keys() | now.keys()):
        old, new = before.get(name), now.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            yield from (f"{name}.{change}" for change in _changes(old, new))
        elif old != new:
            yield f"{name} was {old}, is {new}"


def describe_run(recipe: Recipe, pairs: Sequence[Pair], places: Places) -> None:
    """``run.json`` and ``data.csv``: what is trained on what, with which versions.

    Refuses a folder of another run.
    """
    places.run.mkdir(parents=True, exist_ok=True)
    path = places.run / RECORD
    data = {"data": manifest_digest(pairs), "pairs": len(pairs), "start": start_digest(recipe)}
    if path.is_file():
        found = _read_record(path)
        changed = _changed_training(found, recipe)
        if (found.get("data"), found.get("pairs")) != (data["data"], data["pairs"]):
            changed.append(f"it was of other data ({found.get('pairs')} pictures, now {len(pairs)})")
        if found.get("start") != data["start"]:
            changed.append("it went on from another model")
        if changed:
            raise InputError(
                f"{places.run} holds another run: {'; '.join(changed)}",
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
    replace_file(path, (json.dumps(document, indent=2, sort_keys=True) + "\n").encode())
