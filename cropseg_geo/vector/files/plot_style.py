"""Style of plots that are not measured yet: an outline and the plot's id, nothing that hides the field."""

from __future__ import annotations

from cropseg_geo.vector.files.styles import Style, qml_labels

_OUTLINE, _OUTLINE_MM, _PX_PER_MM = "#ffd400", 0.4, 96 / 25.4
_LABEL = "plot_id"


def outline_style(name: str) -> Style:
    """Yellow outlines, which show on soil and on leaves alike, labelled with the plots' ids, for a layer."""
    return Style(_qml(), _sld(name))


def _qml() -> str:
    red, green, blue = (int(_OUTLINE[k : k + 2], 16) for k in (1, 3, 5))
    options = {
        "style": "no",
        "outline_color": f"{red},{green},{blue},255",
        "outline_width": f"{_OUTLINE_MM}",
        "outline_width_unit": "MM",
        "outline_style": "solid",
        "joinstyle": "miter",
    }
    rows = "".join(f'<Option type="QString" name="{k}" value="{v}"/>' for k, v in options.items())
    return (
        "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
        '<qgis version="3.22.0" styleCategories="Symbology|Labeling" labelsEnabled="1">\n'
        '<renderer-v2 type="singleSymbol" symbollevels="0" enableorderby="0" forceraster="0"><symbols>'
        '<symbol type="fill" name="0" alpha="1" clip_to_extent="1" force_rhr="0">'
        '<layer class="SimpleFill" enabled="1" locked="0" pass="0">'
        f'<Option type="Map">{rows}</Option></layer>'
        "</symbol></symbols></renderer-v2>\n"
        f"{qml_labels(_LABEL)}\n</qgis>\n"
    )


def _sld(name: str) -> str:
    width = round(_OUTLINE_MM * _PX_PER_MM, 2)
    return (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<StyledLayerDescriptor version="1.0.0" xmlns="http://www.opengis.net/sld" '
        'xmlns:ogc="http://www.opengis.net/ogc"><NamedLayer>'
        f"<Name>{name}</Name><UserStyle><Name>{name}</Name><FeatureTypeStyle><Rule><PolygonSymbolizer><Stroke>"
        f'<CssParameter name="stroke">{_OUTLINE}</CssParameter>'
        f'<CssParameter name="stroke-width">{width}</CssParameter></Stroke></PolygonSymbolizer>'
        f"<TextSymbolizer><Label><ogc:PropertyName>{_LABEL}</ogc:PropertyName></Label></TextSymbolizer>"
        "</Rule></FeatureTypeStyle></UserStyle></NamedLayer></StyledLayerDescriptor>\n"
    )
