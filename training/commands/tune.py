"""``python -m training tune``: a model of your own from pictures with masks, polygons, or heights."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from cropseg_geo.errors import InputError, OutputError
from cropseg_geo.model.onnx_file import SUFFIX
from cropseg_geo.model.zoo import DEFAULT_MODEL
from cropseg_geo.outputs.refusals import require_writable
from training.commands import tune_options as options
from training.commands.telling import counting, note, status_line
from training.sources.tuning import KEEP, STEPS, STRENGTH, Plan, require_free_name, tune

if TYPE_CHECKING:
    from training.sources.dataset import Dataset

tune_app = typer.Typer(
    no_args_is_help=True,
    help="Adapt a model to your own fields. A fifth of the labelled pixels is held out, by place or series "
    "of pictures, and both models are scored on it. An interrupted command goes on where it stopped.",
)


@tune_app.command()
def pairs(
    folder: Annotated[Path, typer.Argument(help="images/ and masks/, or a.jpg beside a_mask.png.")],
    out: options.Out,
    model: options.Model = DEFAULT_MODEL,
    steps: options.Steps = STEPS,
    keep: options.Keep = KEEP,
    strength: options.Strength = STRENGTH,
    data: options.Data = None,
    run: options.Run = None,
    name: options.Name = None,
    licence: options.Licence = "",
    overwrite: options.Overwrite = False,
    workers: options.Workers = 1,
    device: options.Device = "auto",
    onnx: options.Onnx = True,
) -> None:
    """From pictures and masks: above 0 is vegetation; 255 is unknown unless masks hold only 0 and 255."""
    from training.sources.pairs import prepare_pairs

    job = _Job(out, name, licence, run, overwrite=overwrite, onnx=onnx)

    def prepare(target: Path, on_piece: Callable[[], None]) -> Dataset:
        return prepare_pairs(
            folder, target, name=job.model_name, licence=licence, listener=note, on_piece=on_piece
        )

    _tune(prepare, job, Plan(model, steps, keep, data, workers, device, strength, onnx))


@tune_app.command()
def polygons(
    ortho: options.Ortho,
    canopy: Annotated[str, typer.Argument(help="Canopy polygons, any CRS: FILE or FILE|layername=NAME.")],
    out: options.Out,
    area: Annotated[
        str | None,
        typer.Option(
            help="Polygons within which every plant is outlined; the hull of the canopy without them"
        ),
    ] = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    reflectance: options.Reflectance = False,
    alpha_band: options.AlphaBand = None,
    model: options.Model = DEFAULT_MODEL,
    steps: options.Steps = STEPS,
    keep: options.Keep = KEEP,
    strength: options.Strength = STRENGTH,
    data: options.Data = None,
    run: options.Run = None,
    name: options.Name = None,
    licence: options.Licence = "",
    overwrite: options.Overwrite = False,
    workers: options.Workers = 1,
    device: options.Device = "auto",
    onnx: options.Onnx = True,
) -> None:
    """From an orthomosaic and canopy polygons, such as a corrected canopy layer of `cropseg segment`."""
    from training.sources.polygons import prepare_polygons

    job = _Job(out, name, licence, run, overwrite=overwrite, onnx=onnx, example=ortho)
    reading = options.reading_of(model, bands, scale, alpha_band, reflectance=reflectance)

    def prepare(target: Path, on_piece: Callable[[], None]) -> Dataset:
        return prepare_polygons(
            ortho,
            canopy,
            target,
            name=job.model_name,
            licence=licence,
            area=area,
            reading=reading,
            listener=note,
            on_piece=on_piece,
        )

    _tune(prepare, job, Plan(model, steps, keep, data, workers, device, strength, onnx))


@tune_app.command()
def heights(
    ortho: options.Ortho,
    dsm: Annotated[Path, typer.Argument(help="Digital surface model of the same flight.")],
    out: options.Out,
    dtm: Annotated[Path | None, typer.Option(help="Terrain model; estimated without one.")] = None,
    decisions: Annotated[
        Path | None, typer.Option(help="Decisions saved from labels/sheet.html of an earlier run.")
    ] = None,
    bands: options.Bands = None,
    scale: options.Scale = None,
    reflectance: options.Reflectance = False,
    alpha_band: options.AlphaBand = None,
    model: options.Model = DEFAULT_MODEL,
    steps: options.Steps = STEPS,
    keep: options.Keep = KEEP,
    strength: options.Strength = STRENGTH,
    data: options.Data = None,
    run: options.Run = None,
    name: options.Name = None,
    licence: options.Licence = "",
    overwrite: options.Overwrite = False,
    workers: options.Workers = 1,
    device: options.Device = "auto",
    onnx: options.Onnx = True,
) -> None:
    """From an orthomosaic and its heights alone: the labels are made from them; look at these in labels/."""
    from training.sources.heights import prepare_heights

    job = _Job(out, name, licence, run, overwrite=overwrite, onnx=onnx, example=ortho)
    reading = options.reading_of(model, bands, scale, alpha_band, reflectance=reflectance)

    def prepare(target: Path, on_piece: Callable[[], None]) -> Dataset:
        return prepare_heights(
            ortho,
            dsm,
            dtm,
            target,
            name=job.model_name,
            licence=licence,
            decisions=decisions,
            reading=reading,
            listener=note,
            on_piece=on_piece,
        )

    _tune(prepare, job, Plan(model, steps, keep, data, workers, device, strength, onnx))


class _Prepare(Protocol):
    """Makes the dataset folder."""

    def __call__(self, target: Path, on_piece: Callable[[], None]) -> Dataset: ...


@dataclass(frozen=True)
class _Job:
    """What is to be written where; refuses what cannot be, before any work."""

    out: Path
    name: str | None
    licence: str
    run: Path | None
    overwrite: bool
    onnx: bool
    example: Path = Path("ortho.tif")

    def __post_init__(self) -> None:
        if self.out.suffix != ".safetensors":
            raise InputError(
                f"--out {self.out} is no model file's name", remedy=f"give {self.out.stem}.safetensors"
            )
        if self.out.is_dir():
            raise OutputError(f"--out {self.out} is a folder", remedy="give another --out")
        for path in (self.out, self.onnx_form) if self.onnx else (self.out,):
            if path.exists() and not self.overwrite:
                raise OutputError(f"{path} exists", remedy="pass --overwrite, or another --out")

    @property
    def onnx_form(self) -> Path:
        return self.out.with_suffix(SUFFIX)

    @property
    def model_name(self) -> str:
        from training.sources.dataset import name_of

        return name_of(self.name or self.out.stem)

    @property
    def run_folder(self) -> Path:
        return self.run or self.out.with_name(f"{self.out.stem}-run")


def _tune(prepare: _Prepare, job: _Job, plan: Plan) -> None:
    from rich.console import Console

    from training.evaluation.tables import scores_table
    from training.sources.dataset import RUN_DATASET

    if job.out.resolve() == plan.start:
        raise OutputError(f"--out {job.out} is the model to start from", remedy="give another --out")
    start, kept = plan.card, plan.kept()
    require_free_name(job.model_name, start, kept)
    require_writable(job.out.parent)
    if plan.keep and not kept:
        note(
            "the product's own training data are not here, so the model may forget crops that yours "
            "lack; --data names their folder, and a smaller --strength forgets less"
        )
    with counting("labelled pictures") as on_piece:
        dataset = prepare(job.run_folder / RUN_DATASET, on_piece)
    sheet = _describe(dataset, job)
    with status_line() as on_step:
        tuned = tune(dataset, job.out, job.run_folder, plan, name=job.model_name, on_step=on_step)
    Console().print(scores_table(tuned.scores))
    before, after = (tuned.scores[dataset.name][model]["miou"] for model in (start.name, tuned.card.name))
    typer.echo(f"mIoU on what was held out: {100 * before:.1f} before, {100 * after:.1f} after")
    if round(100 * after, 1) <= round(100 * before, 1):
        note(
            f"no better than {start.name} on what was held out: look at the labels ({sheet}), or train "
            f"longer (these were --steps {plan.steps}), before you use it"
        )
    _tell_of_onnx(job)
    command = shlex.join(("cropseg", "segment", str(job.example), "--model", str(job.out)))
    typer.echo(f"use it: {command}")


def _tell_of_onnx(job: _Job) -> None:
    if job.onnx:
        typer.echo(f"{job.onnx_form}: the same for CPUs without torch; keep both files in one folder")
        return
    command = shlex.join(("python", "-m", "training", "onnx", str(job.out)))
    typer.echo(f"it needs torch; for CPUs without it, and for the QGIS plugin: {command}")


def _describe(dataset: Dataset, job: _Job) -> Path:
    """Say what is learned from, and what is doubtful about it; returns where its labels can be looked at."""
    from training.sources.card import in_words
    from training.sources.doubts import SHEET, look_at

    labels = dataset.labels
    gsd = f", {dataset.gsd_m * 100:.3g} cm/px" if dataset.gsd_m else ""
    unknown = labels.unknown / (labels.known + labels.unknown)
    typer.echo(
        f"{dataset.folder}: {in_words(dataset)}{gsd}, {labels.known / 1e6:.1f} Mpx labelled, "
        f"{labels.cover:.0%} of it vegetation; {unknown:.0%} of all pixels unknown"
    )
    sheet = job.run_folder / SHEET
    doubted = look_at(dataset, sheet)
    typer.echo(f"look at the labels: {sheet}")
    if doubted:
        note(f"{doubted}. Stop here (Ctrl-C) unless {sheet} shows that they are right")
    return sheet
