"""The plugin's words in the language of QGIS."""

from __future__ import annotations

from pathlib import Path

from qgis.PyQt.QtCore import QCoreApplication, QTranslator

from .engine.language import speak

CONTEXT = "cropseg"
FOLDER = Path(__file__).resolve().parent / "i18n"


def tr(text: str) -> str:
    """The translation of an English text; the text itself where there is none."""
    return QCoreApplication.translate(CONTEXT, text)


def load_translator(locale: str) -> QTranslator | None:
    """Install the translation for a locale such as ``de`` or ``de_CH``; the engine's side speaks it, too.

    Returns
    -------
    QTranslator or None
        To be kept, and given to ``QCoreApplication.removeTranslator`` at the end; None where the plugin has
        no words in that language.
    """
    for name in (locale, locale.split("_", maxsplit=1)[0]):
        path = FOLDER / f"cropseg_{name}.qm"
        translator = QTranslator()
        if path.is_file() and translator.load(str(path)):
            QCoreApplication.installTranslator(translator)
            speak(tr)
            return translator
    return None
