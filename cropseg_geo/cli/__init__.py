"""The command line: parse, call, exit code.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Annotated

import typer
from rich.console import Console

from cropseg_geo import __version__
from cropseg_geo.cli import plots
from cropseg_geo.cli.report import report
from cropseg_geo.cli.segmentation import check, segment
from cropseg_geo.cli.vectorization import vectorize
from cropseg_geo.console import fail, print_models
from cropseg_geo.errors import CropsegError

_OBJECTS_A_COLLECTION = 20_000
"""New objects before rubbish is looked for; with Python's 700, loading libraries takes a twentieth longer."""

app = typer.Typer(
    name="cropseg",
    help="Find the crop in drone orthomosaics: masks, canopy polygons and per-plot coverage.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(segment)
app.command()(check)
app.command()(vectorize)
app.command()(report)
app.add_typer(plots.app, name="plots")


@app.command()
def models() -> None:
    """List the models with their GSD range, licence and scores."""
    print_models()


def _version(*, show: bool) -> None:
    if show:
        Console().print(f"cropseg-geo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=lambda v: _version(show=v), help="Show version."),
    ] = False,
) -> None:
    pass


def main() -> None:
    """Entry point: run the app and turn what goes wrong into an exit code."""
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    if "CPL_DEBUG" not in os.environ:
        # What GDAL has to say arrives as an error of ours; itself, it would print every step that failed.
        os.environ.setdefault("CPL_LOG", "OFF")
    # Not by way of SIGINT: a shell that starts a command in the background has it ignored.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app(standalone_mode=True)
    except CropsegError as err:
        fail(err)
        sys.exit(1)
    except KeyboardInterrupt:
        Console(stderr=True).print("[yellow]Stopped.[/] Finished blocks are kept; the same command goes on.")
        # Threads that are inside a library call cannot be waited for.
        sys.stdout.flush()
        os._exit(130)
    finally:
        # What is left goes back with the process; looking for rubbish in it takes a fifth of a second.
        # Triton, which timm loads with torch, prints forty lines on those of its objects that are left.
        if "triton" not in sys.modules:
            gc.freeze()
