"""What a recipe needs before it can train: other runs, simulated scenes, labels from height or a teacher.

Everything made on the way lies below the folder of the runs and is made once: ``simulator/``, ``survey/``,
``heights/``, ``<run>/``, ``<run>/guesses/`` and ``<run>/mixed/``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

from cropseg_geo.errors import InputError
from cropseg_geo.model.backends import choose_predictor, onnx_form
from cropseg_geo.model.predictor import Predictor, TorchPredictor
from cropseg_geo.model.weights import read_card
from sample_tiles.field import Field
from sample_tiles.write import write_field
from training.data import MANIFEST, Pair, decode, held_out, read_pairs
from training.devices import require_device, uses_gpu
from training.evaluation.calibration import calibrate
from training.export import export, make_card
from training.fit import fit
from training.labels.folder import Provenance
from training.labels.survey import open_survey
from training.labels.tiles import Options, label_orthomosaic
from training.onnx_form import export_onnx
from training.recipe import Recipe, find_recipe
from training.runs import Places, require_run_of
from training.simulator import write_corpus
from training.simulator.corpus import DATASET, ON_COVERS
from training.start import CHECKPOINT, steps_of
from training.teach import Screen, find_pictures, teach_labelled, teach_unlabelled
from training.threshold import Plan, fit_threshold

SCENES, SCENE_SEED = 2000, 5
FIELD_SEED = 71
"""Not the seed of any field that models are tested on."""

_TAUGHT = ("guesses", "mixed")
"""Sources that are a model's opinion."""


@dataclass(frozen=True)
class Workshop:
    """Where data and runs are, and what computes."""

    data: Path
    runs: Path
    workers: int = 1
    device: str = "auto"
    devices: int = 1
    screen: Screen = field(default_factory=Screen)

    def __post_init__(self) -> None:
        require_device(self.device, self.devices)

    def run_of(self, name: str) -> Path:
        return self.runs / name


def train(recipe: Recipe, workshop: Workshop, *, run: Path | None = None) -> Path:
    """Train a recipe after all that it needs; finished parts are kept, an interrupted one goes on.

    Returns
    -------
    Path
        The last checkpoint.
    """
    kind, _, name = recipe.initial_weights.partition(":")
    if kind in ("run", "encoder") and name:
        train(find_recipe(name), workshop)
    pairs = tuple(pair for source in recipe.sources for pair in pairs_of(source, workshop))
    return fit(
        recipe,
        pairs,
        Places(workshop.data, run or workshop.run_of(recipe.name), threshold_of(recipe, workshop)),
        workers=workshop.workers,
        device=workshop.device,
        devices=workshop.devices,
    )


def threshold_of(recipe: Recipe, workshop: Workshop) -> Path | None:
    """The weights of the threshold that a recipe names, learned first where they are not there yet."""
    if not recipe.threshold:
        return None
    plan = Plan()
    pairs = tuple(pair for source in plan.sources for pair in pairs_of(source, workshop))
    return fit_threshold(plan, pairs, workshop.run_of(recipe.threshold), workers=workshop.workers + 1)


def pairs_of(source: str, workshop: Workshop) -> tuple[Pair, ...]:
    """The training pairs of a source, made first where they are not there yet.

    Parameters
    ----------
    source
        ``pairs`` (the labelled pictures), ``simulator``, ``covers`` (scenes on asphalt, gravel and the like,
        too), ``heights`` (generated fields labelled by their
        height), ``guesses:RUN`` or ``mixed:RUN`` (what a run's model makes of the unlabelled and of the
        labelled pictures).

    Raises
    ------
    InputError
        For an unknown source, or if data are not there.
    """
    kind, _, run = source.partition(":")
    if kind == "pairs":
        return read_pairs(workshop.data, split="train")
    if kind not in _MAKERS:
        raise InputError(f"unknown source {source!r}", remedy=f"use pairs, {', '.join(sorted(_MAKERS))}")
    folder = workshop.runs / run / kind
    # Scenes of another number or simulator are noticed where they are written.
    if kind in (DATASET, ON_COVERS) or not (folder / MANIFEST).is_file():
        _MAKERS[kind](folder, workshop, run)
    return read_pairs(folder, split="train")


def finished_model(name: str, workshop: Workshop) -> Path:
    """The weights file of a run of a recipe by its name, calibrated; made where it is not there yet.

    One of another finish is made anew from the same run, and what it taught as a teacher is forgotten.
    """
    recipe, target = find_recipe(name), workshop.run_of(name) / f"{name}.safetensors"
    if target.is_file():
        require_run_of(recipe, workshop.run_of(name))
        if _is_finished(target, recipe):
            return target
        for kind in _TAUGHT:
            shutil.rmtree(workshop.run_of(name) / kind, ignore_errors=True)
    elif _is_trained(recipe, workshop.run_of(name)):
        require_run_of(recipe, workshop.run_of(name))
    else:
        train(recipe, workshop)
    export(recipe, workshop.run_of(name) / CHECKPOINT, target, temperature=temperature_of(name, workshop))
    return target


def _is_trained(recipe: Recipe, run: Path) -> bool:
    """Whether a run has come to its end: then it is of no account what has become of its data since."""
    checkpoint = run / CHECKPOINT
    return checkpoint.is_file() and steps_of(checkpoint) >= recipe.steps


def _is_finished(weights: Path, recipe: Recipe) -> bool:
    """Whether a weights file is what the recipe makes of a run now."""
    found, wanted = read_card(weights), make_card(recipe, scores={})
    return (found.version, found.network) == (wanted.version, wanted.network)


def temperature_of(name: str, workshop: Workshop) -> float:
    """The temperature of a run's model, fitted on the labelled pictures that are held out from training."""
    recipe = find_recipe(name)
    raw = workshop.run_of(name) / "uncalibrated.safetensors"
    export(recipe, workshop.run_of(name) / CHECKPOINT, raw)
    _, checked = held_out(read_pairs(workshop.data, split="train"))
    rng = np.random.default_rng(recipe.seed)
    fitted = calibrate(
        TorchPredictor(raw, device=workshop.device), [decode(pair) for pair in checked], rng=rng
    )
    raw.unlink()
    return fitted.temperature


def _simulate(folder: Path, workshop: Workshop, _run: str, *, covers: bool = False) -> None:
    with _bar("simulating scenes", SCENES) as advance:
        write_corpus(
            folder,
            count=SCENES,
            seed=SCENE_SEED,
            covers=covers,
            workers=workshop.workers + 1,
            on_scene=lambda _index: advance(),
        )


def _label_by_height(folder: Path, workshop: Workshop, _run: str) -> None:
    """A surveyed field with its photogrammetric surface: no mask is looked at."""
    survey = folder.with_name("survey")
    if not (survey / "plots.gpkg").is_file():  # written last
        survey.mkdir(parents=True, exist_ok=True)
        with _bar("surveying a field", None) as advance:
            write_field(
                Field(seed=FIELD_SEED),
                survey,
                workers=workshop.workers + 1,
                progress=lambda _done, _total: advance(),
            )
    opened = open_survey(survey / "field.tif", survey / "field_dsm.tif", survey / "field_dtm.tif")
    provenance = Provenance(dataset="heights", licence="Apache-2.0", group=f"field-{FIELD_SEED}")
    label_orthomosaic(opened, folder, options=Options(), provenance=provenance)


def _teacher(run: str, workshop: Workshop) -> Predictor:
    """A run's model in the form that is fastest here: teaching is many looks at every picture."""
    weights = finished_model(run, workshop)
    if onnx_form(weights) is None and not uses_gpu(workshop.device):
        export_onnx(weights)
    return choose_predictor(weights, device=workshop.device)


def _guess(folder: Path, workshop: Workshop, run: str) -> None:
    teacher = _teacher(run, workshop)
    pictures = find_pictures(workshop.data)
    with _bar(f"{run} labels unlabelled pictures", len(pictures)) as advance:
        teach_unlabelled(teacher, pictures, folder, screen=workshop.screen, on_picture=advance)


def _mix(folder: Path, workshop: Workshop, run: str) -> None:
    teacher = _teacher(run, workshop)
    pairs = read_pairs(workshop.data, split="train")
    with _bar(f"{run} looks at the labelled pictures", len(pairs)) as advance:
        teach_labelled(teacher, pairs, folder, on_picture=advance)


_MAKERS: dict[str, Callable[[Path, Workshop, str], None]] = {
    DATASET: _simulate,
    ON_COVERS: partial(_simulate, covers=True),
    "heights": _label_by_height,
    "guesses": _guess,
    "mixed": _mix,
}


@contextmanager
def _bar(what: str, total: int | None) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True)) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
