"""The command line: parse, call, exit code.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 130 interrupted. With ``--events`` the last line of
standard output is a result or an error (:mod:`cropseg_geo.events`) where the code is 0 or 1.
"""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from contextlib import suppress
from typing import Annotated, NoReturn

import typer
from rich.console import Console

from cropseg_geo import __version__
from cropseg_geo.cli import plots
from cropseg_geo.cli.report import report
from cropseg_geo.cli.segmentation import check, segment
from cropseg_geo.cli.streams import make_printable
from cropseg_geo.cli.vectorization import vectorize
from cropseg_geo.console import fail, print_event, print_models
from cropseg_geo.errors import CropsegError, OutputError
from cropseg_geo.failures import failure_of

_INTERRUPTED = 130

_STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

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
    make_printable()
    gc.set_threshold(_OBJECTS_A_COLLECTION)
    if "CPL_DEBUG" not in os.environ:
        # What GDAL has to say arrives as an error of ours; itself, it would print every step that failed.
        os.environ.setdefault("CPL_LOG", "OFF")
    for number in _STOP_SIGNALS:
        # Each by itself: a shell that starts a command in the background has SIGINT ignored, nohup SIGHUP.
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.default_int_handler)
    try:
        app(standalone_mode=True)
    except CropsegError as err:
        _close(err)
        fail(err)
        sys.exit(1)
    except KeyboardInterrupt:
        _stop()
    except SystemExit as err:
        if err.code == _INTERRUPTED:  # Typer has turned Ctrl-C into it
            _stop()
        raise
    except OSError as err:
        if err.errno not in _FULL or err.filename is not None:
            _close(err)
            raise
        # Files that a run writes are told by name: this is what the command prints.
        fail(
            OutputError(
                f"what this command prints cannot be written ({err.strerror})",
                remedy="free some space on the disk that it goes to, then run the same command again",
            )
        )
        _leave(1)
    except Exception as err:
        _close(err)
        raise
    finally:
        # What is left goes back with the process; looking for rubbish in it takes a fifth of a second.
        # Triton, which timm loads with torch, prints forty lines on those of its objects that are left.
        if "triton" not in sys.modules:
            gc.freeze()


def _close(err: Exception) -> None:
    """End the JSON lines of a command that was asked for them with what stopped it."""
    if "--events" in sys.argv[1:]:
        with suppress(OSError):  # nobody reads them any more
            print_event(failure_of(err))


def _stop() -> NoReturn:
    """End after Ctrl-C, SIGTERM or SIGHUP, and say what stays."""
    for number in _STOP_SIGNALS:  # another one has nothing left to stop
        signal.signal(number, signal.SIG_IGN)
    kept = " Finished blocks are kept; the same command goes on." if sys.argv[1:2] == ["segment"] else ""
    with suppress(OSError):  # the terminal is gone
        Console(stderr=True).print(f"[yellow]Stopped.[/]{kept}", soft_wrap=True)
    _leave(_INTERRUPTED)


def _leave(code: int) -> NoReturn:
    """End at once: threads that are inside a library call cannot be waited for."""
    with suppress(OSError, ValueError, AttributeError):  # a full disk, a closed stream, none
        sys.stdout.flush()
    os._exit(code)
