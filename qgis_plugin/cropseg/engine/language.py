"""The words of this side in the user's language: English, until the plugin lends QGIS's translator."""

from __future__ import annotations

from collections.abc import Callable

_translate: Callable[[str], str] = str


def speak(translate: Callable[[str], str]) -> None:
    """From now on, say everything as this translates it; ``str`` leaves it English."""
    global _translate  # noqa: PLW0603 - one language for all, as QGIS has it
    _translate = translate


def tr(text: str) -> str:
    """The translation of an English text; values are put into its places afterwards."""
    return _translate(text)
