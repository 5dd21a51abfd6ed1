"""CropSeg for QGIS: canopy masks, plant outlines and plot coverage from drone orthomosaics."""


def classFactory(iface):  # noqa: N802 - the name that QGIS looks for
    """The plugin; ``iface`` is None in qgis_process."""
    from .plugin import CropSegPlugin

    return CropSegPlugin(iface)
