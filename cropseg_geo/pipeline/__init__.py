"""The sentences: segment an orthomosaic, vectorize a mask, measure plots, predict an array."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cropseg_geo.pipeline.layout import make_plots
    from cropseg_geo.pipeline.measurement import measure_plots
    from cropseg_geo.pipeline.prediction import predict
    from cropseg_geo.pipeline.reporting import make_report
    from cropseg_geo.pipeline.season import segment_many
    from cropseg_geo.pipeline.segmentation import SegmentResult, Summary, check, segment
    from cropseg_geo.pipeline.series import plot_series
    from cropseg_geo.pipeline.tuning import tune
    from cropseg_geo.pipeline.vectorization import VectorizeResult, vectorize

__all__ = [
    "SegmentResult",
    "Summary",
    "VectorizeResult",
    "check",
    "make_plots",
    "make_report",
    "measure_plots",
    "plot_series",
    "predict",
    "segment",
    "segment_many",
    "tune",
    "vectorize",
]

_HOMES = {
    "SegmentResult": "segmentation",
    "Summary": "segmentation",
    "VectorizeResult": "vectorization",
    "check": "segmentation",
    "make_plots": "layout",
    "measure_plots": "measurement",
    "plot_series": "series",
    "predict": "prediction",
    "make_report": "reporting",
    "segment": "segmentation",
    "segment_many": "season",
    "tune": "tuning",
    "vectorize": "vectorization",
}


def __getattr__(name: str) -> Any:  # Any: whatever the name stands for
    """Load a sentence when it is first used: a mask is vectorized without the engine and its imports."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
