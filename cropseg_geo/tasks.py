"""The tasks of a job: each calls a sentence of the pipeline and gives its result as values of JSON."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from cropseg_geo import __version__, answers
from cropseg_geo.answers import Values
from cropseg_geo.arguments import bind
from cropseg_geo.events import Listener

PROTOCOL = 1
"""Version of jobs and events; raised when an older parent would misunderstand them."""

_WATCHED = frozenset({".dll", ".dylib", ".onnx", ".pyd", ".safetensors", ".so"})
_NAME = re.compile(r"[\w.-]+")
_PACKAGES = (
    "openvino", "onnxruntime", "torch", "timm", "numpy", "rasterio", "pyogrio", "geopandas", "dask", "zarr",
)  # fmt: skip

Arguments = Mapping[str, Any]  # values of JSON, each checked against the sentence's own annotation


def _segment(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline
    from cropseg_geo.options import Options

    bound = bind(pipeline.segment, arguments, options=Options)
    return answers.of_segment(pipeline.segment(**bound, listener=listener))


def _check(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline
    from cropseg_geo.options import Options

    bound = bind(pipeline.check, arguments, options=Options)
    return answers.of_check(pipeline.check(**bound, listener=listener))


def _vectorize(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline

    bound = bind(pipeline.vectorize, arguments)
    return answers.of_vectorize(pipeline.vectorize(**bound, listener=listener))


def _plots_stats(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline

    bound = bind(pipeline.measure_plots, arguments)
    return answers.of_plots(pipeline.measure_plots(**bound, listener=listener), plots=bound.get("out"))


def _plots_series(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline

    bound = bind(pipeline.plot_series, arguments)
    table = pipeline.plot_series(**bound, listener=listener)
    files = {"series": bound.get("out"), "chart": bound.get("chart"), "summary": bound.get("summary")}
    return answers.of_plots(table, **files)


def _plots_make(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline

    bound = bind(pipeline.make_plots, arguments)
    return answers.of_layout(pipeline.make_plots(**bound, listener=listener), bound.get("out"))


def _report(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo import pipeline

    bound = bind(pipeline.make_report, arguments)
    return answers.of_report(pipeline.make_report(**bound, listener=listener))


def _models(arguments: Arguments, listener: Listener) -> Values:
    from cropseg_geo.model.weights import read_card
    from cropseg_geo.model.zoo import DEFAULT_MODEL, find_model, model_names

    cards = [read_card(find_model(name)) for name in model_names()]
    facts = ("name", "version", "summary", "bands", "classes", "gsd_range_m", "threshold", "licence")
    return {"default": DEFAULT_MODEL, "models": [{f: getattr(card, f) for f in facts} for card in cards]}


def _version(arguments: Arguments, listener: Listener) -> Values:
    return {
        "version": __version__,
        "protocol": PROTOCOL,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _installed(name) for name in _PACKAGES},
        "missing": _missing(),
    }


def _installed(name: str) -> str:
    """A package's version; empty where it is not installed."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _missing() -> list[str]:
    """Packages that this one needs and that are not installed, and files of them that are gone."""
    needed = _required()
    gone = [name for name, is_certain in needed.items() if is_certain and not _installed(name)]
    return gone + [file for name in ("cropseg-geo", *needed) for file in _lost_files(name)]


def _required() -> dict[str, bool]:
    """The packages that this one needs, as its installation says; False where that depends on the system."""
    try:
        requirements = metadata.requires("cropseg-geo") or []
    except metadata.PackageNotFoundError:  # a checkout that is on the path but not installed
        return {}
    names = {line: name[0] for line in requirements if (name := _NAME.match(line))}
    return {name: ";" not in line for line, name in names.items() if "extra ==" not in line}


def _lost_files(name: str) -> list[str]:
    """Libraries and models of a package that were there when it was installed: what virus scanners remove."""
    try:
        package = metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return []
    lines = (package.read_text("RECORD") or "").splitlines()
    paths = [line.rsplit(",", 2)[0].strip('"') for line in lines]
    watched = [path for path in paths if Path(path).suffix in _WATCHED]
    return [path for path in watched if not Path(str(package.locate_file(path))).exists()]


TASKS: dict[str, Callable[[Arguments, Listener], Values]] = {
    "segment": _segment,
    "check": _check,
    "vectorize": _vectorize,
    "plots_stats": _plots_stats,
    "plots_series": _plots_series,
    "plots_make": _plots_make,
    "report": _report,
    "models": _models,
    "version": _version,
}
