"""The HTML page: one file, no request, whatever it is opened with.

Scripts and styles are inlined and named by their hashes in a content security policy that forbids everything
else, so that no text of the user's (a plot called ``<script>``) can ever run and nothing can be fetched.
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
import numpy.typing as npt
import pandas as pd
import shapely
from markupsafe import Markup

from cropseg_geo import __version__
from cropseg_geo.report.colours import MISSING, RAMP, nice_range
from cropseg_geo.report.columns import FLAG, NUMBER, ColumnFacts
from cropseg_geo.report.content import Content, key_figures, mask_image
from cropseg_geo.report.notes import plot_flags
from cropseg_geo.report.pictures import data_uri, mask_uri, photo_uri
from cropseg_geo.report.tables import PlotTable

ASSETS = Path(__file__).parent / "assets"
_SCRIPTS = (
    "vendor/leaflet/leaflet.js", "vendor/uplot/uPlot.iife.min.js",
    "js/base.js", "js/map.js", "js/charts.js", "js/table.js", "js/start.js",
)  # fmt: skip
_STYLES = ("vendor/leaflet/leaflet.css", "vendor/uplot/uPlot.min.css", "report.css")
_FONTS = {400: "vendor/inter/inter-latin-400-normal.woff", 600: "vendor/inter/inter-latin-600-normal.woff"}
_SIGNIFICANT = 7  # digits of numbers in the page: more than any of them is worth


def render_page(content: Content) -> str:
    """The report as HTML."""
    theme = _asset("js/theme.js")
    scripts = [_asset(name) for name in _SCRIPTS]
    styles = [_font_faces(), *(_asset(name) for name in _STYLES)]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ASSETS),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    safe = [Markup(text) for text in (theme, *scripts, *styles)]  # nosec B704 # files of this package
    classes, colours = mask_image(content)
    photo = content.overview.photo
    return environment.get_template(
        "report.html.jinja"
    ).render(
        content=content,
        figures=key_figures(content),
        version=__version__,
        policy=_policy([theme, *scripts], styles),
        theme=safe[0],
        scripts=safe[1 : 1 + len(scripts)],
        styles=safe[1 + len(scripts) :],
        photo=None if photo is None else photo_uri(photo),
        mask=mask_uri(classes, colours),
        data=Markup(_script_json(page_data(content))),  # nosec B704 # escaped for a script element
        mask_classes=[(c.name, f"#{bytes(c.colour).hex()}") for c in content.classes[1:]],
    )


def page_data(content: Content) -> dict[str, Any]:  # Any: JSON
    """What the page's scripts work on."""
    height, width = content.overview.shape
    ground, table, series = content.overview.ground, content.table, content.series
    return {
        "title": content.title,
        "height": height,
        "width": width,
        "metresPerPixel": _significant(ground.gsd_m),
        "north": _significant(content.overview.north_degrees),
        "ramp": RAMP,
        "missing": MISSING,
        "columns": [] if table is None else [_column_data(table, c) for c in table.columns],
        "statistics": [] if table is None else [c.name for c in table.statistics],
        "rows": {} if table is None else {c.name: _values(table.frame[c.name], c) for c in table.columns},
        "flags": [] if table is None else plot_flags(table),
        "outlines": None if table is None else _outlines(table),
        "series": None
        if series is None
        else {
            "dates": series.dates,
            "values": {name: [_numbers(row) for row in rows] for name, rows in series.values.items()},
        },
        "classColours": [f"#{bytes(c.colour).hex()}" for c in content.classes],
    }


def _column_data(table: PlotTable, column: ColumnFacts) -> dict[str, Any]:
    facts: dict[str, Any] = {
        key: getattr(column, key) for key in ("name", "label", "kind", "unit", "factor", "decimals", "about")
    }
    numbers = table.frame[column.name] if column.is_statistic else pd.Series(dtype=float)
    finite = numbers[np.isfinite(numbers.astype(float))] if len(numbers) else numbers
    facts["range"] = nice_range(float(finite.min()), float(finite.max())) if len(finite) else None
    return facts


def _values(values: pd.Series[Any], column: ColumnFacts) -> list[Any]:
    if column.kind == NUMBER:
        return _numbers(values.to_numpy(np.float64, na_value=np.nan))
    if column.kind == FLAG:
        return [None if pd.isna(v) else bool(v) for v in values]
    return [None if pd.isna(v) else str(v) for v in values]


def _numbers(values: npt.NDArray[np.float64]) -> list[float | int | None]:
    return [_significant(float(v)) if math.isfinite(v) else None for v in values]


def _significant(value: float) -> float | int:
    """A number short in JSON: whole ones (ids and counts) exactly, others to a few significant digits."""
    if value.is_integer() and abs(value) < 2**53:
        return int(value)
    return float(f"{value:.{_SIGNIFICANT}g}")


def _outlines(table: PlotTable) -> dict[str, Any] | None:
    """GeoJSON in pixels of the overview (x = column, y = −row), to a tenth of a pixel."""
    if table.outlines_px is None:
        return None
    rounded = shapely.transform(table.outlines_px, lambda xy: np.round(xy, 1))
    features = [
        {"type": "Feature", "properties": {"i": i}, "geometry": shapely.geometry.mapping(outline)}
        for i, outline in enumerate(rounded)
    ]
    return {"type": "FeatureCollection", "features": features}


def _script_json(data: dict[str, Any]) -> str:
    """JSON that no HTML parser takes for markup, wherever it stands."""
    text = json.dumps(data, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


def _policy(scripts: list[str], styles: list[str]) -> str:
    def hashes(texts: list[str]) -> str:
        digests = (base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
        return " ".join(f"'sha256-{digest}'" for digest in digests)

    return (
        f"default-src 'none'; img-src data:; font-src data:; script-src {hashes(scripts)}; "
        f"style-src {hashes(styles)}; base-uri 'none'; form-action 'none'"
    )


def _font_faces() -> str:
    return "".join(
        f'@font-face{{font-family:"Inter";font-style:normal;font-weight:{weight};font-display:block;'
        f'src:url({data_uri("font/woff", (ASSETS / name).read_bytes())}) format("woff")}}'
        for weight, name in _FONTS.items()
    )


def _asset(name: str) -> str:
    return (ASSETS / name).read_text(encoding="utf-8")
