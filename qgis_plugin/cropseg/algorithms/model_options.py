"""The parameters of everything that runs the model, and the job's arguments that come of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingParameterBand,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterExtent,
    QgsProcessingParameterFeatureSource,
    QgsProcessingParameterRasterLayer,
    QgsProcessingParameterString,
    QgsSettings,
)

from ..moved import POLYGONS
from ..translation import tr
from .base import DEVICE_KEY, EngineAlgorithm
from .sources import absolute, extent_of, raster_layer, raster_source, vector_source

INPUT, BANDS, EXTENT, AREA = "INPUT", "BANDS", "EXTENT", "AREA"
MODEL, THRESHOLD, RESOLUTION, AUTO_RESOLUTION, GRID = (
    "MODEL",
    "THRESHOLD",
    "RESOLUTION",
    "AUTO_RESOLUTION",
    "GRID",
)
OVERLAP, TILE_SIZE, BATCH_SIZE, LANES = "OVERLAP", "TILE_SIZE", "BATCH_SIZE", "LANES"
DEVICE, BACKEND, PRECISION = "DEVICE", "BACKEND", "PRECISION"
SCALE, REFLECTANCE, ALPHA_BAND = "SCALE", "REFLECTANCE", "ALPHA_BAND"

MODELS = ["canopy-s", "canopy-m"]
DEVICES = ["auto", "cpu", "cuda", "mps"]
BACKENDS = ["auto", "openvino", "onnxruntime", "torch"]
PRECISIONS = ["auto", "fp32", "bf16"]
GRIDS = ["source", "working"]


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
        model,
        tr("Name of a model that the engine holds, or the path of a model file (.onnx or .safetensors)."),
    )
    algorithm.add_number(
        THRESHOLD,
        tr("Threshold"),
        tr("Probability from which a pixel is crop, between 0 and 1. Empty: what suits the model."),
        lowest=0.01,
        highest=0.99,
    )
    _add_image_options(algorithm)
    _add_running_options(algorithm)


def _add_image_options(algorithm: EngineAlgorithm) -> None:
    algorithm.add(
        QgsProcessingParameterBand(BANDS, tr("Bands"), None, INPUT, optional=True, allowMultiple=True),
        tr("Bands for the model's red, green, blue, in this order. Empty: found from the image."),
        is_advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBand(ALPHA_BAND, tr("Band of valid pixels"), None, INPUT, optional=True),
        tr("Band that is 0 where the image holds nothing, if the image does not say which it is."),
        is_advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterString(SCALE, tr("Values of black and white"), optional=True),
        tr("For images of more than 8 bit, such as 0,4000. Empty: found from the image."),
        is_advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean(REFLECTANCE, tr("Values are reflectance"), False),
        tr("The second value above is then that of full reflectance, such as 0,10000 or 0,32768."),
        is_advanced=True,
    )
    algorithm.add_number(
        RESOLUTION,
        tr("Working resolution (m/px)"),
        tr(
            "The image is resampled to this pixel size for the model. Empty: the image's own, or the nearest "
            "that the model takes."
        ),
        lowest=0.0005,
        is_advanced=True,
    )
    algorithm.add(
        QgsProcessingParameterBoolean(AUTO_RESOLUTION, tr("Choose the working resolution"), False),
        tr("Tries several pixel sizes on parts of the image and takes the one that suits it best."),
        is_advanced=True,
    )
    algorithm.add_choice(
        GRID,
        tr("Grid of the results"),
        GRIDS,
        tr("source: pixels as in the orthomosaic. working: pixels of the working resolution."),
        is_advanced=True,
    )


def _add_running_options(algorithm: EngineAlgorithm) -> None:
    device = str(QgsSettings().value(DEVICE_KEY, "") or DEVICES[0])
    algorithm.add_choice(
        DEVICE,
        tr("Device"),
        DEVICES,
        tr("auto takes a graphics card where there is one that works, else the processor."),
        default=device if device in DEVICES else DEVICES[0],
        is_advanced=True,
    )
    algorithm.add_choice(
        BACKEND,
        tr("Computed by"),
        BACKENDS,
        tr("auto takes the fastest that is installed and knows the model; another one if that fails."),
        is_advanced=True,
    )
    algorithm.add_choice(
        PRECISION,
        tr("Precision"),
        PRECISIONS,
        tr(
            "auto takes bf16 on graphics cards that compute in it, and on processors that do where the model "
            "keeps its masks; else fp32."
        ),
        is_advanced=True,
    )
    for name, label, lowest, text in _whole_numbers():
        algorithm.add_number(name, label, text, lowest=lowest, is_whole=True, is_advanced=True)


def _whole_numbers() -> list[tuple[str, str, int, str]]:
    return [
        (TILE_SIZE, tr("Tile size (px)"), 64,
         tr("Side of the squares that the model sees. Empty: what suits the model.")),
        (OVERLAP, tr("Overlap (px)"), 0,
         tr("Overlap of neighbouring tiles, blended so that no seams show. Empty: what suits the model.")),
        (BATCH_SIZE, tr("Batch size"), 1,
         tr("Tiles that the model sees at once; smaller needs less memory. Empty: what suits the device.")),
        (LANES, tr("Threads"), 1,
         tr("Each computes one tile; fewer need less memory. Empty: one for each core, up to eight.")),
    ]  # fmt: skip


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
        area = vector_source(algorithm, parameters, AREA, context, feedback, layer.crs())
    lanes = algorithm.whole(parameters, LANES, context)
    return {
        "raster": raster_source(layer, feedback),
        "bbox": extent_of(algorithm, parameters, EXTENT, context, layer.crs()),
        "aoi": area,
        "bands": algorithm.parameterAsInts(parameters, BANDS, context) or None,
        "alpha_band": algorithm.whole(parameters, ALPHA_BAND, context),
        "scale": _scale(algorithm.text(parameters, SCALE, context)),
        "reflectance": algorithm.parameterAsBool(parameters, REFLECTANCE, context) or None,
        "model": _model(algorithm.text(parameters, MODEL, context)),
        "threshold": algorithm.number(parameters, THRESHOLD, context),
        "gsd_m": _working_gsd(algorithm, parameters, context),
        "grid": algorithm.parameterAsEnumString(parameters, GRID, context),
        "tile_px": algorithm.whole(parameters, TILE_SIZE, context),
        "overlap_px": algorithm.whole(parameters, OVERLAP, context),
        "batch_size": algorithm.whole(parameters, BATCH_SIZE, context),
        "workers": {"lanes": lanes} if lanes else None,
        "device": algorithm.parameterAsEnumString(parameters, DEVICE, context),
        "backend": algorithm.parameterAsEnumString(parameters, BACKEND, context),
        "precision": algorithm.parameterAsEnumString(parameters, PRECISION, context),
    }


def _model(text: str | None) -> str | None:
    """A model's name, or where its file is."""
    if text is None or text in MODELS or not Path(text).is_file():
        return text
    return absolute(text)


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
