"""``python -m training``: train what ships (build, fit, export), measure it, make data, tune it to yours."""

from __future__ import annotations

import errno
import os
import sys

# Before torch is imported (by the commands): waiting threads sleep instead of spinning. With one other busy
# process on two cores, a training step takes 0.8 s so, and 11 s otherwise.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

from typing import NoReturn

import typer

from cropseg_geo.errors import CropsegError, OutputError
from training.commands.ablate import ablate
from training.commands.depth import depth
from training.commands.evaluate import evaluate
from training.commands.labels import labels
from training.commands.simulate import simulate
from training.commands.train import build, export, fit, onnx
from training.commands.tune import tune_app

_INTERRUPTED = 130
_FULL = (errno.ENOSPC, errno.EDQUOT)

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
    """Run the command line; errors of this package, and full disks, end it with their remedy."""
    try:
        app()
    except CropsegError as err:
        _fail(err)
    except OSError as err:
        if err.errno not in _FULL:
            raise
        _fail(OutputError(f"the disk is full ({err})", remedy="free some space; the same command goes on"))
    except SystemExit as err:
        if err.code == _INTERRUPTED:  # Typer has turned Ctrl-C into it
            typer.echo("\nStopped. What is finished stays; the same command goes on from there.", err=True)
        raise


def _fail(err: CropsegError) -> NoReturn:
    typer.echo(f"error: {err}", err=True)
    sys.exit(1)


if __name__ == "__main__":
    main()
