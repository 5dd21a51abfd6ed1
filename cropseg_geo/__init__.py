"""Crop segmentation for drone orthomosaics: masks, canopy polygons and per-plot coverage.

>>> import cropseg_geo as cg
>>> result = cg.segment("ortho.tif", "out/", plots="plots.gpkg")  # doctest: +SKIP
>>> probability = cg.predict(dataarray, model="canopy-s")  # doctest: +SKIP
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "CropsegError",
    "CropsegWarning",
    "InferenceError",
    "InputError",
    "ModelCard",
    "ModelError",
    "Numbering",
    "Outlines",
    "OutputError",
    "ReadError",
    "ResourceError",
    "SegmentResult",
    "Site",
    "Template",
    "Trial",
    "Workers",
    "check",
    "make_plots",
    "make_report",
    "measure_plots",
    "plot_series",
    "predict",
    "save_model",
    "segment",
    "segment_many",
    "tune",
    "vectorize",
]

if TYPE_CHECKING:
    from cropseg_geo.engine.workers import Workers
    from cropseg_geo.errors import (
        CropsegError,
        InferenceError,
        InputError,
        ModelError,
        OutputError,
        ReadError,
        ResourceError,
    )
    from cropseg_geo.events import CropsegWarning
    from cropseg_geo.model.card import ModelCard
    from cropseg_geo.model.own import save_model
    from cropseg_geo.pipeline import (
        SegmentResult,
        check,
        make_plots,
        make_report,
        measure_plots,
        plot_series,
        predict,
        segment,
        segment_many,
        tune,
        vectorize,
    )
    from cropseg_geo.pipeline.layout import Template
    from cropseg_geo.plots.making.numbering import Numbering
    from cropseg_geo.plots.making.site import Site
    from cropseg_geo.plots.making.trial import Trial
    from cropseg_geo.vector.options import Outlines

_HOMES = {
    "CropsegError": "errors",
    "CropsegWarning": "events",
    "InferenceError": "errors",
    "InputError": "errors",
    "ModelCard": "model.card",
    "ModelError": "errors",
    "Numbering": "plots.making.numbering",
    "Outlines": "vector.options",
    "OutputError": "errors",
    "ReadError": "errors",
    "ResourceError": "errors",
    "Site": "plots.making.site",
    "Template": "pipeline.layout",
    "Trial": "plots.making.trial",
    "Workers": "engine.workers",
    "save_model": "model.own",
}


def __getattr__(name: str) -> Any:  # Any: whatever the public name stands for
    """Load public names when they are first used, so that importing the package costs nothing."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES.get(name, 'pipeline')}"), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
