"""Writes the tables of parameters in the help pages from the algorithms themselves.

Run by QGIS's Python, with the folder that holds the plugin, and ``--check`` to compare only:

    python3 qgis_plugin/help_tables.py qgis_plugin [--check]
"""

import html
import os
import re
import sys
from pathlib import Path

BEGIN, END = "<!-- parameters: made by help_tables.py -->", "<!-- end of parameters -->"


def tables(algorithm):
    """The tables of an algorithm's parameters and outputs as HTML."""
    from qgis.core import QgsProcessingParameterDefinition as Definition

    plain, advanced = [], []
    for parameter in algorithm.parameterDefinitions():
        if not parameter.flags() & Definition.Flag.FlagHidden:
            is_advanced = bool(parameter.flags() & Definition.Flag.FlagAdvanced)
            (advanced if is_advanced else plain).append(parameter)
    numbers = [
        output for output in algorithm.outputDefinitions() if not algorithm.parameterDefinition(output.name())
    ]
    parts = [_table(("Parameter", "Name", "What it does"), [_row(parameter) for parameter in plain])]
    if advanced:
        parts += ["<h2>Advanced parameters</h2>"]
        parts += [_table(("Parameter", "Name", "What it does"), [_row(parameter) for parameter in advanced])]
    if numbers:
        rows = [(output.description(), output.name()) for output in numbers]
        parts += ["<h2>Further outputs</h2>", _table(("Output", "Name"), rows)]
    return "\n".join(parts)


def _row(parameter):
    return parameter.description(), parameter.name(), parameter.help()


def _table(head, rows):
    lines = ["<table>", "<tr>" + "".join(f"<th>{name}</th>" for name in head) + "</tr>"]
    for title, name, *rest in rows:
        cells = [html.escape(title), f"<code>{name}</code>", *(html.escape(text) for text in rest)]
        lines.append("<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>")
    return "\n".join([*lines, "</table>"])


def fill(page, content):
    """A page with its section of parameters replaced. Raises ValueError if it has none."""
    section = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    if not section.search(page):
        raise ValueError("the page has no section for its parameters")
    return section.sub(lambda _match: f"{BEGIN}\n{content}\n{END}", page)


def main(place, *, only_check):
    """Number of pages that are missing or not up to date (before they were written)."""
    from qgis.core import QgsApplication

    sys.path.insert(0, str(place))
    application = QgsApplication([], GUIenabled=False)
    application.initQgis()
    from cropseg.provider import CropSegProvider

    provider = CropSegProvider()
    QgsApplication.processingRegistry().addProvider(provider)
    stale = 0
    for algorithm in provider.algorithms():
        path = Path(place) / "cropseg" / "help" / f"{algorithm.name()}.html"
        before = path.read_text(encoding="utf-8") if path.is_file() else f"{BEGIN}{END}"
        after = fill(before, tables(algorithm))
        if after != before:
            stale += 1
            sys.stdout.write(f"{path.name} is not up to date\n")
            if not only_check:
                path.write_text(after, encoding="utf-8")
    sys.stdout.flush()
    os._exit(1 if only_check and stale else 0)  # QGIS 3.22 may crash while its Python objects are torn down.


if __name__ == "__main__":
    main(sys.argv[1], only_check="--check" in sys.argv)
