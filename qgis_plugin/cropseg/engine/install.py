"""Making the engine's environment: one installation into a fresh one, an earlier one kept until it works."""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess  # nosec B404 # runs uv, python and pip; no shell
import threading
from collections.abc import Callable
from pathlib import Path

from .command import environment, in_own_group
from .environment import Engine, forget, judge, probe, python_in
from .language import tr
from .milestones import Milestones, Tell
from .pip_settings import for_uv
from .process import kill_tree
from .tools import InstallError, Tool, bounds, find_tools, own_wheel, steps

_NOT_FOUND = re.compile(
    r"No matching distribution found for cropseg-geo|cropseg-geo\S* was not found|no versions? of cropseg-geo"
    r"|only cropseg-geo\S* is available"
)
"""What pip and uv say of an index or a folder that holds no such engine."""

_POLL_S = 0.1


def install(
    target: Path,
    *,
    accelerator: str,
    wheels: Path | None,
    on_line: Callable[[str], None],
    on_milestone: Tell,
    is_cancelled: Callable[[], bool],
) -> Engine | None:
    """Make an environment with the engine; an earlier one in its place is kept until the new one works.

    Parameters
    ----------
    target
        Folder of the environment.
    accelerator
        One of :data:`ACCELERATORS`.
    wheels
        Folder with the wheels of the engine and all that it needs; None takes them from the network, but the
        engine from the plugin if that brings it.
    on_line
        Called in this thread with each line that the tools print.
    on_milestone
        Called in this thread as each step begins, with the share that is behind, 0–1, and its name.
    is_cancelled
        Asked ten times a second.

    Returns
    -------
    Engine or None
        The new engine; None if the installation was cancelled, and then everything is as it was before.

    Raises
    ------
    InstallError
        If it could not be made; everything is as it was before.
    """
    if target.exists() and any(target.iterdir()) and not (target / "pyvenv.cfg").is_file():
        raise InstallError(
            tr("{} holds other files.\n→ choose an empty folder for the engine").format(target)
        )
    if wheels is not None and not any(wheels.glob("*.whl")):
        raise InstallError(tr("{} holds no wheels (*.whl).\n→ choose the folder that does").format(wheels))

    def plan(tool: Tool) -> list[list[str]]:
        return steps(tool, target, accelerator=accelerator, wheels=wheels, own=own_wheel(wheels))

    before = _set_aside(target)
    try:
        is_complete = _do_all(target, plan, on_milestone, on_line, is_cancelled)
        engine = _proven(target) if is_complete else None
    except BaseException:
        _put_back(target, before)
        raise
    finally:
        forget()
    if engine is None:
        _put_back(target, before)
    elif before is not None:
        shutil.rmtree(before, ignore_errors=True)
    return engine


def _set_aside(target: Path) -> Path | None:
    """Rename what is there; None if nothing is."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        return None
    aside = target.with_name(f"{target.name}.before")
    shutil.rmtree(aside, ignore_errors=True)
    try:
        return target.rename(aside)
    except OSError as err:
        raise InstallError(
            tr("{} cannot be replaced ({}).\n→ end jobs that still run, and try again").format(
                target, err.strerror
            )
        ) from err


def _put_back(target: Path, before: Path | None) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if before is not None:
        before.rename(target)


def _proven(target: Path) -> Engine:
    engine = probe(python_in(target), "managed")
    fit = judge(engine, python_in(target))
    if engine is None or not fit.is_ok:
        raise InstallError(tr("The engine was installed, but cannot be used.\n{}").format(fit))
    return engine


def _do_all(
    target: Path,
    plan: Callable[[Tool], list[list[str]]],
    on_milestone: Tell,
    on_line: Callable[[str], None],
    is_cancelled: Callable[[], bool],
) -> bool:
    """Install with the first tool that can make an environment; False if cancelled. Raises InstallError."""
    failure = None
    for tool in find_tools():
        make, *additions = plan(tool)
        milestones = Milestones(len(additions), on_milestone)
        try:
            is_made = _do(make, on_line, is_cancelled, advise=_remedy_of_making)
        except InstallError as err:
            failure = failure or err
            shutil.rmtree(target, ignore_errors=True)
            continue
        return is_made and _add_all(additions, milestones, on_line, is_cancelled)
    raise failure


def _add_all(
    commands: list[list[str]],
    milestones: Milestones,
    on_line: Callable[[str], None],
    is_cancelled: Callable[[], bool],
) -> bool:
    """Run the commands that install into an environment; False if cancelled. Raises InstallError."""

    def hear(line: str) -> None:
        on_line(line)
        milestones.hear(line)

    for command in commands:
        milestones.add()
        if not _do(command, hear, is_cancelled, advise=remedy):
            return False
    milestones.check()
    return True


def _do(
    command: list[str],
    on_line: Callable[[str], None],
    is_cancelled: Callable[[], bool],
    *,
    advise: Callable[[str], str],
) -> bool:
    """Run one command; False if it was cancelled. Raises InstallError, with advice on what was said last."""
    if is_cancelled():
        return False
    on_line("$ " + " ".join(command))
    child = subprocess.Popen(  # nosec B603 # a list, no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        # pip reads its own settings; uv has to be told them.
        env=environment(os.environ) | for_uv(os.environ),
        cwd=Path.home(),
        **in_own_group(),
    )
    lines: queue.Queue[str] = queue.Queue()
    reader = threading.Thread(target=_read_all, args=(child, lines), daemon=True)
    reader.start()
    tail: list[str] = []
    while reader.is_alive() or not lines.empty() or child.poll() is None:
        if is_cancelled():
            kill_tree(child)
            child.wait()
            return False
        try:
            tail = [*tail[-9:], lines.get(timeout=_POLL_S)]
        except queue.Empty:
            continue
        on_line(tail[-1])
    if child.returncode:
        said = "\n".join(tail)
        raise InstallError(
            tr("The installation failed (exit code {}):\n{}\n→ {}").format(
                child.returncode, said, advise(said)
            )
        )
    return True


def remedy(said: str) -> str:
    """What to do after an installation failed, by what pip or uv said last."""
    if _NOT_FOUND.search(said):
        return tr(
            "no engine for this plugin is to be had from there: take the plugin's package with the engine in "
            "it, or a folder of wheels that holds cropseg-geo; or check the connection and the proxy"
        )
    return tr("check the connection and the proxy, or install from a folder of wheels")


def _remedy_of_making(_said: str) -> str:
    return tr(
        "see that the folder for the engine can be written to and that there is space, or install a Python "
        "from {} to {} (python.org), restart QGIS and try again"
    ).format(*bounds())


def _read_all(child: subprocess.Popen[bytes], lines: queue.Queue[str]) -> None:
    with child.stdout:
        for line in child.stdout:
            if text := line.decode("utf-8", errors="replace").rstrip():
                lines.put(text)
