"""``cropseg:check``: what segmenting an orthomosaic will do and need."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingOutputNumber,
    QgsProcessingParameterFileDestination,
)

from ..engine.protocol import Job
from ..translation import tr
from .base import EngineAlgorithm
from .model_options import add_model_options, add_raster_options, model_arguments

OUTPUT, OUTPUT_HTML = "OUTPUT", "OUTPUT_HTML"
NUMBERS = {"TILES": "tiles", "MEMORY": "memory_bytes", "DISK": "disk_bytes", "SECONDS": "seconds"}

_PAGE = """<!DOCTYPE html>
<html><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font: 15px/1.5 sans-serif; margin: 2em; color: #1d2b1f; }}
th {{ text-align: left; padding: 0.2em 1.5em 0.2em 0; vertical-align: top; color: #0b5d2e; }}
li {{ color: #8a4b00; }}
</style></head><body><h1>{title}</h1><table>{rows}</table>{notes}</body></html>
"""


class CheckAlgorithm(EngineAlgorithm):
    """Look before the leap."""

    def name(self) -> str:
        return "check"

    def displayName(self) -> str:  # noqa: N802
        return tr("Check an orthomosaic")

    def tags(self) -> list[str]:
        return tr("preflight,forecast,memory,time,check,orthomosaic").split(",")

    def shortDescription(self) -> str:  # noqa: N802
        return tr("Says what segmenting will do, need and take, or why it cannot work.")

    def shortHelpString(self) -> str:  # noqa: N802
        return tr(
            "Looks at an orthomosaic and says what segmenting it will do: resolution, bands, valid part, "
            "tiles, device, memory, disk and time. If something stands in the way, it says what, and how "
            "to mend it. Changes nothing."
        )

    def initAlgorithm(self, configuration: dict | None = None) -> None:  # noqa: N802
        add_raster_options(self)
        add_model_options(self)
        self.add(
            QgsProcessingParameterFileDestination(
                OUTPUT_HTML, tr("Forecast to read"), tr("HTML files (*.html)"), optional=True
            ),
            tr("The forecast as a page; it is in the log as well."),
        )
        self.add(
            QgsProcessingParameterFileDestination(
                OUTPUT,
                tr("Forecast for programs"),
                tr("JSON files (*.json)"),
                optional=True,
                createByDefault=False,
            ),
            tr("The forecast in numbers."),
            is_advanced=True,
        )
        labels = {
            "TILES": tr("Number of tiles"),
            "MEMORY": tr("Memory (bytes)"),
            "DISK": tr("Disk (bytes)"),
            "SECONDS": tr("Time (s)"),
        }
        for name, label in labels.items():
            self.addOutput(QgsProcessingOutputNumber(name, label))

    def read(self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback) -> None:
        # Results are written somewhere else each time; the disk of the home folder is a fair guess.
        self._arguments = {
            **model_arguments(self, parameters, context, feedback),
            "out": str(Path.home()),
            "overwrite": True,
        }

    def work(
        self, parameters: dict, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        values = self.run_job(Job("check", self._arguments), feedback)
        forecast, lines = values["forecast"], values["lines"]
        width = max(len(name) for name, _ in lines)
        for name, text in lines:
            feedback.pushInfo(f"{name:<{width}}  {text}")
        for note in forecast["notes"]:
            feedback.pushWarning(note)
        feedback.pushInfo(tr("Ready. Nothing stands in the way."))
        results: dict[str, Any] = {name: forecast[key] for name, key in NUMBERS.items()}
        texts = {
            OUTPUT_HTML: _page(lines, forecast["notes"]),
            OUTPUT: json.dumps(forecast, ensure_ascii=False),
        }
        for name, text in texts.items():
            if path := self.parameterAsFileOutput(parameters, name, context):
                Path(path).write_text(text, encoding="utf-8")
                results[name] = path
        return results


def _page(lines: Sequence[tuple[str, str]], notes: Sequence[str]) -> str:
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in lines
    )
    items = "".join(f"<li>{html.escape(note)}</li>" for note in notes)
    return _PAGE.format(
        title=html.escape(tr("What segmenting will take")),
        rows=rows,
        notes=f"<ul>{items}</ul>" if items else "",
    )
