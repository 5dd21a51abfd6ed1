"""Methods under test: models as a user gets them, colour indices, height alone.

A method is a function of a sample. It returns None for a sample that it cannot say anything about.
"""

from __future__ import annotations

import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt
import rasterio
from affine import Affine

from cropseg_geo.engine.workers import Workers
from cropseg_geo.model.predictor import Predictor, TorchPredictor
from cropseg_geo.pipeline import segment
from cropseg_geo.raster.cog import PROBABILITY_STEPS
from training.evaluation.pictures import picture_logits, vegetation_probability
from training.evaluation.sets import Sample
from training.excess_green import exg_fixed, exg_otsu
from training.labels import depth_only
from training.scores import IGNORE

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

EXG_OTSU = "ExG + Otsu"
EXG_FIXED = "ExG > 0.1"
DEPTH_ONLY = "depth only"

_CRS = "EPSG:32632"
_ORIGIN = (500_000.0, 5_700_000.0)
"""Where generated fields lie on the map: anywhere, as long as a metre is a metre."""

_ONE_RUN = threading.Lock()


@dataclass(frozen=True)
class Prediction:
    """What a method says of a sample.

    ``mask`` (H, W) uint8 of 0 and 1; ``probability`` (H, W) float32 of vegetation, if there is one;
    ``gsd_m``: the GSD at which an orthomosaic was read, where the method has a choice.
    """

    mask: Pixels = field(repr=False)
    probability: Floats | None = field(repr=False, default=None)
    gsd_m: float | None = None


Method = Callable[[Sample], Prediction | None]


def baselines() -> dict[str, Method]:
    """The methods that were not learned, by the name to print."""
    return {EXG_OTSU: _by_exg_otsu, EXG_FIXED: _by_exg_fixed, DEPTH_ONLY: _by_height}


def models(predictors: Mapping[str, Predictor]) -> dict[str, Method]:
    """Models by the name to print."""
    return {name: model(predictor) for name, predictor in predictors.items()}


def model(predictor: Predictor) -> Method:
    """A model: pictures in one pass at their own resolution, orthomosaics by the product's own way.

    So tiles, blending and the choice of the GSD are part of what is measured where users meet them. A
    predictor that has no weights file sees orthomosaics as pictures.
    """

    def predict(sample: Sample) -> Prediction:
        if sample.gsd_m is not None and isinstance(predictor, TorchPredictor):
            return segment_as_user(predictor, sample)
        logits = picture_logits(predictor, sample.image)
        probability = vegetation_probability(logits[None])[0]
        return Prediction((probability >= predictor.card.threshold).astype(np.uint8), probability)

    return predict


def segment_as_user(predictor: TorchPredictor, sample: Sample) -> Prediction:
    """What :func:`cropseg_geo.segment` writes for the sample's orthomosaic; nodata is background here.

    Raises
    ------
    CropsegError
        As the product: for a GSD far outside the model's range, for example.
    """
    # One run at a time: the product sets up dask for the whole process, and takes all the lanes anyway.
    with _ONE_RUN, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raster = sample.raster or write_ortho(folder / "field.tif", sample)
        result = segment(
            raster,
            folder / "out",
            model=predictor.weights,
            device=predictor.device,
            precision=predictor.precision,
            workers=Workers(),
        )
        with rasterio.open(result.outputs.mask) as mask, rasterio.open(result.outputs.prob) as prob:
            classes, steps = mask.read(1), prob.read(1)
    known = classes != IGNORE
    probability = np.where(known, steps / np.float32(PROBABILITY_STEPS), np.float32(0.0)).astype(np.float32)
    plants = ((classes > 0) & known).astype(np.uint8)
    return Prediction(plants, probability, result.summary.gsd_m)


def write_ortho(path: Path, sample: Sample) -> Path:
    """The sample's image as a GeoTIFF with its GSD."""
    height, width = sample.image.shape[:2]
    gsd_m = sample.gsd_m or 1.0
    with rasterio.open(
        path,
        "w",
        driver="GTiff",
        dtype="uint8",
        count=3,
        height=height,
        width=width,
        crs=_CRS,
        transform=Affine(gsd_m, 0.0, _ORIGIN[0], 0.0, -gsd_m, _ORIGIN[1]),
        photometric="RGB",
    ) as dataset:
        dataset.write(sample.image.transpose(2, 0, 1))
    return path


def _by_exg_otsu(sample: Sample) -> Prediction:
    return Prediction(exg_otsu(sample.image, sample.truth != IGNORE))


def _by_exg_fixed(sample: Sample) -> Prediction:
    return Prediction(exg_fixed(sample.image))


def _by_height(sample: Sample) -> Prediction | None:
    if sample.height_m is None:
        return None
    return Prediction(depth_only(sample.image, sample.height_m, unit="m", gsd_m=sample.gsd_m))
