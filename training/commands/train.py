"""``python -m training build``, ``fit``, ``export`` and ``onnx``: recipes → runs → the weights that ship."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cropseg_geo.errors import InputError
from training.data import DATA_VARIABLE, default_data_root

if TYPE_CHECKING:
    from training.stages import Workshop

_REPOSITORY = Path(__file__).resolve().parents[2]

Data = Annotated[
    Path | None,
    typer.Option(
        "--data", envvar=DATA_VARIABLE, help="Folder of manifest_pairs.csv  [default: ../shared/data]"
    ),
]
Runs = Annotated[Path | None, typer.Option("--runs", help="Folder of the runs  [default: runs]")]
RecipeName = Annotated[str, typer.Argument(metavar="RECIPE", help="canopy-s, canopy-m, depthcropseg-pp-l, …")]
Workers = Annotated[int, typer.Option(help="Loader processes.", min=0)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Devices = Annotated[int, typer.Option(help="How many of them.", min=1)]
Steps = Annotated[int | None, typer.Option(help="Train for fewer or more steps than the recipe.", min=1)]
Out = Annotated[Path | None, typer.Option("--out", "-o", help="Weights file  [default: the embedded one]")]


def build(
    name: RecipeName,
    data: Data = None,
    runs: Runs = None,
    workers: Workers = 1,
    device: Device = "auto",
    devices: Devices = 1,
) -> None:
    """From the data to the embedded weights: every stage before, fit, calibrate, score, export."""
    fit(name, data=data, runs=runs, workers=workers, device=device, devices=devices)
    export(name, data=data, runs=runs, device=device)


def fit(
    name: RecipeName,
    data: Data = None,
    runs: Runs = None,
    workers: Workers = 1,
    device: Device = "auto",
    devices: Devices = 1,
    steps: Steps = None,
) -> None:
    """Train a recipe after the stages that it needs; finished ones are kept, an interrupted one goes on."""
    from training.recipe import find_recipe
    from training.stages import train

    recipe = find_recipe(name)
    if steps is not None:
        recipe = replace(recipe, steps=steps)
    checkpoint = train(recipe, _workshop(data, runs, workers, device, devices))
    typer.echo(f"{checkpoint} holds step {recipe.steps}")


def export(
    name: RecipeName, data: Data = None, runs: Runs = None, out: Out = None, device: Device = "auto"
) -> None:
    """Calibrate and score a run's checkpoint and write it with its card: safetensors, and ONNX beside it."""
    from training.recipe import find_recipe
    from training.shipping import ship
    from training.start import CHECKPOINT

    workshop = _workshop(data, runs, 1, device, 1)
    checkpoint = workshop.run_of(find_recipe(name).name) / CHECKPOINT
    if not checkpoint.is_file():
        raise InputError(
            f"there is no run to export: {checkpoint} does not exist",
            remedy=f"name the folder of the runs with --runs, or train it: python -m training build {name}",
        )
    target = out or _REPOSITORY / "cropseg_geo" / "model" / "weights" / f"{name}.safetensors"
    document = None if out else _REPOSITORY / "docs" / f"model-card-{name}.md"
    card = ship(name, target, document, workshop)
    typer.echo(f"{target}: {card.name} {card.version}, {target.stat().st_size / 1e6:.1f} MB")


def onnx(weights: Annotated[Path, typer.Argument(help="A .safetensors model of CropSeg-Geo.")]) -> None:
    """Write the ONNX form of weights beside them, for faster work on CPUs without torch."""
    from training.onnx_form import export_onnx
    from training.weights import find_weights

    target = export_onnx(find_weights(weights))
    typer.echo(f"{target}: {target.stat().st_size / 1e6:.1f} MB")


def _workshop(data: Path | None, runs: Path | None, workers: int, device: str, devices: int) -> Workshop:
    from training.stages import Workshop

    return Workshop(
        data or default_data_root(),
        runs or _REPOSITORY / "runs",
        workers=workers,
        device=device,
        devices=devices,
    )
