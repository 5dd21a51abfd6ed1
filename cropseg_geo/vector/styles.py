"""Default QGIS styles (QML) of the layers: canopy as a green veil, plots by coverage, labelled."""

from __future__ import annotations

from collections.abc import Mapping
from xml.sax.saxutils import quoteattr

_HEAD = (
    "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
    '<qgis version="3.22.0" styleCategories="Symbology|Labeling">\n'
)

COVERAGE_COLOURS = ("#d7b98e", "#e3d98c", "#b5cf6b", "#6fae4b", "#2c7a2c")
"""Bare soil to full canopy, one for each fifth of coverage."""


def _options(values: Mapping[str, str]) -> str:
    rows = (f'<Option type="QString" name={quoteattr(k)} value={quoteattr(v)}/>' for k, v in values.items())
    return f'<Option type="Map">{"".join(rows)}</Option>'


def _fill_symbol(name: str, *, fill: str, outline: str, outline_mm: float) -> str:
    """A fill symbol; colours as ``r,g,b,a``."""
    layer = _options(
        {
            "color": fill,
            "outline_color": outline,
            "outline_width": f"{outline_mm}",
            "outline_width_unit": "MM",
            "outline_style": "solid",
            "joinstyle": "miter",
            "style": "solid",
        }
    )
    return (
        f'<symbol type="fill" name="{name}" alpha="1" clip_to_extent="1" force_rhr="0">'
        f'<layer class="SimpleFill" enabled="1" locked="0" pass="0">{layer}</layer></symbol>'
    )


def _rgba(colour: str, alpha: int) -> str:
    red, green, blue = (int(colour[k : k + 2], 16) for k in (1, 3, 5))
    return f"{red},{green},{blue},{alpha}"


def canopy_qml() -> str:
    """Half-transparent green with a thin outline."""
    symbol = _fill_symbol("0", fill="51,160,44,110", outline="20,90,20,255", outline_mm=0.15)
    return (
        f'{_HEAD}<renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0">'
        f"<symbols>{symbol}</symbols></renderer-v2>\n</qgis>\n"
    )


def plots_qml() -> str:
    """Graduated by coverage in fifths; labelled with the plot's id and its coverage in %."""
    n = len(COVERAGE_COLOURS)
    ranges = "".join(
        f'<range lower="{k / n}" upper="{(k + 1) / n}" symbol="{k}" render="true" '
        f'label="{100 * k // n}–{100 * (k + 1) // n} %"/>'
        for k in range(n)
    )
    symbols = "".join(
        _fill_symbol(str(k), fill=_rgba(colour, 150), outline="40,40,40,255", outline_mm=0.3)
        for k, colour in enumerate(COVERAGE_COLOURS)
    )
    label = "\"plot_id\" || coalesce('\\n' || round(100 * \"coverage\") || ' %', '')"
    return (
        f'{_HEAD}<renderer-v2 type="graduatedSymbol" attr="coverage" graduatedMethod="GraduatedColor" '
        f'symbollevels="0" enableorderby="0" forceraster="0"><ranges>{ranges}</ranges>'
        f"<symbols>{symbols}</symbols></renderer-v2>\n"
        f'<labeling type="simple"><settings calloutType="simple">'
        f'<text-style fieldName={quoteattr(label)} isExpression="1" fontSize="9" fontSizeUnit="Point" '
        f'textColor="20,20,20,255"><text-buffer bufferDraw="1" bufferSize="0.8" bufferSizeUnits="MM" '
        f'bufferColor="255,255,255,255"/></text-style><placement placement="1" centroidInside="1"/>'
        f'<rendering drawLabels="1" obstacle="0"/></settings></labeling>\n</qgis>\n'
    )
