"""Which library computes a network, on what and how: what was asked for → one predictor, decided once.

The shipped networks have two forms: safetensors, which torch builds, and ONNX, which OpenVINO and ONNX
Runtime compute on a CPU without it. The order of preference is measured, see DESIGN.md.
"""

from __future__ import annotations

import ctypes
import importlib
import platform
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from cropseg_geo.errors import InputError, ModelError, ResourceError
from cropseg_geo.model import onnx_file
from cropseg_geo.model.predictor import (
    FilePredictor,
    OnnxPredictor,
    Runtime,
    TorchPredictor,
    require_precision,
)
from cropseg_geo.model.weights import read_card
from cropseg_geo.model.zoo import find_model

BACKENDS = ("auto", "openvino", "onnxruntime", "torch")

_WITHOUT_TORCH = ("openvino", "onnxruntime")
"""Backends for ONNX files, the fastest first."""

_INSTALL = {
    "openvino": "pip install openvino",
    "onnxruntime": "pip install onnxruntime",
    "torch": "pip install torch timm",
}


def choose_predictor(
    model: str | Path, *, backend: str = "auto", device: str = "auto", precision: str = "auto"
) -> FilePredictor:
    """The predictor for a model; nothing about it is "auto" any more.

    Parameters
    ----------
    model
        A name of the zoo, or the path of a ``.safetensors`` or ``.onnx`` file.
    backend
        ``auto``: torch where there is a GPU and the model has a form for it; else OpenVINO, ONNX Runtime or
        torch, the first that is installed, that computes in the precision, and that the model has a form
        for. Or one of them.
    device
        See :class:`cropseg_geo.model.predictor.TorchPredictor`; OpenVINO and ONNX Runtime compute on the CPU.
    precision
        ``auto``: bf16 on a GPU that multiplies in it, and with OpenVINO on a processor that does where the
        model's card says that its masks stay the same; else fp32. Or one of them.

    Raises
    ------
    InputError
        For a backend, device or precision that does not exist, or that do not go together.
    ModelError
        For an unknown model, or one without a form for the backend.
    ResourceError
        If the backend is not installed.
    """
    if backend not in BACKENDS:
        raise InputError(f"unknown backend {backend!r}", remedy=f"choose one of {', '.join(BACKENDS)}")
    require_precision(precision)
    weights = find_model(model)
    graph = onnx_form(weights)
    if backend == "auto":
        backend = _best_backend(weights, graph, device, precision)
    if backend == "torch":
        return _torch_predictor(weights, device, precision)
    if device not in ("auto", "cpu"):
        raise InputError(
            f"--backend {backend} computes on the CPU, not on {device!r}",
            remedy=f"use --backend torch --device {device}, or leave --device out",
        )
    if graph is None:
        raise ModelError(
            f"{weights} has no ONNX form for --backend {backend}",
            remedy="use --backend torch, or export the model as ONNX with 'python -m training onnx'",
        )
    _require_backend(backend)
    if precision == "auto":
        exact_enough = read_card(weights).keeps_masks_in_bf16
        precision = "bf16" if exact_enough and _computes_bf16(backend) else "fp32"
    elif precision == "bf16":
        require_bf16(backend)
    return OnnxPredictor(graph, backend, precision)


def onnx_form(weights: Path) -> Path | None:
    """The ONNX file of a model: itself, or the one beside it that has the same card; None without any."""
    if weights.suffix.lower() == onnx_file.SUFFIX:
        return weights
    beside = weights.with_suffix(onnx_file.SUFFIX)
    # Another card: left there by an earlier version of the model.
    return beside if beside.is_file() and read_card(beside) == read_card(weights) else None


def load_onnx_runtime(weights: Path, *, backend: str, precision: str = "fp32") -> Runtime:
    """The network of an ONNX file, ready to compute with that backend in that precision.

    Raises
    ------
    ModelError
        If the file is damaged.
    ResourceError
        If this machine does not have the backend, or does not compute in that precision.
    """
    _require_backend(backend)
    if precision == "bf16":
        require_bf16(backend)
    if backend == "openvino":
        from cropseg_geo.model.openvino_runtime import load_openvino

        return load_openvino(weights, precision=precision)
    from cropseg_geo.model.ort_runtime import load_onnxruntime

    return load_onnxruntime(weights)


def _best_backend(weights: Path, graph: Path | None, device: str, precision: str) -> str:
    # A model that is nothing but a graph computes on the CPU, whatever else there is.
    elsewhere = device not in ("auto", "cpu") or (device == "auto" and weights != graph and has_gpu())
    if graph is None or elsewhere:
        return "torch"
    found = next(usable_without_torch(), "torch")
    # torch computes in bf16 on any processor, if slowly.
    return "torch" if precision == "bf16" and not _computes_bf16(found) else found


def _torch_predictor(weights: Path, device: str, precision: str) -> TorchPredictor:
    if weights.suffix.lower() == onnx_file.SUFFIX:
        raise ModelError(
            f"{weights} is an ONNX model, which torch does not compute",
            remedy="use --backend openvino or onnxruntime on the CPU, or the model's .safetensors file",
        )
    if find_spec("torch") is None or find_spec("timm") is None:
        raise ResourceError(
            f"model {read_card(weights).name!r} needs torch and timm here, which are not installed",
            remedy=_INSTALL["torch"],
        )
    from cropseg_geo.model.runtime import select_device, select_precision

    where = select_device(device)
    return TorchPredictor(weights, str(where), select_precision(where, precision))


def usable_without_torch() -> Iterator[str]:
    """The backends for ONNX files that are installed and can be imported, the fastest first."""
    return filter(_works, _WITHOUT_TORCH)


def _works(backend: str) -> bool:
    """True where a backend is installed and can be imported."""
    if find_spec(backend) is None:
        return False
    try:
        _import(backend)
    except (ImportError, OSError):
        return False
    return True


def require_bf16(backend: str) -> None:
    """Raise ResourceError where a backend does not compute in bf16 on this machine's processor."""
    if not _computes_bf16(backend):
        raise ResourceError(
            f"--backend {backend} does not compute in bf16 on this machine's processor",
            remedy="use --precision fp32, or --backend torch",
        )


def _computes_bf16(backend: str) -> bool:
    if backend != "openvino":
        return False
    from cropseg_geo.model.openvino_runtime import computes_bf16

    return computes_bf16()


def _require_backend(backend: str) -> None:
    try:
        _import(backend)
    except (ImportError, OSError) as err:
        raise ResourceError(
            f"--backend {backend} cannot be used here ({err})", remedy=_INSTALL[backend]
        ) from err


def _import(backend: str) -> None:
    if backend == "openvino":
        from cropseg_geo.model.openvino_runtime import import_openvino

        import_openvino()
    else:
        importlib.import_module(backend)


def has_gpu() -> bool:
    """True where torch finds a GPU. Torch is asked only where the system has a driver for one."""
    if not _may_have_gpu() or find_spec("torch") is None:
        return False
    import torch

    return torch.cuda.is_available() or torch.backends.mps.is_available()


def _may_have_gpu() -> bool:
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if Path("/dev/kfd").exists():  # AMD's
        return True
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
        count = ctypes.c_int(0)
        return driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0 and count.value > 0
    except (OSError, AttributeError):
        return False
