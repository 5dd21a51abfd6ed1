"""Arguments and options of ``python -m training tune`` and ``labels``, each declared once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from training.data import DATA_VARIABLE

if TYPE_CHECKING:
    from training.reading import Reading

Ortho = Annotated[Path, typer.Argument(help="Orthomosaic, a file that GDAL opens.")]
Out = Annotated[Path, typer.Option("-o", "--out", help="The model file to write (.safetensors).")]
Model = Annotated[str, typer.Option("-m", "--model", help="Model to start from: a name or a weights file.")]
Steps = Annotated[int, typer.Option(min=1, help="Training steps of 8 crops; 0.7 s each on two idle cores.")]
Keep = Annotated[
    float,
    typer.Option(help="Share of crops from the product's own training data, against forgetting other crops."),
]
Strength = Annotated[
    float,
    typer.Option(
        help="How far the weights go from the start model's to those trained; 1 fits your pictures best "
        "and forgets most."
    ),
]
Data = Annotated[
    Path | None,
    typer.Option("--data", envvar=DATA_VARIABLE, help="Where these are; ../shared/data where it is there"),
]
Run = Annotated[
    Path | None, typer.Option("--run", help="Folder for dataset and checkpoints; <out>-run without one")
]
Name = Annotated[str | None, typer.Option(help="Name of the model; the file's without one")]
Licence = Annotated[str, typer.Option(help="Licence of your pictures and labels, for the model card.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace the model file.")]
Workers = Annotated[int, typer.Option(min=0, help="Loader processes.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.")]
Onnx = Annotated[
    bool, typer.Option("--onnx/--no-onnx", help="Write the model's ONNX form, too: for CPUs without torch.")
]
Bands = Annotated[str | None, typer.Option(help="Band numbers of red, green, blue, e.g. 3,2,1.")]
Scale = Annotated[str | None, typer.Option(help="Stored values of black and white, e.g. 0,4000.")]
Reflectance = Annotated[bool, typer.Option("--reflectance", help="Values are reflectance: linear in light.")]
AlphaBand = Annotated[int | None, typer.Option(help="Band that marks valid pixels without being flagged.")]


def reading_of(
    model: str | None, bands: str | None, scale: str | None, alpha_band: int | None, *, reflectance: bool
) -> Reading:
    """How an orthomosaic is to be read, from the options' texts. Raises typer.BadParameter."""
    from training.reading import Reading

    low_high, rgb = _numbers("--scale", scale, count=2), _numbers("--bands", bands, count=3)
    return Reading(
        model,
        None if rgb is None else tuple(int(band) for band in rgb),
        None if low_high is None else (low_high[0], low_high[1]),
        alpha_band,
        reflectance=reflectance,
    )


def _numbers(flag: str, text: str | None, *, count: int) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        numbers = tuple(float(part) for part in text.split(","))
    except ValueError:
        numbers = ()
    if len(numbers) != count:
        raise typer.BadParameter(f"{flag} {text!r}: {count} numbers separated by commas are expected")
    return numbers
