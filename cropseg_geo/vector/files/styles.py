"""Default styles of the layers as QML (QGIS) and SLD 1.0 (GeoServer, MapServer and others).

One description of rules makes both: canopy as a translucent veil with an outline, by class where there are
several; plots by coverage, labelled. Source: OGC 02-070 (SLD 1.0.0).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape, quoteattr  # nosec B406 # writes XML, parses none

from cropseg_geo.colours import rgb

COVERAGE_COLOURS = ("#d7b98e", "#e3d98c", "#b5cf6b", "#6fae4b", "#2c7a2c")
"""Bare soil to full canopy, one for each fifth of coverage."""

CLASS_COLOURS = ("#33a02c", "#d95f02", "#7570b3", "#e7298a", "#1f78b4", "#e6ab02", "#a6761d", "#666666")
"""For classes whose mask names no colour; the first is crop."""

_DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
_NO_COVERAGE = -1
_PX_PER_MM = 96 / 25.4
"""SLD counts in pixels; its readers take 96 of them for an inch."""


@dataclass(frozen=True)
class Style:
    """A layer's default style: QML for QGIS, SLD 1.0 for everyone else."""

    qml: str
    sld: str


@dataclass(frozen=True)
class _Fill:
    """How a polygon is filled and outlined; opacities 0–1."""

    label: str
    fill: str
    opacity: float
    outline: str
    outline_mm: float
    pattern: str = "solid"


def canopy_style(
    name: str, classes: Mapping[int, tuple[str, str]], titles: Mapping[str, str] | None = None
) -> Style:
    """Style of canopy polygons.

    Parameters
    ----------
    name
        Of the layer.
    classes
        Class id → name and colour (``#rrggbb``) of the canopy classes; one makes a single symbol, more are
        told apart by ``class_id``.
    titles
        Column → what QGIS calls it in tables and forms.
    """
    fills = [_Fill(label, colour, 0.45, _darker(colour), 0.2) for label, colour in classes.values()]
    symbols = "".join(_qml_symbol(str(k), fill) for k, fill in enumerate(fills))
    if len(fills) == 1:
        renderer = f"{_qml_renderer('singleSymbol')}<symbols>{symbols}</symbols></renderer-v2>"
        rules = _sld_rule(fills[0], "")
    else:
        categories = "".join(
            f'<category value="{class_id}" symbol="{k}" label={quoteattr(fill.label)} render="true"/>'
            for k, (class_id, fill) in enumerate(zip(classes, fills, strict=True))
        )
        renderer = (
            f"{_qml_renderer('categorizedSymbol', attr='class_id')}<categories>{categories}</categories>"
            f"<symbols>{symbols}</symbols></renderer-v2>"
        )
        rules = "".join(
            _sld_rule(fill, _sld_compare("Equal", "class_id", class_id), title=fill.label)
            for class_id, fill in zip(classes, fills, strict=True)
        )
    tip = (
        "<b>[% class_name %]</b><br/>[% format_number(area_m2, 3) %] m²<br/>"
        "[% coalesce('probability ' || format_number(mean_prob, 2), '') %]"
    )
    qml = _qml(renderer, titles=titles or {}, map_tip=tip)
    return Style(qml, _sld(name, rules))


def plots_style(
    name: str, titles: Mapping[str, str] | None = None, *, with_flags: bool = False, date: str | None = None
) -> Style:
    """Style of plots: graduated by coverage in fifths, hatched where unknown; labelled with id and coverage.

    Parameters
    ----------
    name
        Of the layer.
    titles
        Column → what QGIS calls it in tables and forms.
    with_flags
        Whether there is a column ``low_validity``: labels of plots that it flags end in ``!``.
    date
        Column of dates, by which QGIS's temporal controller plays the layer; None for a single date.
    """
    n = len(COVERAGE_COLOURS)
    bounds = [k / n for k in range(n + 1)]
    fills = [
        _Fill(f"{100 * k // n}–{100 * (k + 1) // n} %", colour, 0.4, "#282828", 0.4)
        for k, colour in enumerate(COVERAGE_COLOURS)
    ]
    # QGIS draws no plot whose value is NULL, so those without a valid pixel get one that no coverage has.
    fills.append(_Fill("no valid pixel", "#5a5a5a", 0.8, "#282828", 0.4, "b_diagonal"))
    ranges = "".join(
        f'<range lower="{low}" upper="{high}" symbol="{k}" render="true" label={quoteattr(fill.label)}/>'
        for k, (fill, low, high) in enumerate(
            zip(fills, [*bounds[:-1], _NO_COVERAGE], [*bounds[1:], _NO_COVERAGE], strict=True)
        )
    )
    symbols = "".join(_qml_symbol(str(k), fill) for k, fill in enumerate(fills))
    attr = f'coalesce("coverage", {_NO_COVERAGE})'
    renderer = (
        f"{_qml_renderer('graduatedSymbol', attr=attr, graduatedMethod='GraduatedColor')}"
        f"<ranges>{ranges}</ranges><symbols>{symbols}</symbols></renderer-v2>"
    )
    label = "\"plot_id\" || coalesce('\\n' || round(100 * \"coverage\") || ' %', '')"
    tip = (
        "<b>[% plot_id %]</b><br/>[% coalesce(round(100 * coverage, 1) || ' % covered', 'no valid pixel') %]"
    )
    if with_flags:
        label += " || if(\"low_validity\", ' !', '')"
        tip += "[% if(low_validity, '<br/>only ' || round(100 * valid_fraction) || ' % seen', '') %]"
    rules = "".join(_sld_rule(f, _sld_fifth(k, bounds), title=f.label) for k, f in enumerate(fills[:-1]))
    unseen = "<ogc:PropertyIsNull><ogc:PropertyName>coverage</ogc:PropertyName></ogc:PropertyIsNull>"
    rules += _sld_rule(fills[-1], unseen, title=fills[-1].label)
    labels = qml_labels(label, is_expression=True)
    qml = _qml(renderer, labels, titles=titles or {}, map_tip=tip, temporal=_qml_played(date))
    return Style(qml, _sld(name, rules + _sld_label("plot_id")))


def _qml_played(date: str | None) -> str:
    """Each date stays, below the later ones, until the next: flights are days or weeks apart."""
    if date is None:
        return ""
    return (
        f'<temporal enabled="1" mode="1" startField={quoteattr(date)} endField="" accumulate="1" '
        'limitMode="0" durationUnit="d" fixedDuration="0"><fixedRange><start></start><end></end></fixedRange>'
        "</temporal>"
    )


def qml_labels(text: str, *, is_expression: bool = False) -> str:
    """QGIS's labels in the middle of polygons, with a white rim: a column, or an expression of QGIS."""
    return (
        '<labeling type="simple"><settings calloutType="simple">'
        f'<text-style fieldName={quoteattr(text)} isExpression="{int(is_expression)}" fontSize="10" '
        'fontSizeUnit="Point" fontWeight="75" textColor="20,20,20,255" textOpacity="1"><text-buffer '
        'bufferDraw="1" bufferSize="1" bufferSizeUnits="MM" bufferColor="255,255,255,255" bufferOpacity="1"/>'
        '</text-style><placement placement="1" priority="5" centroidInside="1"/>'
        '<rendering drawLabels="1" obstacle="0"/></settings></labeling>'
    )


def class_colour(class_id: int) -> str:
    """Colour of a class that names none."""
    return CLASS_COLOURS[(class_id - 1) % len(CLASS_COLOURS)]


def _darker(colour: str) -> str:
    return "#" + "".join(f"{part // 2:02x}" for part in rgb(colour))


def _qml(
    renderer: str, labeling: str = "", *, titles: Mapping[str, str], map_tip: str, temporal: str = ""
) -> str:
    aliases = "".join(
        f'<alias index="{k}" field={quoteattr(column)} name={quoteattr(title)}/>'
        for k, (column, title) in enumerate(titles.items())
    )
    return (
        f'{_DOCTYPE}<qgis version="3.22.0" '
        f'styleCategories="Symbology|Labeling|Fields|MapTips{"|Temporal" if temporal else ""}" '
        f'labelsEnabled="{int(bool(labeling))}">\n{temporal}\n{renderer}\n{labeling}\n'
        f"<aliases>{aliases}</aliases>\n"
        f"<mapTip>{escape(map_tip)}</mapTip>\n</qgis>\n"
    )


def _qml_renderer(kind: str, **attributes: str) -> str:
    more = "".join(f" {key}={quoteattr(value)}" for key, value in attributes.items())
    return f'<renderer-v2 type="{kind}"{more} symbollevels="0" enableorderby="0" forceraster="0">'


def _qml_symbol(name: str, fill: _Fill) -> str:
    options = {
        "color": _rgba(fill.fill, fill.opacity),
        "outline_color": _rgba(fill.outline, 1.0),
        "outline_width": f"{fill.outline_mm}",
        "outline_width_unit": "MM",
        "outline_style": "solid",
        "joinstyle": "miter",
        "style": fill.pattern,
    }
    rows = "".join(
        f'<Option type="QString" name={quoteattr(k)} value={quoteattr(v)}/>' for k, v in options.items()
    )
    return (
        f'<symbol type="fill" name="{name}" alpha="1" clip_to_extent="1" force_rhr="0">'
        f'<layer class="SimpleFill" enabled="1" locked="0" pass="0"><Option type="Map">{rows}</Option>'
        "</layer></symbol>"
    )


def _rgba(colour: str, opacity: float) -> str:
    return ",".join(map(str, (*rgb(colour), round(255 * opacity))))


def _sld(name: str, rules: str) -> str:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<StyledLayerDescriptor version="1.0.0" xmlns="http://www.opengis.net/sld" '
        'xmlns:ogc="http://www.opengis.net/ogc" xmlns:xlink="http://www.w3.org/1999/xlink" '
        'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation='
        '"http://www.opengis.net/sld http://schemas.opengis.net/sld/1.0.0/StyledLayerDescriptor.xsd">\n'
        f"<NamedLayer><Name>{escape(name)}</Name><UserStyle><Name>{escape(name)}</Name>"
        f"<IsDefault>1</IsDefault><FeatureTypeStyle>{rules}</FeatureTypeStyle></UserStyle></NamedLayer>\n"
        "</StyledLayerDescriptor>\n"
    )


def _sld_rule(fill: _Fill, condition: str, *, title: str = "") -> str:
    names = f"<Name>{escape(title)}</Name><Title>{escape(title)}</Title>" if title else ""
    test = f"<ogc:Filter>{condition}</ogc:Filter>" if condition else ""
    return (
        f"<Rule>{names}{test}<PolygonSymbolizer><Fill>{_css('fill', fill.fill)}"
        f"{_css('fill-opacity', fill.opacity)}</Fill><Stroke>{_css('stroke', fill.outline)}"
        f"{_css('stroke-width', round(fill.outline_mm * _PX_PER_MM, 2))}</Stroke></PolygonSymbolizer></Rule>"
    )


def _css(name: str, value: object) -> str:
    return f'<CssParameter name="{name}">{value}</CssParameter>'


def _sld_compare(kind: str, column: str, value: object) -> str:
    tag = f"ogc:PropertyIs{kind}To" if kind.endswith("Equal") else f"ogc:PropertyIs{kind}"
    operands = f"<ogc:PropertyName>{column}</ogc:PropertyName><ogc:Literal>{value}</ogc:Literal>"
    return f"<{tag}>{operands}</{tag}>"


def _sld_fifth(k: int, bounds: Sequence[float]) -> str:
    low = _sld_compare("GreaterThanOrEqual", "coverage", bounds[k])
    is_last = k == len(bounds) - 2
    high = _sld_compare("LessThanOrEqual" if is_last else "LessThan", "coverage", bounds[k + 1])
    return f"<ogc:And>{low}{high}</ogc:And>"


def _sld_label(column: str) -> str:
    return (
        f"<Rule><TextSymbolizer><Label><ogc:PropertyName>{column}</ogc:PropertyName></Label>"
        f"<Font>{_css('font-size', 12)}</Font><Halo><Radius>1</Radius><Fill>{_css('fill', '#ffffff')}</Fill>"
        f"</Halo><Fill>{_css('fill', '#141414')}</Fill></TextSymbolizer></Rule>"
    )
