"""The parameters of everything that runs the model, and the job's arguments that come of them."""

from __future__ import annotations

from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterEnum,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterNumber,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsSettings,
)

from ..moved import POLYGONS
from ..translation import tr
from .base import DEVICE_KEY, EngineAlgorithm
from .sources import extent_of, raster_layer, raster_source, vector_source

INPUT, BANDS, EXTENT, AREA = "INPUT", "BANDS", "EXTENT", "AREA"
MODEL, THRESHOLD, RESOLUTION, AUTO_RESOLUTION, GRID = (
    "MODEL",
    "THRESHOLD",
    "RESOLUTION",
    "AUTO_RESOLUTION",
    "GRID",
)
OVERLAP, TILE_SIZE, BATCH_SIZE, LANES = "OVERLAP", "TILE_SIZE", "BATCH_SIZE", "LANES"
DEVICE, PRECISION, SCALE, ALPHA_BAND = "DEVICE", "PRECISION", "SCALE", "ALPHA_BAND"

MODELS = ["canopy-s"]
DEVICES = ["auto", "cpu", "cuda", "mps"]
PRECISIONS = ["auto", "fp32", "bf16"]
GRIDS = ["source", "working"]

_INTEGER = QgsProcessingParameterNumber.Type.Integer
_DOUBLE = QgsProcessingParameterNumber.Type.Double


def add_raster_options(algorithm: EngineAlgorithm) -> None:
    """INPUT and what part of it is meant."""
    algorithm.add(
        QgsProcessingParameterRasterLayer(INPUT, tr("Orthomosaic")),
        tr("Red, green, blue image of the field, georeferenced: GeoTIFF, COG, virtual raster …"),
    )
    algorithm.add(
        QgsProcessingParameterExtent(EXTENT, tr("Extent"), optional=True),
        tr("Only this part of the image, in any CRS. Empty: the whole image."),
    )
    algorithm.add(
        QgsProcessingParameterFeatureSource(AREA, tr("Area of interest"), [POLYGONS], optional=True),
        tr("Polygons to restrict the work to, in any CRS; what lies outside becomes nodata."),
        is_advanced=True,
    )


def add_model_options(algorithm: EngineAlgorithm) -> None:
    """MODEL, what it sees, and how it runs."""
    model = QgsProcessingParameterString(MODEL, tr("Model"), defaultValue=MODELS[0])
    model.setMetadata({"widget_wrapper": {"value_hints": MODELS}})
    algorithm.add(
        model, tr("Name of a model that the engine holds, or the path of a weights file (.safetensors).")
    )
    algorithm.add(
        QgsProcessingParameterNumber(
            THRESHOLD, tr("Threshold"), _DOUBLE, optional=True, minValue=0.01, maxValue=0.99
        ),
        tr("Probability from which a pixel is crop, between 0 and 1. Empty: what suits the model."),
    )
    _add_image_options(algorithm)
    _add_running_options(algorithm)


def _add_image_options(algorithm: EngineAlgorithm) -> None:
    advanced: list[tuple[Any, str]] = [
        (
            QgsProcessingParameterBand(BANDS, tr("Bands"), None, INPUT, optional=True, allowMultiple=True),
            tr("Bands for the model's red, green, blue, in this order. Empty: found from the image."),
        ),
        (
            QgsProcessingParameterBand(ALPHA_BAND, tr("Band of valid pixels"), None, INPUT, optional=True),
            tr("Band that is 0 where the image holds nothing, if the image does not say which it is."),
        ),
        (
            QgsProcessingParameterString(SCALE, tr("Values of black and white"), optional=True),
            tr("For images of more than 8 bit, such as 0,4000. Empty: found from the image."),
        ),
        (
            QgsProcessingParameterNumber(
                RESOLUTION, tr("Working resolution (m/px)"), _DOUBLE, optional=True, minValue=0.0005
            ),
            tr("The image is resampled to this pixel size for the model. Empty: the image's own."),
        ),
        (
            QgsProcessingParameterBoolean(AUTO_RESOLUTION, tr("Choose the working resolution"), False),
            tr("Tries several pixel sizes on parts of the image and takes the one that suits it best."),
        ),
        (
            QgsProcessingParameterEnum(
                GRID, tr("Grid of the results"), GRIDS, defaultValue=GRIDS[0], usesStaticStrings=True
            ),
            tr("source: pixels as in the orthomosaic. working: pixels of the working resolution."),
        ),
    ]
    for parameter, text in advanced:
        algorithm.add(parameter, text, is_advanced=True)


def _add_running_options(algorithm: EngineAlgorithm) -> None:
    device = str(QgsSettings().value(DEVICE_KEY, "") or DEVICES[0])
    advanced: list[tuple[Any, str]] = [
        (
            QgsProcessingParameterEnum(
                DEVICE,
                tr("Device"),
                DEVICES,
                defaultValue=device if device in DEVICES else DEVICES[0],
                usesStaticStrings=True,
            ),
            tr("auto takes a graphics card where there is one that works, else the processor."),
        ),
        (
            QgsProcessingParameterEnum(
                PRECISION, tr("Precision"), PRECISIONS, defaultValue=PRECISIONS[0], usesStaticStrings=True
            ),
            tr("fp32 is the same on every machine; bf16 is faster where the processor has it."),
        ),
        (
            QgsProcessingParameterNumber(
                TILE_SIZE, tr("Tile size (px)"), _INTEGER, optional=True, minValue=64
            ),
            tr("Side of the squares that the model sees. Empty: what suits the model."),
        ),
        (
            QgsProcessingParameterNumber(OVERLAP, tr("Overlap (px)"), _INTEGER, optional=True, minValue=0),
            tr("Overlap of neighbouring tiles, blended so that no seams show. Empty: what suits the model."),
        ),
        (
            QgsProcessingParameterNumber(BATCH_SIZE, tr("Batch size"), _INTEGER, optional=True, minValue=1),
            tr("Tiles that the model sees at once; smaller needs less memory. Empty: what suits the device."),
        ),
        (
            QgsProcessingParameterNumber(LANES, tr("Blocks at a time"), _INTEGER, optional=True, minValue=1),
            tr(
                "Blocks computed side by side; fewer need less memory. Empty: one for each core, up to eight."
            ),
        ),
    ]
    for parameter, text in advanced:
        algorithm.add(parameter, text, is_advanced=True)


def model_arguments(
    algorithm: EngineAlgorithm,
    parameters: dict,
    context: QgsProcessingContext,
    feedback: QgsProcessingFeedback,
) -> dict[str, Any]:
    """The job's arguments for all of the parameters above."""
    layer = raster_layer(algorithm, parameters, INPUT, context)
    area = None
    if algorithm.given(parameters, AREA):
        area, _ = vector_source(algorithm, parameters, AREA, context, feedback)
    lanes = algorithm.whole(parameters, LANES, context)
    return {
        "raster": raster_source(layer),
        "bbox": extent_of(algorithm, parameters, EXTENT, context, layer.crs()),
        "aoi": area,
        "bands": algorithm.parameterAsInts(parameters, BANDS, context) or None,
        "alpha_band": algorithm.whole(parameters, ALPHA_BAND, context),
        "scale": _scale(algorithm.text(parameters, SCALE, context)),
        "model": algorithm.text(parameters, MODEL, context),
        "threshold": algorithm.number(parameters, THRESHOLD, context),
        "gsd_m": _working_gsd(algorithm, parameters, context),
        "grid": algorithm.parameterAsEnumString(parameters, GRID, context),
        "tile_px": algorithm.whole(parameters, TILE_SIZE, context),
        "overlap_px": algorithm.whole(parameters, OVERLAP, context),
        "batch_size": algorithm.whole(parameters, BATCH_SIZE, context),
        "workers": {"lanes": lanes} if lanes else None,
        "device": algorithm.parameterAsEnumString(parameters, DEVICE, context),
        "precision": algorithm.parameterAsEnumString(parameters, PRECISION, context),
    }


def _working_gsd(
    algorithm: EngineAlgorithm, parameters: dict, context: QgsProcessingContext
) -> float | str | None:
    if algorithm.parameterAsBool(parameters, AUTO_RESOLUTION, context):
        return "auto"
    return algorithm.number(parameters, RESOLUTION, context)


def _scale(text: str | None) -> list[float] | None:
    """``"0,4000"`` → [0, 4000]. Raises QgsProcessingException."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as err:
        message = tr("Values of black and white: two numbers such as 0,4000 are expected, not {}").format(
            text
        )
        raise QgsProcessingException(message) from err
    return [low, high]
