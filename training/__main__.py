"""``python -m training``: train what ships (build, fit, export), measure it, make data, tune it to yours."""

from __future__ import annotations

import os
import sys

# Before torch is imported (by the commands): waiting threads sleep instead of spinning. With one other busy
# process on two cores, a training step takes 0.8 s so, and 11 s otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import typer

from cropseg_geo.errors import CropsegError
from training.commands.ablate import ablate
from training.commands.depth import depth
from training.commands.evaluate import evaluate
from training.commands.labels import labels
from training.commands.simulate import simulate
from training.commands.train import build, export, fit, onnx
from training.commands.tune import tune_app

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Train, evaluate and export models.")
app.command(rich_help_panel="Models that ship")(build)
app.command(rich_help_panel="Models that ship")(fit)
app.command(rich_help_panel="Models that ship")(export)
app.command(rich_help_panel="Models that ship")(onnx)
app.command(rich_help_panel="Measurements")(evaluate)
app.command(rich_help_panel="Measurements")(ablate)
app.command(rich_help_panel="Data")(labels)
app.command(rich_help_panel="Data")(depth)
app.command(rich_help_panel="Data")(simulate)
app.add_typer(tune_app, name="tune", rich_help_panel="Your own data")


def main() -> None:
    """Run the command line; errors of this package end it with their remedy, not with a traceback."""
    try:
        app()
    except CropsegError as err:
        typer.echo(f"error: {err}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
