"""The engine's remedies name options of its command line; a user of the toolbox knows parameters."""

from __future__ import annotations

import re

PARAMETERS = {
    "--ab": "POINT_A and POINT_B",
    "--alpha-band": "ALPHA_BAND",
    "--aoi": "AREA",
    "--backend": "BACKEND",
    "--bands": "BANDS",
    "--batch-size": "BATCH_SIZE",
    "--bbox": "EXTENT",
    "--block-alley": "BLOCK_ALLEY",
    "--block-columns": "BLOCK_COLUMNS",
    "--block-rows": "BLOCK_ROWS",
    "--buffer": "BUFFER",
    "--cell": "CELL",
    "--columns": "COLUMNS",
    "--corners": "CORNERS",
    "--crs": "the CRS of the layer",
    "--dates": "DATES",
    "--device": "DEVICE",
    "--dsm": "DSM",
    "--dtm": "DTM",
    "--fieldbook": "FIELD_BOOK",
    "--fieldbook-by": "FIELD_BOOK_BY",
    "--grid": "GRID",
    "--gsd": "RESOLUTION",
    "--id-field": "PLOT_ID",
    "--lanes": "LANES",
    "--length": "LENGTH",
    "--min-area": "MIN_AREA",
    "--min-valid": "MIN_VALID",
    "--model": "MODEL",
    "--numbering": "ORDER",
    "--objects": "OBJECTS",
    "--out": "OUTPUT",
    "--outline": "OUTLINE",
    "--overlap": "OVERLAP",
    "--overwrite": "OVERWRITE",
    "--plot-id": "PLOT_ID",
    "--plots": "PLOTS",
    "--plots-crs": "the CRS of the layer",
    "--precision": "PRECISION",
    "--prob": "PROBABILITY",
    "--raster": "ORTHOMOSAIC",
    "--reflectance": "REFLECTANCE",
    "--rotate": "TURN",
    "--row-alley": "ROW_ALLEY",
    "--row-angle": "ROW_ANGLE",
    "--row-spacing": "ROW_SPACING",
    "--rows": "ROWS",
    "--scale": "SCALE",
    "--series": "SERIES",
    "--side": "SIDE",
    "--simplify": "SIMPLIFY",
    "--snap": "MASK",
    "--start": "START",
    "--stats": "STATISTICS",
    "--summary": "SUMMARY",
    "--template": "TEMPLATE",
    "--threshold": "THRESHOLD",
    "--tile": "TILE_SIZE",
    "--tolerance": "TOLERANCE",
    "--width": "WIDTH",
}


_AGAIN = "run CropSeg › Install the engine again"
INSTALLATIONS = {
    "pip install torch timm": "run CropSeg › Install the engine with ACCELERATOR cuda or torch",
    "pip install openvino": _AGAIN,
    "pip install onnxruntime": _AGAIN,
}
"""What the engine would have its user install, and how that is done here."""

_COMMANDS = {
    "cropseg plots stats": "cropseg:plotstats",
    "cropseg plots series": "cropseg:plotseries",
    "cropseg segment": "cropseg:segment",
}
"""Commands that remedies name, and the algorithms that do the same."""


def in_toolbox_words(text: str) -> str:
    """The text with options and commands of the command line as parameters and algorithms; others stay.

    >>> in_toolbox_words("pass --gsd 0.02 to resample")
    'pass RESOLUTION 0.02 to resample'
    """
    for command, here in (*INSTALLATIONS.items(), *_COMMANDS.items()):
        text = text.replace(command, here)
    text = re.sub(r"--[a-z][a-z-]*[a-z]", lambda found: PARAMETERS.get(found[0], found[0]), text)
    # "--snap MASK" names its parameter already.
    return re.sub(r"\b([A-Z_]{3,}) \1\b", r"\1", text)
