"""The sentences: segment an orthomosaic, vectorize a mask, measure plots, predict an array."""

from cropseg_geo.pipeline.measurement import measure_plots
from cropseg_geo.pipeline.prediction import predict
from cropseg_geo.pipeline.segmentation import SegmentResult, Summary, check, segment
from cropseg_geo.pipeline.vectorization import vectorize

__all__ = ["SegmentResult", "Summary", "check", "measure_plots", "predict", "segment", "vectorize"]
