"""What the plugin remembers between sessions, in QGIS's own settings."""

from __future__ import annotations

from qgis.core import QgsSettings

ENGINE_PYTHON = "cropseg/engine_python"
DEVICE = "cropseg/device"
FIRST_RUN_DONE = "cropseg/first_run_done"

DEVICES = ("auto", "cpu", "cuda", "mps")


def engine_python() -> str:
    """The chosen engine's Python, or an empty text: then it is looked for."""
    return str(QgsSettings().value(ENGINE_PYTHON, "") or "")


def set_engine_python(path: str) -> None:
    """Choose the engine's Python; an empty text lets the plugin look for it again."""
    QgsSettings().setValue(ENGINE_PYTHON, path.strip())


def device() -> str:
    """The device that algorithms offer first."""
    value = str(QgsSettings().value(DEVICE, DEVICES[0]))
    return value if value in DEVICES else DEVICES[0]


def set_device(name: str) -> None:
    """Choose the device that algorithms offer first."""
    QgsSettings().setValue(DEVICE, name)


def is_first_run() -> bool:
    """True until the welcome was seen."""
    return not QgsSettings().value(FIRST_RUN_DONE, False, type=bool)


def finish_first_run() -> None:
    """Do not show the welcome by itself again."""
    QgsSettings().setValue(FIRST_RUN_DONE, True)
