"""How results arrive in a project: styled, named, and in a group that is named after the orthomosaic."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass

from qgis.core import (
    QgsColorRampShader,
    QgsLayerTreeGroup,
    QgsLayerTreeLayer,
    QgsMapLayer,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProcessingLayerPostProcessorInterface,
    QgsProject,
    QgsProviderRegistry,
    QgsRasterLayer,
    QgsRasterShader,
    QgsSingleBandPseudoColorRenderer,
    QgsVectorLayer,
)
from qgis.PyQt.QtGui import QColor

from .moved import INTERPOLATED

ORDER = ("plots", "canopy", "mask", "probability")
"""Kinds of layers from the top of the group down."""

STYLED_BY_FILE = ("plots", "canopy")

_KIND_PROPERTY = "cropseg/kind"
_PROBABILITY_COLOURS = (
    (0.0, "#fcfdf7"),
    (0.25, "#dfe9b4"),
    (0.5, "#9cc46b"),
    (0.75, "#3f9a4a"),
    (1.0, "#0b5d2e"),
)


@dataclass(frozen=True)
class Arrival:
    """A layer that will be loaded: one of ``ORDER``, and the name of the layer that it was made of."""

    kind: str
    origin: str

    @property
    def group(self) -> str:
        """The group that the results of one layer share."""
        return f"CropSeg: {self.origin}"


class _Arrive(QgsProcessingLayerPostProcessorInterface):
    """Called by QGIS in the main thread when the layer is in the project."""

    def __init__(self, arrival: Arrival) -> None:
        super().__init__()
        self._arrival = arrival

    def postProcessLayer(  # noqa: N802
        self, layer: QgsMapLayer, context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> None:
        if self._arrival.kind == "probability" and isinstance(layer, QgsRasterLayer):
            colour_probability(layer)
        elif self._arrival.kind in STYLED_BY_FILE:
            # Processing loads layers without the style that their GeoPackage holds.
            layer.loadDefaultStyle()
        if (project := context.project()) is None:
            return
        node = project.layerTreeRoot().findLayer(layer.id())
        if node is not None:
            _into_group(node, self._arrival)


_expected: list[_Arrive] = []
"""QGIS keeps no reference to post-processors; a few of the last runs are enough."""


def expect(context: QgsProcessingContext, target: str | None, arrival: Arrival) -> None:
    """See to a destination of an algorithm, if it is going to be loaded."""
    if target and context.willLoadLayerOnCompletion(target):
        details = context.layerToLoadOnCompletionDetails(target)
        details.setPostProcessor(_keep(arrival))
        _name_group(details, arrival)


def load(context: QgsProcessingContext, source: str, name: str, arrival: Arrival) -> None:
    """Have a layer loaded that is no destination of its own."""
    details = QgsProcessingContext.LayerDetails(name, context.project(), name)
    details.forceName = True
    details.setPostProcessor(_keep(arrival))
    _name_group(details, arrival)
    context.addLayerToLoadOnCompletion(source, details)


def reload_layers(project: QgsProject, sources: Iterable[str]) -> list[str]:
    """Have layers show files that were replaced: until they are reloaded, they hold on to those before.

    In the main thread only. What a replaced file has no more is marked as missing, as QGIS marks it when a
    project is opened; what it has again is shown again.

    Parameters
    ----------
    sources
        Files that were written, with the names of layers in them or without.

    Returns
    -------
    list of str
        The names of layers whose files do not hold them any more.
    """
    # Not Path.resolve, which Windows's Python 3.9 ends with an error where a layer is no file.
    written = {os.path.realpath(source.partition("|")[0]) for source in sources}
    lost = []
    for layer in project.mapLayers().values():
        if file_of(layer) not in written:
            continue
        if isinstance(layer, QgsVectorLayer) and not (layer.isValid() and _is_there(layer)):
            # Reloaded, it would pass for valid without a provider that is, and QGIS would crash over it.
            layer.setDataSource(layer.source(), layer.name(), layer.providerType())
            if not layer.isValid():
                lost.append(layer.name())
        else:
            layer.reload()
        layer.triggerRepaint()
    return lost


def _is_there(layer: QgsVectorLayer) -> bool:
    """True if a layer can be opened from where it comes from."""
    return QgsVectorLayer(layer.source(), layer.name(), layer.providerType()).isValid()


def file_of(layer: QgsMapLayer) -> str:
    """The file that a layer shows; empty where it shows none."""
    parts = QgsProviderRegistry.instance().decodeUri(layer.providerType(), layer.source())
    return os.path.realpath(parts["path"]) if parts.get("path") else ""


def _name_group(details: QgsProcessingContext.LayerDetails, arrival: Arrival) -> None:
    """Since 3.32 QGIS makes the group itself, and adds layers only after they were post-processed."""
    if hasattr(details, "groupName"):
        details.groupName = arrival.group


def _keep(arrival: Arrival) -> _Arrive:
    del _expected[:-64]
    _expected.append(_Arrive(arrival))
    return _expected[-1]


def _into_group(node: QgsLayerTreeLayer, arrival: Arrival) -> None:
    """Move a layer's node into the group, which is made where the node is if need be."""
    parent = node.parent()
    if not isinstance(parent, QgsLayerTreeGroup):
        return
    # QGIS adds a layer beside the current one, which may be a result that lies in the group by now.
    is_there = parent.name() == arrival.group
    group = parent if is_there else parent.findGroup(arrival.group) or parent.insertGroup(0, arrival.group)
    node.setCustomProperty(_KIND_PROPERTY, arrival.kind)
    ranks = [ORDER.index(child.customProperty(_KIND_PROPERTY, ORDER[-1])) for child in group.children()]
    rank = ORDER.index(arrival.kind)
    # Not the sum of those before it: the node itself may be among them, anywhere.
    place = next((i for i, other in enumerate(ranks) if other > rank), len(ranks))
    moved = node.clone()
    # The canopy says it already; these two would lie over the image.
    moved.setItemVisibilityChecked(arrival.kind not in ("mask", "probability"))
    moved.setExpanded(arrival.kind == "plots")
    group.insertChildNode(place, moved)
    parent.removeChildNode(node)


def colour_probability(layer: QgsRasterLayer) -> None:
    """From white to dark green over 0–1, which QGIS makes of the stored bytes by their scale."""
    items = [
        QgsColorRampShader.ColorRampItem(share, QColor(colour), f"{share:.0%}")
        for share, colour in _PROBABILITY_COLOURS
    ]
    ramp = QgsColorRampShader(0, 1)
    ramp.setColorRampType(INTERPOLATED)
    ramp.setColorRampItemList(items)
    shader = QgsRasterShader(0, 1)
    shader.setRasterShaderFunction(ramp)
    renderer = QgsSingleBandPseudoColorRenderer(layer.dataProvider(), 1, shader)
    renderer.setClassificationMin(0)
    renderer.setClassificationMax(1)
    layer.setRenderer(renderer)
    layer.triggerRepaint()
