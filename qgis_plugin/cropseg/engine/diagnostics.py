"""A report about the machine, the plugin and the engine, to be copied into a question or a bug report."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from pathlib import Path

from .environment import Engine, data_folder, log_folder, managed_folder
from .versions import Fit, plugin_version

_LOG_CHARACTERS = 3000
_TOLD = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "CUDA_VISIBLE_DEVICES", "PIP_INDEX_URL", "UV_INDEX_URL")


def report(engine: Engine | None, fit: Fit) -> str:
    """Plain English text, for whoever helps.

    The user's name is taken out of paths, and what a proxy's address may hold is left out.
    """
    lines = [
        "CropSeg diagnostics",
        f"Plugin      {plugin_version()}",
        f"System      {platform.platform()}, {platform.machine()}, {os.cpu_count()} cores",
        f"QGIS Python {platform.python_version()} ({sys.executable})",
        f"Memory      {_memory()}",
        f"Disk        {_free_space(data_folder())}",
        f"Graphics    {shutil.which('nvidia-smi') or 'no nvidia-smi on the PATH'}",
        f"Set         {', '.join(name for name in _TOLD if os.environ.get(name)) or 'no proxy, no index'}",
        f"Handshake   {fit.verdict.value}: {fit.in_words(str)[0]}",
    ]
    if engine is None:
        lines.append(f"Engine      none; the plugin's own would be in {managed_folder()}")
    else:
        lines.append(
            f"Engine      {engine.version} ({engine.kind}), Python {engine.python_version}: {engine.python}"
        )
        lines += [f"  {name} {version or 'not installed'}" for name, version in engine.packages]
    if (log := _last_log()) is not None:
        text = log.read_text(encoding="utf-8", errors="replace")
        lines += ["", f"Last log: {log}", text[-_LOG_CHARACTERS:]]
    return without_home("\n".join(lines), str(Path.home()))


def without_home(text: str, home: str, *, is_windows: bool = os.name == "nt") -> str:
    """A text with ``~`` for the user's home, however its folders are kept apart.

    A job in a log has it with slashes, or, as JSON and errors quote it, with twice as many backslashes.
    Windows knows no case in names.
    """
    if not is_windows:
        return text.replace(home, "~")
    folders = map(re.escape, re.split(r"[\\/]+", home.rstrip("\\/")))
    return re.sub(r"[\\/]+".join(folders), "~", text, flags=re.IGNORECASE)


def _last_log() -> Path | None:
    return max(log_folder().glob("*.log"), default=None)


def _free_space(folder: Path) -> str:
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e9:.1f} GB free in {folder}"


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.1f} GB"
    except (AttributeError, ValueError, OSError):
        return "unknown"
